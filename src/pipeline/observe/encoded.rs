//! Encoded replies (RFC 9110 §8.4) pass as they are; what is read is a decoded copy, a piece at a time.
//!
//! Of gzip and deflate no more than 80 KiB are needed for it, whatever they say. The windows of `br` and `zstd` go up to
//! 16 MiB and beyond, a stream: replies in those are not read.

use std::io::{self, Write};

use flate2::write::{GzDecoder, ZlibDecoder};
use http::HeaderValue;

use super::Observer;
use crate::types::Usage;

/// What is decoded goes so far beyond what came, and no further: a few bytes may stand for a thousand times as many, and
/// decoding those takes the time of others.
pub(in crate::pipeline) const MOST_TIMES: usize = 100;

/// What is decoded at the least: small replies pack well.
pub(in crate::pipeline) const FREE: usize = 256 << 10;

/// A coding that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    /// The only coding of a reply, if it can be read.
    pub(in crate::pipeline) fn of(value: &HeaderValue) -> Option<Self> {
        let is = |name: &str| value.as_bytes().eq_ignore_ascii_case(name.as_bytes());
        if is("gzip") || is("x-gzip") { Some(Self::Gzip) } else { is("deflate").then_some(Self::Deflate) }
    }
}

/// Decodes a reply for an observer.
#[derive(Debug)]
pub(super) struct Decoder {
    coded: Coded,
    /// Whether it can't be read to its end.
    failed: bool,
}

#[derive(Debug)]
enum Coded {
    Gzip(GzDecoder<Decoded>),
    Deflate(ZlibDecoder<Decoded>),
}

impl Coded {
    fn decoded(&mut self) -> &mut Decoded {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Gzip(decoder) => decoder,
            Self::Deflate(decoder) => decoder,
        }
    }
}

impl Decoder {
    pub(super) fn new(coding: Coding, observer: Box<Observer>) -> Self {
        let decoded = Decoded { observer: Some(observer), allowed: FREE };
        let coded = match coding {
            Coding::Gzip => Coded::Gzip(GzDecoder::new(decoded)),
            Coding::Deflate => Coded::Deflate(ZlibDecoder::new(decoded)),
        };
        Self { coded, failed: false }
    }

    pub(super) fn push(&mut self, data: &[u8]) {
        if self.failed {
            return;
        }
        let decoded = self.coded.decoded();
        decoded.allowed = decoded.allowed.saturating_add(data.len().saturating_mul(MOST_TIMES));
        self.failed = self.coded.writer().write_all(data).is_err();
    }

    pub(super) fn produced(&self) -> Option<u64> {
        let decoded = match &self.coded {
            Coded::Gzip(decoder) => decoder.get_ref(),
            Coded::Deflate(decoder) => decoder.get_ref(),
        };
        decoded.observer.as_ref()?.produced()
    }

    /// What the decoder has not handed over yet.
    pub(super) fn flush(&mut self) {
        self.failed = self.failed || self.coded.writer().flush().is_err();
    }

    pub(super) fn usage(mut self, whole: bool) -> Usage {
        self.flush();
        let observer = self.coded.decoded().observer.take();
        observer.map(|observer| observer.usage(whole && !self.failed)).unwrap_or_default()
    }
}

/// Where decoded bytes go. Without an observer, to nobody: a decoder empties itself when it is dropped.
#[derive(Debug)]
struct Decoded {
    observer: Option<Box<Observer>>,
    /// Bytes that may still come.
    allowed: usize,
}

impl Write for Decoded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let observer = self.observer.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        self.allowed = self.allowed.checked_sub(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        observer.bytes(bytes);
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
    use http::{HeaderMap, header::CONTENT_ENCODING};

    use super::*;
    use crate::{pipeline::observe::Media, types::RequestFormat};

    fn encoded(coding: Coding, plain: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    fn observed(media: Media, coding: Coding, body: &[u8], size: usize, whole: bool) -> Option<u64> {
        let observer = Observer::plain(media, RequestFormat::Openai, false).unwrap();
        let mut decoder = Decoder::new(coding, observer);
        body.chunks(size).for_each(|part| decoder.push(part));
        decoder.usage(whole).input
    }

    const EVENTS: &[u8] = b"data: {}\n\ndata: {\"usage\":{\"prompt_tokens\":16}}\n\ndata: [DONE]\n\n";
    const BODY: &[u8] = b"{\"choices\":[],\"usage\":{\"prompt_tokens\":16}}";

    #[test]
    fn what_was_encoded_tells_the_same_however_it_is_split() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            for size in [1, 2, 10, 1 << 20] {
                assert_eq!(observed(Media::Events, coding, &encoded(coding, EVENTS), size, true), Some(16), "{coding:?}, {size}");
                assert_eq!(observed(Media::Json, coding, &encoded(coding, BODY), size, true), Some(16), "{coding:?}, {size}");
            }
        }
    }

    #[test]
    fn what_does_not_decode_tells_nothing_that_was_not_told_before() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            assert_eq!(observed(Media::Json, coding, BODY, 10, true), None);
            let mut broken = encoded(coding, BODY);
            let middle = broken.len() / 2;
            broken[middle] ^= 0xff;
            assert_eq!(observed(Media::Json, coding, &broken[..middle], 10, false), None);
            let _ = observed(Media::Json, coding, &broken, 10, true);
        }
    }

    #[test]
    fn a_bomb_is_left_alone() {
        let bomb = [&vec![b' '; 64 << 20][..], BODY].concat();
        let bomb = encoded(Coding::Gzip, &bomb);
        assert!(bomb.len() < 128 << 10, "{}", bomb.len());
        assert_eq!(observed(Media::Json, Coding::Gzip, &bomb, 16 << 10, true), None);
    }

    #[test]
    fn a_coding_that_is_not_read_leaves_no_observer() {
        for (value, read) in
            [("gzip", true), ("X-GZIP", true), ("deflate", true), ("br", false), ("zstd", false), ("gzip, gzip", false), ("", false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(Observer::of(Media::Json, &headers, RequestFormat::Openai, false).is_some(), read, "{value}");
        }
    }
}
