//! How a prompt begins: what a provider that remembers beginnings needs to be asked again by the same account.
//!
//! The caller may say it (`prompt_cache_key`, OpenAI); else it is the model and the first bytes of the body from its messages
//! on. Nothing is parsed: two bodies that differ in their first bytes are two beginnings, as they are for the provider.

use std::hash::{DefaultHasher, Hash, Hasher};

use memchr::memmem;

/// The shortest body of which the beginning counts: providers remember from 1,024 tokens on, of about four bytes each.
const SHORTEST: usize = 4_096;

/// How much of the messages counts as their beginning.
const BEGINNING: usize = 4_096;

/// How far into a body its messages and the caller's own word are looked for: tools may stand before them.
const SEARCHED: usize = 65_536;

/// Names under which prompts stand, the longest first where one holds the other: chat and messages, responses, Gemini, completions.
const PROMPTS: [&[u8]; 4] = [b"\"messages\"", b"\"input\"", b"\"contents\"", b"\"prompt\""];

/// The longest word of the caller's that counts whole.
const LONGEST_KEY: usize = 256;

/// What tells the prompt's beginning from others, for this model. None where the body is too short to be remembered.
#[must_use]
pub fn id(model: Option<&str>, body: &[u8]) -> Option<u64> {
    let searched = &body[..body.len().min(SEARCHED)];
    let mut hasher = DefaultHasher::new();
    model.hash(&mut hasher);
    if let Some(key) = cache_key(searched) {
        key.hash(&mut hasher);
        return Some(hasher.finish());
    }
    if body.len() < SHORTEST {
        return None;
    }
    let start = PROMPTS.iter().find_map(|name| memmem::find(searched, name)).unwrap_or(0);
    body[start..body.len().min(start + BEGINNING)].hash(&mut hasher);
    Some(hasher.finish())
}

/// The caller's own word for it. A text that looks like the field inside a message is taken for it: then prompts that quote the
/// same word go to the same account, which harms nobody.
fn cache_key(body: &[u8]) -> Option<&[u8]> {
    const FIELD: &[u8] = b"\"prompt_cache_key\"";
    let rest = &body[memmem::find(body, FIELD)? + FIELD.len()..];
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', &rest[..rest.len().min(LONGEST_KEY)])?;
    (end > 0).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(system: &str, question: &str) -> Vec<u8> {
        let messages =
            [("system", system), ("user", question)].map(|(role, content)| serde_json::json!({ "role": role, "content": content }));
        serde_json::json!({ "temperature": question.len(), "messages": messages }).to_string().into_bytes()
    }

    #[test]
    fn prompts_that_begin_alike_are_the_same_whatever_comes_behind() {
        let long = "be brief ".repeat(1_000);
        let first = id(Some("m"), &chat(&long, "a"));
        assert!(first.is_some());
        assert_eq!(first, id(Some("m"), &chat(&long, "b")));
        assert_ne!(first, id(Some("n"), &chat(&long, "a")), "another model remembers nothing of it");
        assert_ne!(first, id(Some("m"), &chat(&"be long ".repeat(1_000), "a")));
    }

    #[test]
    fn short_prompts_are_remembered_by_nobody() {
        assert_eq!(id(Some("m"), &chat("be brief", "a")), None);
        assert_eq!(id(None, b""), None);
    }

    #[test]
    fn the_caller_may_say_which_prompts_belong_together() {
        let named = |key: &str, text: &str| format!(r#"{{"prompt_cache_key" : "{key}", "input": "{text}"}}"#).into_bytes();
        assert_eq!(id(Some("m"), &named("k", "a")), id(Some("m"), &named("k", "b")));
        assert_ne!(id(Some("m"), &named("k", "a")), id(Some("m"), &named("l", "a")));
        assert_eq!(id(Some("m"), &named("", "a")), None);
        assert_eq!(id(Some("m"), br#"{"prompt_cache_key": "cut off"#), None);
    }

    #[test]
    fn no_body_is_looked_at_beyond_its_end() {
        for length in [0, 1, 17, 18, 19, 20, 4_095, 4_096, 70_000] {
            let mut body = vec![b' '; length];
            let _ = id(None, &body);
            body.truncate(length.saturating_sub(10));
            body.extend_from_slice(b"\"messages\"");
            let _ = id(None, &body);
        }
    }
}
