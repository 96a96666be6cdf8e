//! `POST /v1/completions`, the older form of a completion, plain and streamed.

use std::{iter, rc::Rc};

use serde_json::{Value, json};

use super::{models::CREATED, sse};
use crate::simulator::{
    answer::{Answer, Desk},
    ask::Ask,
    error::ApiError,
    script::{Event, Script},
    text::Text,
};

/// Answers one request for a completion.
pub(super) fn answer(desk: &Desk<'_>, ask: &Ask) -> Answer {
    let model = ask.model()?.to_owned();
    let prompt = &ask.body["prompt"];
    if prompt.is_null() {
        return Err(ApiError::missing("prompt"));
    }
    let mut author = desk.author(prompt);
    let (id, text) = (author.id("cmpl-"), author.write(ask.most()));
    let include_usage = ask.body["stream_options"]["include_usage"] == true;
    let completion = Completion { id, model, text, prompt_tokens: author.prompt_tokens, include_usage };
    Ok(if ask.stream { Rc::new(completion).stream() } else { completion.whole() })
}

struct Completion {
    id: String,
    model: String,
    text: Text,
    prompt_tokens: usize,
    include_usage: bool,
}

impl Completion {
    fn usage(&self) -> Value {
        let (prompt, completion) = (self.prompt_tokens, self.text.tokens.len());
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
    }

    fn object(&self, choices: &Value) -> Value {
        json!({ "id": self.id, "object": "text_completion", "created": CREATED, "model": self.model, "choices": choices })
    }

    fn choice(text: &str, finish_reason: Option<&str>) -> Value {
        json!([{ "index": 0, "text": text, "logprobs": null, "finish_reason": finish_reason }])
    }

    fn finish_reason(&self) -> &'static str {
        if self.text.cut { "length" } else { "stop" }
    }

    fn whole(&self) -> Script {
        let mut json = self.object(&Self::choice(&self.text.tokens.concat(), Some(self.finish_reason())));
        json["usage"] = self.usage();
        Script::whole(&json, self.text.tokens.len())
    }

    fn stream(self: Rc<Self>) -> Script {
        let count = self.text.tokens.len();
        let (tokens, end) = (Rc::clone(&self), self);
        let words = (0..count).map(move |n| (n + 1, tokens.object(&Self::choice(&tokens.text.tokens[n], None))));
        let mut last = vec![(count, end.object(&Self::choice("", Some(end.finish_reason()))))];
        if end.include_usage {
            let mut usage = end.object(&json!([]));
            usage["usage"] = end.usage();
            last.push((count, usage));
        }
        let events = words.chain(last).map(|(at, chunk)| Event { at, frame: sse::unnamed(&chunk) });
        Script::stream(events.chain(iter::once(Event { at: count, frame: sse::DONE })), count)
    }
}
