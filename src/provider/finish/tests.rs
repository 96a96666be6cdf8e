//! Every reply in `tests/corpus/replies`, in the shapes that providers send, and what could be mistaken for one.
//!
//! A folder is a question; a file says how its reply ends, and behind a blank line is the stream (`.sse`) or the body (`.json`).

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Fewer than this mean that the walk looked in the wrong place.
const FEWEST_CASES: usize = 140;

/// Gemini's older models say in each event that they have ended: where its last event is cut off, nothing tells.
const ENDS_ALL_ALONG: &str = "gemini-each-says-so.sse";

fn format(question: Question) -> RequestFormat {
    match question {
        Question::Message => RequestFormat::Anthropic,
        Question::Content | Question::ContentEmbedding => RequestFormat::Gemini,
        _ => RequestFormat::Openai,
    }
}

fn folder(question: Question) -> &'static str {
    match question {
        Question::Chat => "chat",
        Question::Completion => "completion",
        Question::Response => "response",
        Question::Embedding => "embedding",
        Question::Moderation => "moderation",
        Question::Message => "message",
        Question::Content => "content",
        Question::ContentEmbedding => "content_embedding",
    }
}

struct Case {
    name: String,
    question: Question,
    ending: Ending,
    media: Media,
    reply: Vec<u8>,
}

impl Case {
    fn read(question: Question, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let (expected, reply) = text.split_once("\n\n").unwrap();
        Self {
            name: format!("{}/{}", folder(question), path.file_name().unwrap().to_str().unwrap()),
            question,
            ending: match expected.strip_prefix("ending: ").unwrap() {
                "good" => Ending::Good,
                "open" => Ending::Open,
                "error" => Ending::Error,
                "filtered" => Ending::Filtered,
                other => panic!("{}: no such ending: {other}", path.display()),
            },
            media: if path.extension().unwrap() == "sse" { Media::Events } else { Media::Json },
            reply: reply.into(),
        }
    }

    fn ending_of(&self, reply: &[u8]) -> Ending {
        match self.media {
            Media::Events => of_parts(self.question, [reply]),
            Media::Json => of_body(self.question, reply),
        }
    }
}

/// Every file, in order.
fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/replies");
    let entries =
        |folder: &str| -> BTreeSet<PathBuf> { fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect() };
    let of = |question| entries(folder(question)).into_iter().map(move |path| Case::read(question, &path));
    let cases: Vec<_> = Question::ALL.into_iter().flat_map(of).collect();
    assert!(cases.len() >= FEWEST_CASES, "found only {} cases", cases.len());
    cases
}

fn streams() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|case| case.media == Media::Events)
}

fn of_parts<'p>(question: Question, parts: impl IntoIterator<Item = &'p [u8]>) -> Ending {
    let mut finish = Finish::of(format(question), question, Media::Events);
    parts.into_iter().for_each(|part| finish.push(part));
    finish.ending()
}

fn of_body(question: Question, body: &[u8]) -> Ending {
    let mut finish = Finish::of(format(question), question, Media::Json);
    finish.body(body);
    finish.ending()
}

#[test]
fn every_reply_ends_as_it_should() {
    let cases = cases();
    for case in &cases {
        assert_eq!(case.ending_of(&case.reply), case.ending, "{}", case.name);
    }
    for question in Question::ALL {
        let shown: BTreeSet<_> = cases.iter().filter(|case| case.question == question).map(|case| format!("{:?}", case.ending)).collect();
        assert!(shown.len() >= 3 || question == Question::Completion, "{question:?}: {shown:?}");
    }
}

#[test]
fn a_stream_that_is_cut_off_anywhere_before_its_end_is_not_good() {
    for case in streams().filter(|case| case.ending == Ending::Good && !case.name.ends_with(ENDS_ALL_ALONG)) {
        for at in 0..case.reply.len() {
            let (came, missing) = case.reply.split_at(at);
            let missing = String::from_utf8_lossy(missing);
            let said_all = !missing.contains("data:") || case.question == Question::Response && missing.trim() == "data: [DONE]";
            let between = came.ends_with(b"\n\n") || came.ends_with(b"\r\n\r\n");
            let expected = if said_all && between { Ending::Good } else { Ending::Open };
            assert_eq!(case.ending_of(came), expected, "{} up to {at}", case.name);
        }
    }
}

#[test]
fn a_body_that_is_cut_off_anywhere_is_not_good() {
    for case in cases().into_iter().filter(|case| case.media == Media::Json && case.ending == Ending::Good) {
        let length = case.reply.trim_ascii_end().len();
        for at in 0..length {
            assert_ne!(case.ending_of(&case.reply[..at]), Ending::Good, "{} up to {at}", case.name);
        }
    }
}

#[test]
fn what_is_not_good_does_not_become_so() {
    for case in streams().filter(|case| matches!(case.ending, Ending::Error | Ending::Filtered)) {
        for good in streams().filter(|good| good.ending == Ending::Good && good.question == case.question) {
            let both = [&case.reply[..], &good.reply];
            assert_eq!(of_parts(case.question, both), case.ending, "{} before {}", case.name, good.name);
        }
    }
}

