//! Behind step 7, where a limit counts tokens or money: a client that would take its reply in a coding which is not read here, such
//! as `br`, gets it in another. Or else whoever asks for such a coding would hide what it used.

use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT_ENCODING, Entry},
};

/// What stands in the field where nothing is left of it: without it a provider may choose.
const PLAIN: HeaderValue = HeaderValue::from_static("identity");

/// Leaves in `accept-encoding` the codings that are read; the field stays as it is where it has no others.
pub fn ask(headers: &mut HeaderMap) {
    let Entry::Occupied(mut field) = headers.entry(ACCEPT_ENCODING) else { return };
    let codings = || field.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    if codings().all(|coding| coding.is_empty() || is_readable(coding)) {
        return;
    }
    let readable = codings().filter(|coding| is_readable(coding)).collect::<Vec<_>>().join(&b", "[..]);
    let readable = HeaderValue::try_from(readable).ok().filter(|readable| !readable.is_empty());
    drop(field.insert_mult(readable.unwrap_or(PLAIN)));
}

/// Whether replies in this coding are read, whatever weight stands behind it (RFC 9110 §12.5.3).
fn is_readable(coding: &[u8]) -> bool {
    let name = coding.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    [&b"gzip"[..], b"x-gzip", b"deflate", b"identity"].iter().any(|readable| name.eq_ignore_ascii_case(readable))
}
