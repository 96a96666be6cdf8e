//! Just enough of HTTP/2 to say what the `h2` crate would refuse to say: raw frames and literal fields.

use crate::support::{Client, within};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// A field as it goes over the wire.
pub(super) type RawField<'a> = (&'a [u8], &'a [u8]);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame's length").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal field without indexing and without Huffman coding (RFC 7541 §6.2.2).
fn literal((name, value): &RawField<'_>) -> Vec<u8> {
    [&[0], integer(name.len()).as_slice(), name, &integer(value.len()), value].concat()
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn integer(mut value: usize) -> Vec<u8> {
    if value < 127 {
        return vec![value as u8];
    }
    let mut bytes = vec![127];
    value -= 127;
    while value >= 128 {
        bytes.push((value % 128 + 128) as u8);
        value /= 128;
    }
    bytes.push(value as u8);
    bytes
}

/// Preface, settings, and one request on stream 1 with these fields and this body.
pub(super) fn request(fields: &[RawField<'_>], body: Option<&[u8]>) -> Vec<u8> {
    let block: Vec<u8> = fields.iter().flat_map(literal).collect();
    let end = if body.is_none() { END_STREAM } else { 0 };
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let mut parts = block.chunks(16_000).enumerate().peekable();
    while let Some((n, part)) = parts.next() {
        let last = if parts.peek().is_none() { END_HEADERS } else { 0 };
        let (kind, flags) = if n == 0 { (HEADERS, end | last) } else { (CONTINUATION, last) };
        bytes.extend(frame(kind, flags, 1, part));
    }
    bytes.extend(body.map(|body| frame(DATA, END_STREAM, 1, body)).unwrap_or_default());
    bytes
}

/// What became of stream 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// A reply whose head begins with this byte; 0x88 is `:status: 200` (RFC 7541 appendix A).
    Replied(u8),
    Reset,
    /// The whole connection went.
    ConnectionGone,
}

impl Fate {
    pub(super) fn is_refusal(&self) -> bool {
        *self != Self::Replied(0x88)
    }
}

/// Reads frames until one says what became of stream 1.
pub(super) async fn fate(client: &mut Client) -> Fate {
    loop {
        while client.wire.buffer.len() < 9 || client.wire.buffer.len() < 9 + length(&client.wire.buffer) {
            if !matches!(within("a frame", client.wire.fill()).await, Ok(1..)) {
                return Fate::ConnectionGone;
            }
        }
        let length = length(&client.wire.buffer);
        let frame = client.wire.buffer.split_to(9 + length);
        match (frame[3], u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]])) {
            (HEADERS, 1) => return Fate::Replied(reply_start(&frame)),
            (RST_STREAM, 1) => return Fate::Reset,
            (GOAWAY, _) => return Fate::ConnectionGone,
            (SETTINGS, _) if frame[4] & ACK == 0 => client.send(self::frame(SETTINGS, ACK, 0, &[])).await,
            _ => {}
        }
    }
}

/// The first byte of a field block that is a field, after updates of the table's size (RFC 7541 §6.3).
fn reply_start(frame: &[u8]) -> u8 {
    frame[9..].iter().copied().find(|byte| byte & 0xe0 != 0x20).unwrap_or(0)
}

fn length(frame: &[u8]) -> usize {
    u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize
}
