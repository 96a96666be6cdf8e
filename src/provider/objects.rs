//! Which operations make or use objects that live in one account of a provider: files, batches, stored responses, threads.
//! Another account's key finds none of them. Here is what the path tells of it; [`body`] is what the body of a request names, and
//! [`reply`] what a reply tells was made.

pub mod body;
pub mod reply;

use http::Method;

use crate::types::{ObjectId, ObjectIds, RequestFormat};

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

/// What Gemini's models do that leaves something behind: an operation or a batch, which is asked for later.
const GEMINI_LEAVES: &[&str] = &["asyncbatchembedcontent", "batchgeneratecontent", "predictlongrunning"];

/// What stands at the end of a path whose reply is a file's content: whatever ids are in it, somebody else wrote them.
const CONTENT: &[&str] = &["content", "results", "download"];

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
        RequestFormat::Gemini => {
            let leaves = |segment: &[u8]| {
                let verb = segment.rsplit(|byte| *byte == b':').next().unwrap_or_default();
                GEMINI_LEAVES.iter().any(|leaves| leaves.as_bytes().eq_ignore_ascii_case(verb))
            };
            among(GEMINI) || second.is_some_and(leaves) || segments.next().is_some_and(|third| third.eq_ignore_ascii_case(b"operations"))
        }
    }
}

/// The ids in the path: whatever stands behind the collection. What is no id, such as the name of a collection within, is an id
/// that nobody has made.
#[must_use]
pub fn in_path(rest: &str) -> ObjectIds {
    let mut ids = ObjectIds::default();
    for segment in rest.split('/').filter(|segment| !segment.is_empty()).skip(1) {
        // Gemini's operations stand behind a colon, which is in no id of OpenAI's but those of tuned models.
        let end = if segment.starts_with("ft:") { segment.len() } else { segment.find(':').unwrap_or(segment.len()) };
        ids.add(ObjectId::of(&segment.as_bytes()[..end]));
    }
    ids
}

/// Whether the reply may tell the id of what it is about, in the provider's own words.
#[must_use]
pub fn are_told(method: &Method, rest: &str) -> bool {
    let last = rest.rsplit(['/', ':']).next().unwrap_or_default();
    (*method == Method::POST || *method == Method::GET) && !CONTENT.iter().any(|content| content.eq_ignore_ascii_case(last))
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
            (RequestFormat::Gemini, "/models/veo:predictLongRunning", true),
            (RequestFormat::Gemini, "/models/gemini-pro:batchGenerateContent", true),
            (RequestFormat::Gemini, "/models/veo/operations/op-1", true),
        ] {
            assert_eq!(are_meant(format, rest), meant, "{format:?} {rest}");
        }
    }

    #[test]
    fn a_path_names_what_stands_behind_its_collection() {
        for (rest, named) in [
            ("/files", &[][..]),
            ("/files/file-abc/content", &["file-abc", "content"]),
            ("/threads/thread_1/runs/run_1", &["thread_1", "runs", "run_1"]),
            ("/fine_tuning/jobs/ftjob-1/events", &["jobs", "ftjob-1", "events"]),
            ("/chat/completions/chatcmpl-1", &["completions", "chatcmpl-1"]),
            ("/messages/batches/msgbatch_1/results", &["batches", "msgbatch_1", "results"]),
            ("/files/abc:download", &["abc"]),
            ("/evals/e/runs/r/output_items/i", &["e", "runs", "r", "output_items"]),
            ("", &[]),
        ] {
            let mut expected = ObjectIds::default();
            named.iter().for_each(|id| expected.add(ObjectId::of(id.as_bytes())));
            assert_eq!(in_path(rest), expected, "{rest}");
        }
    }

    #[test]
    fn what_somebody_else_wrote_tells_no_ids() {
        for (method, rest, told) in [
            (Method::POST, "/responses", true),
            (Method::GET, "/batches/batch_1", true),
            (Method::DELETE, "/files/file-1", false),
            (Method::GET, "/files/file-1/content", false),
            (Method::GET, "/files/file-1/Content", false),
            (Method::GET, "/messages/batches/msgbatch_1/results", false),
            (Method::GET, "/files/abc:download", false),
        ] {
            assert_eq!(are_told(&method, rest), told, "{method} {rest}");
        }
    }
}
