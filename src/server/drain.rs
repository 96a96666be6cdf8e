//! Ending without cutting anybody off: what each phase means, who may ask for the next, and the course of it all.
//!
//! | phase | from | what holds |
//! | --- | --- | --- |
//! | [`Phase::Serving`] | the start | |
//! | [`Phase::Leaving`] | a signal, or `POST /drain` | readiness fails, connections are still accepted, HTTP/1.1 replies say `Connection: close` |
//! | [`Phase::Closing`] | `drain.delay` later | nobody new; who had connected is let in; idle connections end, HTTP/2 gets GOAWAY, what runs goes on |
//! | [`Phase::Over`] | when all has ended, or `drain.timeout` after the first | what was left has been cut; the process may exit |
//!
//! A drain can be begun once. Whoever asks again finds it under way, and its times go on from where they were.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    time::{sleep_until, timeout},
};

use super::{
    listener::{Door, Listener},
    worker::Worker,
};
use crate::runtime::Runtime;

/// How long handshakes of TCP that have begun may take to end before the listener closes: some ways there and back.
const SETTLE: Duration = Duration::from_millis(100);

/// How long connections may take to end when they are cut: it is their own tasks that end them.
const CUT: Duration = Duration::from_secs(1);

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// There is none.
    Serving,
    /// Readiness fails and the listener is open.
    Leaving,
    /// The listener is closed, and what runs may finish.
    Closing,
    /// Nothing runs any more.
    Over,
}

/// What was asked for and what has come of it.
#[derive(Clone, Copy, Debug)]
struct Course {
    phase: Phase,
    begun: Option<Instant>,
    /// Nobody waits for load balancers.
    hurried: bool,
    /// What runs is not waited for either.
    ended: bool,
    /// It is being cut.
    cutting: bool,
}

/// A handle to the drain. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Drain(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The phase once more, for each reply to read: no lock, no order with anything else.
    phase: AtomicU8,
    course: watch::Sender<Course>,
    /// Requests that were cut.
    cut: AtomicUsize,
}

impl Default for Drain {
    fn default() -> Self {
        let course = Course { phase: Phase::Serving, begun: None, hurried: false, ended: false, cutting: false };
        Self(Arc::new(Shared { phase: AtomicU8::new(Phase::Serving as u8), course: watch::Sender::new(course), cut: AtomicUsize::new(0) }))
    }
}

impl Drain {
    /// Begins it, unless it has begun.
    pub fn begin(&self) {
        self.change(|course| {
            course.begun.get_or_insert_with(Instant::now);
            course.phase = course.phase.max(Phase::Leaving);
        });
    }

    /// Begins it, unless it has begun, and leaves out what is left of the delay.
    pub fn begin_without_delay(&self) {
        self.change(|course| course.hurried = true);
        self.begin();
    }

    /// Ends it now, begun or not: what runs is cut.
    pub fn end_now(&self) {
        self.change(|course| course.ended = true);
        self.begin_without_delay();
    }

    /// How far it has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.course.borrow().phase
    }

    /// Whether it has not begun. Made to be asked for each reply.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.0.phase.load(Ordering::Relaxed) == Phase::Serving as u8
    }

    /// Waits until it has come this far.
    pub async fn reached(&self, phase: Phase) {
        self.until(|course| course.phase >= phase).await;
    }

    /// Waits until what still runs is to be cut.
    pub async fn cutting(&self) {
        self.until(|course| course.cutting).await;
    }

    /// How many requests were cut.
    #[must_use]
    pub fn cut(&self) -> usize {
        self.0.cut.load(Ordering::Relaxed)
    }

    /// So many requests are being cut.
    pub fn count_cut(&self, requests: usize) {
        self.0.cut.fetch_add(requests, Ordering::Relaxed);
    }

    /// A drain has only one way to go, so a change that is late changes nothing.
    fn advance(&self, phase: Phase) {
        self.change(|course| course.phase = course.phase.max(phase));
    }

    fn change(&self, change: impl FnOnce(&mut Course)) {
        self.0.course.send_modify(|course| {
            change(course);
            self.0.phase.store(course.phase as u8, Ordering::Relaxed);
        });
    }

    async fn until(&self, holds: impl Fn(&Course) -> bool) -> Course {
        let mut watching = self.0.course.subscribe();
        // The sender lives in `self`, so this can't fail.
        watching.wait_for(|course| holds(course)).await.map_or_else(|_| *self.0.course.borrow(), |course| *course)
    }
}

