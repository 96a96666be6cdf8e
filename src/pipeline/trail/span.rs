//! Our span of a request, made from its trail when that is at its end.

use super::Course;
use crate::telemetry::{
    access_log::Entry,
    trace::{Attribute, Span, names},
};

impl Course {
    /// Hands the span over, where it is to be told of.
    pub(super) fn tell_span(&self, entry: &Entry<'_>) {
        let Some((context, parent)) = self.traced.exported() else { return };
        let provider = self.last.as_ref().map(|attempt| &attempt.provider);
        let operation = names::operation(entry.path);
        // A caller's 4xx is an error of a client's span too (semantic conventions for HTTP spans).
        let of_status = (entry.status >= 400).then(|| entry.status.to_string());
        let error = entry.failure.or(entry.error).map(str::to_owned).or(of_status);
        let name = match (operation, entry.model) {
            (Some(operation), Some(model)) => format!("{operation} {model}"),
            (Some(operation), None) => operation.to_owned(),
            (None, _) => [entry.method, entry.route.unwrap_or_default()].join(" ").trim_end().to_owned(),
        };
        let texts = [
            (names::OPERATION, operation),
            (names::PROVIDER, provider.map(|provider| names::provider(provider.dialect))),
            (names::MODEL, entry.model),
            (names::ADDRESS, provider.map(|provider| provider.endpoint.url.host())),
            (names::METHOD, Some(entry.method)),
            (names::ERROR, error.as_deref()),
            (names::REQUEST_ID, Some(entry.request_id)),
            (names::ROUTE, entry.route),
            (names::TARGET, entry.provider),
            (names::CLIENT, entry.client),
            (names::KEY, entry.key),
            (names::CACHE, entry.cache),
            (names::END, Some(entry.end)),
        ];
        let numbers = [
            (names::INPUT_TOKENS, entry.tokens_in),
            (names::OUTPUT_TOKENS, entry.tokens_out),
            (names::PORT, provider.map(|provider| provider.endpoint.url.port().into())),
            (names::STATUS, Some(entry.status.into())),
            (names::ATTEMPTS, Some(entry.attempts.into())),
            (names::BYTES_IN, Some(entry.bytes_in)),
            (names::BYTES_OUT, Some(entry.bytes_out)),
        ];
        let seconds = [(names::FIRST_BYTE, entry.first_byte), (names::OVERHEAD, Some(entry.overhead))];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, Attribute::Text(text?.into()))));
        let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, Attribute::Number(number?))));
        let seconds = seconds.into_iter().filter_map(|(name, time)| Some((name, Attribute::Seconds(time?.as_secs_f64()))));
        let stream = entry.model.map(|_| (names::STREAM, Attribute::Flag(entry.stream)));
        self.runtime.spans.push(Span {
            name,
            context,
            parent,
            start: entry.time,
            duration: entry.duration,
            attributes: texts.chain(numbers).chain(seconds).chain(stream).collect(),
            failed: error.is_some(),
        });
    }
}
