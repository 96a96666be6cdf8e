//! Which trace a request is part of, and what the provider sees of that: W3C Trace Context, as `trace:` in the config wants it.
//!
//! A request without a trace costs one look at a bit. Random numbers are drawn only where an id is made.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::fields::Present;
use crate::{
    config::{Propagate, Trace},
    types::{SpanId, TraceContext, TraceId, fields::retain},
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A request's place among traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// The trace, and the span in it that asks for what the provider does: ours, or the caller's where we have none.
    context: Option<TraceContext>,
    /// The caller's span.
    parent: Option<SpanId>,
    /// Whether the span of `context` is ours.
    is_ours: bool,
    /// Whether our span is to be told of.
    is_exported: bool,
    up: Up,
}

/// What goes up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Up {
    /// The fields as they came.
    #[default]
    AsItCame,
    /// The context, and the client's `tracestate` if it belongs to it.
    Context { with_state: bool },
    /// Neither field.
    Nothing,
}

impl Traced {
    /// Reads what came, and decides what is made of it.
    #[must_use]
    pub fn of(headers: &HeaderMap, present: Present, settings: &Trace) -> Self {
        let came = present.has(Present::TRACE);
        if !came && !settings.create && settings.otlp.is_none() {
            return Self::default();
        }
        let incoming = if came { read(headers) } else { None };
        let is_malformed = incoming.is_none() && came && headers.contains_key(&TRACEPARENT);
        let propagate = settings.propagate();
        let begins = incoming.is_none() && (settings.create || is_malformed && propagate == Propagate::Continue);
        let new_trace = || TraceId::from_bits(u128::from(fastrand::u64(..)) << 64 | u128::from(fastrand::u64(..)));
        let is_exported = settings.otlp.as_ref().is_some_and(|otlp| match incoming {
            Some(incoming) => incoming.is_sampled(),
            None => fastrand::f64() < otlp.sample.fraction(),
        });
        let is_ours = begins || is_exported || incoming.is_some() && propagate == Propagate::Continue;
        let span = SpanId::from_bits(if is_ours { fastrand::u64(..) } else { 1 });
        let context = match incoming {
            Some(incoming) if is_ours => Some(incoming.with_span(span)),
            Some(incoming) => Some(incoming),
            None => is_ours.then(|| TraceContext::new(new_trace(), span, is_exported)),
        };
        let up = match propagate {
            Propagate::Drop if came => Up::Nothing,
            Propagate::Drop => Up::AsItCame,
            _ if begins => Up::Context { with_state: false },
            Propagate::Continue if incoming.is_some() => Up::Context { with_state: true },
            Propagate::Continue | Propagate::Pass => Up::AsItCame,
        };
        Self { context, parent: incoming.map(|incoming| incoming.span), is_ours, is_exported, up }
    }

    /// Puts what the provider is to see into the head that goes up.
    pub fn apply(&self, headers: &mut HeaderMap) {
        match (self.up, self.context) {
            (Up::AsItCame, _) | (Up::Context { .. }, None) => {}
            (Up::Nothing, _) => leave_out(headers, &[TRACEPARENT, TRACESTATE]),
            (Up::Context { with_state }, Some(context)) => {
                // invariant: hex digits and dashes. In the place of the one that came, if one did.
                if let Ok(value) = HeaderValue::from_bytes(&context.to_text()) {
                    headers.insert(TRACEPARENT, value);
                }
                if !with_state {
                    leave_out(headers, &[TRACESTATE]);
                }
            }
        }
    }

    /// The trace, if the request is part of one.
    #[must_use]
    pub fn trace(&self) -> Option<TraceId> {
        self.context.map(|context| context.trace)
    }

    /// Our own span, if there is one.
    #[must_use]
    pub fn span(&self) -> Option<SpanId> {
        self.context.filter(|_| self.is_ours).map(|context| context.span)
    }

    /// The span of ours that is to be told of, and what it stands in: the trace, itself, and the caller's span.
    #[must_use]
    pub fn exported(&self) -> Option<(TraceContext, Option<SpanId>)> {
        self.context.filter(|_| self.is_exported).map(|context| (context, self.parent))
    }
}

/// The one `traceparent` that counts; two are none.
fn read(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(&TRACEPARENT).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { TraceContext::parse(first.as_bytes()) }
}

fn leave_out(headers: &mut HeaderMap, names: &[HeaderName]) {
    if names.iter().any(|name| headers.contains_key(name)) {
        *headers = retain(std::mem::take(headers), |name| !names.contains(name));
    }
}

#[cfg(test)]
mod tests;
