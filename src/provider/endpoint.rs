//! Which operation of a provider's API a path names, and whether its body says the model.

use http::Method;

use crate::types::RequestFormat;

/// What is known of an operation before its body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// The body is JSON and names the model: it may be held in memory and read.
    ModelInBody,
    /// The path names the model, as Gemini's does.
    ModelInPath(&'a str),
    /// Everything else, known or not: the body streams through untouched.
    Opaque,
}

/// The operations with the model in a JSON body: OpenAI's API reference, Anthropic's Messages API, as of 2026-11.
const OPENAI: &[&str] = &[
    "/audio/speech",
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/images/generations",
    "/moderations",
    "/realtime/client_secrets",
    "/responses",
    "/responses/input_tokens",
];
const ANTHROPIC: &[&str] = &["/messages", "/messages/count_tokens", "/complete"];

impl<'a> Endpoint<'a> {
    /// The operation that `rest`, the path behind the route's prefix, names in `format`.
    #[must_use]
    pub fn of(format: RequestFormat, method: &Method, rest: &'a str) -> Self {
        let known = match format {
            RequestFormat::Openai => OPENAI,
            RequestFormat::Anthropic => ANTHROPIC,
            RequestFormat::Gemini => return gemini_model(rest).map_or(Self::Opaque, Self::ModelInPath),
        };
        if *method == Method::POST && known.contains(&rest) { Self::ModelInBody } else { Self::Opaque }
    }
}

/// `/models/gemini-pro:generateContent` → `gemini-pro`.
fn gemini_model(rest: &str) -> Option<&str> {
    let name = rest.strip_prefix("/models/")?;
    let (model, _) = name.split_once(':').unwrap_or((name, ""));
    Some(model).filter(|model| !model.is_empty() && !model.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_operations_are_read() {
        let of = |format, method: &Method, rest| Endpoint::of(format, method, rest);
        assert_eq!(of(RequestFormat::Openai, &Method::POST, "/chat/completions"), Endpoint::ModelInBody);
        assert_eq!(of(RequestFormat::Openai, &Method::GET, "/chat/completions"), Endpoint::Opaque);
        assert_eq!(of(RequestFormat::Openai, &Method::POST, "/chat/completions/"), Endpoint::Opaque);
        assert_eq!(of(RequestFormat::Openai, &Method::POST, "/files"), Endpoint::Opaque);
        assert_eq!(of(RequestFormat::Anthropic, &Method::POST, "/messages"), Endpoint::ModelInBody);
        assert_eq!(
            of(RequestFormat::Gemini, &Method::POST, "/models/gemini-pro:streamGenerateContent"),
            Endpoint::ModelInPath("gemini-pro")
        );
        assert_eq!(of(RequestFormat::Gemini, &Method::GET, "/models"), Endpoint::Opaque);
    }
}
