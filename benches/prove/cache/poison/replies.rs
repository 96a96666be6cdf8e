//! Replies that are not whole and good.

use crate::cache::scripted::{Answer, json};

/// A reply that must not be kept.
pub(super) struct Bad {
    pub(super) name: &'static str,
    kind: Kind,
}

enum Kind {
    /// A status and fields beside those of JSON, and a JSON body.
    Status(&'static str, &'static str),
    /// A JSON body of a 200.
    Json(&'static str),
    /// A JSON body that is cut after so many bytes, then the connection is closed.
    CutJson(usize),
    /// The events of a stream, and whether its framing ends in order.
    Stream(&'static [&'static str], bool),
}

const GOOD: &str = r#"{"id":"1","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":"evil"},"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}"#;
const WORD: &str = r#"{"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"evil"},"finish_reason":null}]}"#;
const OTHER: &str =
    r#"{"id":"1","object":"chat.completion.chunk","choices":[{"index":1,"delta":{"content":"evil"},"finish_reason":null}]}"#;
const STOP: &str = r#"{"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const FILTER: &str = r#"{"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}]}"#;
const UNKNOWN: &str = r#"{"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"unheard_of"}]}"#;
const ERROR: &str = r#"{"error":{"message":"The server had an error.","type":"server_error","param":null,"code":null}}"#;
const DONE: &str = "[DONE]";

/// All of them.
pub(super) static BAD: [Bad; 27] = [
    bad("500", Kind::Status("500 Internal Server Error", "")),
    bad("503 that says how long it is fresh", Kind::Status("503 Service Unavailable", "Cache-Control: public, max-age=3600\r\n")),
    bad("401", Kind::Status("401 Unauthorized", "")),
    bad("429", Kind::Status("429 Too Many Requests", "")),
    bad("302", Kind::Status("302 Found", "Location: http://evil.test/\r\n")),
    bad("206", Kind::Status("206 Partial Content", "Content-Range: bytes 0-9/100\r\n")),
    bad("201", Kind::Status("201 Created", "")),
    bad("a body said to be compressed that is not", Kind::Status("200 OK", "Content-Encoding: gzip\r\n")),
    bad("JSON that is cut", Kind::CutJson(60)),
    bad("JSON without a byte", Kind::CutJson(0)),
    bad("JSON cut by its own length", Kind::Json(r#"{"id":"1","choices":[{"index":0,"message":{"content":"ev"#)),
    bad("nothing", Kind::Json("")),
    bad("an empty object", Kind::Json("{}")),
    bad("no JSON", Kind::Json("<html>evil</html>")),
    bad("an error inside a 200", Kind::Json(ERROR)),
    bad(
        "an error beside an answer",
        Kind::Json(r#"{"error":{"message":"no"},"choices":[{"index":0,"message":{"content":"evil"},"finish_reason":"stop"}]}"#),
    ),
    bad(
        "a filtered answer",
        Kind::Json(r#"{"id":"1","choices":[{"index":0,"message":{"content":"ev"},"finish_reason":"content_filter"}]}"#),
    ),
    bad(
        "one of two answers filtered",
        Kind::Json(
            r#"{"id":"1","choices":[{"index":0,"message":{"content":"evil"},"finish_reason":"stop"},{"index":1,"message":{"content":""},"finish_reason":"content_filter"}]}"#,
        ),
    ),
    bad("an answer without an end", Kind::Json(r#"{"id":"1","choices":[{"index":0,"message":{"content":"evil"},"finish_reason":null}]}"#)),
    bad("a stream without its last chunk", Kind::Stream(&[WORD, STOP], false)),
    bad("a stream that is cut", Kind::Stream(&[WORD, WORD], false)),
    bad("a stream that ends in order and too early", Kind::Stream(&[WORD, WORD], true)),
    bad("a stream with an error in it", Kind::Stream(&[WORD, ERROR, DONE], true)),
    bad("a stream with an error behind its end", Kind::Stream(&[WORD, STOP, ERROR, DONE], true)),
    bad("a stream that a filter has ended", Kind::Stream(&[WORD, FILTER, DONE], true)),
    bad("a stream that ended for a reason unheard of", Kind::Stream(&[WORD, UNKNOWN, DONE], true)),
    bad("a stream of two answers, one without an end", Kind::Stream(&[WORD, OTHER, STOP, DONE], true)),
];

const fn bad(name: &'static str, kind: Kind) -> Bad {
    Bad { name, kind }
}

impl Bad {
    /// Whether a stream has to be asked for.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.kind, Kind::Stream(..))
    }

    pub(super) fn answer(&self) -> Answer {
        match self.kind {
            Kind::Status(status, fields) => {
                let length = GOOD.len();
                Answer::of(format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{fields}Content-Length: {length}\r\n\r\n{GOOD}"))
            }
            Kind::Json(body) => Answer::of(json(body)),
            Kind::CutJson(bytes) => {
                let mut reply = json(GOOD);
                reply.truncate(reply.len() - GOOD.len() + bytes);
                Answer { leaves: true, ..Answer::of(reply) }
            }
            Kind::Stream(events, ends) => {
                let mut reply = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
                for event in events {
                    let event = format!("data: {event}\n\n");
                    reply += &format!("{:x}\r\n{event}\r\n", event.len());
                }
                if ends {
                    reply += "0\r\n\r\n";
                }
                Answer { leaves: !ends, ..Answer::of(reply) }
            }
        }
    }
}
