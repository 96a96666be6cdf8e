//! Which operation of a provider's API a path names, and whether its body says the model.

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use http::Method;

use super::{auth::unescape, objects, repeat::Repeat};
use crate::types::{ObjectIds, Question, RequestFormat};

/// What is known of an operation before its body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where the model is named.
    pub model: ModelIn,
    /// Whether it is about objects that live in one account, as far as the path tells.
    pub keeps_objects: bool,
    /// The ids of those that the path names.
    pub objects: ObjectIds,
    /// Whether its reply may tell the ids of such objects.
    pub tells_objects: bool,
    /// Whether its reply may tell what it used.
    pub tells_usage: bool,
    /// Whether its stream tells what it used only if the request asks for it, by `stream_options`.
    pub tells_if_asked: bool,
    /// What it asks, if its reply answers its body and does nothing else.
    pub question: Option<Question>,
    /// Whether it may be sent again, as far as the path tells.
    pub repeat: Repeat,
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
    /// It is named where nobody looks: in a form, or in what is said over a realtime session.
    Hidden,
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
    "/responses/compact",
    "/responses/input_tokens",
];
/// Those whose streams tell usage only if they are asked.
const ASKED: &[&str] = &["/chat/completions", "/completions"];
/// Those whose reply answers the body and does nothing else.
const QUESTIONS: &[(&str, Question)] = &[
    ("/chat/completions", Question::Chat),
    ("/completions", Question::Completion),
    ("/responses", Question::Response),
    ("/embeddings", Question::Embedding),
    ("/moderations", Question::Moderation),
];
/// And Gemini's, behind the model.
const ACTIONS: &[(&str, Question)] = &[
    ("generateContent", Question::Content),
    ("streamGenerateContent", Question::Content),
    ("embedContent", Question::ContentEmbedding),
    ("batchEmbedContents", Question::ContentEmbedding),
];
/// Those with the model in the query: sessions over WebSockets and over WebRTC.
const REALTIME: &[&str] = &["/realtime", "/realtime/calls"];
const ANTHROPIC: &[&str] = &["/messages", "/messages/count_tokens", "/complete"];
/// Those that have no JSON body and tell what they used.
const FORMS: &[&str] = &["/audio/transcriptions", "/audio/translations", "/images/edits"];

/// What nearly all requests ask for, spelt as the API references have it.
const USUAL: [(RequestFormat, &str); 4] = [
    (RequestFormat::Openai, "/chat/completions"),
    (RequestFormat::Openai, "/responses"),
    (RequestFormat::Openai, "/embeddings"),
    (RequestFormat::Anthropic, "/messages"),
];

impl Endpoint {
    /// The operation that `rest`, the path behind the route's prefix, names in `format`.
    #[must_use]
    pub fn of(format: RequestFormat, method: &Method, (rest, query): (&str, Option<&str>)) -> Self {
        // Looked up once in a process: to look costs as much as to read the model out of a short body.
        static KNOWN: LazyLock<[Endpoint; 4]> =
            LazyLock::new(|| USUAL.map(|(format, rest)| Endpoint::look_up(format, &Method::POST, (rest, None))));
        let is_usual = |usual: &(RequestFormat, &str)| *usual == (format, rest);
        match USUAL.iter().position(is_usual).filter(|_| *method == Method::POST && query.is_none()) {
            Some(at) => KNOWN[at].clone(),
            None => Self::look_up(format, method, (rest, query)),
        }
    }

