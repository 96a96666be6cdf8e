//! Coarse timers: what a timeout of seconds needs, at the cost of a few instructions a request.
//!
//! tokio's timers are exact to a millisecond and cost a lock and a wheel each time one is set. Timeouts that nearly never
//! fire, set for every request and moved on with every event of a stream, need neither. All timers of a worker stand in one
//! list, and one task looks at it every [`TICK`]: a timer fires up to two looks late, never early. It is told by the clock when
//! that is, so looks that are late do not add up.
//!
//! Cancel: a timer that is dropped leaves the list.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// How often the list is looked at.
const TICK: Duration = Duration::from_millis(50);

/// After so many looks at an empty list the task sleeps until a timer is made: an idle worker never wakes.
const PATIENCE: u32 = 20;

/// The timers of one worker.
#[derive(Clone, Default)]
pub(super) struct CoarseTimers(Rc<List>);

#[derive(Default)]
struct List {
    places: RefCell<Vec<Place>>,
    free: RefCell<Vec<usize>>,
    /// The time of the last look, from the start on.
    now: Cell<Duration>,
    asleep: Cell<bool>,
    made: Notify,
}

#[derive(Default)]
struct Place {
    set: Set,
    waker: Option<Waker>,
}

/// Whether a timer runs.
#[derive(Clone, Copy, Default)]
enum Set {
    /// Nobody waits.
    #[default]
    Stopped,
    /// Since some time behind the last look, for so long. The clock is not asked each time one is set: it counts from the next
    /// look on.
    For(Duration),
    /// Until this time.
    Until(Duration),
}

impl CoarseTimers {
    /// A timer that is not running.
    pub(super) fn timer(&self) -> CoarseTimer {
        let place = self.0.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut places = self.0.places.borrow_mut();
            places.push(Place::default());
            places.len() - 1
        });
        CoarseTimer { list: Rc::clone(&self.0), place }
    }

    /// Fires timers for ever. Run it as a task of the worker.
    pub(super) async fn run(self) {
        let (started, mut empty) = (Instant::now(), 0);
        loop {
            if empty > PATIENCE {
                self.0.asleep.set(true);
                self.0.made.notified().await;
            }
            tokio::time::sleep(TICK).await;
            empty = if self.0.look(started.elapsed()) { 0 } else { empty + 1 };
        }
    }
}

impl List {
    /// Fires what is due; whether anything runs.
    fn look(&self, now: Duration) -> bool {
        self.now.set(now);
        let (mut running, mut due) = (false, Vec::new());
        for place in &mut *self.places.borrow_mut() {
            running |= !matches!(place.set, Set::Stopped);
            match place.set {
                Set::For(period) => place.set = Set::Until(now.saturating_add(period)),
                Set::Until(at) if at <= now => due.extend(place.waker.take()),
                Set::Stopped | Set::Until(_) => {}
            }
        }
        // Not under the borrow: who is woken may drop a timer.
        due.into_iter().for_each(Waker::wake);
        running
    }
}

/// One timer. It runs from the first poll behind [`Self::stop`] on.
pub(super) struct CoarseTimer {
    list: Rc<List>,
    place: usize,
}

impl CoarseTimer {
    /// Ready once `period` has passed since it began to run.
    pub(super) fn poll(&self, period: Duration, cx: &Context<'_>) -> Poll<()> {
        let mut places = self.list.places.borrow_mut();
        let place = &mut places[self.place];
        let is_known = place.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        match place.set {
            Set::Until(at) if at <= self.list.now.get() => return Poll::Ready(()),
            Set::For(_) | Set::Until(_) if is_known => return Poll::Pending,
            Set::For(_) | Set::Until(_) => {}
            Set::Stopped => place.set = Set::For(period),
        }
        let outdated = if is_known { None } else { place.waker.replace(cx.waker().clone()) };
        // Not under the borrow: who goes may drop a timer.
        drop(places);
        drop(outdated);
        if self.list.asleep.replace(false) {
            self.list.made.notify_one();
        }
        Poll::Pending
    }