#[test]
fn it_makes_no_difference_how_lines_end() {
    for case in streams() {
        let reply = String::from_utf8(case.reply.clone()).unwrap().replace("\r\n", "\n");
        assert_eq!(case.ending_of(reply.as_bytes()), case.ending, "{} with LF", case.name);
        assert_eq!(case.ending_of(reply.replace('\n', "\r\n").as_bytes()), case.ending, "{} with CRLF", case.name);
        assert_eq!(case.ending_of(format!("\u{feff}{reply}").as_bytes()), case.ending, "{} behind a byte order mark", case.name);
    }
}

#[test]
fn nothing_but_comments_and_blank_lines_follows_a_good_end() {
    for case in streams().filter(|case| case.ending == Ending::Good && case.question != Question::Content) {
        let with = |behind: &str| [&case.reply, behind.as_bytes()].concat();
        for behind in ["", "\n", "\r\n\r\n", ": keep-alive\n\n", "event: x\nid: 7\n\n", "data:\n\n"] {
            assert_eq!(case.ending_of(&with(behind)), Ending::Good, "{} and {behind:?}", case.name);
        }
        for behind in ["data: {}\n\n", "data: x\n\n", "d", "data: [DO", ": keep-a", "event: ping\ndata: {\"type\":\"ping\"}\n\n"] {
            assert_eq!(case.ending_of(&with(behind)), Ending::Open, "{} and {behind:?}", case.name);
        }
        for behind in ["event: error\n\n", "event:error\ndata: {}\n\n", "data: x\nevent: error\n\n"] {
            assert_eq!(case.ending_of(&with(behind)), Ending::Error, "{} and {behind:?}", case.name);
        }
    }
}

#[test]
fn an_event_that_is_too_long_to_look_at_is_never_good() {
    let long = "x".repeat(sse::LONGEST);
    for case in streams().filter(|case| case.ending == Ending::Good) {
        let event = format!("data: {{\"type\":\"x\",\"x\":\"{long}\"}}\n\n");
        for parts in [[event.as_bytes(), &case.reply], [&case.reply, event.as_bytes()]] {
            assert_eq!(of_parts(case.question, parts), Ending::Open, "{}", case.name);
        }
    }
}

#[test]
fn a_reply_in_another_format_is_never_good() {
    for case in cases().into_iter().filter(|case| case.ending == Ending::Good) {
        for other in Question::ALL.into_iter().filter(|other| format(*other) != format(case.question)) {
            let mut finish = Finish::of(format(other), other, case.media);
            finish.push(&case.reply);
            finish.body(&case.reply);
            assert_ne!(finish.ending(), Ending::Good, "{} as {other:?}", case.name);
        }
        let mut finish =
            Finish::of(format(case.question), case.question, if case.media == Media::Json { Media::Events } else { Media::Json });
        finish.push(&case.reply);
        finish.body(&case.reply);
        assert_ne!(finish.ending(), Ending::Good, "{} as something else", case.name);
    }
}

