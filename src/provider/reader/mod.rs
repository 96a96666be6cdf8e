//! Reads the ask from a JSON body: the few members that policies need, borrowed from the bytes where they can be.
//!
//! The bytes themselves are never changed or written again. Two readers that disagree on a repeated
//! member would let a client name one model to us and another to the provider, so a repeated member that
//! we act on is an error, not a choice.

mod scan;
pub mod weight;

use std::{borrow::Cow, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::objects;
use crate::types::{Ask, ObjectIds};

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
    match members.repeated {
        Some(name) => Err(Unreadable::Repeated(name)),
        None => Ok(Ask { goes_on: true, ..members.into_ask(body) }),
    }
}

fn parse<'de>(body: &'de [u8], members: &mut Members<'de>) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_slice(body);
    (&mut json).deserialize_map(Object(members))?;
    json.end()
}

#[derive(Debug, Default)]
struct Members<'de> {
    model: Option<Option<Cow<'de, str>>>,
    /// Its value as it stands there, which is part of the body.
    model_value: Option<&'de [u8]>,
    /// Whether a member stands there whose name is `model` in other letters.
    like_model: bool,
    stream: Option<bool>,
    store: Option<Option<bool>>,
    /// The value, and those of the next two: part of the body.
    earlier: Option<&'de str>,
    conversation: Option<&'de str>,
    container: Option<&'de str>,
    background: Option<bool>,
    max_tokens: Option<Option<u64>>,
    max_completion_tokens: Option<Option<u64>>,
    max_output_tokens: Option<Option<u64>>,
    choices: Option<Option<u64>>,
    /// The value, which is part of the body.
    stream_options: Option<&'de [u8]>,
    repeated: Option<&'static str>,
}

impl<'de> Members<'de> {
    fn once<E: de::Error>(&mut self, name: &'static str, seen: bool) -> Result<(), E> {
        if !seen {
            return Ok(());
        }
        self.repeated = Some(name);
        Err(E::duplicate_field(name))
    }

    /// Takes the value of a member that names an object.
    fn named<A: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        place: fn(&mut Self) -> &mut Option<&'de str>,
        map: &mut A,
    ) -> Result<(), A::Error> {
        let seen = place(self).is_some();
        self.once(name, seen)?;
        *place(self) = Some(map.next_value::<&'de RawValue>()?.get());
        Ok(())
    }

    fn into_ask(self, body: &[u8]) -> Ask {
        let model: Option<Box<str>> = self.model.flatten().map(|model| model.into_owned().into());
        // A model that was tuned belongs to who tuned it.
        let model_at = self.model_value.filter(|_| model.is_some()).map(|value| place_of(value, body));
        let tuned = model.as_ref().is_some_and(|model| model.starts_with("ft:"));
        let mut ids = ObjectIds::default();
        let named = [self.earlier, self.conversation, self.container].map(|value| objects::body::value(value, &mut ids));
        let named = objects::body::names_any(body, &mut ids) || named.contains(&true);
        Ask {
            model,
            model_at,
            goes_on: false,
            stream: self.stream.unwrap_or_default(),
            background: self.background.unwrap_or_default(),
            store: self.store.flatten(),
            refers: tuned || named,
            objects: ids,
            // Providers differ in which of them counts. The larger one reserves too much, and never too little.
            most_output: self.max_tokens.flatten().max(self.max_completion_tokens.flatten()).max(self.max_output_tokens.flatten()),
            choices: self.choices.flatten(),
            stream_options: self.stream_options.map(|value| place_of(value, body)),
        }
    }
}

/// Where a part of the body stands in it.
fn place_of(part: &[u8], body: &[u8]) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(body.as_ptr() as usize);
    start..start + part.len()
}

/// Whether a member of this name is the model to some readers and not to others: those of Go and .NET take a name in capitals
/// for the same name, and the last of them counts.
fn is_like_model(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"model") && name != b"model"
}

/// A member's name.
enum Member {
    Model,
    LikeModel,
    Stream,
    Store,
    PreviousResponseId,
    Conversation,
    Container,
    Background,
    MaxTokens,
    MaxCompletionTokens,
    MaxOutputTokens,
    N,
    StreamOptions,
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
            "container" => Member::Container,
            "background" => Member::Background,
            "max_tokens" => Member::MaxTokens,
            "max_completion_tokens" => Member::MaxCompletionTokens,
            "max_output_tokens" => Member::MaxOutputTokens,
            "n" => Member::N,
            "stream_options" => Member::StreamOptions,
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
                    let value: &'de RawValue = map.next_value()?;
                    members.model_value = Some(value.get().as_bytes());
                    members.model = Some(text(value));
                }
                Member::Stream => {
                    members.once("stream", members.stream.is_some())?;
                    members.stream = Some(map.next_value::<Flag>()?.0 == Some(true));
                }
                Member::Store => {
                    members.once("store", members.store.is_some())?;
                    members.store = Some(map.next_value::<Flag>()?.0);
                }
                Member::PreviousResponseId => members.named("previous_response_id", |members| &mut members.earlier, &mut map)?,
                Member::Conversation => members.named("conversation", |members| &mut members.conversation, &mut map)?,
                Member::Container => members.named("container", |members| &mut members.container, &mut map)?,
                Member::Background => {
                    members.once("background", members.background.is_some())?;
                    members.background = Some(map.next_value::<Flag>()?.0 == Some(true));
                }
                Member::MaxTokens => {
                    members.once("max_tokens", members.max_tokens.is_some())?;
                    members.max_tokens = Some(map.next_value::<Number>()?.0);
                }
                Member::MaxCompletionTokens => {
                    members.once("max_completion_tokens", members.max_completion_tokens.is_some())?;
                    members.max_completion_tokens = Some(map.next_value::<Number>()?.0);
                }
                Member::MaxOutputTokens => {
                    members.once("max_output_tokens", members.max_output_tokens.is_some())?;
                    members.max_output_tokens = Some(map.next_value::<Number>()?.0);
                }
                Member::N => {
                    members.once("n", members.choices.is_some())?;
                    members.choices = Some(map.next_value::<Number>()?.0);
                }
                Member::StreamOptions => {
                    members.once("stream_options", members.stream_options.is_some())?;
                    members.stream_options = Some(map.next_value::<&'de RawValue>()?.get().as_bytes());
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

/// A string; `None` for something else that the provider may complain about.
fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<BorrowedText<'_>>(value.get()).ok().map(|text| text.0)
}

#[derive(Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

/// `true` or `false`, or something else that the provider may complain about.
struct Flag(Option<bool>);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self(raw.get().parse().ok()))
    }
}

/// A whole number from 0 on, or something else that the provider may complain about.
struct Number(Option<u64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self(raw.get().parse().ok()))
    }
}

#[cfg(test)]
mod tests;
