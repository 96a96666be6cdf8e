//! Which operation of a provider's API a path names, and whether its body says the model.

use std::borrow::Cow;

use http::Method;

use super::{auth::unescape, objects};
use crate::types::RequestFormat;

/// What is known of an operation before its body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where the model is named.
    pub model: ModelIn,
    /// Whether it is about objects that live in one account, as far as the path tells.
    pub keeps_objects: bool,
    /// Whether its reply may tell what it used.
    pub tells_usage: bool,
    /// Whether its stream tells what it used only if the request asks for it, by `stream_options`.
    pub tells_if_asked: bool,
}

/// Where an operation names its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelIn {
    /// The body is JSON and names the model: it may be held in memory and read.
    Body,
    /// The target names the model: Gemini's in its path, OpenAI's realtime sessions in their query.
    Target(Box<str>),
    /// The query names it more than once: two readers could take two models from it.
    Unclear,
    /// Everything else, known or not: the body streams through untouched.
    Nothing,
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
/// The one whose streams tell usage only if they are asked.
const CHAT: &str = "/chat/completions";
/// Those with the model in the query: sessions over WebSockets and over WebRTC.
const REALTIME: &[&str] = &["/realtime", "/realtime/calls"];
const ANTHROPIC: &[&str] = &["/messages", "/messages/count_tokens", "/complete"];
/// Those that have no JSON body and tell what they used.
const FORMS: &[&str] = &["/audio/transcriptions", "/audio/translations", "/images/edits"];

impl Endpoint {
    /// The operation that `rest`, the path behind the route's prefix, names in `format`.
    #[must_use]
    pub fn of(format: RequestFormat, method: &Method, (rest, query): (&str, Option<&str>)) -> Self {
        let rest = plain(rest);
        let model = ModelIn::of(format, method, (&rest, query));
        let tells_usage = match format {
            RequestFormat::Openai => model == ModelIn::Body || *method == Method::POST && is_among(FORMS, &rest),
            RequestFormat::Anthropic => model == ModelIn::Body,
            RequestFormat::Gemini => *method == Method::POST && model != ModelIn::Nothing,
        };
        let tells_if_asked = format == RequestFormat::Openai
            && *method == Method::POST
            && rest.eq_ignore_ascii_case(CHAT)
            && query.is_none_or(knows_stream_options);
        Self { model, keeps_objects: objects::are_meant(format, &rest), tells_usage, tells_if_asked }
    }
}

/// Azure's versions of before 2024-09-01-preview refuse a request with `stream_options`. Dates compare as text.
fn knows_stream_options(query: &str) -> bool {
    query.split('&').filter_map(|parameter| parameter.strip_prefix("api-version=")).all(|version| version >= "2024-09")
}

impl ModelIn {
    fn of(format: RequestFormat, method: &Method, (rest, query): (&str, Option<&str>)) -> Self {
        let among = |operations: &[&str]| is_among(operations, rest);
        let known = match format {
            RequestFormat::Openai if query.is_some() && among(REALTIME) => return Self::in_query(query.unwrap_or_default()),
            RequestFormat::Openai => OPENAI,
            RequestFormat::Anthropic => ANTHROPIC,
            RequestFormat::Gemini => return gemini_model(rest).map_or(Self::Nothing, |model| Self::Target(model.into())),
        };
        if *method == Method::POST && among(known) { Self::Body } else { Self::Nothing }
    }

    /// Names are compared as a lenient server does: escaped, and in any letters.
    fn in_query(query: &str) -> Self {
        let named = |parameter: &str| unescape(parameter.split('=').next().unwrap_or_default()).eq_ignore_ascii_case("model");
        let mut models = query.split('&').filter(|parameter| named(parameter));
        match (models.next(), models.next()) {
            (None, _) => Self::Nothing,
            (Some(parameter), None) => {
                let value = parameter.split_once('=').map_or("", |(_, value)| value);
                Self::Target(unescape(value).into())
            }
            _ => Self::Unclear,
        }
    }
}

fn is_among(operations: &[&str], rest: &str) -> bool {
    operations.iter().any(|operation| operation.eq_ignore_ascii_case(rest))
}

/// The path as a lenient server reads it: escapes resolved, one slash between segments, none at the end. It is only
/// compared; what goes up stays as it came. Or else another spelling would pass the route's `models` by.
fn plain(rest: &str) -> Cow<'_, str> {
    let bytes = rest.as_bytes();
    let has_empty_segment = bytes.windows(2).fold(false, |found, pair| found | (pair == b"//"));
    if memchr::memchr(b'%', bytes).is_none() && !has_empty_segment && bytes.last() != Some(&b'/') {
        return rest.into();
    }
    let segments = unescape(rest);
    segments.split('/').filter(|segment| !segment.is_empty()).fold(String::new(), |path, segment| path + "/" + segment).into()
}

