//! A reply before it is sent: one body, or events with the token at which each is due.

use bytes::Bytes;
use serde_json::Value;

/// The type of most bodies.
pub(super) const JSON: &str = "application/json";

/// The type of server-sent events.
pub(super) const EVENTS: &str = "text/event-stream; charset=utf-8";

/// What an endpoint answers.
pub(super) enum Script {
    /// One body, sent when its last token would be.
    Whole {
        /// Its media type.
        content_type: &'static str,
        /// The body.
        content: Bytes,
        /// Tokens it took.
        tokens: usize,
    },
    /// A body that comes bit by bit.
    Stream {
        /// Its media type.
        content_type: &'static str,
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
    /// A JSON text that took `tokens`.
    pub(super) fn whole(json: &Value, tokens: usize) -> Self {
        Self::content(JSON, json.to_string(), tokens)
    }

    /// A JSON text that nothing delays.
    pub(super) fn at_once(json: &Value) -> Self {
        Self::whole(json, 0)
    }

    /// A body of any type.
    pub(super) fn content(content_type: &'static str, content: impl Into<Bytes>, tokens: usize) -> Self {
        Self::Whole { content_type, content: content.into(), tokens }
    }

    /// Server-sent events.
    pub(super) fn stream(events: impl Iterator<Item = Event> + 'static, tokens: usize) -> Self {
        Self::Stream { content_type: EVENTS, events: Box::new(events), tokens }
    }
}
