//! The escapes of the corpus.

/// The bytes that a text of the corpus stands for; `None` if it cannot be read.
pub(super) fn expand(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '\\' => escape(&rest[1..], &mut bytes)?,
            '{' => match long_run(rest, &mut bytes) {
                Some(after) => after,
                None => plain(rest, &mut bytes),
            },
            _ => plain(rest, &mut bytes),
        };
    }
    Some(bytes)
}

fn plain<'a>(text: &'a str, bytes: &mut Vec<u8>) -> &'a str {
    let end = text.char_indices().nth(1).map_or(text.len(), |(at, _)| at);
    bytes.extend_from_slice(&text.as_bytes()[..end]);
    &text[end..]
}

fn escape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let (byte, length) = match text.as_bytes().first()? {
        b'r' => (b'\r', 1),
        b'n' => (b'\n', 1),
        b't' => (b'\t', 1),
        b'0' => (0, 1),
        b'\\' => (b'\\', 1),
        b'x' => (u8::from_str_radix(text.get(1..3)?, 16).ok()?, 3),
        _ => return None,
    };
    bytes.push(byte);
    Some(&text[length..])
}

/// `{repeat N TEXT}`, `{bytes FROM TO}` and `{fields N}`; `None` for any other brace, which is just a brace.
fn long_run<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let (inside, after) = text[1..].split_once('}')?;
    let (word, arguments) = inside.split_once(' ')?;
    match word {
        "repeat" => {
            let (count, what) = arguments.split_once(' ')?;
            let what = expand(what)?;
            bytes.extend_from_slice(&what.repeat(count.parse().ok()?));
        }
        "bytes" => {
            let (from, to) = arguments.split_once(' ')?;
            bytes.extend(u8::from_str_radix(from, 16).ok()?..=u8::from_str_radix(to, 16).ok()?);
        }
        "fields" => {
            let fields: Vec<_> = (0..arguments.parse::<u32>().ok()?).map(|n| format!("X-Field-{n}: value {n}")).collect();
            bytes.extend_from_slice(fields.join("\r\n").as_bytes());
        }
        _ => return None,
    }
    Some(after)
}

/// Bytes without a pattern, the same in each run (xorshift).
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ length as u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn escapes_stand_for_their_bytes() {
    for (text, bytes) in [
        ("plain é", "plain é".as_bytes()),
        (r"a\r\n\t\0\\\xff", b"a\r\n\t\0\\\xff"),
        (r#"{"json":{}}"#, br#"{"json":{}}"#),
        ("{repeat 3 ab}c", b"abababc"),
        ("{bytes 61 63}", b"abc"),
        ("{fields 2}", b"X-Field-0: value 0\r\nX-Field-1: value 1"),
        ("{bytes}", b"{bytes}"),
    ] {
        assert_eq!(expand(text).as_deref(), Some(bytes), "{text}");
    }
    assert_eq!(expand(r"\q"), None);
}
