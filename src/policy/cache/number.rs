//! When two spellings of a number are the same number.

use smallvec::SmallVec;

/// A decimal of so many digits is a double of its own (IEEE 754-2019 §5.12.2): two that differ as decimals differ as doubles.
const EXACT: usize = 15;

/// The largest power of ten of such a decimal: far from where doubles end, at about 10^±308.
const FARTHEST: i32 = 200;

/// A number's letters.
pub(super) type Letters = SmallVec<[u8; 24]>;

/// What a number is known by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known<'b> {
    /// An integer, by its letters.
    Verbatim(&'b [u8]),
    /// A fraction or a power of ten by its value: written as the integer that it is, or else as digits and a power of ten.
    Value(Letters),
    /// By its letters as well: which value they are depends on who reads them.
    Doubtful(&'b [u8]),
}

/// What the number is known by that `letters` spell. `1`, `1.0` and `1e0` are known by the same.
///
/// Integers are never read: a double has no 2^53 + 1. For the same reason `9007199254740993.0` is not the integer, and what has
/// more digits than a double tells apart is itself alone, as is a negative zero.
pub(super) fn known(letters: &[u8]) -> Known<'_> {
    let (is_negative, positive) = letters.strip_prefix(b"-").map_or((false, letters), |rest| (true, rest));
    if positive.iter().all(u8::is_ascii_digit) {
        return Known::Verbatim(letters);
    }
    match value(positive) {
        Some((digits, power)) if !(is_negative && digits.is_empty()) => Known::Value(spelt(is_negative, &digits, power)),
        _ => Known::Doubtful(letters),
    }
}

/// Whether it is 0, however it is spelt.
pub(super) fn is_zero(letters: &[u8]) -> bool {
    letters.iter().take_while(|letter| !matches!(letter, b'e' | b'E')).all(|letter| !(b'1'..=b'9').contains(letter))
}

/// Its digits, without zeros at either end, and the power of ten that they are multiplied by; nothing if that takes more
/// digits or a larger power than a double has for certain.
fn value(positive: &[u8]) -> Option<(Letters, i32)> {
    let (mantissa, exponent) = match positive.iter().position(|letter| matches!(letter, b'e' | b'E')) {
        Some(at) => (&positive[..at], Some(&positive[at + 1..])),
        None => (positive, None),
    };
    let mut power = match exponent {
        Some(exponent) => std::str::from_utf8(exponent).ok()?.parse().ok().filter(|power: &i32| power.abs() <= FARTHEST)?,
        None => 0,
    };
    let (mut digits, mut in_fraction) = (Letters::new(), false);
    for letter in mantissa {
        if *letter == b'.' {
            in_fraction = true;
            continue;
        }
        power -= i32::from(in_fraction);
        if digits.is_empty() && *letter == b'0' {
            continue;
        }
        digits.push(*letter);
        // Nothing so long is an exact one, unless all the rest were zeros.
        if digits.len() > 2 * EXACT {
            return None;
        }
    }
    while digits.last() == Some(&b'0') {
        digits.pop();
        power += 1;
    }
    (digits.len() <= EXACT && power.abs() <= FARTHEST).then_some((digits, power))
}

fn spelt(is_negative: bool, digits: &[u8], power: i32) -> Letters {
    let mut letters = Letters::new();
    if digits.is_empty() {
        letters.push(b'0');
        return letters;
    }
    if is_negative {
        letters.push(b'-');
    }
    letters.extend_from_slice(digits);
    match usize::try_from(power) {
        Ok(zeros) if digits.len() + zeros <= EXACT => letters.extend(std::iter::repeat_n(b'0', zeros)),
        _ => {
            letters.push(b'e');
            letters.extend_from_slice(itoa::Buffer::new().format(power).as_bytes());
        }
    }
    letters
}
