//! W3C Trace Context (level 2): the fields by which a request says which trace it is part of.

use std::fmt;

/// The bytes of a `traceparent` of version 00: `00-` and the ids and flags in hex.
pub const LENGTH: usize = 55;

/// The bits of the flags that are known, and so go on: sampled, and random trace id (level 2, §3.2.3.4).
const KNOWN_FLAGS: u8 = 0b11;

/// The bit that says that the caller records its spans.
const SAMPLED: u8 = 1;

/// The id of a whole trace; never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// The id of one span of a trace; never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The id of these bits; no id is zero, so zero is another.
    #[must_use]
    pub fn from_bits(bits: u128) -> Self {
        Self(bits.max(1).to_be_bytes())
    }

    /// Its last 56 bits, which are random where any of it is (level 2, §3.2.2.3).
    #[must_use]
    pub fn random_part(self) -> u64 {
        (u128::from_be_bytes(self.0) as u64) & (u64::MAX >> 8)
    }

    /// As it stands in headers and logs.
    #[must_use]
    pub fn hex(self) -> Hex<32> {
        Hex::of(&self.0)
    }
}

impl SpanId {
    /// The id of these bits; no id is zero, so zero is another.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits.max(1).to_be_bytes())
    }

    /// As it stands in headers and logs.
    #[must_use]
    pub fn hex(self) -> Hex<16> {
        Hex::of(&self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex().as_str())
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex().as_str())
    }
}

/// An id in small hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<const DIGITS: usize>([u8; DIGITS]);

impl<const DIGITS: usize> Hex<DIGITS> {
    fn of(bytes: &[u8]) -> Self {
        let mut digits = [b'0'; DIGITS];
        write_hex(&mut digits, bytes);
        Self(digits)
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Hex digits and nothing else, so there is always text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Where in which trace a request stands, as `traceparent` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span that sends the request.
    pub span: SpanId,
    flags: u8,
}

impl TraceContext {
    /// A place in a trace.
    #[must_use]
    pub fn new(trace: TraceId, span: SpanId, sampled: bool) -> Self {
        Self { trace, span, flags: if sampled { SAMPLED } else { 0 } }
    }

    /// The same place in the trace for another span, with the flags as they came.
    #[must_use]
    pub fn with_span(self, span: SpanId) -> Self {
        Self { span, ..self }
    }

    /// Whether the caller records its spans.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// Reads a `traceparent`. `None` if it is none that counts: then it is as if there were none (§3.2.2).
    ///
    /// A version above 00 may have more behind what is known, and is read as far as that (§4.4). Small letters alone count.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_at_checked(LENGTH)?;
        let [version, trace, span, flags] = [&known[..2], &known[3..35], &known[36..52], &known[53..]];
        let dashes = [known[2], known[35], known[52]] == [b'-'; 3];
        let [version] = read_hex::<1>(version)?;
        let ends_well = match version {
            0xff => false,
            0 => rest.is_empty(),
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        let (trace, span) = (read_hex(trace)?, read_hex(span)?);
        let [flags] = read_hex::<1>(flags)?;
        let counts = dashes && ends_well && trace != [0; 16] && span != [0; 8];
        counts.then_some(Self { trace: TraceId(trace), span: SpanId(span), flags: flags & KNOWN_FLAGS })
    }

    /// The value of `traceparent`, in version 00, whichever it was read from (§4.4).
    #[must_use]
    pub fn to_text(self) -> [u8; LENGTH] {
        let mut text = *b"00-????????????????????????????????-????????????????-??";
        write_hex(&mut text[3..35], &self.trace.0);
        write_hex(&mut text[36..52], &self.span.0);
        write_hex(&mut text[53..], &[self.flags]);
        text
    }
}

fn write_hex(digits: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
    }
}

/// So many bytes from twice as many digits.
fn read_hex<const BYTES: usize>(digits: &[u8]) -> Option<[u8; BYTES]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn again(text: &str) -> Option<String> {
        Some(String::from_utf8(TraceContext::parse(text.as_bytes())?.to_text().to_vec()).unwrap())
    }

    #[test]
    fn what_is_read_is_what_is_written() {
        assert_eq!(again(EXAMPLE).as_deref(), Some(EXAMPLE));
        let context = TraceContext::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!((context.trace.hex().as_str(), context.span.hex().as_str()), (&EXAMPLE[3..35], &EXAMPLE[36..52]));
        assert!(context.is_sampled());
    }

    #[test]
    fn a_later_version_counts_as_far_as_it_is_known() {
        let behind = |version: &str, end: &str| format!("{version}{}{end}", &EXAMPLE[2..]);
        for text in [behind("01", ""), behind("cc", "-what-the-future-will-be-like"), behind("fe", "-")] {
            assert_eq!(again(&text).as_deref(), Some(EXAMPLE), "{text}");
        }
        for text in [behind("cc", ".what"), behind("00", "-more"), behind("00", " "), behind("ff", "")] {
            assert_eq!(again(&text), None, "{text}");
        }
    }

    #[test]
    fn flags_that_nobody_knows_do_not_go_on() {
        for (flags, goes_on) in [("00", "00"), ("01", "01"), ("02", "02"), ("03", "03"), ("ff", "03"), ("fc", "00")] {
            assert_eq!(again(&format!("{}{flags}", &EXAMPLE[..53])), Some(format!("{}{goes_on}", &EXAMPLE[..53])));
        }
    }

    #[test]
    fn what_breaks_the_form_is_none() {
        let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let zero_span = format!("{}{}-01", &EXAMPLE[..36], "0".repeat(16));
        let capitals = EXAMPLE.to_uppercase();
        let short = &EXAMPLE[..54];
        for text in ["", "00", "é", &zero_trace, &zero_span, &capitals, short, &EXAMPLE.replace('-', "_"), &EXAMPLE.replace('b', "g")] {
            assert_eq!(again(text), None, "{text}");
        }
    }

    #[test]
    fn no_id_is_zero() {
        let context = TraceContext::new(TraceId::from_bits(0), SpanId::from_bits(0), false);
        assert!(TraceContext::parse(&context.to_text()).is_some_and(|read| read == context && !read.is_sampled()));
    }

    proptest! {
        #[test]
        fn any_ids_survive_and_any_bytes_are_borne(trace in any::<u128>(), span in any::<u64>(), noise in any::<Vec<u8>>(), at in 0..LENGTH, byte in any::<u8>()) {
            let context = TraceContext::new(TraceId::from_bits(trace), SpanId::from_bits(span), true);
            let mut text = context.to_text();
            prop_assert_eq!(TraceContext::parse(&text), Some(context));
            text[at] = byte;
            for bytes in [&text[..], &noise] {
                if let Some(read) = TraceContext::parse(bytes) {
                    prop_assert_eq!(TraceContext::parse(&read.to_text()), Some(read));
                }
            }
        }
    }
}
