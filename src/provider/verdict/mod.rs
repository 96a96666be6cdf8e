//! What a reply, or an event of a stream, says about whom. One file a dialect family.

use http::{HeaderMap, StatusCode};

use crate::types::{Cause, Dialect, Verdict};

/// The verdict on a reply: its status, its fields and the first part of its body, decoded, at most 64 KiB of it.
#[must_use]
pub fn of_reply(_dialect: Dialect, status: StatusCode, _headers: &HeaderMap, _body: &[u8], _unix: u64) -> Verdict {
    if status.is_server_error() { Cause::ServerError.into() } else { Cause::Served.into() }
}

/// The verdict on an event of a stream whose status was 200. `None`: there is no error in it.
#[must_use]
pub fn of_event(_dialect: Dialect, _event: &[u8]) -> Option<Verdict> {
    None
}

/// Whether an event says something: comments and blank ones say nothing yet.
#[must_use]
pub fn is_first_word(event: &[u8]) -> bool {
    super::sse::data(event).is_some()
}
