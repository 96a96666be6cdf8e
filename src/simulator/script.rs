//! A reply before it is sent: one JSON text, or events with the token at which each is due.

use bytes::Bytes;
use serde_json::Value;

/// What an endpoint answers.
pub(super) enum Script {
    /// One JSON text, sent when its last token would be.
    Whole {
        /// The body.
        json: Bytes,
        /// Tokens it took.
        tokens: usize,
    },
    /// Server-sent events.
    Stream {
        /// The events in order, `at` never falling.
        events: Events,
        /// Tokens in all.
        tokens: usize,
    },
}

/// Events are made when they are due, so that a long stream costs no memory before.
pub(super) type Events = Box<dyn Iterator<Item = Event>>;

/// One frame of a stream.
pub(super) struct Event {
    /// Tokens sent when this event has been: 0 before the first one, n with the n-th and whatever follows at once.
    pub(super) at: usize,
    /// The frame, its blank line included.
    pub(super) frame: Bytes,
}

impl Script {
    pub(super) fn whole(json: &Value, tokens: usize) -> Self {
        Self::Whole { json: json.to_string().into(), tokens }
    }

    pub(super) fn stream(events: impl Iterator<Item = Event> + 'static, tokens: usize) -> Self {
        Self::Stream { events: Box::new(events), tokens }
    }
}
