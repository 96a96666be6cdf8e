//! What the body of an error says, in whichever of the known shapes it comes.
//!
//! It is read member by member, and what was met counts even where the rest is cut off or no JSON. How deep it goes is bounded by
//! the parser, how long by the caller.

use std::{fmt, time::Duration};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::provider::rate_headers::duration;

/// What one object says.
#[derive(Debug, Default)]
struct Said {
    code: String,
    kind: String,
    status: String,
    message: String,
}

/// What an error says.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Whether an error stands there, whatever the status.
    pub(super) is_error: bool,
    /// What kind of object this is, where it says so.
    pub(super) object: String,
    /// The outermost object: Mistral's and FastAPI's errors, the type of an event.
    outer: Said,
    /// The one that is called `error`.
    inner: Said,
    /// More precise than the code: Google's `reason`, Anthropic's `error_code`, Azure's inner code.
    pub(super) reason: String,
    /// What a provider behind this one said, as it stands there, and who it is: OpenRouter's.
    pub(super) behind: String,
    pub(super) provider: String,
    /// Google's `RetryInfo`.
    pub(super) retry: Option<Duration>,
    /// Google's names of the quotas that are used up, in small letters, and whether one of them is zero.
    pub(super) quotas: String,
    pub(super) has_none: bool,
}

impl Told {
    /// What stands in a body, or in the data of an event.
    pub(super) fn read(json: &[u8]) -> Self {
        let mut told = Self::default();
        let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
        // Cut off or spoilt: what was met before counts.
        let _ = Walk { told: &mut told, at: At::Outer }.deserialize(&mut serde_json::Deserializer::from_slice(json));
        for text in [&mut told.outer, &mut told.inner].into_iter().flat_map(|said| [&mut said.code, &mut said.kind, &mut said.status]) {
            text.make_ascii_lowercase();
        }
        told.reason.make_ascii_lowercase();
        told.quotas.make_ascii_lowercase();
        told.object.make_ascii_lowercase();
        told.is_error |= told.object == "error" || told.outer.kind == "error" || told.outer.kind == "response.failed";
        told
    }

    /// Whether a reply that says that all is well is an error all the same: OpenRouter's, once a provider behind it has begun.
    ///
    /// Objects that live longer than a reply, such as responses, jobs and operations, tell in the same place how they ended: to
    /// ask for one that failed is no failure.
    pub(super) fn is_error_in_disguise(&self) -> bool {
        let is_reply = ["", "error", "list", "text_completion"].contains(&&*self.object) || self.object.starts_with("chat.completion");
        self.is_error && self.speaks() && is_reply
    }

    /// Whether it has any of the known shapes.
    pub(super) fn speaks(&self) -> bool {
        !self.message().is_empty() || self.words().any(|word| !word.is_empty())
    }

    /// Its words for the error, in small letters, the most precise first. Some are empty.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        let Self { inner, outer, reason, .. } = self;
        [reason, &inner.code, &outer.code, &inner.kind, &inner.status, &outer.kind, &outer.status].into_iter().map(|word| &**word)
    }

    /// The message for people.
    pub(super) fn message(&self) -> &str {
        if self.inner.message.is_empty() { &self.outer.message } else { &self.inner.message }
    }

    /// The status that a reply of 200, or an event, says it should have had.
    pub(super) fn status(&self) -> Option<u16> {
        let numbers = [&self.inner.code, &self.outer.code, &self.inner.status].into_iter().filter_map(|word| word.parse().ok());
        numbers.into_iter().find(|number| (400..600).contains(number))
    }

    fn keep(&mut self, leaf: Leaf, text: &str) {
        let place = match leaf {
            Leaf::Object => &mut self.object,
            Leaf::Code(of) => &mut self.said(of).code,
            Leaf::Kind(of) => &mut self.said(of).kind,
            Leaf::Status(of) => &mut self.said(of).status,
            Leaf::Message(of) => &mut self.said(of).message,
            Leaf::Reason => &mut self.reason,
            Leaf::Behind => &mut self.behind,
            Leaf::Provider => &mut self.provider,
            Leaf::Retry => return self.retry = self.retry.max(duration::read(text.as_bytes())),
            Leaf::Quota => {
                self.quotas.push_str(text);
                return self.quotas.push(' ');
            }
            Leaf::QuotaValue => return self.has_none |= text == "0",
        };
        // The first one counts: there are no two in what a provider writes.
        if place.is_empty() {
            text.clone_into(place);
        }
    }

    fn said(&mut self, of: Of) -> &mut Said {
        match of {
            Of::Outer => &mut self.outer,
            Of::Inner => &mut self.inner,
        }
    }
}

