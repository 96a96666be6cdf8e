//! The table of the module, row by row, and what holds for every course.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::{
    config::targets::Condition,
    types::{Cause, Dimension, Moment, Repeat, Verdict},
};

const SECOND: u64 = 1_000_000_000;

/// In the middle of what is spread.
const MIDDLE: u64 = 1 << 63;

const SPEC: Spec = Spec { attempts: 3, budget: 0.2, floor: 3.0, ambiguous: Ambiguous::Never, within: Duration::from_secs(60) };

const REQUEST: Request = Request { repeat: Repeat::Billed, is_idempotent: false, key_is_callers: false, client_retries: 0 };

fn at(seconds: f64) -> Moment {
    Moment { nanos: (seconds * SECOND as f64) as u64, unix: 1_800_000_000 }
}

fn tried(cause: Cause) -> Tried {
    Tried { verdict: cause.into(), has_begun: false, can_replay: true, other_key: false, next_target: None }
}

fn all() -> Option<When> {
    Some(Condition::ALL.into_iter().collect())
}

fn course() -> Course {
    Course::new(&SPEC, REQUEST, at(0.0))
}

/// What comes after the first attempt.
fn first(spec: &Spec, request: Request, tried: &Tried) -> (Next, Option<Stop>) {
    let mut course = Course::new(spec, request, at(0.0));
    let next = course.next(spec, &Budget::default(), tried, at(1.0), MIDDLE);
    (next, course.stopped())
}

fn is_retry(next: Next) -> bool {
    matches!(next, Next::Retry { .. })
}

#[test]
fn each_cause_has_its_row() {
    for cause in Cause::ALL {
        let bare = first(&SPEC, REQUEST, &tried(cause)).0;
        let with_key = first(&SPEC, REQUEST, &Tried { other_key: true, ..tried(cause) }).0;
        let with_target = first(&SPEC, REQUEST, &Tried { next_target: all(), ..tried(cause) }).0;
        match cause {
            Cause::Served | Cause::Refused | Cause::Left => assert_eq!((bare, with_key, with_target), (Next::Pass, Next::Pass, Next::Pass)),
            Cause::UnknownModel => assert_eq!((bare, with_key, with_target), (Next::Pass, Next::Swap, Next::Pass)),
            Cause::ContextLength | Cause::Region => {
                assert_eq!((bare, with_key, with_target), (Next::Pass, Next::Pass, Next::FallBack), "{cause:?}");
            }
            Cause::Forbidden | Cause::InvalidKey | Cause::Exhausted => {
                assert_eq!((bare, with_key, with_target), (Next::Pass, Next::Swap, Next::FallBack), "{cause:?}");
            }
            Cause::RateLimited(_) => {
                assert!(is_retry(bare));
                assert_eq!((with_key, with_target), (Next::Retry { after: Duration::ZERO }, Next::FallBack));
            }
            // What is gone does not come back within a back-off.
            Cause::Unreachable => assert!(is_retry(bare) && is_retry(with_key) && with_target == Next::FallBack),
            Cause::Overloaded | Cause::ServerError | Cause::Unprocessed => {
                assert!(is_retry(bare) && is_retry(with_key) && is_retry(with_target), "{cause:?}");
            }
            Cause::GatewayTimeout | Cause::NoReply | Cause::Malformed | Cause::BrokenOff => {
                assert_eq!((bare, with_key, with_target), (Next::Pass, Next::Pass, Next::Pass), "{cause:?}");
                let always = Spec { ambiguous: Ambiguous::Always, ..SPEC };
                assert!(is_retry(first(&always, REQUEST, &tried(cause)).0), "{cause:?}");
            }
        }
    }
}

#[test]
fn what_may_have_been_worked_on_goes_out_again_only_as_the_config_says() {
    let idempotent = Request { is_idempotent: true, ..REQUEST };
    for cause in Cause::ALL.into_iter().filter(|cause| cause.is_ambiguous() || *cause == Cause::BrokenOff) {
        for (ambiguous, request, expected) in [
            (Ambiguous::Never, idempotent, false),
            (Ambiguous::Never, Request { repeat: Repeat::Safe, ..idempotent }, false),
            (Ambiguous::Idempotent, REQUEST, false),
            (Ambiguous::Idempotent, idempotent, true),
            (Ambiguous::Idempotent, Request { repeat: Repeat::Never, ..idempotent }, false),
            (Ambiguous::Always, REQUEST, true),
            (Ambiguous::Always, Request { repeat: Repeat::Never, ..REQUEST }, false),
        ] {
            let (next, stop) = first(&Spec { ambiguous, ..SPEC }, request, &tried(cause));
            assert_eq!(is_retry(next), expected, "{cause:?} {ambiguous:?} {request:?}");
            assert_eq!(stop, (!expected).then_some(Stop::Repeat));
        }
    }
}

