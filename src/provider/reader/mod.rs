//! Reads the ask from a JSON body: the few members that policies need, borrowed from the bytes where they can be.
//!
//! The bytes themselves are never changed or written again. Two readers that disagree on a repeated
//! member would let a client name one model to us and another to the provider, so a repeated member that
//! we act on is an error, not a choice.

mod scan;

use std::{borrow::Cow, fmt, sync::LazyLock};

use memchr::memmem::{self, Finder};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};

use crate::types::Ask;

/// Why a body did not yield an ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no JSON object. The provider may say so itself.
    NotJson,
    /// A member that we act on stands there twice.
    Repeated(&'static str),
}

/// Reads the ask from the whole of a body.
///
/// # Errors
///
/// [`Unreadable`] if the body is no JSON object or repeats a member that we act on.
pub fn read(body: &[u8]) -> Result<Ask, Unreadable> {
    match scan::scan(body) {
        Some(members) => Ok(members.into_ask(body)),
        None => parsed(body),
    }
}

fn parsed(body: &[u8]) -> Result<Ask, Unreadable> {
    let mut members = Members::default();
    match parse(body, &mut members) {
        Ok(()) => Ok(members.into_ask(body)),
        Err(_) => Err(members.repeated.map_or(Unreadable::NotJson, Unreadable::Repeated)),
    }
}

/// Reads what the first part of a longer body tells. What stands further behind stays unknown.
///
/// # Errors
///
/// [`Unreadable::Repeated`] if this part repeats a member that we act on.
pub fn read_prefix(body: &[u8]) -> Result<Ask, Unreadable> {
    let mut members = Members::default();
    // The text ends in the middle, so an error is certain; what was met before it counts.
    let _ = parse(body, &mut members);
    members.repeated.map_or_else(|| Ok(members.into_ask(body)), |name| Err(Unreadable::Repeated(name)))
}

fn parse<'de>(body: &'de [u8], members: &mut Members<'de>) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_slice(body);
    (&mut json).deserialize_map(Object(members))?;
    json.end()
}

#[derive(Debug, Default)]
struct Members<'de> {
    model: Option<Option<Cow<'de, str>>>,
    /// Whether a member stands there whose name is `model` in other letters.
    like_model: bool,
    stream: Option<bool>,
    store: Option<Option<bool>>,
    earlier: Option<bool>,
    conversation: Option<bool>,
    repeated: Option<&'static str>,
}

impl Members<'_> {
    fn once<E: de::Error>(&mut self, name: &'static str, seen: bool) -> Result<(), E> {
        if !seen {
            return Ok(());
        }
        self.repeated = Some(name);
        Err(E::duplicate_field(name))
    }

    fn into_ask(self, body: &[u8]) -> Ask {
        let Self { model, stream, store, earlier, conversation, like_model: _, repeated: _ } = self;
        let model: Option<Box<str>> = model.flatten().map(|model| model.into_owned().into());
        // A model that was tuned belongs to who tuned it.
        let tuned = model.as_ref().is_some_and(|model| model.starts_with("ft:"));
        let refers = tuned || earlier == Some(true) || conversation == Some(true) || names_objects(body);
        Ask { model, stream: stream.unwrap_or_default(), store: store.flatten(), refers }
    }
}

/// Whether a member of this name is the model to some readers and not to others: those of Go and .NET take a name in capitals
/// for the same name, and the last of them counts.
fn is_like_model(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"model") && name != b"model"
}

/// Whether ids of files or vector stores stand anywhere in the body. A prompt that speaks of them is taken for one that names
/// them, which costs it the choice among accounts and nothing else.
fn names_objects(body: &[u8]) -> bool {
    static ID: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"e_id"));
    // One search in nearly all bodies.
    ID.find(body).is_some_and(|at| {
        let body = &body[at.saturating_sub(b"\"vector_stor".len())..];
        [&b"\"file_id"[..], b"\"vector_store_id"].iter().any(|name| memmem::find(body, name).is_some())
    })
}

/// A member's name.
enum Member {
    Model,
    LikeModel,
    Stream,
    Store,
    PreviousResponseId,
    Conversation,
    Other,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(MemberName)
    }
}

struct MemberName;

impl Visitor<'_> for MemberName {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Member, E> {
        Ok(match name {
            "model" => Member::Model,
            "stream" => Member::Stream,
            "store" => Member::Store,
            "previous_response_id" => Member::PreviousResponseId,
            "conversation" => Member::Conversation,
            name if is_like_model(name.as_bytes()) => Member::LikeModel,
            _ => Member::Other,
        })
    }
}