/// `/models/gemini-pro:generateContent` → `gemini-pro`.
fn gemini_model(rest: &str) -> Option<&str> {
    const MODELS: &str = "/models/";
    let name = rest.get(MODELS.len()..).filter(|_| rest[..MODELS.len()].eq_ignore_ascii_case(MODELS))?;
    let (model, _) = name.split_once(':').unwrap_or((name, ""));
    Some(model).filter(|model| !model.is_empty() && !model.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_operations_are_read() {
        let of = |format, method: &Method, rest| Endpoint::of(format, method, (rest, None)).model;
        assert_eq!(of(RequestFormat::Openai, &Method::POST, "/chat/completions"), ModelIn::Body);
        assert_eq!(of(RequestFormat::Openai, &Method::GET, "/chat/completions"), ModelIn::Nothing);
        assert_eq!(of(RequestFormat::Openai, &Method::POST, "/chat/completions/x"), ModelIn::Nothing);
        assert_eq!(of(RequestFormat::Openai, &Method::POST, "/files"), ModelIn::Nothing);
        assert_eq!(of(RequestFormat::Anthropic, &Method::POST, "/messages"), ModelIn::Body);
        assert_eq!(
            of(RequestFormat::Gemini, &Method::POST, "/models/gemini-pro:streamGenerateContent"),
            ModelIn::Target("gemini-pro".into())
        );
        assert_eq!(of(RequestFormat::Gemini, &Method::GET, "/models"), ModelIn::Nothing);
    }

    #[test]
    fn only_operations_of_models_tell_what_they_used() {
        let tells = |format, method: &Method, rest| Endpoint::of(format, method, (rest, None)).tells_usage;
        for rest in ["/chat/completions", "/responses", "/embeddings", "/images/edits", "/audio/transcriptions"] {
            assert!(tells(RequestFormat::Openai, &Method::POST, rest), "{rest}");
            assert!(!tells(RequestFormat::Openai, &Method::GET, rest), "what was stored is told again: {rest}");
        }
        assert!(!tells(RequestFormat::Openai, &Method::GET, "/responses/resp_1"));
        assert!(!tells(RequestFormat::Openai, &Method::POST, "/files"));
        assert!(tells(RequestFormat::Anthropic, &Method::POST, "/messages"));
        assert!(!tells(RequestFormat::Anthropic, &Method::POST, "/messages/batches"));
        assert!(tells(RequestFormat::Gemini, &Method::POST, "/models/gemini-pro:generateContent"));
        assert!(!tells(RequestFormat::Gemini, &Method::GET, "/models/gemini-pro"));
    }

    #[test]
    fn only_streams_of_chat_completions_have_to_be_asked() {
        fn asks(format: RequestFormat, method: &Method, rest: &str, query: Option<&str>) -> bool {
            Endpoint::of(format, method, (rest, query)).tells_if_asked
        }
        assert!(asks(RequestFormat::Openai, &Method::POST, "/chat/completions", None));
        assert!(asks(RequestFormat::Openai, &Method::POST, "/Chat//completions/", Some("a=b")));
        assert!(!asks(RequestFormat::Openai, &Method::GET, "/chat/completions", None));
        assert!(!asks(RequestFormat::Openai, &Method::POST, "/responses", None));
        assert!(!asks(RequestFormat::Anthropic, &Method::POST, "/messages", None));
        for (version, knows) in
            [("2024-06-01", false), ("2024-08-01-preview", false), ("2024-09-01-preview", true), ("2025-01-01", true), ("preview", true)]
        {
            let query = format!("x=1&api-version={version}");
            assert_eq!(asks(RequestFormat::Openai, &Method::POST, "/chat/completions", Some(&query)), knows, "{version}");
        }
    }

    #[test]
    fn another_spelling_of_an_operation_is_the_same_operation() {
        for rest in ["/chat/completions/", "//chat//completions", "/ch%61t/completions", "/chat%2Fcompletions", "/Chat/Completions"] {
            assert_eq!(Endpoint::of(RequestFormat::Openai, &Method::POST, (rest, None)).model, ModelIn::Body, "{rest}");
        }
        for rest in ["//models/a:x", "/%6dodels/%61:x", "/models/a%3Ax", "/models/a"] {
            assert_eq!(Endpoint::of(RequestFormat::Gemini, &Method::POST, (rest, None)).model, ModelIn::Target("a".into()), "{rest}");
        }
        for rest in ["", "/", "/mödels/x", "/models/", "/models/a/b"] {
            assert_eq!(Endpoint::of(RequestFormat::Gemini, &Method::POST, (rest, None)).model, ModelIn::Nothing, "{rest}");
        }
    }

    #[test]
    fn the_query_of_a_realtime_session_names_its_model() {
        for (target, model) in [
            ("/realtime?model=gpt-realtime", ModelIn::Target("gpt-realtime".into())),
            ("/Realtime/?a&%6dodel=gpt%2Drealtime&b", ModelIn::Target("gpt-realtime".into())),
            ("/realtime/calls?MODEL=x", ModelIn::Target("x".into())),
            ("/realtime?model", ModelIn::Target("".into())),
            ("/realtime?model=a&model=b", ModelIn::Unclear),
            ("/realtime?model=a&Model=b", ModelIn::Unclear),
            ("/realtime?intent=transcription&models=x", ModelIn::Nothing),
            ("/realtime?", ModelIn::Nothing),
            ("/models?model=x", ModelIn::Nothing),
        ] {
            let (rest, query) = target.split_once('?').unwrap();
            assert_eq!(Endpoint::of(RequestFormat::Openai, &Method::GET, (rest, Some(query))).model, model, "{target}");
        }
    }
}
