//! The streams of one HTTP/2 connection, so that all of them can be cut while the connection lives on and says so: each
//! client then gets RST_STREAM, where a connection that just breaks leaves it to guess.

use std::{
    cell::{Cell, RefCell},
    fmt,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use hyper::rt::Executor;
use pin_project_lite::pin_project;

/// Runs streams as tasks of the worker. Clones are the same one.
#[derive(Clone, Default)]
pub struct Streams(Rc<Shared>);

#[derive(Default)]
struct Shared {
    cut: Cell<bool>,
    /// Who is woken when they are cut: a place for each stream that runs, as many as ran at once.
    running: RefCell<Vec<Option<Waker>>>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("cut", &self.0.cut).finish_non_exhaustive()
    }
}

impl Streams {
    /// Cuts all that run; none runs again. Whether that had not been done before.
    #[must_use]
    pub fn cut(&self) -> bool {
        let first = !self.0.cut.replace(true);
        self.0.running.borrow().iter().flatten().for_each(Waker::wake_by_ref);
        first
    }

    /// Remembers who is to be woken; where.
    fn enter(&self, cx: &Context<'_>) -> usize {
        let mut running = self.0.running.borrow_mut();
        let waker = Some(cx.waker().clone());
        let at = running.iter().position(Option::is_none).unwrap_or(running.len());
        match running.get_mut(at) {
            Some(free) => *free = waker,
            None => running.push(waker),
        }
        at
    }
}

/// The place of one stream among those that run, once it has waited; given back by `Drop`.
struct Place {
    streams: Streams,
    at: Option<usize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(at) = self.at {
            self.streams.0.running.borrow_mut()[at] = None;
        }
    }
}

pin_project! {
    /// A stream that ends by itself, or is cut.
    struct Running<F> {
        #[pin]
        stream: F,
        place: Place,
    }
}

impl<F: Future<Output = ()>> Future for Running<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let place = this.place;
        if place.streams.0.cut.get() {
            return Poll::Ready(());
        }
        let polled = this.stream.poll(cx);
        // Once is enough: a task has one waker for all its life.
        if polled.is_pending() && place.at.is_none() {
            place.at = Some(place.streams.enter(cx));
        }
        polled
    }
}

impl<F: Future<Output = ()> + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(Running { stream, place: Place { streams: self.clone(), at: None } });
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{sync::oneshot, task::LocalSet};

    use super::*;

    #[tokio::test]
    async fn a_cut_drops_all_that_run_and_all_that_come() {
        let streams = Streams::default();
        let hanging = || {
            let (held, dropped) = oneshot::channel::<()>();
            streams.execute(async move {
                let _held = held;
                pending::<()>().await;
            });
            dropped
        };
        let told = async {
            let (first, second) = (hanging(), hanging());
            tokio::task::yield_now().await;
            assert_eq!(streams.0.running.borrow().len(), 2);
            assert!(streams.cut() && !streams.cut());
            assert!(first.await.is_err() && second.await.is_err());
            assert!(hanging().await.is_err());
            assert!(streams.0.running.borrow().iter().all(Option::is_none));
        };
        LocalSet::new().run_until(told).await;
    }

    #[tokio::test]
    async fn a_place_is_taken_again() {
        let streams = Streams::default();
        let running = async {
            for _ in 0..10 {
                let (tell, told) = oneshot::channel::<()>();
                streams.execute(async move { drop(told.await) });
                tokio::task::yield_now().await;
                drop(tell);
                while streams.0.running.borrow().iter().any(Option::is_some) {
                    tokio::task::yield_now().await;
                }
            }
        };
        LocalSet::new().run_until(running).await;
        assert_eq!(streams.0.running.borrow().len(), 1);
    }
}
