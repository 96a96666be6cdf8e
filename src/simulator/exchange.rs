//! One request as an onlooker sees it. It is reported exactly once, when its reply has ended or its reader has left.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use http::{Method, Request, StatusCode};

use super::{Provider, keys::Key};
use crate::types::Fingerprint;

/// What was seen of one request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The request's method.
    pub method: Method,
    /// The request's path, without its query.
    pub path: String,
    /// The model it asked for, where it named one.
    pub model: Option<String>,
    /// The key it came with.
    pub key: Option<Fingerprint>,
    /// The reply's status; `None` where the client left before there was one.
    pub status: Option<StatusCode>,
    /// Whether the reply was a stream.
    pub stream: bool,
    /// Tokens of the reply that were sent.
    pub tokens: usize,
    /// When the request's head was read.
    pub started: Instant,
    /// When the last byte of the reply was handed over, or the client's leaving was noticed.
    pub ended: Instant,
    /// How it ended.
    pub end: End,
    /// What the client called it, in `x-request-id`.
    pub request_id: Option<String>,
    /// Whether the provider went to work on it, which is what it bills.
    pub processed: bool,
}

impl Seen {
    /// From the request's head to the end.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.ended - self.started
    }
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The whole reply was handed over.
    Complete,
    /// A fault broke it off.
    Broken,
    /// The client left before the end.
    Cancelled,
}

/// Counts since the start; a request is in exactly one of `open`, `completed`, `broken` and `cancelled`.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    completed: AtomicU64,
    broken: AtomicU64,
    cancelled: AtomicU64,
    processed: AtomicU64,
}

impl Counters {
    /// Requests whose head was read.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Acquire)
    }

    /// Replies handed over to their end, errors included.
    #[must_use]
    pub fn completed(&self) -> u64 {
        self.completed.load(Ordering::Acquire)
    }

    /// Replies that a fault broke off.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.broken.load(Ordering::Acquire)
    }

    /// Requests whose client left before the end of the reply.
    #[must_use]
    pub fn cancelled(&self) -> u64 {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Requests that the provider went to work on, which is what it bills: all but refusals and errors.
    #[must_use]
    pub fn processed(&self) -> u64 {
        self.processed.load(Ordering::Acquire)
    }

    /// Requests without an end so far.
    #[must_use]
    pub fn open(&self) -> u64 {
        // The ends are read first: an exchange that ends between the reads must not make the difference negative.
        let ended = self.completed() + self.broken() + self.cancelled();
        self.requests().saturating_sub(ended)
    }

    fn of(&self, end: End) -> &AtomicU64 {
        match end {
            End::Complete => &self.completed,
            End::Broken => &self.broken,
            End::Cancelled => &self.cancelled,
        }
    }
}

/// Who is told of an exchange that has ended.
type Observer = Box<dyn FnMut(Seen) + Send>;

/// Where exchanges are counted and reported.
pub(super) struct Onlooker {
    pub(super) counters: Arc<Counters>,
    observer: Option<Mutex<Observer>>,
}

impl Onlooker {
    pub(super) fn new(counters: Arc<Counters>, observer: Option<Observer>) -> Self {
        Self { counters, observer: observer.map(Mutex::new) }
    }
}

/// One request on its way. Dropped before [`Exchange::finish`], it counts as cancelled.
pub(super) struct Exchange {
    provider: Arc<Provider>,
    key: Option<Arc<Key>>,
    /// Tokens of the prompt, once it has been let in.
    prompt: usize,
    /// `None` once it has been reported.
    seen: Option<Seen>,
}

impl Exchange {
    /// Begins with a request's head.
    pub(super) fn begin<B>(provider: &Arc<Provider>, request: &Request<B>, key: Option<Arc<Key>>) -> Self {
        provider.onlooker.counters.requests.fetch_add(1, Ordering::AcqRel);
        if let Some(key) = &key {
            key.tally.begin();
        }
        let now = Instant::now();
        let seen = Seen {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            model: None,
            key: key.as_ref().map(|key| key.fingerprint),
            status: None,
            stream: false,
            tokens: 0,
            started: now,
            ended: now,
            end: End::Cancelled,
            request_id: request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned),
            processed: false,
        };
        Self { provider: Arc::clone(provider), key, prompt: 0, seen: Some(seen) }
    }

    /// An exchange that is neither counted nor reported.
    pub(super) fn unseen(provider: &Arc<Provider>) -> Self {
        Self { provider: Arc::clone(provider), key: None, prompt: 0, seen: None }
    }

    /// Its prompt is let in, and will be counted.
    pub(super) fn charge(&mut self, prompt: usize) {
        self.prompt += prompt;
    }

    /// The provider goes to work on it; only the first call counts.
    pub(super) fn process(&mut self) {
        let Some(seen) = self.seen.as_mut().filter(|seen| !seen.processed) else { return };
        seen.processed = true;
        self.provider.onlooker.counters.processed.fetch_add(1, Ordering::AcqRel);
        if let Some(key) = &self.key {
            key.tally.process();
        }
    }

    /// Notes something down; after the end there is nothing left to note.
    pub(super) fn note(&mut self, write: impl FnOnce(&mut Seen)) {
        if let Some(seen) = &mut self.seen {
            write(seen);
        }
    }

    /// Since the request's head.
    pub(super) fn elapsed(&self) -> Duration {
        self.seen.as_ref().map_or(Duration::ZERO, |seen| seen.started.elapsed())
    }

    /// Ends it; only the first call counts.
    pub(super) fn finish(&mut self, end: End) {
        let Some(seen) = self.seen.take() else { return };
        let onlooker = &self.provider.onlooker;
        onlooker.counters.of(end).fetch_add(1, Ordering::AcqRel);
        if let Some(key) = &self.key {
            let limited = seen.status == Some(StatusCode::TOO_MANY_REQUESTS);
            key.tally.end(self.prompt + seen.tokens, limited, end == End::Cancelled);
        }
        if let Some(observer) = &onlooker.observer {
            observer.lock().unwrap_or_else(PoisonError::into_inner)(Seen { end, ended: Instant::now(), ..seen });
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // The reply to HEAD is its head: nobody reads its body.
        let headed = self.seen.as_ref().is_some_and(|seen| seen.method == Method::HEAD && seen.status.is_some());
        self.finish(if headed { End::Complete } else { End::Cancelled });
    }
}
