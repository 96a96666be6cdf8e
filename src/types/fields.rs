//! Header fields, filtered in order.

use http::{HeaderMap, HeaderName};

/// The fields that are to stay, in their order. `HeaderMap::remove` would move the last field into the gap.
#[must_use]
pub fn retain(headers: HeaderMap, stays: impl FnMut(&HeaderName) -> bool) -> HeaderMap {
    retain_with_room(headers, 0, stays)
}

/// The same, with room for so many more.
#[must_use]
pub fn retain_with_room(headers: HeaderMap, room: usize, mut stays: impl FnMut(&HeaderName) -> bool) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.len() + room);
    let mut current = None;
    for (name, value) in headers {
        current = name.or(current);
        if let Some(name) = current.as_ref().filter(|name| stays(name)) {
            kept.append(name.clone(), value);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_stays_keeps_its_order_and_its_repetitions() {
        let mut headers = HeaderMap::new();
        for name in ["a", "drop", "b", "a", "c"] {
            headers.append(name, HeaderValue::from_static("x"));
        }
        let kept = retain(headers, |name| name != "drop");
        assert_eq!(kept.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "a", "b", "c"]);
    }
}
