//! Reads the ask from a JSON body: the few members that policies need, borrowed from the bytes where they can be.
//!
//! The bytes themselves are never changed or written again. Two readers that disagree on a repeated
//! member would let a client name one model to us and another to the provider, so a repeated member that
//! we act on is an error, not a choice.

use std::{borrow::Cow, fmt};

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
    let mut members = Members::default();
    match parse(body, &mut members) {
        Ok(()) => Ok(members.into()),
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
    members.repeated.map_or_else(|| Ok(members.into()), |name| Err(Unreadable::Repeated(name)))
}

fn parse<'de>(body: &'de [u8], members: &mut Members<'de>) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_slice(body);
    (&mut json).deserialize_map(Object(members))?;
    json.end()
}

#[derive(Default)]
struct Members<'de> {
    model: Option<Option<Cow<'de, str>>>,
    stream: Option<bool>,
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
}

impl From<Members<'_>> for Ask {
    fn from(members: Members<'_>) -> Self {
        Self { model: members.model.flatten().map(|model| model.into_owned().into()), stream: members.stream.unwrap_or_default() }
    }
}

struct Object<'m, 'de>(&'m mut Members<'de>);

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Member {
            Model,
            Stream,
            #[serde(other)]
            Other,
        }

        let members = self.0;
        while let Some(member) = map.next_key()? {
            match member {
                Member::Model => {
                    members.once("model", members.model.is_some())?;
                    members.model = Some(map.next_value::<Text<'de>>()?.0);
                }
                Member::Stream => {
                    members.once("stream", members.stream.is_some())?;
                    members.stream = Some(map.next_value::<Flag>()?.0);
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

/// `true`, or something else that the provider may complain about.
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&serde_json::value::RawValue>::deserialize(deserializer).map(|raw| Self(raw.get() == "true"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(model: Option<&str>, stream: bool) -> Ask {
        Ask { model: model.map(Into::into), stream }
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
