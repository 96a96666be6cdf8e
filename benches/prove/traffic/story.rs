//! A stream's bytes, each of which is known beforehand.

use bytes::BytesMut;

use super::Failed;
use crate::provider::Told;

/// How far a stream has come.
pub(super) struct Story {
    id: u64,
    events: u64,
    rest: BytesMut,
    ended: bool,
}

impl Story {
    pub(super) fn new(id: u64) -> Self {
        Self { id, events: 0, rest: BytesMut::new(), ended: false }
    }

    pub(super) fn has_begun(&self) -> bool {
        self.events > 0
    }

    /// Takes bytes, however they were cut.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        self.rest.extend_from_slice(bytes);
        while let Some(at) = self.rest.windows(2).position(|window| window == b"\n\n") {
            let event = self.rest.split_to(at + 2);
            let is = |last| event == Told::event(self.id, self.events, last).as_bytes();
            if self.ended || !(is(false) || is(true)) {
                return Err(Failed::lost("wrong bytes in a stream"));
            }
            self.ended = is(true);
            self.events += 1;
        }
        Ok(())
    }

    /// Whether all has come, where the body has ended as a whole one does.
    pub(super) fn end(&self) -> Result<(), Failed> {
        if self.ended && self.rest.is_empty() { Ok(()) } else { Err(Failed::lost("a stream ended early, as if it were whole")) }
    }
}
