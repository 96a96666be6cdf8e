//! The access log: one JSON line a request, written by a thread of its own.
//!
//! A worker appends its line to a shared buffer and goes on; the writer takes the whole buffer twenty times a
//! second at most. So a request costs a short lock and no system call, a reader that hangs blocks nobody, and
//! memory is bounded: when the buffer is full, lines are dropped and counted.

mod entry;
mod line;

use std::{
    cell::RefCell,
    fmt,
    io::Write,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

pub use entry::Entry;
use line::Line;
pub use line::Timestamp;

use super::ServerMetrics;

/// The most that waits for the writer, in bytes: a second's lines of about 16,000 requests a second.
const CAPACITY: usize = 8 << 20;

thread_local! {
    /// Where a worker writes a line out.
    static LINE: RefCell<Line> = RefCell::default();
}

/// How long the writer rests after each batch.
const REST: Duration = Duration::from_millis(50);

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
            if !self.append(line.of(entry)) {
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
