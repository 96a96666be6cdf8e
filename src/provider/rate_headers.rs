//! What a provider tells of an account's room, in the fields beside a reply.

use http::HeaderMap;

use crate::types::{Dialect, Headroom};

/// What is left for this account and model; nothing where the reply does not tell.
#[must_use]
pub fn headroom(_dialect: Dialect, _headers: &HeaderMap, _unix: u64) -> Headroom {
    Headroom::default()
}
