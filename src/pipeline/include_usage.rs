//! Behind step 7, where a limit counts tokens or money: a stream of chat completions that would not tell what it used is asked to.
//!
//! The client's bytes stay, with one member more between them. A body that may not be changed goes up as it came, and so does one
//! that is not held whole: then what the stream says is counted instead.

use super::{
    admit::Admitted,
    fields::{Present, body_may_change},
    trail::Trail,
};
use crate::{
    provider::splice::{self, Splice},
    types::Ask,
    upstream::Upload,
};

/// The body as it goes up: with that member, where the usage is of interest and the client has not asked for it. Then the chunk
/// that tells it is none of the client's.
#[must_use]
pub fn ask(request: &Admitted, mut upload: Upload, trail: &mut Trail) -> Upload {
    if trail.counts()
        && let Some(splice) = splice_in(request.present, trail.ask(), &mut upload)
    {
        // What else is put into the body is put where it stands now.
        trail.moved(|place| splice.moved(place));
        trail.unasked();
    }
    upload
}

fn splice_in(present: Present, ask: &Ask, upload: &mut Upload) -> Option<Splice> {
    if !ask.stream || !body_may_change(present) {
        return None;
    }
    let body = upload.whole()?;
    let splice = splice::include_usage(body, ask.stream_options.as_ref())?;
    let spliced = splice.apply(body);
    upload.replace(spliced);
    Some(splice)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::provider::reader;

    const BODY: &str = r#"{"model":"m","stream":true}"#;

    /// What goes up, if it was asked for.
    fn asked(fields: &[(&'static str, &'static str)], body: &'static str, trailers: Option<HeaderMap>) -> Option<String> {
        let headers: HeaderMap =
            fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        let mut upload = Upload::held(Bytes::from(body), trailers);
        let read = reader::read(body.as_bytes()).unwrap();
        if splice_in(Present::read(&headers), &read, &mut upload).is_none() {
            assert!(upload.whole().is_none_or(|whole| whole == body), "it stays as it is");
            return None;
        }
        assert_eq!(upload.length(), upload.whole().map(|whole| whole.len() as u64), "its length is that of what goes up");
        Some(String::from_utf8(upload.whole()?.to_vec()).unwrap())
    }

    #[test]
    fn a_stream_is_asked_for_its_usage() {
        let spliced = asked(&[("content-type", "application/json")], BODY, None);
        assert_eq!(spliced.as_deref(), Some(r#"{"stream_options":{"include_usage":true},"model":"m","stream":true}"#));
    }

    #[test]
    fn what_is_no_stream_or_has_asked_stays_as_it_is() {
        for body in [r#"{"model":"m"}"#, r#"{"stream":false}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#] {
            assert_eq!(asked(&[], body, None), None, "{body}");
        }
    }

    #[test]
    fn a_body_that_was_digested_signed_or_encoded_stays_as_it_is() {
        for name in ["content-digest", "signature", "content-encoding"] {
            assert_eq!(asked(&[(name, "x")], BODY, None), None, "{name}");
        }
        let trailers = HeaderMap::from_iter([(HeaderName::from_static("content-digest"), HeaderValue::from_static("x"))]);
        assert_eq!(asked(&[], BODY, Some(trailers)), None, "what is told behind it");
    }
}
