//! The request that is sent again and again: its bytes, with a number in the prompt.

use std::{iter, ops::Range};

use memchr::memmem;
use serde_json::json;

use super::{args::Ask, site::Site};
use crate::types::Secret;

/// Stands in the prompt where the number of a request will.
const NUMBER: &str = "0000000000";

/// Short words that are a token each with the usual tokenisers.
const WORDS: [&str; 8] = ["one", "red", "sun", "day", "two", "sky", "sea", "top"];

/// A request's bytes. They hold the key: nothing here prints them.
pub(super) struct Request {
    bytes: Vec<u8>,
    number: Option<Range<usize>>,
}

impl Request {
    /// A streamed or whole chat completion at `site`.
    pub(super) fn new(site: &Site, ask: &Ask, key: Option<&Secret>) -> Self {
        let words = (ask.prompt_tokens as usize).saturating_sub(1);
        let prompt: Vec<&str> = iter::once(NUMBER).chain(WORDS.iter().copied().cycle().take(words)).collect();
        let mut body = json!({ "model": ask.model, "messages": [{ "role": "user", "content": prompt.join(" ") }] });
        // Those that reason take no `max_tokens`; many compatible servers take nothing else.
        let reasons = ["o1", "o3", "o4", "gpt-5"].iter().any(|family| ask.model.starts_with(family));
        body[if reasons { "max_completion_tokens" } else { "max_tokens" }] = ask.max_tokens.into();
        if ask.stream {
            body["stream"] = true.into();
            body["stream_options"] = json!({ "include_usage": true });
        }
        let body = body.to_string();
        let authorization = key.map(|key| format!("authorization: Bearer {}\r\n", key.expose())).unwrap_or_default();
        let Site { path, authority, .. } = site;
        let agent = concat!("user-agent: sidegate-load/", env!("CARGO_PKG_VERSION"));
        let bytes = format!(
            "POST {path} HTTP/1.1\r\nhost: {authority}\r\n{authorization}{agent}\r\naccept: */*\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        let (head, before) = (bytes.len() - body.len(), "\"content\":\"");
        let number = memmem::find(&bytes[head..], format!("{before}{NUMBER}").as_bytes()).map(|at| head + at + before.len());
        let number = number.map(|at| at..at + NUMBER.len());
        Self { bytes, number: number.filter(|_| !ask.same_prompt) }
    }

    /// The bytes of the n-th request: no two prompts are equal, so that no cache answers in the provider's place.
    pub(super) fn numbered(&mut self, mut n: u64) -> &[u8] {
        for digit in self.number.clone().into_iter().flatten().rev() {
            self.bytes[digit] = b'0' + (n % 10) as u8;
            n /= 10;
        }
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn ask() -> Ask {
        Ask { model: "gpt-4o-mini".to_owned(), stream: true, prompt_tokens: 4, max_tokens: 8, same_prompt: false }
    }

    fn sent(ask: &Ask, key: Option<&Secret>, n: u64) -> (String, Value) {
        let mut request = Request::new(&"http://a:1/v1".parse().unwrap(), ask, key);
        let text = String::from_utf8(request.numbered(n).to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
        (head.to_owned(), serde_json::from_str(body).unwrap())
    }

    #[test]
    fn each_request_has_a_prompt_of_its_own_and_the_same_length() {
        let (head, first) = sent(&ask(), None, 7);
        assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\nhost: a:1\r\n") && !head.contains("authorization"), "{head}");
        assert_eq!(first["messages"][0]["content"], "0000000007 one red sun");
        assert_eq!(sent(&ask(), None, 1_234_567_890).1["messages"][0]["content"], "1234567890 one red sun");
        let same = Ask { same_prompt: true, ..ask() };
        assert_eq!(sent(&same, None, 7).1, sent(&same, None, 8).1);
    }

    #[test]
    fn it_asks_for_what_the_flags_say() {
        let (head, body) = sent(&ask(), Some(&Secret::new("sk-x".to_owned())), 0);
        assert!(head.contains("\r\nauthorization: Bearer sk-x\r\n"));
        assert_eq!((&body["max_tokens"], &body["stream_options"]["include_usage"]), (&json!(8), &json!(true)));
        let whole = Ask { stream: false, model: "gpt-5".to_owned(), ..ask() };
        let (_, body) = sent(&whole, None, 0);
        assert_eq!((body.get("stream"), &body["max_completion_tokens"], body.get("max_tokens")), (None, &json!(8), None));
    }

    #[test]
    fn a_number_that_stands_in_the_model_is_left_alone() {
        let (_, body) = sent(&Ask { model: NUMBER.to_owned(), ..ask() }, None, 5);
        assert_eq!(body["model"], NUMBER);
        assert_eq!(body["messages"][0]["content"], "0000000005 one red sun");
    }
}
