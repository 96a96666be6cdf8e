//! `multipart/form-data` (RFC 7578), as SDKs send files: parts that are slices of the body, never copies.

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use memchr::memmem;

/// More parts than any endpoint reads.
const MOST_PARTS: usize = 64;

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The field's name; SDKs write `file`, `image[]`, `timestamp_granularities[]`.
    pub(super) name: String,
    /// The file's name, where the part is a file.
    pub(super) filename: Option<String>,
    /// What was sent.
    pub(super) content: Bytes,
}

/// The boundary that a request declares, where its body is a form.
pub(super) fn boundary(headers: &HeaderMap) -> Option<&str> {
    let (kind, parameters) = headers.get(CONTENT_TYPE)?.to_str().ok()?.split_once(';')?;
    kind.trim().eq_ignore_ascii_case("multipart/form-data").then_some(())?;
    parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary=")).map(|text| text.trim_matches('"'))
}

/// The parts of `body`; an error says what is wrong with it.
pub(super) fn parse(body: &Bytes, boundary: &str) -> Result<Vec<Part>, &'static str> {
    let delimiter = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let mut at = memmem::find(body, delimiter.as_bytes()).ok_or("its boundary is not there")? + delimiter.len();
    let mut parts = Vec::new();
    while !body[at..].starts_with(b"--") {
        if parts.len() == MOST_PARTS {
            return Err("it has too many parts");
        }
        let end = at + memmem::find(&body[at..], between.as_bytes()).ok_or("its last part has no end")?;
        let head_end = at + memmem::find(&body[at..end], b"\r\n\r\n").ok_or("a part has no head")?;
        let head = std::str::from_utf8(&body[at..head_end]).map_err(|_| "a part's head is no text")?;
        let name = attribute(head, "name").ok_or("a part has no name")?;
        parts.push(Part { name, filename: attribute(head, "filename"), content: body.slice(head_end + 4..end) });
        at = end + between.len();
    }
    Ok(parts)
}

/// `name="value"` in a part's head.
fn attribute(head: &str, name: &str) -> Option<String> {
    let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let (_, rest) = disposition.split_once(&format!("; {name}="))?;
    let value = rest.strip_prefix('"').map_or_else(|| rest.split(';').next(), |quoted| quoted.split('"').next())?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_they_were_sent() {
        let body = Bytes::from_static(
            b"--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
              --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.jsonl\"\r\nContent-Type: x/y\r\n\r\n{}\r\n\r\n{}\r\n--b--\r\n",
        );
        let parts = parse(&body, "b").unwrap();
        assert_eq!((parts[0].name.as_str(), &parts[0].content[..], parts[0].filename.as_deref()), ("purpose", &b"batch"[..], None));
        assert_eq!((parts[1].filename.as_deref(), &parts[1].content[..]), (Some("a b.jsonl"), &b"{}\r\n\r\n{}"[..]));
    }

    #[test]
    fn a_broken_form_is_an_error_and_no_panic() {
        let whole = b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--\r\n";
        for end in 0..whole.len() - 4 {
            assert!(parse(&Bytes::copy_from_slice(&whole[..end]), "b").is_err(), "{end}");
        }
        assert!(parse(&Bytes::from(b"--b\r\nx\r\n\r\n".repeat(100)), "b").is_err());
    }
}
