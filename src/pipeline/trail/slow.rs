//! The line about a request that took long: all that is known of its course.

use std::time::{Duration, Instant};

use super::Course;
use crate::telemetry::access_log::Entry;

impl Course {
    /// The time of it that would be slow: of a streamed reply that until its head, since a stream lasts as long as it has something
    /// to say; of any other, also of one that never came, all of it.
    fn counted(&self, whole: Duration) -> Duration {
        let head = self.last.as_ref().and_then(|attempt| attempt.head);
        match head.filter(|_| self.is_live || self.ask.stream) {
            Some(head) => head.saturating_duration_since(self.received),
            None => whole,
        }
    }

    /// Writes the line if it took longer than the config allows.
    pub(super) fn tell_if_slow(&self, entry: &Entry<'_>) {
        let Some(slow) = self.slow else { return };
        let counted = self.counted(entry.duration);
        if counted < slow.0 {
            return;
        }
        let Some(untold) = self.runtime.slow.take(Instant::now()) else { return };
        let at = |moment: Instant| millis(moment.saturating_duration_since(self.received));
        let (sent, head) = self.last.as_ref().map(|attempt| (attempt.sent, attempt.head)).unzip();
        tracing::warn!(
            request_id = entry.request_id,
            trace_id = entry.trace_id,
            method = entry.method,
            path = entry.path,
            status = entry.status,
            client = entry.client,
            route = entry.route,
            provider = entry.provider,
            key = entry.key,
            model = entry.model,
            stream = entry.stream,
            attempts = entry.attempts,
            tokens_in = entry.tokens_in,
            tokens_out = entry.tokens_out,
            bytes_in = entry.bytes_in,
            bytes_out = entry.bytes_out,
            counted_ms = millis(counted),
            waited_for_body_ms = millis(self.waited),
            sent_after_ms = sent.map(at),
            head_after_ms = head.flatten().map(at),
            duration_ms = millis(entry.duration),
            overhead_ms = millis(entry.overhead),
            end = entry.end,
            error = entry.error,
            failure = entry.failure,
            untold = Some(untold).filter(|untold| *untold > 0),
            "a slow request"
        );
    }
}

/// To the microsecond, as the access log has it.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1_000.0
}