#[derive(Clone, Copy)]
enum Of {
    Outer,
    Inner,
}

/// A value that is kept.
#[derive(Clone, Copy)]
enum Leaf {
    Object,
    Code(Of),
    Kind(Of),
    Status(Of),
    Message(Of),
    Reason,
    Behind,
    Provider,
    Retry,
    Quota,
    QuotaValue,
}

/// Where the reading is.
#[derive(Clone, Copy)]
enum At {
    /// The outermost object, or a list around it: Gemini's compatible endpoint makes one.
    Outer,
    /// The value of `error`.
    Error,
    /// The response that an event tells of.
    Response,
    /// Google's and Anthropic's `details`, OpenRouter's `metadata`, Azure's `innererror`.
    Details,
    Leaf(Leaf),
    Elsewhere,
}

impl At {
    /// Where the member of that name stands.
    fn member(self, name: &str) -> Self {
        match (self, name) {
            (Self::Outer | Self::Response, "error") => Self::Error,
            (Self::Outer, "response") => Self::Response,
            // Google's long running operations and answers to JSON-RPC have no `object`; `done` and `jsonrpc` tell them.
            (Self::Outer, "object" | "done" | "jsonrpc") => Self::Leaf(Leaf::Object),
            (Self::Outer, "code" | "statusCode") => Self::Leaf(Leaf::Code(Of::Outer)),
            (Self::Outer, "type") => Self::Leaf(Leaf::Kind(Of::Outer)),
            (Self::Outer, "status") => Self::Leaf(Leaf::Status(Of::Outer)),
            (Self::Outer, "message" | "detail" | "msg") => Self::Leaf(Leaf::Message(Of::Outer)),
            (Self::Error, "code") => Self::Leaf(Leaf::Code(Of::Inner)),
            (Self::Error, "type") => Self::Leaf(Leaf::Kind(Of::Inner)),
            (Self::Error, "status") => Self::Leaf(Leaf::Status(Of::Inner)),
            (Self::Error, "message") => Self::Leaf(Leaf::Message(Of::Inner)),
            (Self::Error, "details" | "metadata" | "innererror") => Self::Details,
            (Self::Details, "violations") => Self::Details,
            (Self::Details, "reason" | "error_code" | "code") => Self::Leaf(Leaf::Reason),
            (Self::Details, "raw") => Self::Leaf(Leaf::Behind),
            (Self::Details, "provider_name") => Self::Leaf(Leaf::Provider),
            (Self::Details, "retryDelay") => Self::Leaf(Leaf::Retry),
            (Self::Details, "quotaId") => Self::Leaf(Leaf::Quota),
            (Self::Details, "quotaValue") => Self::Leaf(Leaf::QuotaValue),
            // FastAPI puts a list where others have a text, Mistral such a list into its message.
            (Self::Leaf(Leaf::Message(of)), "msg" | "detail") => Self::Leaf(Leaf::Message(of)),
            _ => Self::Elsewhere,
        }
    }
}

struct Walk<'t> {
    told: &'t mut Told,
    at: At,
}

impl Walk<'_> {
    fn text(self, text: &str) {
        match self.at {
            At::Leaf(leaf) => self.told.keep(leaf, text),
            At::Error if !text.is_empty() => {
                self.told.is_error = true;
                self.told.keep(Leaf::Message(Of::Inner), text);
            }
            _ => {}
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.at {
            At::Elsewhere => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { told, at } = self;
        let mut is_empty = true;
        while let Some(name) = map.next_key::<String>()? {
            told.is_error |= is_empty && matches!(at, At::Error);
            is_empty = false;
            map.next_value_seed(Walk { told: &mut *told, at: at.member(&name) })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { told, at } = self;
        while list.next_element_seed(Walk { told: &mut *told, at })?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.text(text);
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.text(itoa::Buffer::new().format(number));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.text(itoa::Buffer::new().format(number));
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        if let At::Leaf(Leaf::Object) = self.at {
            self.text("operation");
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
