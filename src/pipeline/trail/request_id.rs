//! The id of a request that came without one.

use http::HeaderValue;

/// 96 random bits: two proxies that answer a million requests a second for a year will not meet.
pub(super) fn new() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let random = u128::from(fastrand::u32(..)) << 64 | u128::from(fastrand::u64(..));
    let mut id = *b"req_------------------------";
    for (at, place) in id[4..].iter_mut().enumerate() {
        *place = DIGITS[(random >> (4 * at) & 0xf) as usize];
    }
    // invariant: letters, `_` and hex digits.
    HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("req_"))
}
