//! The id of a request: the client's, the provider's, or ours.

use http::HeaderValue;

use super::{NOT_ASCII, Trail};

/// The most bytes that a client's id may have. Each line of the log repeats it.
const LONGEST: usize = 256;

/// Whether a client's id can stand for its request. One that can't goes up as it is, and ours stands in the log and the reply.
pub(super) fn is_fit(id: &HeaderValue) -> bool {
    (1..=LONGEST).contains(&id.len())
}

/// 96 random bits: two proxies that answer a million requests a second for a year will not meet.
pub(in crate::pipeline) fn new() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let random = u128::from(fastrand::u32(..)) << 64 | u128::from(fastrand::u64(..));
    let mut id = *b"req_------------------------";
    for (at, place) in id[4..].iter_mut().enumerate() {
        *place = DIGITS[(random >> (4 * at) & 0xf) as usize];
    }
    // invariant: letters, `_` and hex digits.
    HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("req_"))
}

impl Trail {
    /// The id by which client and operator can speak of this request: the one the client sent, else a new one.
    pub fn request_id(&mut self) -> HeaderValue {
        self.0.request_id.get_or_insert_with(new).clone()
    }

    /// The names under which a line of the log speaks of this request: its id, and its trace if it is part of one.
    pub fn names(&mut self) -> (String, Option<String>) {
        let trace = self.0.traced.trace().map(|trace| trace.hex().as_str().to_owned());
        (self.request_id().to_str().unwrap_or(NOT_ASCII).to_owned(), trace)
    }

    /// The id that the provider gave takes precedence, since it is what the client sees.
    pub fn named(&mut self, id: HeaderValue) {
        self.0.request_id = Some(id);
        self.0.provider_named = true;
    }

    /// Whether the provider gave an id, which stands in its reply.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.0.provider_named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_says_nothing_or_floods_the_log_is_not_taken() {
        let fit = |length: usize| is_fit(&HeaderValue::from_str(&"a".repeat(length)).unwrap());
        assert_eq!([0, 1, LONGEST, LONGEST + 1].map(fit), [false, true, true, false]);
        assert!(is_fit(&new()));
    }
}
