//! What a reply says of its tokens. One file a dialect; here is what they share: where the numbers are looked for, and
//! which numbers are believed.
//!
//! Replies are read beside their way down, so everything here is bounded and nothing fails: what can't be read is unknown.

mod anthropic;
mod body;
mod gemini;
mod openai;
mod produced;

use std::{fmt, sync::LazyLock};

use memchr::memmem::Finder;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

pub use produced::{BYTES_OF_A_TOKEN, Produced};

use super::sse;
use crate::types::{RequestFormat, Usage};

/// More tokens than this are told by nobody who counts: a thousand times the longest context there is.
const MOST: u64 = 1_000_000_000;

/// Gathers what one reply says.
#[derive(Debug)]
pub struct Meter {
    format: RequestFormat,
    /// Finds the member that holds it.
    finder: &'static Finder<'static>,
    parts: Parts,
}

impl Meter {
    /// For a reply in this format.
    #[must_use]
    pub fn new(format: RequestFormat) -> Self {
        static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usage\""));
        static USAGE_METADATA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"usageMetadata\""));
        let finder = match format {
            RequestFormat::Openai | RequestFormat::Anthropic => &*USAGE,
            RequestFormat::Gemini => &*USAGE_METADATA,
        };
        Self { format, finder, parts: Parts::default() }
    }

    /// Whether usage is named somewhere in these bytes, as a member that is not null. One search, and no reading: `false`
    /// is certain.
    #[must_use]
    #[inline]
    pub fn is_named_in(&self, bytes: &[u8]) -> bool {
        self.finder.find(bytes).is_some_and(|at| says_something(self.finder, &bytes[at..]))
    }

    /// Takes an event of a stream: its lines. Numbers that come later replace those before them: all dialects count up.
    pub fn event(&mut self, event: &[u8]) {
        if !self.is_named_in(event) {
            return;
        }
        let Some(data) = sse::data(event) else { return };
        let said = match self.format {
            RequestFormat::Openai => openai::event(&data),
            RequestFormat::Anthropic => anthropic::event(&data),
            RequestFormat::Gemini => gemini::event(&data),
        };
        self.parts.update(said.unwrap_or_default());
    }

    /// Takes a JSON body, or the end of a long one.
    pub fn body(&mut self, end: &[u8]) {
        let Some(object) = body::outermost(end, self.finder) else { return };
        let said = match self.format {
            RequestFormat::Openai => openai::object(object),
            RequestFormat::Anthropic => anthropic::object(object),
            RequestFormat::Gemini => gemini::object(object),
        };
        self.parts.update(said.unwrap_or_default());
    }

    /// What was said so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        match self.format {
            RequestFormat::Openai => openai::usage(self.parts),
            RequestFormat::Anthropic => anthropic::usage(self.parts),
            RequestFormat::Gemini => gemini::usage(self.parts),
        }
    }
}

/// Whether any of the members found from here on has a value. OpenAI's events say `"usage":null` until the last.
#[cold]
fn says_something(finder: &Finder<'_>, mut bytes: &[u8]) -> bool {
    loop {
        bytes = bytes.get(finder.needle().len()..).unwrap_or_default();
        let value = bytes.trim_ascii_start();
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii_start();
        if !value.starts_with(b"null") {
            return true;
        }
        match finder.find(bytes) {
            Some(at) => bytes = &bytes[at..],
            None => return false,
        }
    }
}

/// The numbers as they were told, each by itself: what includes what is the dialect's to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    input: Option<u64>,
    output: Option<u64>,
    cached: Option<u64>,
    /// What was put into a cache.
    stored: Option<u64>,
    /// What was put there for longer than usual.
    stored_long: Option<u64>,
    /// What the provider's own tools added to the prompt.
    tools: Option<u64>,
    reasoning: Option<u64>,
}

impl Parts {
    fn update(&mut self, newer: Self) {
        self.input = newer.input.or(self.input);
        self.output = newer.output.or(self.output);
        self.cached = newer.cached.or(self.cached);
        self.stored = newer.stored.or(self.stored);
        self.stored_long = newer.stored_long.or(self.stored_long);
        self.tools = newer.tools.or(self.tools);
        self.reasoning = newer.reasoning.or(self.reasoning);
    }
}

/// A number of tokens, or something else that nobody should count: text, a fraction, less than none, or too many.
#[derive(Clone, Copy, Debug, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Count;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of tokens")
    }

    fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
        Ok(Count(Some(count).filter(|count| *count <= MOST)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_unit<E>(self) -> Result<Count, E> {
        Ok(Count(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Count, A::Error> {
        IgnoredAny.visit_seq(list).map(|_| Count(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Count, A::Error> {
        IgnoredAny.visit_map(map).map(|_| Count(None))
    }
}

/// Reads an object, which is all there is; what is none says nothing.
fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Option<T> {
    // A list would be taken for an object without names.
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(json).ok())?
}

/// Reads the object at the front, whatever follows it.
fn read_first<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Option<T> {
    json.trim_ascii_start().starts_with(b"{").then(|| T::deserialize(&mut serde_json::Deserializer::from_slice(json)).ok())?
}

#[cfg(test)]
mod tests;