#[test]
fn what_must_not_be_repeated_is_only_where_nothing_was_done() {
    let request = Request { repeat: Repeat::Never, ..REQUEST };
    let again: HashSet<_> = Cause::ALL
        .into_iter()
        .filter(|cause| first(&SPEC, request, &Tried { other_key: true, next_target: all(), ..tried(*cause) }).0 != Next::Pass)
        .collect();
    let refusals = [Cause::Forbidden, Cause::InvalidKey, Cause::Exhausted, Cause::Unreachable, Cause::Unprocessed];
    let rates = [Dimension::Requests, Dimension::Tokens, Dimension::Unknown].map(Cause::RateLimited);
    assert_eq!(again, refusals.into_iter().chain(rates).collect());
}

#[test]
fn nothing_follows_what_has_begun_or_cannot_be_replayed_or_comes_too_late() {
    for cause in [Cause::InvalidKey, Cause::ServerError, Cause::RateLimited(Dimension::Unknown), Cause::ContextLength] {
        let good = Tried { other_key: true, next_target: all(), ..tried(cause) };
        assert_eq!(first(&SPEC, REQUEST, &Tried { has_begun: true, ..good }), (Next::Pass, Some(Stop::Begun)));
        assert_eq!(first(&SPEC, REQUEST, &Tried { can_replay: false, ..good }), (Next::Pass, Some(Stop::Body)));
        let mut late = course();
        assert_eq!(late.next(&SPEC, &Budget::default(), &good, at(60.0), 0), Next::Pass);
        assert_eq!(late.stopped(), Some(Stop::Time));
    }
}

#[test]
fn the_last_attempt_is_kept_for_the_next_target() {
    let (mut course, budget) = (course(), Budget::default());
    let tried = Tried { next_target: all(), ..tried(Cause::ServerError) };
    let nexts = [1.0, 2.0, 3.0].map(|now| course.next(&SPEC, &budget, &tried, at(now), MIDDLE));
    assert_eq!(nexts, [Next::Retry { after: Duration::from_millis(125) }, Next::FallBack, Next::Pass]);
    assert_eq!(course.stopped(), Some(Stop::Attempts));
}

#[test]
fn of_several_targets_each_gets_an_attempt() {
    let (mut course, budget) = (course(), Budget::default());
    let tried = Tried { next_target: all(), ..tried(Cause::ServerError) };
    for (left, next) in [(2, Next::FallBack), (1, Next::FallBack), (0, Next::Pass)] {
        course.keep(left);
        assert_eq!(course.next(&SPEC, &budget, &tried, at(1.0), MIDDLE), next, "{left} targets are left");
    }
}

#[test]
fn a_target_that_takes_over_for_something_else_is_not_asked() {
    let when: When = [Condition::Timeout, Condition::ContextLength].into_iter().collect();
    let (mut course, budget) = (course(), Budget::default());
    let tried = Tried { next_target: Some(when), ..tried(Cause::Overloaded) };
    let nexts = [1.0, 2.0, 3.0].map(|now| course.next(&SPEC, &budget, &tried, at(now), MIDDLE));
    assert!(is_retry(nexts[0]) && is_retry(nexts[1]) && nexts[2] == Next::Pass, "{nexts:?}");
}

#[test]
fn back_offs_grow_and_are_spread_from_nothing_to_their_bound() {
    let spec = Spec { attempts: 10, floor: 100.0, ..SPEC };
    for (random, share) in [(0, 0.0), (MIDDLE, 0.5), (u64::MAX, 1.0)] {
        let (mut course, budget) = (Course::new(&spec, REQUEST, at(0.0)), Budget::default());
        for bound in [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0] {
            let next = course.next(&spec, &budget, &tried(Cause::Unreachable), at(1.0), random);
            let Next::Retry { after } = next else { panic!("{next:?}") };
            assert!((after.as_secs_f64() - bound * share).abs() < 1e-6, "{after:?} of {bound}");
        }
    }
}

