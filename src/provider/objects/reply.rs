//! The ids of stored objects that a reply tells, in the first part of it: those of what was made or asked for.
//!
//! Only the provider's own members count, by their depth: what a client wrote into its metadata, or a model into a text, stands
//! deeper. A list has none: it tells of many, and all of one account.

use crate::{
    provider::{reader::weight::string_length, sse},
    types::{ObjectId, ObjectIds, RequestFormat},
};

/// How much of a reply is looked at, in bytes. Ids stand first, or nearly; lists of instructions and tools stand behind.
pub const LONGEST: usize = 16 << 10;

/// Members of the outermost object whose value is an object that has an id of its own: a file that an upload has become, the
/// response that an event tells of.
const AROUND: &[&[u8]] = &[b"file", b"response"];

/// The ids in a JSON object, which may be cut off.
#[must_use]
pub fn told(format: RequestFormat, json: &[u8]) -> ObjectIds {
    let mut ids = ObjectIds::default();
    let mut text = Text { bytes: json, at: 0 };
    let (mut depth, mut is_around) = (0_u32, false);
    if !json.trim_ascii_start().starts_with(b"{") {
        return ids;
    }
    while let Some(byte) = text.next() {
        match byte {
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let Some(string) = text.string() else { break };
                if depth > 2 || !text.takes(b':') {
                    continue;
                }
                if depth == 1 {
                    is_around = AROUND.contains(&string);
                }
                if (depth == 1 || is_around)
                    && names_one(format, string)
                    && text.takes(b'"')
                    && let Some(id) = text.string()
                {
                    ids.add(ObjectId::of(last_segment(format, id)));
                }
            }
            _ => {}
        }
    }
    ids
}

/// The same of an event of a stream, which may be cut off.
#[must_use]
pub fn told_by_event(format: RequestFormat, event: &[u8]) -> ObjectIds {
    sse::data(event).map(|json| told(format, &json)).unwrap_or_default()
}

/// Whether a member of this name holds an id.
fn names_one(format: RequestFormat, name: &[u8]) -> bool {
    match format {
        // A run is told with the thread that was made for it, a batch with the files it has written.
        RequestFormat::Openai => matches!(name, b"id" | b"thread_id" | b"output_file_id" | b"error_file_id"),
        RequestFormat::Anthropic => name == b"id",
        RequestFormat::Gemini => name == b"name",
    }
}

/// `files/abc` → `abc`, as in a path. Others' ids have no slash.
fn last_segment(format: RequestFormat, id: &[u8]) -> &[u8] {
    match format {
        RequestFormat::Gemini => id.rsplit(|byte| *byte == b'/').next().unwrap_or_default(),
        RequestFormat::Openai | RequestFormat::Anthropic => id,
    }
}

