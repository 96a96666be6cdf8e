//! What a request asks a model for, as far as policies need to know.

use std::ops::Range;

use super::ObjectIds;

/// The facts read from the body of a known JSON endpoint. The body's bytes are not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The model's name as the client wrote it, escapes resolved.
    pub model: Option<Box<str>>,
    /// Whether only the first part of the body was read: what follows may name another model, which many readers would take.
    pub goes_on: bool,
    /// Whether the client asked for a stream of events.
    pub stream: bool,
    /// Whether the result is to be stored, where the body says so.
    pub store: Option<bool>,
    /// Whether it refers to something stored earlier: a file, a response, a conversation.
    pub refers: bool,
    /// The ids of what it refers to, as far as they stand where they are looked for.
    pub objects: ObjectIds,
    /// The most tokens that the reply may have for each choice, where the body says so.
    pub most_output: Option<u64>,
    /// How many choices the reply is to have, where the body says so.
    pub choices: Option<u64>,
    /// Where the value of `model` stands in the body, in bytes, with its quotation marks; only if it is a string.
    pub model_at: Option<Range<usize>>,
    /// Whether the reply is to be made in the background: the work goes on whether or not anybody waits for it.
    pub background: bool,
    /// Where the value of `stream_options` stands in the body, in bytes.
    pub stream_options: Option<Range<usize>>,
}

impl Ask {
    /// The model, if it is certain that no other is meant.
    #[must_use]
    pub fn certain_model(&self) -> Option<&str> {
        self.model.as_deref().filter(|_| !self.goes_on)
    }
}
