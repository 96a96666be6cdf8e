//! Spans on their way to a collector. A worker hands one over and goes on: what waits is bounded, and beyond that dropped and
//! counted.

pub mod encode;
pub mod names;

use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use super::metrics::SpanMetrics;
use crate::types::{SpanId, TraceContext};

/// The most spans that wait for the collector: one has about a kilobyte.
const CAPACITY: usize = 2_048;

/// One request, as a collector is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// What it is called.
    pub name: String,
    /// The trace, and its own id.
    pub context: TraceContext,
    /// The span that it stands in.
    pub parent: Option<SpanId>,
    /// When the request's head came.
    pub start: SystemTime,
    /// From there to its end.
    pub duration: Duration,
    /// What is known of it, by the names of [`names`].
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Whether something went wrong.
    pub failed: bool,
}

/// Something known.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// A text.
    Text(Box<str>),
    /// A count.
    Number(u64),
    /// A time.
    Seconds(f64),
    /// Yes or no.
    Flag(bool),
}

/// Where spans are handed over. Clones are the same place.
#[derive(Clone, Debug)]
pub struct Spans {
    hand: mpsc::Sender<Span>,
    metrics: SpanMetrics,
}

impl Spans {
    /// The place, and the end at which they come out.
    #[must_use]
    pub fn new(metrics: SpanMetrics) -> (Self, mpsc::Receiver<Span>) {
        let (hand, waiting) = mpsc::channel(CAPACITY);
        (Self { hand, metrics }, waiting)
    }

    /// Hands one over; where too many wait, it is dropped and counted.
    pub fn push(&self, span: Span) {
        if self.hand.try_send(span).is_err() {
            self.metrics.dropped.increment(1);
        }
    }
}
