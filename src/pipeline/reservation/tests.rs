use std::{num::NonZeroU64, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::{
    policy::limits::{Check, Spec, State, Subject, acquire, weigh as look},
    types::{CostRate, Window},
    upstream::{Failure, Phase, Reason},
};

const LIMIT: u64 = 1_000_000;
const CLIENT: Subject = Subject { key: 1, group: 1 };

fn at(seconds: u64) -> Moment {
    Moment { nanos: seconds * 1_000_000_000, unix: 1_800_000_000 + seconds }
}

/// A limit of each unit, and what one client has used of it.
struct Limits(Vec<(Spec, Arc<State>)>);

impl Limits {
    fn new() -> Self {
        let rate = |unit, text: &str, burst| Spec::rate(unit, text.parse().unwrap(), burst);
        let specs = [
            rate(Unit::Requests, "10/min", None),
            rate(Unit::Tokens, "1M/min", None),
            rate(Unit::Tokens, "1M/day", None),
            // One that fills so slowly that a test sees nothing of it.
            rate(Unit::Tokens, "1/24h", NonZeroU64::new(LIMIT)),
            Spec::cost(CostRate { amount: Money(LIMIT), window: Window::Day }),
            Spec::permits(10),
        ];
        Self(specs.into_iter().map(|spec| (spec, Arc::new(State::new(spec.counting())))).collect())
    }

    fn take(&self, units: &[Unit], amount: u64, now: Moment) -> Charge {
        let amount = |unit| if matches!(unit, Unit::Requests | Unit::Concurrent) { 1 } else { amount };
        let apply = self.0.iter().filter(|(spec, _)| units.contains(&spec.unit()));
        let mut checks: Vec<_> = apply.map(|(spec, state)| Check::new(spec, state, CLIENT, amount(spec.unit()))).collect();
        acquire(&mut checks, now).unwrap()
    }

    /// A request that was let through: reserved are 100 tokens of the prompt, and 512 of the reply; money as much as tokens.
    fn reserve(&self, now: Moment) -> Reservation {
        let estimate = Estimator::default().estimate(&Ask::default(), Prompt::Read { text: 360, attachments: 0 });
        assert_eq!((estimate.prompt, estimate.output), (100, 512));
        let mut reservation = Reservation::new(self.take(&[Unit::Requests, Unit::Concurrent], 1, now));
        let later = self.take(&[Unit::Tokens, Unit::Cost], estimate.total(), now);
        let cost = Money(estimate.total());
        reservation.reserve(later, (estimate, cost), 7);
        reservation
    }

    fn used(&self, now: Moment) -> Vec<u64> {
        let used = |(spec, state): &(Spec, Arc<State>)| {
            let mut checks = [Check::new(spec, state, CLIENT, 0)];
            let _ = look(&mut checks, now);
            let standing = checks[0].outcome.standing;
            standing.limit - standing.remaining
        };
        self.0.iter().map(used).collect()
    }
}

/// Each token costs one.
fn cost(usage: &Usage) -> Option<Money> {
    Some(Money(usage.input? + usage.output?))
}

fn usage(input: impl Into<Option<u64>>, output: impl Into<Option<u64>>) -> Usage {
    Usage { input: input.into(), output: output.into(), ..Usage::default() }
}

#[test]
fn each_end_keeps_what_was_used_and_gives_back_the_rest() {
    use Outcome::{Refused, RefusedUpstream, Served, Unserved};
    let told = |usage, counted, whole| Told { usage, counted, whole };
    for (name, outcome, told, (requests, tokens, money)) in [
        ("complete", Served, told(usage(90, 40), 35, true), (1, 130, 130)),
        ("complete, with more than was reserved", Served, told(usage(90, 4_000), 35, true), (1, 4_090, 4_090)),
        ("complete, and untold", Served, told(usage(None, None), 35, true), (1, 135, 135)),
        ("an embedding", Served, told(usage(90, None), 35, true), (1, 90, 90)),
        ("left before anything came", Served, Told::default(), (1, 100, 100)),
        ("left in the middle", Served, told(usage(None, None), 35, false), (1, 135, 135)),
        ("left, told at the beginning", Served, told(usage(90, 1), 35, false), (1, 125, 125)),
        ("left, told at the end", Served, told(usage(90, 40), 35, false), (1, 130, 130)),
        ("nobody answered", Unserved, Told::default(), (0, 0, 0)),
        ("refused by us", Refused, Told::default(), (1, 0, 0)),
        ("refused by the provider", RefusedUpstream, Told::default(), (1, 100, 0)),
    ] {
        let limits = Limits::new();
        let reservation = limits.reserve(at(10));
        assert_eq!(limits.used(at(10)), [1, 612, 612, 612, 612, 1], "{name}");
        reservation.settle(outcome, told, at(10), cost);
        assert_eq!(limits.used(at(10)), [requests, tokens, tokens, tokens, money, 0], "{name}");
    }
}

#[test]
fn a_price_that_nobody_knows_leaves_what_was_reserved() {
    let limits = Limits::new();
    limits.reserve(at(1)).settle(Outcome::Served, Told { usage: usage(1, 1), whole: true, ..Told::default() }, at(1), |_| None);
    assert_eq!(limits.used(at(1)), [1, 2, 2, 2, 612, 0]);
}

#[test]
fn a_stream_that_says_more_is_charged_while_it_runs() {
    let limits = Limits::new();
    let mut reservation = limits.reserve(at(1));
    for (produced, charged) in [(0, 612), (512, 612), (513, 868), (768, 868), (769, 1_124), (5_000, 5_220)] {
        reservation.extend(produced, || at(1));
        assert_eq!(limits.used(at(1))[1], charged, "{produced}");
    }
    reservation.settle(Outcome::Served, Told { usage: usage(100, 5_001), whole: true, ..Told::default() }, at(1), cost);
    assert_eq!(limits.used(at(1))[..5], [1, 5_101, 5_101, 5_101, 5_101]);
}

#[test]
fn what_has_no_tokens_to_count_is_not_extended() {
    let limits = Limits::new();
    let mut reservation = Reservation::new(limits.take(&[Unit::Requests], 1, at(1)));
    reservation.reserve(Charge::default(), (Estimator::default().estimate(&Ask::default(), Prompt::Unread), Money(5)), 7);
    assert!(!reservation.counts());
    reservation.extend(1 << 40, || unreachable!("nobody asks for the time"));
    reservation.settle(Outcome::Served, Told::default(), at(1), |_| unreachable!("nobody asks for the price"));
    assert_eq!(limits.used(at(1)), [1, 0, 0, 0, 0, 0]);
}

#[test]
fn a_reservation_that_is_dropped_keeps_its_charge_and_frees_its_place() {
    let limits = Limits::new();
    drop(limits.reserve(at(1)));
    assert_eq!(limits.used(at(1)), [1, 612, 612, 612, 612, 0]);
}

#[test]
fn an_answer_says_whose_fault_it_was() {
    for (status, outcome) in [
        (200, Outcome::Served),
        (304, Outcome::Served),
        (400, Outcome::RefusedUpstream),
        (404, Outcome::RefusedUpstream),
        (429, Outcome::Unserved),
        (500, Outcome::Unserved),
        (503, Outcome::Unserved),
        (529, Outcome::Unserved),
    ] {
        assert_eq!(Outcome::of_reply(StatusCode::from_u16(status).unwrap()), outcome, "{status}");
    }
    let upstream = |phase, reason| Reject::Upstream(Failure::new(phase, reason));
    for (reject, outcome) in [
        (Reject::Malformed("x"), Outcome::Refused),
        (Reject::NoRoute, Outcome::Refused),
        (Reject::BodyTimeout, Outcome::Refused),
        (Reject::NoKey, Outcome::Unserved),
        (Reject::Overloaded, Outcome::Unserved),
        (upstream(Phase::Connect, Reason::Refused), Outcome::Unserved),
        (upstream(Phase::Head, Reason::Timeout), Outcome::Unserved),
        (upstream(Phase::Head, Reason::Upload), Outcome::Refused),
    ] {
        assert_eq!(Outcome::of_reject(&reject), outcome, "{reject:?}");
    }
}

proptest! {
    #[test]
    fn whatever_comes_no_more_is_given_back_than_was_charged(
        (input, output, counted) in (any::<Option<u32>>(), any::<Option<u32>>(), any::<u32>()),
        produced in prop::collection::vec(0..100_000_u64, 0..8),
        (outcome, whole, seconds) in (0..4_usize, any::<bool>(), 0..200_u64),
    ) {
        let (limits, start) = (Limits::new(), at(1));
        // Another request, whose charge is none of this one's.
        let other = limits.reserve(start);
        let mut reservation = limits.reserve(start);
        produced.iter().for_each(|produced| reservation.extend(*produced, || start));
        let outcome = [Outcome::Unserved, Outcome::Refused, Outcome::RefusedUpstream, Outcome::Served][outcome];
        let told = Told { usage: usage(input.map(u64::from), output.map(u64::from)), counted: counted.into(), whole };
        reservation.settle(outcome, told, at(1 + seconds), cost);
        let used = limits.used(at(1 + seconds));
        if seconds < 59 {
            prop_assert!(used[0] >= 1 && used[1] >= 612, "{used:?}");
        }
        prop_assert!(used[2] >= 612 && used[4] >= 612 && used[5] == 1, "{used:?}");
        drop(other);
    }
}
