//! How a reply ends is the same wherever its bytes are split, and one that is not whole is never good.
//!
//! `cargo +nightly fuzz run finish`

#![no_main]

use libfuzzer_sys::fuzz_target;
use sidegate::{
    provider::finish::{Finish, Media},
    types::{Ending, Question, RequestFormat},
};

fn format(question: Question) -> RequestFormat {
    match question {
        Question::Message => RequestFormat::Anthropic,
        Question::Content | Question::ContentEmbedding => RequestFormat::Gemini,
        _ => RequestFormat::Openai,
    }
}

fuzz_target!(|bytes: &[u8]| {
    for question in Question::ALL {
        let of_parts = |size: usize| {
            let mut finish = Finish::of(format(question), question, Media::Events);
            bytes.chunks(size).for_each(|part| finish.push(part));
            finish.ending()
        };
        let ending = of_parts(bytes.len().max(1));
        assert!([1, 2, 7, 64].into_iter().all(|size| of_parts(size) == ending));
        assert!(ending != Ending::Good || bytes.ends_with(b"\n") || bytes.ends_with(b"\r"));

        let mut finish = Finish::of(format(question), question, Media::Json);
        finish.body(bytes);
        if finish.ending() == Ending::Good {
            let text = std::str::from_utf8(bytes).expect("JSON is UTF-8").trim();
            assert!(text.starts_with('{') && text.ends_with('}') || text.starts_with('[') && text.ends_with(']'));
        }
    }
});