#[test]
fn a_wait_that_is_told_is_kept_if_there_is_time_and_else_nobody_waits() {
    let told = |seconds, next_target| Tried {
        verdict: Verdict { cause: Cause::Overloaded, wait: Some(Duration::from_secs(seconds)) },
        next_target,
        ..tried(Cause::Overloaded)
    };
    assert_eq!(first(&SPEC, REQUEST, &told(20, None)).0, Next::Retry { after: Duration::from_secs(20) });
    assert_eq!(first(&SPEC, REQUEST, &told(20, all())).0, Next::FallBack, "another does not keep anybody waiting");
    assert_eq!(first(&SPEC, REQUEST, &told(59, None)), (Next::Pass, Some(Stop::Wait)), "the client's SDK waits so long");
    assert_eq!(first(&SPEC, REQUEST, &told(61, None)), (Next::Pass, Some(Stop::Time)));
    let mut hurried = course();
    hurried.hurry(at(5.0).nanos);
    assert_eq!(hurried.next(&SPEC, &Budget::default(), &told(4, None), at(1.0), 0), Next::Pass);
}

#[test]
fn without_budget_nothing_is_retried_but_keys_are_swapped_and_others_asked() {
    let spec = Spec { budget: 0.0, floor: 0.0, ..SPEC };
    assert_eq!(first(&spec, REQUEST, &tried(Cause::ServerError)), (Next::Pass, Some(Stop::Budget)));
    assert_eq!(first(&spec, REQUEST, &Tried { next_target: all(), ..tried(Cause::ServerError) }).0, Next::FallBack);
    assert_eq!(first(&spec, REQUEST, &Tried { other_key: true, ..tried(Cause::InvalidKey) }).0, Next::Swap);
}

#[test]
fn what_is_wrong_with_the_callers_own_key_is_the_callers() {
    let request = Request { key_is_callers: true, ..REQUEST };
    for cause in [Cause::InvalidKey, Cause::Exhausted, Cause::Forbidden, Cause::RateLimited(Dimension::Tokens)] {
        let (next, stop) = first(&SPEC, request, &Tried { other_key: true, next_target: all(), ..tried(cause) });
        assert_eq!((next, stop), (Next::Pass, None), "{cause:?}");
    }
    assert!(is_retry(first(&SPEC, request, &tried(Cause::ServerError)).0));
}

#[test]
fn a_client_that_retries_by_itself_leaves_fewer_attempts() {
    for (client_retries, sends) in [(0, 3), (1, 3), (2, 2), (3, 1), (4, 1), (u32::MAX, 1)] {
        let mut course = Course::new(&SPEC, Request { client_retries, ..REQUEST }, at(0.0));
        let budget = Budget::default();
        let retries = (0..10).take_while(|_| is_retry(course.next(&SPEC, &budget, &tried(Cause::ServerError), at(1.0), 0))).count();
        assert_eq!(1 + retries, sends, "{client_retries} retries of its own");
    }
}

#[test]
fn a_target_that_cannot_be_asked_is_skipped_where_the_next_takes_over() {
    let when = |condition| Some([condition].into_iter().collect::<When>());
    for (why, condition) in
        [(Occasion::Open, Condition::Open), (Occasion::NoKey, Condition::Exhausted), (Occasion::NoRoom, Condition::RateLimited)]
    {
        for other in Condition::ALL {
            let expected = if other == condition { Next::FallBack } else { Next::Pass };
            assert_eq!(course().skip(why, when(other), at(1.0)), expected, "{why:?} {other:?}");
        }
        assert_eq!(course().skip(why, None, at(1.0)), Next::Pass);
        assert_eq!(course().skip(why, when(condition), at(61.0)), Next::Pass);
    }
}

#[test]
fn unless_it_says_so_a_target_takes_over_for_all_but_long_prompts() {
    for cause in Cause::ALL {
        let occasion = Occasion::Ended(cause);
        let ever = When::from_iter(Condition::ALL).covers(occasion);
        assert_eq!(When::default().covers(occasion), ever && cause != Cause::ContextLength, "{cause:?}");
        assert!(!When::NEVER.covers(occasion));
    }
}

#[test]
fn a_budget_is_a_fifth_of_requests_and_a_floor_over_ten_seconds() {
    let (budget, spec) = (Budget::default(), Spec { floor: 1.0, ..SPEC });
    let drain = |now: f64| std::iter::repeat_with(|| budget.withdraw(&spec, at(now))).take_while(|taken| *taken).count();
    assert_eq!(drain(0.0), 10, "the floor of ten seconds");
    (0..50).for_each(|_| budget.deposit(at(1.0)));
    assert_eq!(drain(1.5), 10, "a fifth of fifty");
    assert_eq!(drain(9.9), 0);
    assert_eq!(drain(10.5), 10, "what the floor gave is given again");
    assert_eq!(drain(12.0), 0, "what came with requests is not, nor taken twice");
}