struct Object<'m, 'de>(&'m mut Members<'de>);

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let members = self.0;
        while let Some(member) = map.next_key()? {
            match member {
                Member::Model => {
                    members.once("model", members.model.is_some() || members.like_model)?;
                    members.model = Some(map.next_value::<Text<'de>>()?.0);
                }
                Member::Stream => {
                    members.once("stream", members.stream.is_some())?;
                    members.stream = Some(map.next_value::<Flag>()?.0 == Some(true));
                }
                Member::Store => {
                    members.once("store", members.store.is_some())?;
                    members.store = Some(map.next_value::<Flag>()?.0);
                }
                Member::PreviousResponseId => {
                    members.once("previous_response_id", members.earlier.is_some())?;
                    members.earlier = Some(map.next_value::<Present>()?.0);
                }
                Member::Conversation => {
                    members.once("conversation", members.conversation.is_some())?;
                    members.conversation = Some(map.next_value::<Present>()?.0);
                }
                Member::LikeModel => {
                    members.once("model", members.model.is_some())?;
                    members.like_model = true;
                    map.next_value::<IgnoredAny>()?;
                }
                Member::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// A string, or something else that the provider may complain about.
struct Text<'de>(Option<Cow<'de, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str::<BorrowedText<'de>>(raw.get()).ok().map(|text| text.0)))
    }
}

#[derive(Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

/// `true` or `false`, or something else that the provider may complain about.
struct Flag(Option<bool>);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&serde_json::value::RawValue>::deserialize(deserializer).map(|raw| Self(raw.get().parse().ok()))
    }
}

/// Anything but `null`.
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&serde_json::value::RawValue>::deserialize(deserializer).map(|raw| Self(raw.get() != "null"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(model: Option<&str>, stream: bool) -> Ask {
        Ask { model: model.map(Into::into), stream, ..Ask::default() }
    }

    #[test]
    fn what_stays_behind_and_what_refers_to_it_is_found() {
        for (body, store, refers) in [
            (r#"{"model":"m"}"#, None, false),
            (r#"{"model":"m","store":false}"#, Some(false), false),
            (r#"{"store":true}"#, Some(true), false),
            (r#"{"store":null,"conversation":null,"previous_response_id":null}"#, None, false),
            (r#"{"store":"yes"}"#, None, false),
            (r#"{"store":false,"previous_response_id":"resp_1"}"#, Some(false), true),
            (r#"{"conversation":{"id":"conv_1"}}"#, None, true),
            (r#"{"model":"ft:gpt-4o:acme"}"#, None, true),
            (r#"{"input":[{"content":[{"type":"input_file","file_id":"file-1"}]}]}"#, None, true),
            (r#"{"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}"#, None, true),
        ] {
            let ask = read(body.as_bytes()).unwrap();
            assert_eq!((ask.store, ask.refers), (store, refers), "{body}");
        }
        assert_eq!(read(br#"{"store":true,"store":false}"#), Err(Unreadable::Repeated("store")));
    }

    #[test]
    fn model_and_stream_are_found_wherever_they_stand() {
        for (body, expected) in [
            (r#"{"model":"gpt-4o","stream":true}"#, ask(Some("gpt-4o"), true)),
            (r#" { "messages" : [{"model":"x","stream":true}], "model" : "gpt-4o" } "#, ask(Some("gpt-4o"), false)),
            (r#"{"model":"gpt\u002d4o"}"#, ask(Some("gpt-4o"), false)),
            (r#"{"mod\u0065l":"gpt-4o"}"#, ask(Some("gpt-4o"), false)),
            (r#"{"model":4,"stream":"yes"}"#, ask(None, false)),
            (r#"{"model":null}"#, ask(None, false)),
            ("{}", ask(None, false)),
        ] {
            assert_eq!(read(body.as_bytes()), Ok(expected), "{body}");
        }
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_an_error() {
        for body in [r#"{"model":"a","model":"b"}"#, r#"{"model":"a","x":1,"mod\u0065l":"a"}"#, r#"{"model":1,"model":"b"}"#] {
            assert_eq!(read(body.as_bytes()), Err(Unreadable::Repeated("model")), "{body}");
        }
        // Some readers don't tell capitals from small letters.
        for body in [r#"{"model":"a","Model":"b"}"#, r#"{"MODEL":"b","model":"a"}"#, r#"{"model":"a","\u004dodel":"b"}"#] {
            assert_eq!(read(body.as_bytes()), Err(Unreadable::Repeated("model")), "{body}");
            assert_eq!(read_prefix(body.as_bytes()), Err(Unreadable::Repeated("model")), "{body}");
        }
        assert_eq!(read(br#"{"Model":"a"}"#), Ok(ask(None, false)), "to us it is no model, so no rule lets it pass as one");
        assert_eq!(read(br#"{"stream":true,"stream":false}"#), Err(Unreadable::Repeated("stream")));
        for body in ["", "[]", "null", "{", r#"{"model":"a"}x"#, r#"{"model":"a",}"#, "\u{feff}{}"] {
            assert_eq!(read(body.as_bytes()), Err(Unreadable::NotJson), "{body}");
        }
    }

    #[test]
    fn the_head_of_a_long_body_tells_what_stands_in_it() {
        assert_eq!(read_prefix(br#"{"model":"gpt-4o","messages":[{"con"#), Ok(ask(Some("gpt-4o"), false)));
        assert_eq!(read_prefix(br#"{"messages":[{"con"#), Ok(ask(None, false)));
        assert_eq!(read_prefix(br#"{"model":"a","model":"b","messages":[{"con"#), Err(Unreadable::Repeated("model")));
    }

    proptest! {
        #[test]
        fn no_input_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&body);
            let _ = read_prefix(&body);
        }
    }
}
