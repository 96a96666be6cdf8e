//! What each connection is doing, so that one sweep a second can close those that do nothing. A timer for each request
//! would cost more than the rest of the bookkeeping together.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::Pin,
    rc::{Rc, Weak},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use http_body::{Body, Frame, SizeHint};

use super::{
    drain::{Drain, Phase},
    guard::Refused,
};
use crate::{config::Listen, runtime::Runtime, types::Period};

/// How often connections are looked at, and so how late a timeout may be.
const SWEEP: Duration = Duration::from_secs(1);

/// How often connections are looked at once the listener is closed.
const WIND_DOWN: Duration = Duration::from_millis(100);

/// How long a connection that was accepted last may take to its first request once the listener is closed.
const FIRST: Duration = Duration::from_secs(2);

/// How a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// After what it is doing.
    Gracefully,
    /// Now.
    Now,
}

/// Whether what is written to a connection moves.
#[derive(Debug, Default)]
pub struct Writes {
    /// When the write began that the other side leaves no room for.
    stuck_since: Cell<Option<Instant>>,
}

impl Writes {
    /// Whether the last write found no room.
    #[must_use]
    pub fn are_stuck(&self) -> bool {
        self.stuck_since.get().is_some()
    }

    /// A write was tried: bytes moved, or found no room.
    pub fn note(&self, moved: bool) {
        match (moved, self.stuck_since.get()) {
            (false, None) => self.stuck_since.set(Some(Instant::now())),
            (true, Some(_)) => self.stuck_since.set(None),
            _ => {}
        }
    }
}

/// What one connection is doing.
#[derive(Debug)]
pub struct Activity {
    writes: Rc<Writes>,
    in_flight: Cell<u32>,
    /// When the last request ended, or the connection began.
    idle_since: Cell<Instant>,
    /// When the head that is being read began.
    head_since: Cell<Option<Instant>>,
    /// Whether it has had a request.
    used: Cell<bool>,
    /// Why its bytes were refused, if they were.
    refused: Cell<Option<Refused>>,
    close: Cell<Option<Close>>,
    /// When it was told to end.
    ending: Cell<Option<Instant>>,
    /// Who waits to be told.
    to_tell: RefCell<Option<Waker>>,
    /// Whether what follows a request has to wait for its answer, and who waits.
    held: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Activity {
    fn new(now: Instant, writes: Rc<Writes>) -> Self {
        Self {
            writes,
            in_flight: Cell::new(0),
            idle_since: Cell::new(now),
            head_since: Cell::new(None),
            used: Cell::new(false),
            refused: Cell::new(None),
            close: Cell::new(None),
            ending: Cell::new(None),
            to_tell: RefCell::default(),
            held: Cell::new(false),
            waiting: RefCell::default(),
        }
    }

    /// A head is being read, or no longer.
    pub fn in_head(&self, reading: bool) {
        match (reading, self.head_since.get()) {
            (true, None) => self.head_since.set(Some(Instant::now())),
            (false, Some(_)) => self.head_since.set(None),
            _ => {}
        }
    }

    /// Its bytes were refused, or not.
    pub fn refuse(&self, refused: Option<Refused>) {
        self.refused.set(refused);
    }

    /// Why its bytes were refused, if they were.
    #[must_use]
    pub fn refused(&self) -> Option<Refused> {
        self.refused.get()
    }

    /// What follows the request that was read last waits for its answer.
    pub fn hold(&self) {
        self.held.set(true);
    }

    /// Whether something waits for the answer to a request that asks for an upgrade.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.get()
    }

    /// The request was answered as any other: what follows it may be read.
    pub fn release(&self) {
        self.held.set(false);
        if let Some(waiting) = self.waiting.borrow_mut().take() {
            waiting.wake();
        }
    }