/// JSON that is stepped through for its strings and its levels alone.
struct Text<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Text<'b> {
    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Steps over this byte and the blanks before it, if it comes next.
    fn takes(&mut self, byte: u8) -> bool {
        let rest = &self.bytes[self.at..];
        let rest = rest.trim_ascii_start().strip_prefix(&[byte]);
        if let Some(rest) = rest {
            self.at = self.bytes.len() - rest.len();
        }
        rest.is_some()
    }

    /// The rest of a string, as it is written, behind its opening quotation mark. `None` if it is cut off.
    fn string(&mut self) -> Option<&'b [u8]> {
        let rest = &self.bytes[self.at..];
        let length = string_length(rest);
        self.at += (length + 1).min(rest.len());
        (length < rest.len()).then(|| &rest[..length])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(named: &[&str]) -> ObjectIds {
        let mut ids = ObjectIds::default();
        named.iter().for_each(|id| ids.add(ObjectId::of(id.as_bytes())));
        ids
    }

    #[test]
    fn the_id_of_what_was_made_is_told() {
        use RequestFormat::{Anthropic, Gemini, Openai};
        for (format, json, named) in [
            (Openai, r#"{"id":"resp_1","object":"response","output":[{"id":"msg_1"}],"conversation":{"id":"conv_1"}}"#, &["resp_1"][..]),
            (Openai, r#" { "object" : "file" , "id" : "file-1" } "#, &["file-1"]),
            (Openai, r#"{"object":"upload","id":"upload_1","file":{"id":"file-1"}}"#, &["upload_1", "file-1"]),
            (Openai, r#"{"id":"run_1","thread_id":"thread_1"}"#, &["run_1", "thread_1"]),
            (Openai, r#"{"id":"batch_1","output_file_id":"file-o","error_file_id":null}"#, &["batch_1", "file-o"]),
            (Openai, r#"{"type":"response.created","response":{"id":"resp_1","instructions":"long and cut o"#, &["resp_1"]),
            (Openai, r#"{"object":"list","data":[{"id":"file-1"}],"first_id":"file-1"}"#, &[]),
            (Openai, r#"[{"id":"file-1"}]"#, &[]),
            (Openai, r#"{"metadata":{"id":"resp_2"},"text":"\"id\":\"resp_3\"","id":"resp_1"}"#, &["resp_1"]),
            (Openai, r#"{"file":[{"id":"a"}],"other":{"id":"b"},"id":{"id":"c"}}"#, &[]),
            (Openai, r#"{"id":"cut o"#, &[]),
            (Openai, r#"{"id":7,"name":"mine"}"#, &[]),
            (Anthropic, r#"{"id":"msgbatch_1","type":"message_batch"}"#, &["msgbatch_1"]),
            (Anthropic, r#"{"data":[{"id":"file_1"}],"first_id":"file_1","has_more":false}"#, &[]),
            (Gemini, r#"{"name":"cachedContents/abc","displayName":"x"}"#, &["abc"]),
            (Gemini, r#"{"file":{"name":"files/abc","uri":"https://x/files/abc"}}"#, &["abc"]),
            (Gemini, r#"{"name":"models/veo/operations/op-1"}"#, &["op-1"]),
            (Gemini, r#"{"files":[{"name":"files/abc"}]}"#, &[]),
            (Gemini, r#"{"id":"x"}"#, &[]),
        ] {
            assert_eq!(told(format, json.as_bytes()), ids(named), "{json}");
        }
    }

    #[test]
    fn an_event_tells_the_same_as_a_body() {
        let event = b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n";
        assert_eq!(told_by_event(RequestFormat::Openai, event), ids(&["resp_1"]));
        assert_eq!(told_by_event(RequestFormat::Openai, b": a comment"), ids(&[]));
        assert_eq!(told_by_event(RequestFormat::Openai, b"data: [DONE]"), ids(&[]));
    }

    #[test]
    fn an_id_of_a_megabyte_is_none() {
        let json = format!(r#"{{"id":"{}"}}"#, "x".repeat(1 << 20));
        assert_eq!(told(RequestFormat::Openai, json.as_bytes()), ids(&[]));
        assert_eq!(told(RequestFormat::Openai, &json.as_bytes()[..LONGEST]), ids(&[]));
    }

    proptest! {
        #[test]
        fn no_reply_makes_it_panic(parts in prop::collection::vec(prop::sample::select(vec!["{", "}", "[", "]", "\"", "\"id\"", ":", ",", "\"file\"", "\\", " ", "é"]), 0..40)) {
            let _ = told(RequestFormat::Openai, format!("{{{}", parts.concat()).as_bytes());
        }

        #[test]
        fn a_reply_that_is_cut_off_tells_no_other_ids(at in 0_usize..80) {
            let json = br#"{"object":"x","id":"resp_1","thread_id":"thread_1","file":{"id":"file-1"},"n":1}"#;
            let cut = told(RequestFormat::Openai, &json[..at.min(json.len())]);
            let whole = told(RequestFormat::Openai, json);
            prop_assert!(cut.iter().eq(whole.iter().take(cut.iter().count())));
        }
    }
}