    /// Starts from the beginning with the next poll.
    pub(super) fn stop(&self) {
        self.list.places.borrow_mut()[self.place].set = Set::Stopped;
    }
}

impl Drop for CoarseTimer {
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.list.places.borrow_mut()[self.place]);
        self.list.free.borrow_mut().push(self.place);
        drop(left);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PERIOD: Duration = Duration::from_millis(500);

    fn poll(timer: &CoarseTimer, period: Duration) -> bool {
        timer.poll(period, &Context::from_waker(Waker::noop())).is_ready()
    }

    /// Looks so many times, a tick after another.
    fn tick(timers: &CoarseTimers, count: u32) {
        for _ in 0..count {
            timers.0.look(timers.0.now.get() + TICK);
        }
    }

    #[test]
    fn a_timer_fires_after_its_period_and_starts_anew_when_stopped() {
        let timers = CoarseTimers::default();
        let timer = timers.timer();
        tick(&timers, 5);
        assert!(!poll(&timer, PERIOD));
        tick(&timers, 10);
        assert!(!poll(&timer, PERIOD), "the tick in which it was set does not count");
        timer.stop();
        tick(&timers, 10);
        assert!(!poll(&timer, PERIOD), "it did not run meanwhile");
        tick(&timers, 11);
        assert!(poll(&timer, PERIOD));
        assert!(poll(&timer, PERIOD), "it stays so");
    }

    #[test]
    fn looks_that_come_late_make_no_timer_later_and_none_too_early() {
        let timers = CoarseTimers::default();
        let (early, late) = (timers.timer(), timers.timer());
        assert!(!poll(&early, PERIOD));
        tick(&timers, 1);
        // The worker was busy, and at the end of that another timer was set.
        assert!(!poll(&late, PERIOD));
        timers.0.look(timers.0.now.get() + PERIOD);
        assert!(poll(&early, PERIOD) && !poll(&late, PERIOD));
        timers.0.look(timers.0.now.get() + PERIOD);
        assert!(poll(&late, PERIOD));
    }

    #[test]
    fn a_place_is_given_back_and_nothing_of_it_remains() {
        let timers = CoarseTimers::default();
        let (first, second) = (timers.timer(), timers.timer());
        assert!(!poll(&first, PERIOD) && !poll(&second, PERIOD));
        drop(first);
        tick(&timers, 100);
        let third = timers.timer();
        assert!(!poll(&third, PERIOD) && poll(&second, PERIOD));
        assert_eq!(timers.0.places.borrow().len(), 2);
        drop((second, third));
        assert!(!timers.0.look(TICK), "nothing runs");
    }

    #[tokio::test]
    async fn who_waits_is_woken_also_when_the_list_had_fallen_asleep() {
        let timers = CoarseTimers::default();
        let local = tokio::task::LocalSet::new();
        local.spawn_local(timers.clone().run());
        let sleeping = timers.clone();
        local
            .run_until(async move {
                while !sleeping.0.asleep.get() {
                    tokio::time::sleep(TICK).await;
                }
                let (timer, begun) = (sleeping.timer(), std::time::Instant::now());
                std::future::poll_fn(|cx| timer.poll(TICK * 3, cx)).await;
                assert!(begun.elapsed() >= TICK * 3);
            })
            .await;
    }

    proptest! {
        #[test]
        fn never_early_and_at_most_two_ticks_late(millis in 1_u64..10_000) {
            let (timers, period) = (CoarseTimers::default(), Duration::from_millis(millis));
            let timer = timers.timer();
            let mut passed = 0;
            while !poll(&timer, period) {
                tick(&timers, 1);
                passed += 1;
            }
            // The first tick may have come at once.
            let (least, most) = (TICK * (passed - 1), TICK * passed);
            prop_assert!(least >= period && most <= period + 2 * TICK, "{:?} fired after {:?} to {:?}", period, least, most);
        }
    }
}