proptest! {
    /// Retries of any ten seconds against a naive list.
    #[test]
    fn a_budget_never_gives_more_than_its_share(calls in prop::collection::vec((0..3_000_u64, any::<bool>()), 1..300)) {
        let (budget, mut now) = (Budget::default(), 0_u64);
        let (mut deposits, mut withdrawals) = (Vec::new(), Vec::<u64>::new());
        for (millis, is_retry) in calls {
            now += millis * 1_000_000;
            let moment = Moment { nanos: now, unix: 0 };
            if !is_retry {
                budget.deposit(moment);
                deposits.push(now);
            } else if budget.withdraw(&SPEC, moment) {
                withdrawals.push(now);
                let within = |all: &[u64], seconds: u64| all.iter().filter(|then| **then + seconds * SECOND > now).count() as f64;
                // Seconds are whole: what was put in counts for ten of them, and what was taken out for nine at least.
                prop_assert!(within(&withdrawals, 9) <= 0.2 * within(&deposits, 11) + 30.0 + 1e-6);
            }
        }
    }

    /// A whole request, with keys that are bad, hosts that fail, and targets that take over.
    #[test]
    fn a_course_is_bounded_and_never_repeats_what_it_must_not(
        attempts in 1..6_u32,
        ambiguous in prop::sample::select(vec![Ambiguous::Never, Ambiguous::Idempotent, Ambiguous::Always]),
        repeat in prop::sample::select(Repeat::ALL.to_vec()),
        is_idempotent in any::<bool>(),
        client_retries in 0..4_u32,
        keys in 1..8_usize,
        targets in 1..4_usize,
        ends in prop::collection::vec((prop::sample::select(Cause::ALL.to_vec()), 0..20_u64, any::<u64>()), 60),
    ) {
        let spec = Spec { attempts, ambiguous, floor: 1_000.0, ..SPEC };
        let request = Request { repeat, is_idempotent, key_is_callers: false, client_retries };
        let (mut course, budget, mut now) = (Course::new(&spec, request, at(0.0)), Budget::default(), 0.0);
        let (mut target, mut key, mut bad) = (0, 0, HashSet::new());
        let (mut counted, mut has_ended) = (0, false);
        for (cause, seconds, random) in ends {
            prop_assert!(!bad.contains(&(target, key)), "a key that has refused it");
            if rule::of(cause).counts {
                counted += 1;
            }
            now += 0.01;
            let is_bad = matches!(cause, Cause::InvalidKey | Cause::Exhausted | Cause::Forbidden | Cause::UnknownModel);
            if is_bad {
                bad.insert((target, key));
            }
            let free = (0..keys).find(|other| *other != key && !bad.contains(&(target, *other)));
            let wait = (seconds > 10).then(|| Duration::from_secs(seconds));
            let next_target = (target + 1 < targets).then(When::default);
            let tried = Tried {
                verdict: Verdict { cause, wait }, has_begun: false, can_replay: true, other_key: free.is_some(), next_target,
            };
            let next = course.next(&spec, &budget, &tried, at(now), random);
            let is_sent_again = next != Next::Pass;
            let may_have_worked = cause.is_ambiguous() || cause == Cause::BrokenOff;
            prop_assert!(!is_sent_again || !may_have_worked || ambiguous != Ambiguous::Never);
            prop_assert!(!is_sent_again || repeat != Repeat::Never || rule::of(cause).work == rule::Work::Not);
            prop_assert!(!is_sent_again || counted < attempts, "{} counted", counted);
            prop_assert!(!is_sent_again || counted == 0 || counted + client_retries <= attempts);
            match next {
                Next::Pass => {
                    has_ended = true;
                    break;
                }
                Next::Swap => {
                    prop_assert!(is_bad && free.is_some());
                    key = free.unwrap();
                }
                Next::Retry { after } => {
                    prop_assert!(!is_bad);
                    now += after.as_secs_f64();
                    prop_assert!(at(now).nanos < course.deadline(), "nobody waits for what is too late");
                }
                Next::FallBack => {
                    prop_assert!(next_target.is_some());
                    (target, key) = (target + 1, 0);
                }
            }
        }
        prop_assert!(has_ended, "keys, attempts and targets are all bounded");
    }
}
