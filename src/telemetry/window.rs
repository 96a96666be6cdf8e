//! The last minute of all traffic, by whole seconds: the difference of [`Traffic`]'s sums from one second to the next.
//!
//! It is advanced from outside, once a second, and costs requests nothing. What ended since the last second was closed is in
//! no second yet. Memory: 32 KiB while traffic is alike, 250 KiB if each second fills every bucket, nearly nothing at rest.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    Traffic,
    durations::{Reading, Spread, Summary},
};

/// How many seconds are kept.
pub const SECONDS: usize = 60;

/// One second of traffic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Second {
    /// Requests that ended in it, by class of status.
    pub statuses: [u64; 4],
    /// How long they took.
    pub durations: Spread,
    /// The first bytes of the replies that began in it.
    pub first_bytes: Spread,
}

impl Second {
    /// Requests that ended in it.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.statuses.iter().sum()
    }
}

/// The last [`SECONDS`] whole seconds.
#[derive(Debug)]
pub struct Window {
    start: Instant,
    /// Seconds that are closed, since the start.
    closed: u64,
    seconds: VecDeque<Second>,
    statuses: [u64; 4],
    durations: Reading,
    first_bytes: Reading,
}

impl Window {
    /// An empty window; its seconds begin at `start`.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self {
            start,
            closed: 0,
            seconds: VecDeque::new(),
            statuses: [0; 4],
            durations: Reading::default(),
            first_bytes: Reading::default(),
        }
    }

    /// Closes the seconds that are over; whether there was one. If it comes late, all that happened meanwhile counts for the
    /// last of them.
    pub fn advance(&mut self, traffic: &Traffic, now: Instant) -> bool {
        let over = now.saturating_duration_since(self.start).as_secs();
        let silent = over.saturating_sub(self.closed + 1);
        if over <= self.closed {
            return false;
        }
        self.closed = over;
        (0..silent.min(SECONDS as u64)).for_each(|_| self.push(Second::default()));
        let statuses = traffic.statuses();
        let second = Second {
            statuses: std::array::from_fn(|class| statuses[class] - self.statuses[class]),
            durations: traffic.durations.since(&mut self.durations),
            first_bytes: traffic.first_bytes.since(&mut self.first_bytes),
        };
        self.statuses = statuses;
        self.push(second);
        true
    }

    fn push(&mut self, second: Second) {
        if self.seconds.len() == SECONDS {
            self.seconds.pop_front();
        }
        self.seconds.push_back(second);
    }

    /// The seconds that are closed, oldest first: fewer than [`SECONDS`] soon after the start.
    pub fn seconds(&self) -> impl ExactSizeIterator<Item = &Second> + DoubleEndedIterator {
        self.seconds.iter()
    }

    /// Requests that ended in the window, by class of status.
    #[must_use]
    pub fn statuses(&self) -> [u64; 4] {
        self.seconds().fold([0; 4], |sum, second| std::array::from_fn(|class| sum[class] + second.statuses[class]))
    }

    /// Requests a second over the last `span`, or since the start if that is later.
    #[must_use]
    pub fn rate(&self, span: Duration) -> f64 {
        let span = usize::try_from(span.as_secs()).unwrap_or(SECONDS).clamp(1, SECONDS).min(self.seconds.len());
        let requests: u64 = self.seconds().rev().take(span).map(Second::requests).sum();
        requests as f64 / span.max(1) as f64
    }

    /// How long requests took.
    #[must_use]
    pub fn durations(&self) -> Option<Summary> {
        Summary::of(self.seconds().map(|second| &second.durations))
    }

    /// How long replies took to begin.
    #[must_use]
    pub fn first_bytes(&self) -> Option<Summary> {
        Summary::of(self.seconds().map(|second| &second.first_bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::traffic::Ended, *};

    fn end(traffic: &Traffic, status: u16, millis: u64) {
        traffic.begun();
        traffic.ended(&Ended { status, broken: false, duration: Duration::from_millis(millis), bytes_up: 0, bytes_down: 0 });
    }

    #[test]
    fn a_rate_is_over_the_time_that_has_been() {
        let (traffic, start) = (Traffic::default(), Instant::now());
        let mut window = Window::new(start);
        assert_eq!((window.rate(Duration::from_secs(10)), window.durations()), (0.0, None));
        (0..30).for_each(|_| end(&traffic, 200, 8));
        assert!(!window.advance(&traffic, start + Duration::from_millis(999)));
        assert!(window.advance(&traffic, start + Duration::from_millis(1000)));
        assert!(!window.advance(&traffic, start + Duration::from_millis(1999)));
        assert_eq!(window.rate(Duration::from_secs(10)), 30.0);
        window.advance(&traffic, start + Duration::from_secs(3));
        assert_eq!((window.rate(Duration::from_secs(10)), window.rate(Duration::from_secs(1))), (10.0, 0.0));
        let summary = window.durations().unwrap();
        assert!(summary.percentiles.iter().all(|millis| (7.5..=8.5).contains(millis)), "{summary:?}");
        window.advance(&traffic, start + Duration::from_secs(1_000_000));
        assert_eq!((window.seconds().len(), window.statuses(), window.durations()), (SECONDS, [0; 4], None));
    }

    proptest! {
        /// Against a list of all ends with their times. The clock ticks as it likes; what ended between two ticks belongs to
        /// the last second that the second tick closes.
        #[test]
        fn the_window_is_what_a_list_of_all_ends_says(steps in prop::collection::vec((0_u64..4_000, 0_usize..6, 0_usize..4), 1..150)) {
            let (traffic, start) = (Traffic::default(), Instant::now());
            let (mut window, mut now) = (Window::new(start), 0);
            let mut list: Vec<(Option<u64>, usize)> = Vec::new();
            for (millis, ends, class) in steps {
                for _ in 0..ends {
                    end(&traffic, [200, 302, 404, 503][class], millis);
                    list.push((None, class));
                }
                now += millis;
                let closes = now / 1_000;
                let closed_before = window.closed;
                prop_assert_eq!(window.advance(&traffic, start + Duration::from_millis(now)), closes > closed_before);
                if closes > closed_before {
                    list.iter_mut().filter(|(second, _)| second.is_none()).for_each(|(second, _)| *second = Some(closes - 1));
                }
                let oldest = closes.saturating_sub(SECONDS as u64);
                let mut expected = vec![[0_u64; 4]; (closes - oldest) as usize];
                for (second, class) in list.iter().filter_map(|(second, class)| Some(((*second)?.checked_sub(oldest)?, class))) {
                    expected[second as usize][*class] += 1;
                }
                prop_assert_eq!(window.seconds().map(|second| second.statuses).collect::<Vec<_>>(), expected);
            }
        }
    }
}
