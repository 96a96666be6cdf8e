//! For how long to leave an account alone, by the fields of a refusal and, where those are silent, by its message.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, header::RETRY_AFTER};

use super::{
    duration::{self, positive},
    headroom,
};
use crate::types::Dialect;

/// OpenAI's and Azure's own field, more exact than the other.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// OpenRouter's, which names no quota.
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// Seconds since 1970 that no wait has: from here on a number is a time (2001-09-09), a thousand times that is in milliseconds.
const EPOCH: f64 = 1e9;

/// What comes before a duration in a message: OpenAI's, Gemini's, Azure's, API Management's.
const HINTS: &[&[u8]] = &[b"try again in ", b"retry in ", b"retry after ", b"replenished in "];

/// What the reply asks for in so many words: `retry-after-ms`, else `retry-after` (RFC 9110 §10.2.3, fractions too).
pub(in crate::provider) fn asked(headers: &HeaderMap, unix: u64) -> Option<Duration> {
    // Said twice, the longer one is meant by somebody.
    let longest = |name: &HeaderName, read: &dyn Fn(&[u8]) -> Option<Duration>| {
        headers.get_all(name).into_iter().filter_map(|value| read(value.as_bytes())).max()
    };
    let milliseconds = |text: &[u8]| positive(float(text)? / 1e3);
    longest(&RETRY_AFTER_MS, &milliseconds).or_else(|| longest(&RETRY_AFTER, &|text| seconds_or_date(text, unix)))
}

/// Until what is used up has come back, by the fields that tell of quotas.
pub(in crate::provider) fn refilled(dialect: Dialect, headers: &HeaderMap, unix: u64) -> Option<Duration> {
    let room = headroom(dialect, headers, unix);
    let spent = [room.requests, room.tokens].into_iter().flatten().filter(|room| room.remaining == 0);
    spent.filter_map(|room| room.reset).max().or_else(|| {
        let spent = headers.get(&REMAINING).is_some_and(|value| value == "0");
        headers.get(&RESET).filter(|_| spent).and_then(|value| until(value.as_bytes(), unix))
    })
}

/// What a message says, in small letters. The last hint counts: what a caller wrote is repeated before it, if at all.
pub(in crate::provider) fn hinted(message: &[u8]) -> Option<Duration> {
    let ends = HINTS.iter().filter_map(|hint| Some(memchr::memmem::rfind(message, hint)? + hint.len()));
    duration::first(&message[ends.max()?..]).map(|(duration, _)| duration)
}

