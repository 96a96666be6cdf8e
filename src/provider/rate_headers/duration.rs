//! Durations as providers write them: Go's `1h2m3.5s` and `12ms`, `12 seconds` in a sentence, `01:02:03` of a quota.

use std::time::Duration;

/// The longest wait that is believed: the longest window of a quota that comes back by itself is a day. What says more is a mistake
/// or means never, and who waits for that is forgotten.
pub(in crate::provider) const MOST: Duration = Duration::from_hours(24);

/// In seconds; of two that begin alike the longer one stands first.
const UNITS: &[(&[u8], f64)] = &[
    (b"milliseconds", 1e-3),
    (b"millisecond", 1e-3),
    (b"ms", 1e-3),
    (b"minutes", 60.),
    (b"minute", 60.),
    (b"min", 60.),
    (b"m", 60.),
    (b"seconds", 1.),
    (b"second", 1.),
    (b"sec", 1.),
    (b"s", 1.),
    (b"hours", 3_600.),
    (b"hour", 3_600.),
    (b"h", 3_600.),
    (b"days", 86_400.),
    (b"day", 86_400.),
    (b"d", 86_400.),
    ("µs".as_bytes(), 1e-6),
    (b"us", 1e-6),
    (b"ns", 1e-9),
];

/// A text that is one duration and nothing else. None and less than none says nothing.
pub(in crate::provider) fn read(text: &[u8]) -> Option<Duration> {
    let (duration, rest) = first(text.trim_ascii())?;
    rest.is_empty().then_some(duration)
}

/// The duration at the start of a text, and what stands behind it.
pub(in crate::provider) fn first(text: &[u8]) -> Option<(Duration, &[u8])> {
    let (mut seconds, mut rest) = (0., text);
    if let Some((clock, behind)) = clock(text) {
        (seconds, rest) = (clock, behind);
    }
    while let Some((amount, behind)) = number(rest)
        && let Some((unit, behind)) = unit(behind)
    {
        seconds += amount * unit;
        rest = behind;
    }
    Some((positive(seconds)?, rest))
}

/// So many seconds, at most [`MOST`]; nothing if there are none.
pub(in crate::provider) fn positive(seconds: f64) -> Option<Duration> {
    let longest = MOST.as_secs_f64();
    (seconds > 0. && seconds.is_finite()).then(|| Duration::from_secs_f64(seconds.min(longest))).filter(|duration| !duration.is_zero())
}

/// `01:02:03`: hours, minutes, seconds.
fn clock(text: &[u8]) -> Option<(f64, &[u8])> {
    let (hours, rest) = number(text)?;
    let (minutes, rest) = number(rest.strip_prefix(b":")?)?;
    let (seconds, rest) = number(rest.strip_prefix(b":")?)?;
    Some((hours * 3_600. + minutes * 60. + seconds, rest))
}

fn number(text: &[u8]) -> Option<(f64, &[u8])> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(text);
    if length > 0 && text.get(length) == Some(&b'.') {
        let fraction = digits(&text[length + 1..]);
        // A full stop ends a sentence.
        length += if fraction > 0 { 1 + fraction } else { 0 };
    }
    let (number, rest) = text.split_at(length);
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

fn unit(text: &[u8]) -> Option<(f64, &[u8])> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    UNITS.iter().find_map(|(name, seconds)| {
        let rest = text.strip_prefix(*name)?;
        (!rest.first().is_some_and(u8::is_ascii_alphabetic)).then_some((*seconds, rest))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_in_every_form() {
        for (text, seconds) in [
            ("12ms", 0.012),
            ("1s", 1.),
            ("6m0s", 360.),
            ("1h2m3.5s", 3_723.5),
            ("2m59.56s", 179.56),
            ("34.074824224s", 34.074_824_224),
            ("250µs", 0.000_25),
            (" 7s ", 7.),
            ("12 seconds", 12.),
            ("1 minute", 60.),
            ("2 hours", 7_200.),
            ("01:02:03", 3_723.),
            ("1d", 86_400.),
            ("999999999999999999999999h", 86_400.),
        ] {
            assert_eq!(read(text.as_bytes()), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "12", "s", "-1s", "0s", "0", "1x", "1sx", "nan", "infs", "1e3s", "..s", "1 2s", "0.0000000001ns", "12 s econds"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn one_is_found_at_the_start_of_a_sentence() {
        assert_eq!(first(b"5.7s. Visit"), Some((Duration::from_millis(5_700), &b". Visit"[..])));
        assert_eq!(first(b"12 seconds."), Some((Duration::from_secs(12), &b"."[..])));
        assert_eq!(first(b"5. Then"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_last_longer_than_is_believed(text in prop_oneof!["[0-9.:hmsd µn]{0,40}", ".{0,40}"]) {
            if let Some((duration, _)) = first(text.as_bytes()) {
                prop_assert!(duration <= MOST && !duration.is_zero());
            }
        }

        #[test]
        fn what_go_prints_is_read(hours in 0..24_u64, minutes in 0..60_u64, milliseconds in 1..60_000_u64) {
            let seconds = Duration::from_millis(milliseconds).as_secs_f64();
            let read = read(format!("{hours}h{minutes}m{seconds}s").as_bytes()).unwrap();
            let expected = Duration::from_millis(hours * 3_600_000 + minutes * 60_000 + milliseconds);
            prop_assert!(read.abs_diff(expected) < Duration::from_micros(1));
        }
    }
}