#[test]
fn a_member_that_stands_there_twice_is_never_good() {
    for (question, member) in [
        (Question::Chat, r#""choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]"#),
        (Question::Response, r#""status":"completed","output":[{"type":"function_call"}]"#),
        (Question::Embedding, r#""data":[{"embedding":[1]}]"#),
        (Question::Moderation, r#""results":[{"categories":{"a":true}}]"#),
        (Question::Message, r#""type":"message","content":[],"stop_reason":"end_turn""#),
        (Question::Content, r#""candidates":[{"finishReason":"STOP"}]"#),
        (Question::ContentEmbedding, r#""embedding":{"values":[1]}"#),
    ] {
        let once = format!("{{{member}}}");
        assert_eq!(of_body(question, once.as_bytes()), Ending::Good, "{once}");
        for body in [
            format!("{{{member},{member}}}"),
            format!("{{\"error\":null,{member},\"error\":null}}"),
            format!("{{{member}}}{{{member}}}"),
            format!("{{{member}}}]"),
            format!("[[{{{member}}}]]"),
            format!("\"{}\"", once.escape_default()),
        ] {
            assert_eq!(of_body(question, body.as_bytes()), Ending::Open, "{body}");
        }
        let error = format!("{{{member},\"error\":{{\"message\":\"x\"}}}}");
        assert_eq!(of_body(question, error.as_bytes()), Ending::Error, "{error}");
    }
    assert_eq!(of_body(Question::Chat, b"{\"choices\":[{\"finish_reason\":\"stop\"}],\"x\":\"\xff\"}"), Ending::Open, "no UTF-8");
    let deep = format!("{{\"choices\":[{{\"finish_reason\":\"stop\",\"x\":{}{}}}]}}", "[".repeat(100_000), "]".repeat(100_000));
    let _ = of_body(Question::Chat, deep.as_bytes());
}

/// A stream in which a model says these texts: what comes before its end, and its end.
fn saying(question: Question, texts: &[String]) -> (String, String) {
    let event = |value: Value| match &value["type"] {
        Value::String(kind) => format!("event: {kind}\ndata: {value}\n\n"),
        _ => format!("data: {value}\n\n"),
    };
    let choice =
        |delta: Value, reason: Option<&str>| event(json!({ "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }] }));
    let say = |text: &String| match question {
        Question::Chat => choice(json!({ "content": text, "tool_calls": [{ "index": 0, "function": { "arguments": text } }] }), None),
        Question::Response => event(json!({ "type": "response.output_text.delta", "delta": text })),
        Question::Message => event(json!({ "type": "content_block_delta", "delta": { "text": text, "partial_json": text } })),
        _ => event(json!({ "candidates": [{ "content": { "parts": [{ "text": text }] } }] })),
    };
    let said: String = texts.iter().map(say).collect();
    match question {
        Question::Chat => (said, choice(json!({}), Some("stop")) + "data: [DONE]\n\n"),
        Question::Response => {
            let parts: Vec<_> = texts.iter().map(|text| json!({ "type": "output_text", "text": text })).collect();
            let response = json!({ "status": "completed", "output": [{ "type": "message", "content": parts }] });
            (said, event(json!({ "type": "response.completed", "response": response })))
        }
        Question::Message => {
            let start = event(json!({ "type": "message_start", "message": { "stop_reason": null } }));
            let end = json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" } });
            (start + &said, event(end) + &event(json!({ "type": "message_stop" })))
        }
        _ => (said, event(json!({ "candidates": [{ "content": { "parts": texts }, "finishReason": "STOP" }] }))),
    }
}

const WITH_STREAMS: [Question; 4] = [Question::Chat, Question::Response, Question::Message, Question::Content];

/// What a caller may make a model say.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "error",
        "\"error\":{\"message\":\"x\"}",
        "\"",
        "\\",
        "\\\"",
        "}",
        "{",
        "]",
        ",",
        "\n\n",
        "\r\n\r\n",
        "data: [DONE]",
        "[DONE]",
        "finish_reason",
        "\"finish_reason\":\"stop\"",
        "\"index\":1",
        "index",
        "refusal",
        "\"refusal\":\"no\"",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        "{\"type\":\"message_stop\"}",
        "message_stop",
        "message_delta",
        "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[{}]}}",
        "response.completed",
        "response.failed",
        "\"finishReason\":\"STOP\"",
        "finishReason",
        "STOP",
        "event: error\n\n",
        "é\u{2028}",
    ]);
    prop::collection::vec(word, 0..6).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_a_model_says_neither_ends_nor_spoils_a_reply(texts in prop::collection::vec(words(), 1..6), question in prop::sample::select(&WITH_STREAMS[..])) {
        let (said, end) = saying(question, &texts);
        prop_assert_eq!(of_parts(question, [said.as_bytes()]), Ending::Open, "{}", said);
        prop_assert_eq!(of_parts(question, [said.as_bytes(), end.as_bytes()]), Ending::Good, "{}{}", said, end);
    }

    #[test]
    fn it_makes_no_difference_where_the_bytes_are_split(sizes in prop::collection::vec(1_usize..400, 1..60), case in 0..FEWEST_CASES) {
        let cases = cases();
        let case = &cases[case];
        let mut rest = &case.reply[..];
        let parts = sizes.iter().cycle().map_while(|size| {
            let part = (!rest.is_empty()).then(|| &rest[..*size.min(&rest.len())])?;
            rest = &rest[part.len()..];
            Some(part)
        });
        if case.media == Media::Events {
            prop_assert_eq!(of_parts(case.question, parts), case.ending, "{}", case.name);
        }
    }

    #[test]
    fn a_search_says_what_a_parser_would(
        choices in prop::collection::vec((0_u64..3, prop::sample::select(vec![None, Some("stop"), Some("length"), Some("content_filter"), Some("error"), Some("")]), words(), prop::option::of(words())), 0..3),
        error in prop::sample::select(vec![None, Some(Value::Null), Some(json!({})), Some(json!("x")), Some(json!({ "message": "x" }))]),
        pretty: bool,
    ) {
        let choice = |(index, reason, content, refusal): &(u64, Option<&str>, String, Option<String>)| {
            json!({ "index": index, "finish_reason": reason, "delta": { "content": content, "refusal": refusal, "tool_calls": [{ "index": index / 2 }] } })
        };
        let mut chunk = json!({ "choices": choices.iter().map(choice).collect::<Vec<_>>() });
        if let Some(error) = error {
            chunk["error"] = error;
        }
        let data = if pretty { serde_json::to_string_pretty(&chunk).unwrap() } else { chunk.to_string() };
        let (mut searched, mut parsed) = (Found::default(), Found::default());
        choices::event(data.as_bytes(), &mut searched).unwrap();
        choices::object(data.as_bytes(), &mut parsed).unwrap();
        prop_assert_eq!(searched, parsed, "{}", data);
    }

    #[test]
    fn no_reply_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), texts in prop::collection::vec(words(), 0..8)) {
        for question in Question::ALL {
            for reply in [&bytes[..], texts.concat().as_bytes(), format!("data: {{{}}}\n\n", texts.concat()).as_bytes()] {
                let _ = (of_parts(question, [reply]), of_body(question, reply));
            }
        }
    }
}
