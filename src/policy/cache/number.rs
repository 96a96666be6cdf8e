//! When two spellings of a number are the same number.

use smallvec::SmallVec;

/// A decimal of so many digits is a double of its own (IEEE 754-2019 §5.12.2): two that differ as decimals differ as doubles.
const EXACT: usize = 15;

/// The largest power of ten of such a decimal: far from where doubles end, at about 10^±308.
const FARTHEST: u32 = 200;

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
        Some(exponent) => std::str::from_utf8(exponent).ok()?.parse().ok().filter(|power: &i32| power.unsigned_abs() <= FARTHEST)?,
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
    (digits.len() <= EXACT && power.unsigned_abs() <= FARTHEST).then_some((digits, power))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(letters: &str) -> String {
        let (word, letters) = match known(letters.as_bytes()) {
            Known::Verbatim(letters) => ("", letters.to_vec()),
            Known::Value(letters) => ("", letters.to_vec()),
            Known::Doubtful(letters) => ("?", letters.to_vec()),
        };
        format!("{word}{}", String::from_utf8(letters).unwrap())
    }

    #[test]
    fn a_number_is_known_by_its_value_where_that_is_certain() {
        for (letters, expected) in [
            ("1", "1"),
            ("1.0", "1"),
            ("1e0", "1"),
            ("0.1e+1", "1"),
            ("10E-1", "1"),
            ("-2.50", "-25e-1"),
            ("25e-1", "25e-1"),
            ("1e14", "100000000000000"),
            ("100000000000000", "100000000000000"),
            ("1e15", "1e15"),
            ("0.0", "0"),
            ("0e-5", "0"),
            ("1e200", "1e200"),
        ] {
            assert_eq!(written(letters), expected, "{letters}");
        }
    }

    #[test]
    fn what_readers_may_take_for_something_else_is_known_by_its_letters() {
        for letters in [
            "9007199254740993.0",
            "0.1000000000000000055",
            "1e201",
            "1e-201",
            "1e400",
            "-0.0",
            "-0e1",
            "1e2147483647",
            "1e-2147483648",
            "1e99999999999999999999",
        ] {
            assert_eq!(written(letters), format!("?{letters}"));
        }
        assert_eq!(written("-0"), "-0");
        assert_eq!(written("9007199254740993"), "9007199254740993");
        let long = format!("0.{}1", "0".repeat(100_000));
        assert_eq!(written(&long), format!("?{long}"));
    }

    #[test]
    fn zero_is_zero_however_it_is_spelt() {
        assert!(["0", "-0", "0.0", "0e9", "-0.00E+12"].into_iter().all(|letters| is_zero(letters.as_bytes())));
        assert!(["1", "0.1", "1e-999", "-0.001", "10"].into_iter().all(|letters| !is_zero(letters.as_bytes())));
    }

    fn spelling() -> impl Strategy<Value = String> {
        let integer = prop_oneof![Just("0".to_owned()), "[1-9][0-9]{0,3}", "[1-9][0-9]{12,20}"];
        let fraction = prop_oneof![Just(String::new()), "\\.0{0,3}[0-9]{1,3}0{0,2}", "\\.[0-9]{14,20}"];
        let exponent = prop_oneof![Just(String::new()), "[eE][+-]?0?[0-9]", "[eE][+-]?[0-9]{1,4}"];
        ("-?", integer, fraction, exponent).prop_map(|(sign, integer, fraction, exponent)| format!("{sign}{integer}{fraction}{exponent}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_a_number_is_known_by_is_the_same_number(spelling in spelling()) {
            let known = written(&spelling);
            let letters = known.trim_start_matches('?');
            prop_assert_eq!(letters.parse::<f64>().unwrap().to_bits(), spelling.parse::<f64>().unwrap().to_bits());
            prop_assert_eq!(written(letters), known.clone());
        }

        #[test]
        fn different_doubles_are_different_numbers(one in spelling(), other in spelling()) {
            if one.parse::<f64>().unwrap() != other.parse::<f64>().unwrap() {
                prop_assert_ne!(written(&one), written(&other));
            }
        }

        #[test]
        fn what_a_printer_writes_of_a_double_is_known_whole(number in any::<f64>()) {
            let letters = serde_json::to_string(&number).unwrap();
            prop_assume!(letters != "null");
            let known = written(&letters);
            prop_assert_eq!(known.trim_start_matches('?').parse::<f64>().unwrap().to_bits(), number.to_bits());
        }
    }
}
