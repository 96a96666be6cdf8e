//! Which operations may be sent a second time, and when.

use http::Method;

pub use crate::types::Repeat;
use crate::types::{Ask, RequestFormat};

/// What only computes: OpenAI's API reference; of Mistral's what it has besides; of vLLM's what its server has besides, as of
/// 2026-11. Pictures are not among them: each costs as much as a thousand replies.
const OPENAI: &[&str] = &[
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/moderations",
    "/responses",
    "/responses/compact",
    "/responses/input_tokens",
    "/chat/classifications",
    "/chat/moderations",
    "/classifications",
    "/fim/completions",
    "/ocr",
    "/classify",
    "/detokenize",
    "/pooling",
    "/rerank",
    "/score",
    "/tokenize",
];
/// Anthropic's Messages API, as of 2026-11.
const ANTHROPIC: &[&str] = &["/complete", "/messages", "/messages/count_tokens"];
/// What a model of Gemini's does at once: its API reference, as of 2026-11. Long running ones make an operation.
const GEMINI: &[&str] = &[
    "batchEmbedContents",
    "countMessageTokens",
    "countTextTokens",
    "countTokens",
    "embedContent",
    "generateContent",
    "streamGenerateContent",
];

impl Repeat {
    /// Of the operation at `rest`, the path behind the route's prefix in its plain form.
    pub(super) fn of(format: RequestFormat, method: &Method, rest: &str) -> Self {
        if method.is_safe() && *method != Method::TRACE {
            return Self::Safe;
        }
        let among = |operations: &[&str], name: &str| operations.iter().any(|operation| operation.eq_ignore_ascii_case(name));
        let computes = *method == Method::POST
            && match format {
                RequestFormat::Openai => among(OPENAI, rest),
                RequestFormat::Anthropic => among(ANTHROPIC, rest),
                RequestFormat::Gemini => is_of_model(rest) && rest.rsplit_once(':').is_some_and(|(_, action)| among(GEMINI, action)),
            };
        if computes { Self::Billed } else { Self::Never }
    }

    /// The same when its body has been read: what is to be stored or done in the background leaves something behind.
    #[must_use]
    pub fn asked(self, ask: &Ask) -> Self {
        if self == Self::Billed && (ask.background || ask.store == Some(true)) { Self::Never } else { self }
    }
}

fn is_of_model(rest: &str) -> bool {
    rest.get(.."/models/".len()).is_some_and(|start| start.eq_ignore_ascii_case("/models/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_reads_may_always_be_sent_again() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(Repeat::of(RequestFormat::Openai, &method, "/files"), Repeat::Safe);
        }
        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
            assert_eq!(Repeat::of(RequestFormat::Openai, &method, "/chat/completions"), Repeat::Never, "{method}");
        }
    }

    #[test]
    fn what_stores_or_is_unknown_is_never_sent_again() {
        for (format, rest, repeat) in [
            (RequestFormat::Openai, "/chat/completions", Repeat::Billed),
            (RequestFormat::Openai, "/Embeddings", Repeat::Billed),
            (RequestFormat::Openai, "/images/generations", Repeat::Never),
            (RequestFormat::Openai, "/files", Repeat::Never),
            (RequestFormat::Openai, "/uploads/u/parts", Repeat::Never),
            (RequestFormat::Openai, "/batches", Repeat::Never),
            (RequestFormat::Openai, "/fine_tuning/jobs", Repeat::Never),
            (RequestFormat::Openai, "/chat/completions/chatcmpl-1", Repeat::Never),
            (RequestFormat::Openai, "/responses/resp_1/cancel", Repeat::Never),
            (RequestFormat::Openai, "/new/things", Repeat::Never),
            (RequestFormat::Anthropic, "/messages", Repeat::Billed),
            (RequestFormat::Anthropic, "/messages/batches", Repeat::Never),
            (RequestFormat::Gemini, "/models/m:streamGenerateContent", Repeat::Billed),
            (RequestFormat::Gemini, "/models/m:predictLongRunning", Repeat::Never),
            (RequestFormat::Gemini, "/models/m:batchGenerateContent", Repeat::Never),
            (RequestFormat::Gemini, "/files:generateContent", Repeat::Never),
        ] {
            assert_eq!(Repeat::of(format, &Method::POST, rest), repeat, "{rest}");
        }
    }

    #[test]
    fn what_the_body_wants_left_behind_is_never_sent_again() {
        let plain = Ask::default();
        let stored = Ask { store: Some(true), ..Ask::default() };
        let background = Ask { background: true, ..Ask::default() };
        assert_eq!(Repeat::Billed.asked(&plain), Repeat::Billed);
        for ask in [stored, background] {
            assert_eq!(Repeat::Billed.asked(&ask), Repeat::Never);
            assert_eq!(Repeat::Safe.asked(&ask), Repeat::Safe);
        }
    }
}
