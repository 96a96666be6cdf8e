//! The ids of stored objects that the body of a request names.

use std::{borrow::Cow, sync::LazyLock};

use memchr::memmem::Finder;
use serde::Deserialize;

use crate::types::{ObjectId, ObjectIds};

/// Reads the value of a member that names an object: its id, or an object that has it. Whether it names one at all, though
/// nobody may be able to tell which.
pub fn value(value: Option<&str>, ids: &mut ObjectIds) -> bool {
    let Some(value) = value.filter(|value| *value != "null") else { return false };
    let id = match value.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<Text<'_>>(value).ok().map(|text| text.0),
        Some(b'{') => serde_json::from_str::<Named<'_>>(value).ok().map(|named| named.id.0),
        _ => None,
    };
    ids.add(id.and_then(|id| ObjectId::of(id.as_bytes())));
    true
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

/// Borrowed, unless escapes stand in it.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether ids of files or vector stores stand anywhere in the body. A prompt that speaks of them is taken for one that names
/// them, which costs it the choice among accounts and nothing else.
pub fn names_any(body: &[u8], ids: &mut ObjectIds) -> bool {
    static ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"e_id"));
    let (mut at, mut any) = (0, false);
    // One search in nearly all bodies.
    while !ids.is_full()
        && let Some(found) = ID.find(&body[at..])
    {
        let (before, rest) = (&body[..at + found], &body[at + found + b"e_id".len()..]);
        at = body.len() - rest.len();
        if before.ends_with(b"\"fil") || before.ends_with(b"\"vector_stor") {
            any = true;
            listed(rest, ids);
        }
    }
    any
}

/// Takes the ids behind a member's name that ends here, or with an `s`: one string, or a list of them.
fn listed(rest: &[u8], ids: &mut ObjectIds) -> Option<()> {
    let rest = rest.strip_prefix(b"s").unwrap_or(rest).strip_prefix(b"\"")?;
    let mut rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let is_list = rest.first() == Some(&b'[');
    if is_list {
        rest = rest[1..].trim_ascii_start();
    }
    loop {
        let text = rest.strip_prefix(b"\"")?;
        // Longer ones are none, and are not searched to their end.
        let length = memchr::memchr2(b'"', b'\\', &text[..text.len().min(ObjectId::LONGEST + 1)])?;
        rest = text[length..].strip_prefix(b"\"")?;
        ids.add(ObjectId::of(&text[..length]));
        rest = rest.trim_ascii_start().strip_prefix(b",").filter(|_| is_list && !ids.is_full())?.trim_ascii_start();
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
    fn a_member_names_an_object_by_its_id_or_around_it() {
        for (text, refers, named) in [
            (None, false, &[][..]),
            (Some("null"), false, &[]),
            (Some(r#""resp_1""#), true, &["resp_1"]),
            (Some(r#""resp\u005f1""#), true, &["resp_1"]),
            (Some(r#"{"id":"conv_1"}"#), true, &["conv_1"]),
            (Some(r#"{ "skills" : [{"id":"x"}], "id" : "cont_1" }"#), true, &["cont_1"]),
            (Some(r#"{"type":"auto"}"#), true, &[]),
            (Some("17"), true, &[]),
            (Some(r#""""#), true, &[]),
        ] {
            let mut found = ObjectIds::default();
            assert_eq!(value(text, &mut found), refers, "{text:?}");
            assert_eq!(found, ids(named), "{text:?}");
        }
    }

    #[test]
    fn ids_of_files_and_vector_stores_are_found_wherever_they_stand() {
        for (body, refers, named) in [
            (r#"{"input":"what is an e_id?"}"#, false, &[][..]),
            (r#"{"previous_response_id":"resp_1"}"#, false, &[]),
            (r#"{"source":{"type":"file","file_id" : "file_1"}}"#, true, &["file_1"]),
            (r#"{"container":{"file_ids":["file-1", "file-2"]}}"#, true, &["file-1", "file-2"]),
            (r#"{"vector_store_ids":[ "vs_1" ],"x":{"file_id":"file-1"}}"#, true, &["vs_1", "file-1"]),
            (r#"{"file_ids":["1","2","3","4","5"]}"#, true, &["1", "2", "3", "4"]),
            (r#"{"file_ids":[]}"#, true, &[]),
            (r#"{"file_ids":[1,"2"]}"#, true, &[]),
            (r#"{"file_id":null}"#, true, &[]),
            (r#"{"text":"a \"file_id\": \"file-1\" in a prompt"}"#, true, &[]),
            (r#"{"file_id":"file-"#, true, &[]),
            (r#"{"file_id"#, true, &[]),
        ] {
            let mut found = ObjectIds::default();
            assert_eq!(names_any(body.as_bytes(), &mut found), refers, "{body}");
            assert_eq!(found, ids(named), "{body}");
        }
        let long = format!(r#"{{"file_id":"{}"}}"#, "x".repeat(1 << 20));
        let mut found = ObjectIds::default();
        assert!(names_any(long.as_bytes(), &mut found) && found.is_empty());
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(parts in prop::collection::vec(prop::sample::select(vec!["\"file_id", "\"vector_store_id", "s", "\"", ":", "[", "]", ",", "x", " ", "\\"]), 0..40)) {
            let _ = names_any(parts.concat().as_bytes(), &mut ObjectIds::default());
        }
    }
}
