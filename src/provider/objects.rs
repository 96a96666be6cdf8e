//! Which operations make or use objects that live in one account of a provider: files, batches, stored responses, threads.
//! Another account's key finds none of them.

use crate::types::RequestFormat;

/// Collections of such objects, by the first segment behind the route's prefix: OpenAI's API reference, Anthropic's Files API,
/// Gemini's API reference, as of 2026-11.
const OPENAI: &[&str] = &[
    "assistants",
    "batches",
    "containers",
    "conversations",
    "evals",
    "files",
    "fine_tuning",
    "responses",
    "threads",
    "uploads",
    "vector_stores",
    "videos",
];
const ANTHROPIC: &[&str] = &["files", "skills"];
const GEMINI: &[&str] = &["batches", "cachedcontents", "corpora", "files", "filesearchstores", "operations", "tunedmodels"];

/// Operations that would be met by the tables above and only compute: they leave nothing behind.
const COMPUTES: &str = "/responses/input_tokens";

/// Whether the operation at `rest`, the path behind the route's prefix in its plain form, is about such objects, as far as the
/// path tells. `POST /responses` is: unless its body says otherwise, the response is stored.
#[must_use]
pub fn are_meant(format: RequestFormat, rest: &str) -> bool {
    let mut segments = rest.as_bytes().split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
    let (Some(first), second) = (segments.next(), segments.next()) else { return false };
    let among = |collections: &[&str]| collections.iter().any(|collection| collection.as_bytes().eq_ignore_ascii_case(first));
    match format {
        RequestFormat::Openai => {
            among(OPENAI) && !rest.eq_ignore_ascii_case(COMPUTES)
                // A stored completion; the operation itself has nothing behind it.
                || first.eq_ignore_ascii_case(b"chat") && second.is_some() && segments.next().is_some()
        }
        RequestFormat::Anthropic => {
            among(ANTHROPIC)
                || first.eq_ignore_ascii_case(b"messages") && second.is_some_and(|second| second.eq_ignore_ascii_case(b"batches"))
        }
        RequestFormat::Gemini => among(GEMINI),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_told_by_their_collections() {
        for (format, rest, meant) in [
            (RequestFormat::Openai, "/files", true),
            (RequestFormat::Openai, "/files/file-1/content", true),
            (RequestFormat::Openai, "/Files/file-1", true),
            (RequestFormat::Openai, "/responses", true),
            (RequestFormat::Openai, "/responses/resp_1", true),
            (RequestFormat::Openai, "/responses/input_tokens", false),
            (RequestFormat::Openai, "/chat/completions", false),
            (RequestFormat::Openai, "/chat/completions/chatcmpl-1", true),
            (RequestFormat::Openai, "/embeddings", false),
            (RequestFormat::Openai, "/models/files", false),
            (RequestFormat::Openai, "", false),
            (RequestFormat::Anthropic, "/messages", false),
            (RequestFormat::Anthropic, "/messages/count_tokens", false),
            (RequestFormat::Anthropic, "/messages/batches/msgbatch_1", true),
            (RequestFormat::Gemini, "/models/gemini-pro:generateContent", false),
            (RequestFormat::Gemini, "/cachedContents/1", true),
        ] {
            assert_eq!(are_meant(format, rest), meant, "{format:?} {rest}");
        }
    }
}