/// A time until something is whole again: a duration, seconds, a time of the clock. `0`, `-1` and what has passed say nothing.
pub(in crate::provider) fn until(text: &[u8], unix: u64) -> Option<Duration> {
    if let Some(duration) = duration::read(text) {
        return Some(duration);
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact until long after")]
    let since = |time: f64| positive(time - unix as f64);
    match float(text) {
        Some(number) if number >= EPOCH * 1e3 => since(number / 1e3),
        Some(number) if number >= EPOCH => since(number),
        Some(number) => positive(number),
        None => since(rfc3339(text)?),
    }
}

fn seconds_or_date(text: &[u8], unix: u64) -> Option<Duration> {
    if let Some(seconds) = float(text) {
        return positive(seconds);
    }
    let date = httpdate::parse_http_date(std::str::from_utf8(text).ok()?.trim()).ok()?;
    let wait = date.duration_since(UNIX_EPOCH).ok()?.checked_sub(Duration::from_secs(unix))?;
    positive(wait.as_secs_f64())
}

fn float(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// A time of RFC 3339, in seconds since 1970.
fn rfc3339(text: &[u8]) -> Option<f64> {
    let text = text.trim_ascii();
    let part = |from: usize, to: usize, end: u8| -> Option<i64> {
        let digits = text.get(from..to).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
        let follows = end == 0 || text.get(to).is_some_and(|byte| byte.eq_ignore_ascii_case(&end));
        std::str::from_utf8(digits).ok()?.parse().ok().filter(|_| follows)
    };
    let (year, month, day) = (part(0, 4, b'-')?, part(5, 7, b'-')?, part(8, 10, b'T')?);
    let (hour, minute, second) = (part(11, 13, b':')?, part(14, 16, b':')?, part(17, 19, 0)?);
    // The zone follows the fraction, which is left out.
    let zone = text[19..].iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').map(|at| 19 + at)?;
    let offset = match (text[zone], part(zone + 1, zone + 3, b':'), part(zone + 4, zone + 6, 0)) {
        (b'Z' | b'z', ..) => 0,
        (b'+', Some(hours), Some(minutes)) => hours * 60 + minutes,
        (b'-', Some(hours), Some(minutes)) => -hours * 60 - minutes,
        _ => return None,
    };
    if !(1..=12).contains(&month) {
        return None;
    }
    // Years begin in March here, so that a leap day is the last of one.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day - 1 - 719_468;
    #[expect(clippy::cast_precision_loss, reason = "four digits of a year")]
    let seconds = (((days * 24 + hour) * 60 + minute - offset) * 60 + second) as f64;
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// 2025-11-24T16:00:00Z.
    const NOW: u64 = 1_764_000_000;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_more_exact_field_counts() {
        for (fields, seconds) in [
            (&[("retry-after", "2"), ("retry-after-ms", "1500")][..], Some(1.5)),
            (&[("retry-after", "2"), ("retry-after-ms", "soon")], Some(2.)),
            (&[("retry-after", "2"), ("retry-after-ms", "-1")], Some(2.)),
            (&[("retry-after", "0.25")], Some(0.25)),
            (&[("retry-after", "3"), ("retry-after", "9")], Some(9.)),
            (&[("retry-after", "Mon, 24 Nov 2025 16:01:00 GMT")], Some(60.)),
            (&[("retry-after", "Mon, 24 Nov 2025 15:59:00 GMT")], None),
            (&[("retry-after", "1e300")], Some(86_400.)),
            (&[("retry-after", "0")], None),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "inf")], None),
            (&[("retry-after", "")], None),
            (&[], None),
        ] {
            assert_eq!(asked(&headers(fields), NOW), seconds.map(Duration::from_secs_f64), "{fields:?}");
        }
    }

    #[test]
    fn the_time_until_a_refill_counts_only_for_what_is_used_up() {
        let requests = |remaining, reset| headers(&[("x-ratelimit-remaining-requests", remaining), ("x-ratelimit-reset-requests", reset)]);
        assert_eq!(refilled(Dialect::Openai, &requests("0", "6m0s"), NOW), Some(Duration::from_mins(6)));
        assert_eq!(refilled(Dialect::Openai, &requests("1", "6m0s"), NOW), None);
        assert_eq!(refilled(Dialect::Azure, &requests("0", "7"), NOW), Some(Duration::from_secs(7)));
        for nothing in ["0", "-1", "", "soon"] {
            assert_eq!(refilled(Dialect::Azure, &requests("0", nothing), NOW), None, "{nothing}");
        }
        let nameless = |remaining| headers(&[("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", "1764000012500")]);
        assert_eq!(refilled(Dialect::Openrouter, &nameless("0"), NOW), Some(Duration::from_millis(12_500)));
        assert_eq!(refilled(Dialect::Openrouter, &nameless("3"), NOW), None);
    }

    #[test]
    fn times_of_the_clock_are_read() {
        for (text, seconds) in [
            ("2025-11-24T16:00:05Z", Some(5)),
            ("2025-11-24t16:00:05.75z", Some(5)),
            ("2025-11-24T17:00:05+01:00", Some(5)),
            ("2025-11-24T14:30:05-01:30", Some(5)),
            ("1764000005", Some(5)),
            ("1764000005000", Some(5)),
            ("2025-11-24T15:59:59Z", None),
            ("2025-11-24T16:00:05", None),
            ("2025-11-24", None),
            ("2025-13-24T16:00:05Z", None),
            ("2025-11-24T16:00:05+0100", None),
            ("+025-11-24T16:00:05Z", None),
        ] {
            assert_eq!(until(text.as_bytes(), NOW), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_hint_in_the_message_is_read() {
        for (message, seconds) in [
            ("limit 3, used 3. please try again in 1.2s. visit", Some(1.2)),
            ("please retry in 10h17m5.7s.", Some(37_025.7)),
            ("please retry after 12 seconds. try again in a browser", None),
            ("rate limit is exceeded. try again in 12 seconds.", Some(12.)),
            ("quota will be replenished in 01:02:03.", Some(3_723.)),
            ("try again in 5s? try again in 7s", Some(7.)),
            ("try again", None),
            ("try again in ", None),
        ] {
            assert_eq!(hinted(message.as_bytes()), seconds.map(Duration::from_secs_f64), "{message}");
        }
    }

    proptest! {
        #[test]
        fn every_date_is_the_same_as_in_the_other_notation(seconds in NOW..4_000_000_000) {
            let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            // Sun, 06 Nov 1994 08:49:37 GMT
            let month = 1 + ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"].iter().position(|name| *name == &date[8..11]).unwrap();
            let text = format!("{}-{month:02}-{}T{}Z", &date[12..16], &date[5..7], &date[17..25]);
            #[expect(clippy::cast_precision_loss, reason = "ten digits")]
            let expected = seconds as f64;
            prop_assert_eq!(rfc3339(text.as_bytes()), Some(expected), "{}", text);
        }

        #[test]
        fn no_field_and_no_message_makes_it_panic_or_wait_longer_than_is_believed(
            text in prop_oneof!["[0-9TZ:.+eE -]{0,30}", ".{0,30}", "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}.{0,7}"],
            unix: u64,
        ) {
            let mut headers = HeaderMap::new();
            for name in ["retry-after", "retry-after-ms"] {
                if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
                    headers.append(name, value);
                }
            }
            let message = "retry in ".to_owned() + &text;
            for wait in [asked(&headers, unix), until(text.as_bytes(), unix), hinted(message.as_bytes())].into_iter().flatten() {
                prop_assert!(wait <= duration::MOST && !wait.is_zero());
            }
        }
    }
}
