//! The one list of what may differ between what is sent and what arrives. `docs/transparency.md` says the same in
//! prose; everything that is not here must be equal.

use crate::support::wire::{Field, Head};

/// Fields that end at each hop (RFC 9110 §7.6.1), both ways, besides those that `Connection` names.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Fields of a request that Sidegate takes for itself or replaces: where it goes, with whose credentials, for whom.
const REPLACED_IN_REQUESTS: &[&str] = &[
    "host",
    "expect",
    "authorization",
    "cookie",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "openai-organization",
    "openai-project",
    "x-forwarded-for",
    "x-api-tier",
    "x-region",
    "x-priority",
];

/// Whether Sidegate may put this field on a reply that came without it.
fn added_to_replies(name: &[u8]) -> bool {
    name == b"x-request-id" || name.starts_with(b"x-sidegate-")
}

/// What a list of fields means, in a form in which two lists can be compared: names in small letters, equal names
/// regrouped behind their first (a list of fields has no other order: RFC 9110 §5.3).
fn canonical(fields: &[Field]) -> Vec<Field> {
    let mut grouped: Vec<Field> = Vec::new();
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        let after_equals = grouped.iter().rposition(|(other, _)| *other == name).map_or(grouped.len(), |last| last + 1);
        grouped.insert(after_equals, (name, value.clone()));
    }
    grouped
}

fn without(fields: Vec<Field>, names: &[&str]) -> Vec<Field> {
    let nominated = nominated(&fields);
    let goes =
        |name: &[u8]| names.iter().chain(HOP_BY_HOP).any(|other| other.as_bytes() == name) || nominated.iter().any(|other| other == name);
    fields.into_iter().filter(|(name, _)| !goes(name)).collect()
}

/// The names that `Connection` lists, in small letters.
pub(crate) fn nominated(fields: &[Field]) -> Vec<Vec<u8>> {
    let lists = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"));
    lists.flat_map(|(_, value)| value.split(|byte| *byte == b',')).map(|token| token.trim_ascii().to_ascii_lowercase()).collect()
}

fn is_chunked(fields: &[Field]) -> bool {
    fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"transfer-encoding"))
}

/// How a request arrived differently, if it did; `h2` when either side spoke HTTP/2.
pub(crate) fn request_difference(sent: &[Field], arrived: &[Field], h2: bool) -> Option<String> {
    let end_to_end = |fields: &[Field]| without(canonical(fields), REPLACED_IN_REQUESTS);
    let (mut expected, mut actual) = (end_to_end(sent), end_to_end(arrived));
    // A chunked body that was read whole may go on with its length.
    if is_chunked(sent) || h2 {
        expected.retain(|(name, _)| name != b"content-length");
        actual.retain(|(name, _)| name != b"content-length");
    }
    difference(&expected, &actual)
}

/// How a reply with this head arrived differently, if it did.
pub(crate) fn reply_difference(sent: &Head, arrived: &[Field]) -> Option<String> {
    // The length of what 304 stands for may be left out (RFC 9110 §8.6).
    let dropped: &[&str] = if sent.status() == 304 { &["content-length"] } else { &[] };
    let expected = without(canonical(&sent.fields), dropped);
    let mut actual = without(canonical(arrived), dropped);
    actual.retain(|(name, _)| !added_to_replies(name) || expected.iter().any(|(other, _)| other == name));
    // Ours stands behind the provider's.
    if actual.iter().rfind(|(name, _)| name == b"server-timing").is_some_and(|(_, value)| value.starts_with(b"sidegate;dur=")) {
        let ours = actual.iter().rposition(|(name, _)| name == b"server-timing").unwrap();
        actual.remove(ours);
    }
    difference(&expected, &actual)
}

/// A status line as our own hop says it: our version of HTTP, and the blank that must stand before a reason, even
/// before none (RFC 9112 §4). A reason with bytes beyond ASCII is left out: it has no charset.
pub(crate) fn status_line(line: &[u8]) -> Vec<u8> {
    let reason = line.get(13..).filter(|reason| reason.is_ascii()).unwrap_or_default();
    [b"HTTP/1.1", &line[8..12], b" ", reason].concat()
}

/// The first field in which two lists differ.
pub(crate) fn difference(expected: &[Field], actual: &[Field]) -> Option<String> {
    let at = (0..expected.len().max(actual.len())).find(|at| expected.get(*at) != actual.get(*at))?;
    let show = |field: Option<&Field>| match field {
        Some((name, value)) => format!("`{}: {}`", name.escape_ascii(), crate::support::show(value)),
        None => "nothing".to_owned(),
    };
    Some(format!("{} became {}", show(expected.get(at)), show(actual.get(at))))
}

/// How a body arrived differently, if it did.
pub(crate) fn body_difference(sent: &[u8], arrived: &[u8]) -> Option<String> {
    if sent == arrived {
        return None;
    }
    let at = sent.iter().zip(arrived).take_while(|(a, b)| a == b).count();
    Some(format!("a body of {} bytes became one of {}, different from byte {at} on", sent.len(), arrived.len()))
}