    fn look_up(format: RequestFormat, method: &Method, (rest, query): (&str, Option<&str>)) -> Self {
        let rest = plain(rest);
        let model = ModelIn::of(format, method, (&rest, query));
        let tells_usage = match format {
            RequestFormat::Openai => model == ModelIn::Body || model == ModelIn::Hidden && is_among(FORMS, &rest),
            RequestFormat::Anthropic => model == ModelIn::Body,
            RequestFormat::Gemini => *method == Method::POST && model != ModelIn::Nothing,
        };
        let tells_if_asked =
            format == RequestFormat::Openai && *method == Method::POST && is_among(ASKED, &rest) && query.is_none_or(knows_stream_options);
        let question = if *method == Method::POST { question(format, &rest) } else { None };
        let repeat = Repeat::of(format, method, &rest);
        let keeps_objects = objects::are_meant(format, &rest);
        let objects = if keeps_objects { objects::in_path(&rest) } else { ObjectIds::default() };
        let tells_objects = objects::are_told(method, &rest);
        Self { model, keeps_objects, objects, tells_objects, tells_usage, tells_if_asked, question, repeat }
    }
}

/// What a POST to this path asks. Nothing else does: what only looks like one of these may make, keep or change something.
fn question(format: RequestFormat, rest: &str) -> Option<Question> {
    let known: &[(&str, Question)] = match format {
        RequestFormat::Openai => QUESTIONS,
        RequestFormat::Anthropic => &[("/messages", Question::Message)],
        RequestFormat::Gemini => return gemini_question(rest),
    };
    known.iter().find(|(operation, _)| operation.eq_ignore_ascii_case(rest)).map(|(_, question)| *question)
}

/// `/models/gemini-pro:generateContent` → [`Question::Content`].
fn gemini_question(rest: &str) -> Option<Question> {
    gemini_model(rest)?;
    let (_, action) = rest.split_once(':')?;
    ACTIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(action)).map(|(_, question)| *question)
}

/// Azure's versions of before 2024-09-01-preview refuse a request with `stream_options`. Dates compare as text.
fn knows_stream_options(query: &str) -> bool {
    query.split('&').filter_map(|parameter| parameter.strip_prefix("api-version=")).all(|version| version >= "2024-09")
}

impl ModelIn {
    fn of(format: RequestFormat, method: &Method, (rest, query): (&str, Option<&str>)) -> Self {
        let among = |operations: &[&str]| is_among(operations, rest);
        let known = match format {
            RequestFormat::Openai if among(REALTIME) => return Self::in_query(query.unwrap_or_default()),
            RequestFormat::Openai if *method == Method::POST && among(FORMS) => return Self::Hidden,
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
            (None, _) => Self::Hidden,
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

/// Gemini's path `rest` with another model in it; what stands before and behind stays as it is. `None` if it names none.
///
/// Escapes are resolved as [`ModelIn`] resolves them, so that what was read is what is replaced.
#[must_use]
pub fn with_model(rest: &str, name: &str) -> Option<String> {
    let at = model_at(rest)?;
    let mut path = String::with_capacity(rest.len() + name.len());
    path.push_str(&rest[..at.start]);
    for byte in name.bytes() {
        // Unreserved characters (RFC 3986 §2.3): no other could end a segment or an action.
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let digit = |four: u8| char::from(b"0123456789ABCDEF"[usize::from(four)]);
            path.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    path.push_str(&rest[at.end..]);
    Some(path)
}

/// Where the model stands in Gemini's path.
fn model_at(rest: &str) -> Option<Range<usize>> {
    gemini_model(&plain(rest))?;
    let mut read = letters(rest).peekable();
    while read.next_if(|(_, byte)| *byte == b'/').is_some() {}
    while read.next_if(|(_, byte)| *byte != b'/').is_some() {}
    while read.next_if(|(_, byte)| *byte == b'/').is_some() {}
    let start = read.peek()?.0;
    let end = read.find(|(_, byte)| matches!(byte, b':' | b'/')).map_or(rest.len(), |(at, _)| at);
    Some(start..end)
}

/// Each byte as a lenient server reads it, and where it begins.
fn letters(path: &str) -> impl Iterator<Item = (usize, u8)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let plain = *path.as_bytes().get(start)?;
        let escaped = path.get(start..start + 3).map(unescape).filter(|letter| letter.len() == 1);
        at += if escaped.is_some() { 3 } else { 1 };
        Some((start, escaped.map_or(plain, |letter| letter.as_bytes()[0])))
    })
}

#[cfg(test)]
mod tests;