/// Nobody waits in vain for a drain whose thread has ended, however that came.
struct LastWord<'d>(&'d Drain);

impl Drop for LastWord<'_> {
    fn drop(&mut self) {
        self.0.advance(Phase::Over);
    }
}

/// Accepts connections until a drain, and takes that to its end.
///
/// # Errors
///
/// If the socket can't be registered with the runtime.
pub async fn attend(drain: Drain, listener: Listener, (workers, places): (Vec<Worker>, usize), runtime: &Runtime) -> io::Result<()> {
    let _last_word = LastWord(&drain);
    let patience = || runtime.snapshot.load().listen.write_timeout;
    let mut door = Door::open(listener, (&workers, places), runtime.server_metrics.clone(), &patience)?;
    let places = door.places();
    let begun = tokio::select! {
        never = door.accept() => match never {},
        course = drain.until(|course| course.begun.is_some()) => course.begun.unwrap_or_else(Instant::now),
    };
    // The numbers of the generation that is in force now count to the end.
    let numbers = runtime.snapshot.load().config.drain.clone();
    let at = |period: Duration| tokio::time::Instant::from_std(begun + period);
    tracing::info!(delay = %numbers.delay, timeout = %numbers.timeout, connections = places.taken(), "draining");
    tokio::select! {
        never = door.accept() => match never {},
        () = sleep_until(at(numbers.delay.0)) => {}
        _ = drain.until(|course| course.hurried) => {}
    }
    let leaving = async {
        // Who has begun to connect before is let in; who comes now is not.
        door.refuse_newcomers();
        tokio::select! {
            never = door.accept() => match never {},
            () = tokio::time::sleep(SETTLE) => {}
        }
        // Connections that wait for nothing end from here on, so that those who wait for a place get one.
        drain.advance(Phase::Closing);
        door.close().await;
        tracing::info!(connections = places.taken(), "closed the listener");
        places.all_given_back().await;
    };
    tokio::select! {
        () = leaving => tracing::info!(after_ms = begun.elapsed().as_millis() as u64, "drained"),
        () = sleep_until(at(numbers.timeout.0)) => cut(&drain, &places, runtime).await,
        _ = drain.until(|course| course.ended) => cut(&drain, &places, runtime).await,
    }
    Ok(())
}

/// Cuts what still runs. Whoever reads a reply that was cut can tell: it has no end.
async fn cut(drain: &Drain, places: &super::listener::Places, runtime: &Runtime) {
    runtime.cut.store(true, Ordering::Relaxed);
    drain.change(|course| {
        course.phase = course.phase.max(Phase::Closing);
        course.cutting = true;
    });
    let connections = places.taken();
    // What has not ended by then ends with its worker.
    let _ = timeout(CUT, places.all_given_back()).await;
    match drain.cut() {
        0 => tracing::info!(connections, "closed what was left"),
        requests => tracing::warn!(requests, connections, "cut what was still running"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_begun_once_and_goes_one_way() {
        let drain = Drain::default();
        assert!(drain.is_serving());
        drain.begin();
        let begun = drain.0.course.borrow().begun;
        assert_eq!((drain.phase(), drain.is_serving(), begun.is_some()), (Phase::Leaving, false, true));
        drain.advance(Phase::Closing);
        drain.begin();
        drain.begin_without_delay();
        let course = *drain.0.course.borrow();
        assert_eq!((course.phase, course.begun, course.hurried, course.ended), (Phase::Closing, begun, true, false));
        drain.advance(Phase::Leaving);
        assert_eq!(drain.phase(), Phase::Closing);
    }

    #[tokio::test]
    async fn a_drain_that_nobody_attends_any_more_is_over() {
        let drain = Drain::default();
        drop(LastWord(&drain));
        drain.reached(Phase::Over).await;
    }
}
