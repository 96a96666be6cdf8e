//! The access log: one JSON line a request, written by a thread of its own.
//!
//! A worker appends its line to a shared buffer and goes on; the writer takes the whole buffer twenty times a
//! second at most. So a request costs a short lock and no system call, a reader that hangs blocks nobody, and
//! memory is bounded: when the buffer is full, lines are dropped and counted.

use std::{
    cell::RefCell,
    fmt,
    io::Write,
    net::IpAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde::Serialize;

use super::ServerMetrics;

/// The most that waits for the writer, in bytes: a second's lines of about 16,000 requests a second.
const CAPACITY: usize = 8 << 20;

thread_local! {
    /// Where a worker writes a line out.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// How long the writer rests after each batch.
const REST: Duration = Duration::from_millis(50);

/// One request, as `docs/access-log.md` lists the fields. What is not known is left out.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    /// When the request's head came, RFC 3339 in UTC with milliseconds.
    pub time: Timestamp,
    /// The id that the client sent, or ours.
    pub request_id: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path without the query, which may hold credentials.
    pub path: &'a str,
    /// The status that went down; 499 if the client left before one did.
    pub status: u16,
    /// The client's name, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<&'a str>,
    /// The client's tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<&'a str>,
    /// The client's address; absent on a Unix socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The route's path prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    /// The provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'a str>,
    /// The fingerprint of the pool's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a str>,
    /// The name of the pool's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_name: Option<&'a str>,
    /// The model that was asked for, at most 256 bytes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Attempts made.
    pub attempts: u32,
    /// Bytes of the request's body that were sent up.
    pub bytes_in: u64,
    /// Bytes of the reply's body that were handed down.
    pub bytes_out: u64,
    /// From head to end, milliseconds.
    pub duration_ms: f64,
    /// From sending to the provider's first byte, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<f64>,
    /// What Sidegate itself added before the first byte, milliseconds.
    pub overhead_ms: f64,
    /// `complete`, `left`, `truncated` or `rejected`.
    pub end: &'static str,
    /// The code of our own error, or why a reply was truncated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    /// Why the provider gave no reply, such as `resolve`, `connect_refused`, `first_byte_timeout`, `tls` or
    /// `certificate_{expired,not_yet_valid,wrong_name,untrusted,invalid}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<&'a str>,
}

/// A moment of the wall clock, printed as RFC 3339.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp(pub std::time::SystemTime);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
        // Days to year, month and day in the proleptic Gregorian calendar, counted from 1 March of year 0, so that
        // the leap day is a year's last.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    closed: bool,
}

struct Shared {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    metrics: ServerMetrics,
}

impl Shared {
    /// The lock guards plain bytes: after a panic elsewhere they are at worst half a line.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle to the log. Clones write to the same place; [`Self::close`] ends the writer after the last line.
#[derive(Clone)]
pub struct AccessLog(Arc<Shared>);

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessLog")
    }
}

impl AccessLog {
    /// Starts the writer's thread.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub fn start(output: Box<dyn Write + Send>, metrics: ServerMetrics) -> std::io::Result<(Self, thread::JoinHandle<()>)> {
        let shared = Arc::new(Shared { waiting: Mutex::default(), filled: Condvar::new(), metrics });
        let log = Self(Arc::clone(&shared));
        let thread = thread::Builder::new().name("access-log".to_owned()).spawn(move || write_batches(&shared, output))?;
        Ok((log, thread))
    }

    /// Appends one line, or drops and counts it when the writer is too far behind.
    pub fn write(&self, entry: &Entry<'_>) {
        // Written out before the lock is taken, since all workers share it.
        LINE.with_borrow_mut(|line| {
            line.clear();
            let written = serde_json::to_writer(&mut *line, entry).is_ok();
            line.push(b'\n');
            if !(written && self.append(line)) {
                self.0.metrics.log_dropped.increment(1);
            }
        });
    }

    fn append(&self, line: &[u8]) -> bool {
        let mut waiting = self.0.lock();
        let before = waiting.lines.len();
        if before + line.len() > CAPACITY {
            return false;
        }
        waiting.lines.extend_from_slice(line);
        drop(waiting);
        // The writer sleeps only over an empty buffer, so only the line that fills it need wake it.
        if before == 0 {
            self.0.filled.notify_one();
        }
        true
    }

    /// Lets the writer end once everything is written.
    pub fn close(&self) {
        self.0.lock().closed = true;
        self.0.filled.notify_one();
    }
}

fn write_batches(shared: &Shared, mut output: Box<dyn Write + Send>) {
    let mut batch = Vec::new();
    loop {
        let mut waiting = shared.lock();
        while waiting.lines.is_empty() && !waiting.closed {
            waiting = shared.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        if waiting.lines.is_empty() {
            return;
        }
        std::mem::swap(&mut batch, &mut waiting.lines);
        let closed = waiting.closed;
        drop(waiting);
        if output.write_all(&batch).and_then(|()| output.flush()).is_err() {
            let lines = memchr::memchr_iter(b'\n', &batch).count();
            shared.metrics.log_dropped.increment(lines as u64);
        }
        batch.clear();
        batch.shrink_to(CAPACITY / 64);
        if !closed {
            thread::sleep(REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn moments_are_printed_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_709_251_199, "2024-02-29T23:59:59.007Z"),
            (1_709_251_200, "2024-03-01T00:00:00.007Z"),
            (4_102_444_800, "2100-01-01T00:00:00.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(Timestamp(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(7)).to_string(), text);
        }
    }
}
