//! A decoded copy of an encoded request (RFC 9110 §8.4), where its model or its length in tokens must be known. The body itself
//! goes up as it came.
//!
//! The copy is bounded like a body that is held, and so is what a few bytes may turn into; it goes as soon as it was read.

use std::io::{self, Write};

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use http::HeaderValue;

use super::observe::encoded::{Coding, FREE, MOST_TIMES};
use crate::runtime::{Held, Reserved};

/// What a body says once it is decoded, as far as it could be.
#[derive(Debug)]
pub struct Decoded {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether that is all, so that no reader finds more in it.
    pub whole: bool,
    _reserved: Option<Reserved>,
}

/// Whether a body in this coding can be decoded.
#[must_use]
pub fn is_readable(coding: &HeaderValue) -> bool {
    Coding::of(coding).is_some()
}

/// Decodes a body, or the first part of one. `most` bounds this copy, and `most_held` all that is held. `None` if its coding can't
/// be read.
#[must_use]
pub fn decode(coding: &HeaderValue, body: &[u8], most: u64, (held, most_held): (&Held, u64)) -> Option<Decoded> {
    let most = most.min((FREE as u64).saturating_add((body.len() as u64).saturating_mul(MOST_TIMES as u64)));
    let copy = Copy { bytes: Vec::new(), most, held, most_held, reserved: None };
    let (copy, whole) = match Coding::of(coding)? {
        // Of several members some readers know the first alone, and others all: all are read, and what is behind them is an error.
        Coding::Gzip => run(MultiGzDecoder::new(copy), body, MultiGzDecoder::get_mut, MultiGzDecoder::try_finish),
        Coding::Deflate => run(ZlibDecoder::new(copy), body, ZlibDecoder::get_mut, ZlibDecoder::try_finish),
    };
    Some(Decoded { bytes: copy.bytes, whole, _reserved: copy.reserved })
}

fn run<'h, D: Write>(
    mut decoder: D,
    body: &[u8],
    copy: fn(&mut D) -> &mut Copy<'h>,
    finish: fn(&mut D) -> io::Result<()>,
) -> (Copy<'h>, bool) {
    let whole = decoder.write_all(body).and_then(|()| finish(&mut decoder)).is_ok();
    let _ = decoder.flush();
    // What is left in its place takes nothing: a decoder empties itself when it is dropped.
    let copy = copy(&mut decoder);
    let empty = Copy { bytes: Vec::new(), most: 0, held: copy.held, most_held: 0, reserved: None };
    (std::mem::replace(copy, empty), whole)
}

/// Where decoded bytes go.
struct Copy<'h> {
    bytes: Vec<u8>,
    most: u64,
    held: &'h Held,
    most_held: u64,
    reserved: Option<Reserved>,
}

impl Write for Copy<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() as u64 + bytes.len() as u64 > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let more = bytes.len() as u64;
        let grown = match &mut self.reserved {
            Some(reserved) => reserved.grow(more, self.most_held),
            None => {
                self.reserved = self.held.reserve(more, self.most_held);
                self.reserved.is_some()
            }
        };
        if !grown {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{
        Compression,
        write::{GzEncoder, ZlibEncoder},
    };

    use super::*;

    const BODY: &[u8] = br#"{"model":"gpt-4o","stream":true}"#;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(plain: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(coding: &'static str, body: &[u8]) -> Option<(Vec<u8>, bool)> {
        let held = Held::default();
        let decoded = decode(&HeaderValue::from_static(coding), body, 1 << 20, (&held, 2 << 20))?;
        assert_eq!(held.bytes(), decoded.bytes.len() as u64);
        Some((decoded.bytes, decoded.whole))
    }

    #[test]
    fn a_body_is_decoded_to_its_end() {
        for (coding, body) in [("gzip", gzip(BODY)), ("X-Gzip", gzip(BODY)), ("deflate", zlib(BODY))] {
            assert_eq!(decoded(coding, &body), Some((BODY.to_vec(), true)), "{coding}");
        }
        for coding in ["br", "zstd", "gzip, gzip", "identity, gzip"] {
            assert_eq!(decoded(coding, &gzip(BODY)), None, "{coding}");
        }
    }

    #[test]
    fn what_one_reader_finds_and_another_does_not_is_no_whole_body() {
        let two = [gzip(br#"{"model":"a","#), gzip(br#""x":1}"#)].concat();
        assert_eq!(decoded("gzip", &two), Some((br#"{"model":"a","x":1}"#.to_vec(), true)), "both members are read");
        for (coding, body) in [
            ("gzip", [gzip(BODY), b"behind".to_vec()].concat()),
            ("deflate", [zlib(BODY), zlib(BODY)].concat()),
            ("gzip", BODY.to_vec()),
            ("deflate", BODY.to_vec()),
            ("gzip", gzip(BODY)[..30].to_vec()),
            ("gzip", Vec::new()),
        ] {
            assert!(!decoded(coding, &body).unwrap().1, "{coding} {}", body.escape_ascii());
        }
    }

    #[test]
    fn a_bomb_grows_no_further_than_a_body_may() {
        let held = Held::default();
        let bomb = gzip(&vec![b' '; 8 << 20]);
        for (most, most_held) in [(1 << 20, 64 << 20), (64 << 20, 1 << 20), (u64::MAX, u64::MAX)] {
            let decoded = decode(&HeaderValue::from_static("gzip"), &bomb, most, (&held, most_held)).unwrap();
            assert!(!decoded.whole && decoded.bytes.len() <= 2 << 20, "{}", decoded.bytes.len());
            drop(decoded);
            assert_eq!(held.bytes(), 0);
        }
    }
}
