//! `trace:` and `log:`.

use http::{HeaderName, HeaderValue};

use super::Review;
use crate::config::{Config, log::MOST_DECISIONS, path::field, problem::Fault};

/// More than a collector asks for.
const MAX_HEADERS: usize = 16;

/// What a header field of ours may not be: they are written by the exporter itself.
const OURS: [&str; 5] = ["host", "content-length", "content-type", "connection", "transfer-encoding"];

pub(super) fn check(review: &mut Review<'_>, config: &Config) {
    if let Some(slow) = config.log.slow {
        review.period(&field!["log", "slow"], slow);
    }
    if config.log.decisions > MOST_DECISIONS {
        let fault = Fault::new("so many decisions are not kept", format!("write at most {MOST_DECISIONS}, or 0 for none"));
        review.value(&field!["log", "decisions"], fault);
    }
    let Some(otlp) = &config.trace.otlp else { return };
    if otlp.headers.len() > MAX_HEADERS {
        let fault = Fault::new("so many fields are not sent with each request", format!("write at most {MAX_HEADERS}"));
        review.value(&field!["trace", "otlp", "headers"], fault);
    }
    for (at, header) in otlp.headers.iter().enumerate() {
        let path = field!["trace", "otlp", "headers", at];
        let name = HeaderName::from_bytes(header.name.as_bytes());
        if !name.is_ok_and(|name| !OURS.contains(&name.as_str())) {
            let fault = Fault::new("this is no name of a field that can be sent", "write one such as `authorization` or `x-api-key`");
            review.value(&path.then("name"), fault);
        }
        if header.value.0.expose().is_empty() || HeaderValue::from_str(header.value.0.expose()).is_err() {
            let fault = Fault::new("this is empty, or holds bytes that no header may hold", "write printable ASCII in one line");
            review.value(&path.then("value"), fault);
        }
    }
    if otlp.service.is_empty() || otlp.service.len() > 255 {
        let fault = Fault::new("a service has a name of 1 to 255 bytes", "write one such as `sidegate`");
        review.value(&field!["trace", "otlp", "service"], fault);
    }
}
