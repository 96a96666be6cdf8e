//! Who may send when: the tickets that all users of one site draw from.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

use super::args::{Bound, Rate};

/// The tickets of one site.
pub(super) struct Schedule {
    /// When the first request is due.
    start: Instant,
    bound: Bound,
    /// Requests per second; without it, each user sends as soon as it has its reply.
    rate: Option<Rate>,
    drawn: Cell<u64>,
}

/// The right to send one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) number: u64,
    /// When it is due, which may have passed: then the wait is part of its latency.
    pub(super) due: Option<Instant>,
}

impl Schedule {
    pub(super) fn new(start: Instant, bound: Bound, rate: Option<Rate>) -> Self {
        Self { start, bound, rate, drawn: Cell::new(0) }
    }

    /// The next ticket, or nothing once the load is over.
    pub(super) fn draw(&self, now: Instant) -> Option<Ticket> {
        let number = self.drawn.get();
        let due = self.rate.map(|Rate(rate)| self.start + Duration::from_secs_f64(number as f64 / rate));
        let over = match self.bound {
            Bound::Requests(count) => number >= count,
            // What was due in time is sent, however late: else a slow site would be asked for less.
            Bound::Time(time) => due.unwrap_or(now) >= self.start + time,
        };
        if over {
            return None;
        }
        self.drawn.set(number + 1);
        Some(Ticket { number, due })
    }

    /// The part of the load that has been handed out, from 0 to 1.
    pub(super) fn progress(&self, now: Instant) -> f64 {
        match self.bound {
            Bound::Requests(count) => self.drawn.get() as f64 / count as f64,
            Bound::Time(time) => (now.saturating_duration_since(self.start).as_secs_f64() / time.as_secs_f64().max(1e-3)).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_count_is_handed_out_once() {
        let now = Instant::now();
        let schedule = Schedule::new(now, Bound::Requests(3), None);
        let numbers: Vec<_> = std::iter::from_fn(|| schedule.draw(now + SECOND * 999)).map(|ticket| ticket.number).collect();
        assert_eq!(numbers, [0, 1, 2]);
    }

    #[test]
    fn with_a_time_no_ticket_is_handed_out_behind_it() {
        let now = Instant::now();
        let schedule = Schedule::new(now, Bound::Time(SECOND), None);
        assert_eq!(schedule.draw(now + SECOND / 2), Some(Ticket { number: 0, due: None }));
        assert_eq!(schedule.draw(now + SECOND), None);
    }

    #[test]
    fn a_rate_says_when_each_is_due_whenever_it_is_drawn() {
        let now = Instant::now();
        let schedule = Schedule::new(now, Bound::Time(SECOND), Some(Rate(4.0)));
        let late = now + SECOND * 5;
        let due: Vec<_> = std::iter::from_fn(|| schedule.draw(late)).filter_map(|ticket| Some(ticket.due? - now)).collect();
        assert_eq!(due, [0, 250, 500, 750].map(Duration::from_millis));
    }
}
