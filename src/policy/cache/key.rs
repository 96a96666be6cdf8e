//! What a question is known by.
//!
//! A key is an HMAC (RFC 2104) with SHA-256 over everything that may make a difference to the answer. Nobody who does not
//! know the secret can say which key a question has, or make two questions of one key.

use std::fmt;

use aws_lc_rs::{hmac, rand};

pub use super::bypass::Bypass;
use super::{Spelling, canonical, question::Asked, sink::Sink};
use crate::{config::Determinism, types::Question};

/// The largest body of a question, in bytes. Larger ones are seldom asked twice and cost the most to read.
pub const LARGEST: usize = 1 << 20;

/// What a key is made of changes with this: no key of before is ever met again.
const MADE_AS: &[u8] = b"sidegate cache key 1";

/// Request fields that always make a difference, besides those that a route names.
///
/// - `accept`, `accept-encoding`, `accept-language`, `content-type`: the form of the reply, and how the body is read.
/// - `anthropic-beta`, `anthropic-version`, `openai-beta`: what an API does.
/// - `openai-organization`, `openai-project`, `x-goog-user-project`: on whose account, with which of its settings.
/// - `azureml-model-deployment`, `extra-parameters`, `x-policy-id`: Azure's choice of a deployment, what becomes of unknown parameters, and
///   which content filter looks at it.
/// - `x-goog-fieldmask`, `x-http-method-override`: Google's, for a part of the reply, and for what a method is to be taken for.
pub const FIELDS: [&str; 15] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "anthropic-beta",
    "anthropic-version",
    "azureml-model-deployment",
    "content-type",
    "extra-parameters",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "x-goog-fieldmask",
    "x-goog-user-project",
    "x-http-method-override",
    "x-policy-id",
];

/// What keys are made with: whoever has it can tell whether a question that he guesses was asked.
pub struct Secret {
    keys: hmac::Key,
    /// What spellings are known by: nothing of the one secret follows from the other.
    pub(super) spellings: [u8; 16],
}

impl Secret {
    /// One that nobody knows. The keys of this process mean nothing to another.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).expect("random numbers"); // invariant: the system has some, or there would be no TLS either
        Self::from_bytes(bytes)
    }

    /// One that others know too.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let keys = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let mut spellings = [0; 16];
        spellings.copy_from_slice(&hmac::sign(&keys, b"spellings").as_ref()[..16]);
        Self { keys, spellings }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What a question is known by: two that may have different answers never have the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// By what a refusal of what is spelled so is found: by no other spelling of the same question.
    #[must_use]
    pub fn of_refusal(spelling: Spelling) -> Self {
        let mut bytes = *b"----------------a refusal of it:";
        bytes[..16].copy_from_slice(&spelling.bytes());
        Self(bytes)
    }

    /// The key of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes: as good as random, and nothing of the question can be read from them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    /// Enough to tell keys apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Key({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// What is asked, of whom and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who shares the answer, without doubt: two that may not share one never have the same.
    pub scope: &'a [u8],
    /// The operation.
    pub question: Question,
    /// The target that is asked first: its dialect, its base URL, and the model's name there.
    pub target: &'a [u8],
    /// Path and query behind the route's prefix, as they came.
    pub path: &'a str,
    /// The whole body.
    pub body: &'a [u8],
}

/// The key of a question. `fields` are the request fields that make a difference, by name and value, in an order that is always
/// the same: [`FIELDS`] and those of the route.
///
/// # Errors
///
/// [`Bypass`] if its body can be understood in two ways, or its answer is not to come from a cache.
pub fn key<'a>(
    secret: &Secret,
    facts: &Facts<'a>,
    fields: impl Iterator<Item = (&'a str, &'a [u8])>,
    determinism: Determinism,
) -> Result<Key, Bypass> {
    if facts.body.len() > LARGEST {
        return Err(Bypass::Large);
    }
    let mut sink = Sink::new(&secret.keys);
    for part in [MADE_AS, facts.scope, name(facts.question), facts.target, facts.path.as_bytes()] {
        sink.bytes(part);
    }
    // What follows the fields is the body, which starts with no length.
    for (name, value) in fields {
        sink.bytes(name.as_bytes());
        sink.bytes(value);
    }
    let mut asked = Asked::new(facts.question);
    canonical::tell(facts.body, &mut asked, &mut sink)?;
    asked.judged(determinism)?;
    Ok(Key(sink.finish()))
}

/// Its word in keys.
fn name(question: Question) -> &'static [u8] {
    match question {
        Question::Chat => b"chat",
        Question::Completion => b"completion",
        Question::Response => b"response",
        Question::Embedding => b"embedding",
        Question::Moderation => b"moderation",
        Question::Message => b"message",
        Question::Content => b"content",
        Question::ContentEmbedding => b"content embedding",
    }
}

#[cfg(test)]
mod tests;
