//! Which dialect a request speaks, and where it carries its key.
//!
//! The rule, unless `--dialect` settles it, first match wins: below `/openai/` it is Azure's, below `/v1beta/` Gemini's;
//! `/v1/messages`, `anthropic-version` or `x-api-key` are Anthropic's, `x-goog-api-key` is Gemini's; all else is OpenAI's.

use http::{HeaderMap, Uri, header};

use crate::types::Dialect;

/// The subprotocol in which a browser, which can't set a header, sends its key for a WebSocket.
const KEY_PROTOCOL: &str = "openai-insecure-api-key.";

/// The dialect of a request.
pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Dialect {
    let path = uri.path();
    if path.starts_with("/openai/") {
        Dialect::Azure
    } else if path.starts_with("/v1beta/") {
        Dialect::Gemini
    } else if path.starts_with("/v1/messages") || headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") {
        Dialect::Anthropic
    } else if headers.contains_key("x-goog-api-key") {
        Dialect::Gemini
    } else {
        Dialect::Openai
    }
}

/// What follows the API's version in a path: `chat/completions`, `models/gemini-2.5-pro:generateContent`.
///
/// Azure's older paths name a deployment before it, which the model's name in the body makes unnecessary.
pub(super) fn rest(path: &str) -> Option<&str> {
    if let Some(deployment) = path.strip_prefix("/openai/deployments/") {
        return deployment.split_once('/').map(|(_, rest)| rest);
    }
    ["/openai/v1/", "/v1beta/openai/", "/v1beta/", "/v1/"].into_iter().find_map(|prefix| path.strip_prefix(prefix))
}

/// Whether Gemini is asked in OpenAI's formats.
pub(super) fn is_compatible(path: &str) -> bool {
    path.starts_with("/v1beta/openai/")
}

/// The key of a request, where the dialect looks for it.
pub(super) fn credential<'a>(dialect: Dialect, uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let field = |name: &str| headers.get(name)?.to_str().ok();
    let bearer = || field(header::AUTHORIZATION.as_str())?.strip_prefix("Bearer ");
    let key = match dialect {
        Dialect::Openai | Dialect::Groq | Dialect::Deepseek | Dialect::Mistral | Dialect::Openrouter | Dialect::Vllm => {
            bearer().or_else(|| field("api-key")).or_else(|| protocols(headers).find_map(|p| p.strip_prefix(KEY_PROTOCOL)))
        }
        Dialect::Azure => field("api-key").or_else(bearer),
        Dialect::Anthropic => field("x-api-key").or_else(bearer),
        Dialect::Gemini => field("x-goog-api-key").or_else(|| query(uri, "key")).or_else(bearer),
    };
    key.map(str::trim).filter(|key| !key.is_empty())
}

/// The WebSocket subprotocols that a request offers (RFC 6455 §11.3.4).
pub(super) fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// A parameter of the query, as it stands there: keys, names of models and numbers need no decoding.
pub(super) fn query<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    uri.query()?.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_fields_tell_the_dialect() {
        for (path, field, dialect) in [
            ("/v1/chat/completions", "authorization", Dialect::Openai),
            ("/v1/chat/completions", "api-key", Dialect::Openai),
            ("/v1/messages", "authorization", Dialect::Anthropic),
            ("/v1/models", "anthropic-version", Dialect::Anthropic),
            ("/v1/models", "x-api-key", Dialect::Anthropic),
            ("/v1beta/models", "authorization", Dialect::Gemini),
            ("/v1/models", "x-goog-api-key", Dialect::Gemini),
            ("/openai/v1/models", "api-key", Dialect::Azure),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HeaderName::from_static(field), header::HeaderValue::from_static("x"));
            assert_eq!(of(&path.parse().unwrap(), &headers), dialect, "{path} {field}");
        }
    }

    #[test]
    fn what_follows_the_version_is_found_in_every_dialect() {
        for path in ["/v1/a/b", "/openai/v1/a/b", "/openai/deployments/mine/a/b", "/v1beta/a/b", "/v1beta/openai/a/b"] {
            assert_eq!(rest(path), Some("a/b"), "{path}");
        }
        assert_eq!(rest("/v2/a/b"), None);
    }
}
