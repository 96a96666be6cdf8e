//! Coarse timers: what a timeout of seconds needs, at the cost of a few instructions a request.
//!
//! tokio's timers are exact to a millisecond and cost a lock and a wheel each time one is set. Timeouts that nearly never
//! fire, set for every request and moved on with every event of a stream, need neither. All timers of a worker stand in one
//! list, and one task looks at it every [`TICK`]: a timer fires up to two ticks late, never early.
//!
//! Cancel: a timer that is dropped leaves the list.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
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
    /// Ticks since the start.
    now: Cell<u64>,
    asleep: Cell<bool>,
    made: Notify,
}

#[derive(Default)]
struct Place {
    /// The tick at which it fires; `None` while nobody waits.
    due: Option<u64>,
    waker: Option<Waker>,
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
        let mut empty = 0;
        loop {
            if empty > PATIENCE {
                self.0.asleep.set(true);
                self.0.made.notified().await;
            }
            tokio::time::sleep(TICK).await;
            empty = if self.0.tick() { 0 } else { empty + 1 };
        }
    }
}

impl List {
    /// Fires what is due; whether anything runs.
    fn tick(&self) -> bool {
        let now = self.now.get() + 1;
        self.now.set(now);
        let (mut running, mut due) = (false, Vec::new());
        for place in &mut *self.places.borrow_mut() {
            let Some(at) = place.due else { continue };
            running = true;
            if at <= now {
                due.extend(place.waker.take());
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
        let now = self.list.now.get();
        let mut places = self.list.places.borrow_mut();
        let place = &mut places[self.place];
        let is_known = place.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        match place.due {
            Some(due) if due <= now => return Poll::Ready(()),
            Some(_) if is_known => return Poll::Pending,
            Some(_) => {}
            // The present tick has begun already, so one more makes a whole one.
            None => place.due = Some(now.saturating_add(ticks(period)).saturating_add(1)),
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
        self.list.places.borrow_mut()[self.place].due = None;
    }
}

impl Drop for CoarseTimer {
    fn drop(&mut self) {
        let left = std::mem::take(&mut self.list.places.borrow_mut()[self.place]);
        self.list.free.borrow_mut().push(self.place);
        drop(left);
    }
}

/// How many ticks a period takes, at least one.
fn ticks(period: Duration) -> u64 {
    u64::try_from(period.as_nanos().div_ceil(TICK.as_nanos())).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PERIOD: Duration = Duration::from_millis(500);

    fn poll(timer: &CoarseTimer, period: Duration) -> bool {
        timer.poll(period, &Context::from_waker(Waker::noop())).is_ready()
    }

    fn tick(timers: &CoarseTimers, count: u64) {
        for _ in 0..count {
            timers.0.tick();
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
        assert!(!timers.0.tick(), "nothing runs");
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
            let mut passed = 0_u64;
            while !poll(&timer, period) {
                tick(&timers, 1);
                passed += 1;
            }
            // The first tick may have come at once.
            let (least, most) = (TICK * (passed as u32 - 1), TICK * passed as u32);
            prop_assert!(least >= period && most <= period + 2 * TICK, "{:?} fired after {:?} to {:?}", period, least, most);
        }
    }
}