    /// Ready once nothing has to wait.
    pub fn poll_released(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.held.get() {
            return Poll::Ready(());
        }
        *self.waiting.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// A request has begun; it ends when the guard is dropped.
    #[must_use]
    pub fn begin(self: &Rc<Self>) -> Busy {
        self.in_flight.set(self.in_flight.get() + 1);
        self.used.set(true);
        Busy(Rc::clone(self))
    }

    /// Whether a request is in flight.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// Ready once the connection is told to end. One task waits for it, that of the connection.
    pub fn poll_told_to_close(&self, cx: &Context<'_>) -> Poll<Close> {
        if let Some(close) = self.close.take() {
            return Poll::Ready(close);
        }
        let mut to_tell = self.to_tell.borrow_mut();
        if !to_tell.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *to_tell = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until the connection is told to end at once.
    pub async fn told_to_close_now(&self) {
        while poll_fn(|cx| self.poll_told_to_close(cx)).await != Close::Now {}
    }

    /// Tells it to end. What is still there a sweep later, with nothing in flight, is closed.
    pub fn tell(&self, close: Close) {
        self.ending.set(self.ending.get().or_else(|| Some(Instant::now())));
        self.close.set(Some(close));
        let to_tell = self.to_tell.take();
        if let Some(waker) = to_tell {
            waker.wake();
        }
    }

    /// It speaks HTTP from here on.
    pub fn spoken(&self) {
        self.idle_since.set(Instant::now());
    }

    /// Whether it is to end, with the listener closed `since` then. Who has come and not asked yet may ask once, and a head
    /// that is being read is read to its end: both are answered, and learn from the answer that it was the last.
    fn winds_down(&self, now: Instant, since: Instant) -> bool {
        let is_first = !self.used.get() && now.saturating_duration_since(self.idle_since.get().max(since)) < FIRST;
        self.ending.get().is_none() && (self.is_busy() || !is_first && self.head_since.get().is_none())
    }

    /// What would be cut off if it ended now: its requests, or the end of a reply that its client has not taken yet.
    fn unfinished(&self) -> usize {
        (self.in_flight.get() as usize).max(usize::from(self.writes.are_stuck()))
    }

    /// What the time says about it.
    fn judge(&self, now: Instant, listen: &Listen) -> Option<Close> {
        let over = |since, allowed: Period| now.saturating_duration_since(since) >= allowed.0;
        if let Some(since) = self.writes.stuck_since.get() {
            return over(since, listen.write_timeout).then_some(Close::Now);
        }
        if self.is_busy() {
            return None;
        }
        // It was answered and asks for nothing more, and yet it stays: an upload that nobody waits for does not end.
        if let Some(told) = self.ending.get() {
            // What the client has sent meanwhile is on its way, and so is its word that it has heard of the end.
            let since = self.idle_since.get().max(told);
            return (now.saturating_duration_since(since) >= SWEEP).then_some(Close::Now);
        }
        match self.head_since.get() {
            Some(since) => over(since, listen.header_timeout).then_some(Close::Now),
            None => {
                let allowed = if self.used.get() { listen.keep_alive } else { listen.header_timeout };
                over(self.idle_since.get(), allowed).then_some(Close::Gracefully)
            }
        }
    }
}

/// One request in flight on a connection.
#[derive(Debug)]
pub struct Busy(Rc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        let now = Instant::now();
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        self.0.idle_since.set(now);
        // The rest of a head that came early is read from here on: nobody waited for it before.
        self.0.head_since.set(self.0.head_since.get().map(|_| now));
    }
}

/// A reply's body that keeps its connection busy until it is dropped.
#[derive(Debug)]
pub struct Attended<B> {
    body: B,
    _busy: Busy,
}

impl<B> Attended<B> {
    /// `busy` lasts as long as `body`.
    #[must_use]
    pub fn new(body: B, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }

    /// The body.
    pub fn inner(&self) -> &B {
        &self.body
    }

    /// The body, to change it.
    pub fn inner_mut(&mut self) -> &mut B {
        &mut self.body
    }
}

impl<B: Body + Unpin> Body for Attended<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The connections of one worker.
#[derive(Clone, Debug, Default)]
pub struct Connections(Rc<RefCell<Vec<Weak<Activity>>>>);

impl Connections {
    /// A new connection.
    #[must_use]
    pub fn add(&self, writes: Rc<Writes>) -> Rc<Activity> {
        let activity = Rc::new(Activity::new(Instant::now(), writes));
        self.0.borrow_mut().push(Rc::downgrade(&activity));
        activity
    }

    /// Ends connections as a drain goes on: those that wait for nothing once the listener is closed, and all of them when it is
    /// over. Run it as a task of the worker.
    pub async fn drain(self, drain: Drain) {
        drain.reached(Phase::Closing).await;
        let since = Instant::now();
        let winding_down = async {
            loop {
                let now = Instant::now();
                self.each(|activity| activity.winds_down(now, since).then_some(Close::Gracefully));
                tokio::time::sleep(WIND_DOWN).await;
            }
        };
        tokio::select! {
            never = winding_down => never,
            () = drain.cutting() => {}
        }
        let mut cut = 0;
        self.each(|activity| {
            cut += activity.unfinished();
            Some(Close::Now)
        });
        drain.count_cut(cut);
    }

    /// Tells each connection what `judge` says about it, and forgets those that have ended.
    fn each(&self, mut judge: impl FnMut(&Activity) -> Option<Close>) {
        self.0.borrow_mut().retain(|connection| {
            let Some(activity) = connection.upgrade() else { return false };
            if let Some(close) = judge(&activity) {
                activity.tell(close);
            }
            true
        });
    }

    /// Closes connections that have done nothing for too long, until it is dropped. Run it as a task of the worker.
    pub async fn sweep(self, runtime: Arc<Runtime>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let now = Instant::now();
            let listen = Arc::clone(&runtime.snapshot.load().listen);
            self.each(|activity| activity.judge(now, &listen));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_silence_has_its_own_patience() {
        let (start, listen) = (Instant::now(), Listen::default());
        let activity = Rc::new(Activity::new(start, Rc::default()));
        let judge = |seconds| activity.judge(start + Duration::from_secs(seconds), &listen);
        assert_eq!((judge(9), judge(11)), (None, Some(Close::Gracefully)), "nothing ever came");
        activity.in_head(true);
        assert_eq!((judge(9), judge(11)), (None, Some(Close::Now)), "half a head came");
        activity.in_head(false);
        let busy = activity.begin();
        assert_eq!(judge(10_000), None, "a request is in flight");
        drop(busy);
        assert_eq!((judge(80), judge(101)), (None, Some(Close::Gracefully)), "between requests");
        let busy = activity.begin();
        activity.head_since.set(start.checked_sub(listen.header_timeout.0));
        drop(busy);
        assert_eq!((judge(9), judge(11)), (None, Some(Close::Now)), "half a head came while a request was in flight");
        let busy = activity.begin();
        activity.writes.note(false);
        assert_eq!((judge(59), judge(61)), (None, Some(Close::Now)), "nothing is taken, whatever is in flight");
        activity.writes.note(true);
        assert_eq!(judge(10_000), None, "something was taken");
        activity.tell(Close::Gracefully);
        assert_eq!(judge(1), None, "it ends after what it is doing");
        drop(busy);
        assert_eq!((judge(0), judge(2)), (None, Some(Close::Now)), "it does nothing and stays");
        activity.writes.note(false);
        assert_eq!(judge(1), None, "it reads the end of its reply");
    }
}
