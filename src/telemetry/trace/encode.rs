//! Spans in the JSON of OTLP 1.x: ids in hex, enums and times as the protobuf mapping has them (OTLP, "JSON Protobuf Encoding").

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Attribute, Span};

/// `SPAN_KIND_CLIENT`: towards the provider.
const CLIENT: u8 = 3;

/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The bits of `Span.flags` that say that it is known whether the parent is of another process, and that it is.
const REMOTE_PARENT: u32 = 0x300;

/// The body of a request to a collector.
#[must_use]
pub fn request(spans: &[Span], service: &str) -> Vec<u8> {
    let resource = [attribute("service.name", text(service)), attribute("service.version", text(env!("CARGO_PKG_VERSION")))];
    let scope = json!({ "name": "sidegate", "version": env!("CARGO_PKG_VERSION") });
    let spans: Vec<Value> = spans.iter().map(span).collect();
    let all = json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }] });
    all.to_string().into_bytes()
}

fn span(span: &Span) -> Value {
    let Span { name, context, parent, start, duration, attributes, failed } = span;
    let attributes: Vec<Value> = attributes.iter().map(|(name, value)| attribute(name, self::value(value))).collect();
    let mut told = json!({
        "traceId": context.trace.hex().as_str(),
        "spanId": context.span.hex().as_str(),
        "name": name,
        "kind": CLIENT,
        "startTimeUnixNano": nanos(*start),
        "endTimeUnixNano": nanos(*start + *duration),
        "attributes": attributes,
        "status": if *failed { json!({ "code": ERROR }) } else { json!({}) },
    });
    if let Some(parent) = parent {
        told["parentSpanId"] = parent.hex().as_str().into();
        told["flags"] = (REMOTE_PARENT | u32::from(context.is_sampled())).into();
    }
    told
}

/// A 64-bit number is a text in protobuf's JSON.
fn nanos(time: SystemTime) -> String {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

fn attribute(name: &str, value: Value) -> Value {
    json!({ "key": name, "value": value })
}

fn text(text: &str) -> Value {
    json!({ "stringValue": text })
}

fn value(value: &Attribute) -> Value {
    match value {
        Attribute::Text(text) => self::text(text),
        Attribute::Number(number) => json!({ "intValue": number.to_string() }),
        Attribute::Seconds(seconds) => json!({ "doubleValue": seconds }),
        Attribute::Flag(flag) => json!({ "boolValue": flag }),
    }
}
