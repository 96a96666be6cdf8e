//! No reply makes its verdict fail or wait for longer than a day, and no server's error blames a key.
//!
//! `cargo +nightly fuzz run verdict`

#![no_main]

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;
use sidegate::{
    provider::{rate_headers, verdict},
    types::{Blame, Dialect},
};

fuzz_target!(|input: (u16, u8, u64, &[u8], &[u8])| {
    let (status, dialect, unix, field, body) = input;
    let Ok(status) = StatusCode::from_u16(status) else { return };
    let dialect = Dialect::ALL[usize::from(dialect) % Dialect::ALL.len()];
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(field) {
        for name in ["retry-after", "retry-after-ms", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"] {
            headers.append(name, value.clone());
        }
    }
    let _ = rate_headers::headroom(dialect, &headers, unix);
    let verdict = verdict::of_reply(dialect, status, &headers, body, unix);
    assert!(verdict.wait.is_none_or(|wait| wait <= Duration::from_hours(24)));
    assert!(!status.is_server_error() || verdict.cause.blame() != Blame::Key);
    let _ = (verdict::of_event(dialect, body), verdict::is_first_word(body));
});
