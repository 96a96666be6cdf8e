//! Against naive models: a list of everything that was let through.

use std::{num::NonZeroU64, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::types::{CostRate, Rate, Unit};

const SECOND: u64 = 1_000_000_000;

fn at(nanos: u64) -> Moment {
    Moment { nanos, unix: 1_800_000_000 + nanos / SECOND }
}

fn spec(rate: &str, burst: Option<u64>) -> Spec {
    Spec::rate(Unit::Requests, rate.parse::<Rate>().unwrap(), burst.and_then(NonZeroU64::new))
}

fn subject(key: u64) -> Subject {
    Subject { key, group: key }
}

fn state(spec: &Spec) -> Arc<State> {
    Arc::new(State::new(spec.counting()))
}

fn take(spec: &Spec, state: &Arc<State>, amount: u64, now: Moment) -> Result<Charge, Refusal> {
    acquire(&mut [Check::new(spec, state, subject(7), amount)], now)
}

fn left(spec: &Spec, state: &Arc<State>, now: Moment) -> u64 {
    let mut checks = [Check::new(spec, state, subject(7), 1)];
    weigh(&mut checks, now);
    checks[0].outcome.standing.remaining
}

/// Times between requests: now and then none, often little, seldom long.
fn gaps(window: u64) -> impl Strategy<Value = Vec<u64>> {
    let gap = prop_oneof![2 => Just(0), 6 => 0..window / 16, 2 => 0..window, 1 => window - 2..window + 2];
    prop::collection::vec(gap, 1..400)
}

proptest! {
    #[test]
    fn few_are_let_through_exactly_as_a_list_of_all_would_say(amount in 1..=64_u64, gaps in gaps(SECOND)) {
        let spec = spec(&format!("{amount}/s"), None);
        let (state, mut now, mut let_through) = (state(&spec), 1, Vec::new());
        for gap in gaps {
            now += gap;
            let in_window = let_through.iter().filter(|then| now - **then < SECOND).count() as u64;
            let taken = take(&spec, &state, 1, at(now));
            prop_assert_eq!(taken.is_ok(), in_window < amount, "{} in the window", in_window);
            if taken.is_ok() {
                let_through.push(now);
            }
        }
    }

    #[test]
    fn never_more_than_the_limit_in_any_window(amount in 1..500_u64, seconds in 1..900_u64, taken in prop::collection::vec((1..60_u64, 0..1_000_u64), 1..400)) {
        let spec = Spec::rate(Unit::Tokens, format!("{amount}/{seconds}s").parse().unwrap(), None);
        let window = seconds * SECOND;
        let (state, mut now, mut let_through) = (state(&spec), 1, Vec::<(u64, u64)>::new());
        for (size, gap) in taken {
            now += gap * window / 4_000;
            let sum = |since: u64| let_through.iter().filter(|(then, _)| *then + since > now).map(|(_, size)| size).sum::<u64>();
            match take(&spec, &state, size, at(now)) {
                Ok(_) => {
                    prop_assert!(sum(window) + size <= amount);
                    let_through.push((now, size));
                }
                // A step is a thirty-second of the window at most.
                Err(refusal) if size <= amount => {
                    prop_assert!(sum(window + window / 32 + 1_000) + size > amount);
                    let wait = refusal.wait.unwrap().as_nanos() as u64;
                    prop_assert!(weigh(&mut [Check::new(&spec, &state, subject(7), size)], at(now + wait)).is_none(), "told to wait too short");
                }
                Err(refusal) => prop_assert_eq!(refusal.wait, None),
            }
        }
    }

    #[test]
    fn a_bucket_lets_through_its_burst_and_its_rate_and_not_one_more(amount in 1..200_u64, burst in 1..300_u64, gaps in gaps(10 * SECOND)) {
        let spec = spec(&format!("{amount}/10s"), Some(burst));
        let (state, mut now, mut let_through) = (state(&spec), 1, Vec::new());
        for gap in gaps {
            now += gap;
            match take(&spec, &state, 1, at(now)) {
                Ok(_) => let_through.push(now),
                Err(refusal) => {
                    let wait = refusal.wait.unwrap().as_nanos() as u64;
                    prop_assert!(wait <= 10 * SECOND / amount + 1, "one more is there when one has run dry");
                    prop_assert!(weigh(&mut [Check::new(&spec, &state, subject(7), 1)], at(now + wait)).is_none());
                }
            }
        }
        for (first, since) in let_through.iter().enumerate() {
            for (last, until) in let_through.iter().enumerate().skip(first) {
                let most = u128::from(burst) * 10 * u128::from(SECOND) + u128::from(amount) * u128::from(until - since);
                prop_assert!((last - first + 1) as u128 * 10 * u128::from(SECOND) <= most);
            }
        }
    }

    /// Whatever is given back, and when: what was kept of all charges is never more than the limit.
    #[test]
    fn refunds_never_exceed_charges(
        burst in prop::option::of(1..100_u64),
        amount in 1..100_u64,
        steps in prop::collection::vec((1..40_u64, 0..4_000_u64, prop::option::of((0..6_usize, 0..60_u64))), 1..120),
    ) {
        let spec = Spec::rate(Unit::Tokens, format!("{amount}/4s").parse().unwrap(), burst.and_then(NonZeroU64::new));
        let (state, mut now) = (state(&spec), 1);
        let mut charges: Vec<(Charge, u64, u64)> = Vec::new();
        for (size, gap, back) in steps {
            now += gap * SECOND / 1_000;
            if let Ok(charge) = take(&spec, &state, size, at(now)) {
                charges.push((charge, now, size));
            }
            let mut kept: u128 = 0;
            for (_, then, size) in charges.iter().rev() {
                kept += u128::from(*size) * 4 * u128::from(SECOND);
                let since = u128::from(now - then);
                let most = match burst {
                    Some(burst) => u128::from(burst) * 4 * u128::from(SECOND) + u128::from(amount) * since,
                    None => u128::from(amount) * 4 * u128::from(SECOND) * (1 + since / (4 * u128::from(SECOND))),
                };
                prop_assert!(kept <= most, "{kept} > {most}");
            }
            if let Some((which, part)) = back && let Some((charge, _, size)) = charges.iter_mut().rev().nth(which) {
                let before = left(&spec, &state, at(now));
                charge.refund(Unit::Tokens, part, at(now));
                charge.refund(Unit::Tokens, part, at(now));
                prop_assert!(left(&spec, &state, at(now)) <= before + (2 * part).min(*size));
                *size = size.saturating_sub(2 * part);
            }
        }
    }

    #[test]
    fn a_request_is_charged_to_all_limits_or_to_none(amounts in prop::collection::vec(1..20_u64, 2..6), asks in prop::collection::vec(1..8_u64, 1..60)) {
        let specs: Vec<Spec> = amounts.iter().map(|amount| Spec::rate(Unit::Tokens, format!("{amount}/h").parse().unwrap(), None)).collect();
        let states: Vec<_> = specs.iter().map(state).collect();
        let mut used = 0;
        for ask in asks {
            let mut checks: Vec<_> = specs.iter().zip(&states).map(|(spec, state)| Check::new(spec, state, subject(7), ask)).collect();
            let fits = amounts.iter().all(|amount| used + ask <= *amount);
            prop_assert_eq!(acquire(&mut checks, at(1)).is_ok(), fits);
            used += if fits { ask } else { 0 };
            for ((spec, state), amount) in specs.iter().zip(&states).zip(&amounts) {
                prop_assert_eq!(left(spec, state, at(1)), amount - used);
            }
        }
    }

    #[test]
    fn permits_never_exceed_their_number(most in 1..10_u64, steps in prop::collection::vec(any::<bool>(), 1..100)) {
        let spec = Spec::permits(most);
        let state = state(&spec);
        let mut held = Vec::new();
        for takes in steps {
            match takes {
                true => {
                    let taken = take(&spec, &state, 1, at(1));
                    prop_assert_eq!(taken.is_ok(), (held.len() as u64) < most);
                    held.extend(taken.ok());
                }
                false => drop(held.pop()),
            }
            prop_assert_eq!(left(&spec, &state, at(1)), most - held.len() as u64);
        }
    }
}

#[test]
fn the_longest_wait_is_the_one_that_is_told() {
    let (short, long, never) = (spec("1/s", None), spec("1/min", None), spec("1/h", None));
    let [a, b, c] = [&short, &long, &never].map(state);
    drop(take(&short, &a, 1, at(1)));
    drop(take(&long, &b, 1, at(1)));
    let check = |spec, state, amount, tag| Check { tag, ..Check::new(spec, state, subject(7), amount) };
    let refusal = acquire(&mut [check(&long, &b, 1, 1), check(&short, &a, 1, 0)], at(1)).unwrap_err();
    assert_eq!(refusal.tag, 1);
    assert!(refusal.wait.unwrap() > Duration::from_secs(59));
    let refusal = acquire(&mut [check(&never, &c, 2, 2), check(&long, &b, 1, 1)], at(1)).unwrap_err();
    assert_eq!(refusal, Refusal { tag: 2, wait: None });
}

#[test]
fn a_shadow_counts_as_if_it_refused_and_never_does() {
    let (real, shadow) = (spec("10/min", None), spec("2/min", None));
    let (a, b) = (state(&real), state(&shadow));
    let mut would_refuse = 0;
    for _ in 0..10 {
        let mut checks = [Check::new(&real, &a, subject(7), 1), Check { shadow: true, ..Check::new(&shadow, &b, subject(7), 1) }];
        drop(acquire(&mut checks, at(1)).unwrap());
        would_refuse += usize::from(checks.iter().any(|check| check.shadow && check.outcome.is_over));
    }
    assert_eq!((would_refuse, left(&shadow, &b, at(1)), left(&real, &a, at(1))), (8, 0, 0));
}

#[test]
fn numbers_may_change_and_what_was_used_stays_used() {
    let hundred = spec("100/min", None);
    let counters = state(&hundred);
    (0..40).for_each(|_| drop(take(&hundred, &counters, 1, at(1)).unwrap()));
    assert_eq!(left(&spec("50/min", None), &counters, at(2)), 10);
    assert_eq!(left(&spec("30/min", None), &counters, at(2)), 0);
    assert!(take(&spec("30/min", None), &counters, 1, at(2)).is_err());
    assert_eq!(left(&hundred, &counters, at(2)), 60);

    let bucket = spec("100/min", Some(150));
    let counters = state(&bucket);
    (0..140).for_each(|_| drop(take(&bucket, &counters, 1, at(1)).unwrap()));
    assert_eq!(left(&spec("100/min", Some(100)), &counters, at(1)), 0);
    assert_eq!(left(&spec("10/min", Some(145)), &counters, at(1)), 5);
}

#[test]
fn who_read_the_clock_first_and_was_charged_last_gets_his_own_back() {
    for unit in [Unit::Requests, Unit::Tokens] {
        let limit = Spec::rate(unit, "10/min".parse().unwrap(), None);
        let counters = state(&limit);
        drop(take(&limit, &counters, 3, at(31 * SECOND)).unwrap());
        let late = take(&limit, &counters, 2, at(29 * SECOND)).unwrap();
        assert_eq!(left(&limit, &counters, at(32 * SECOND)), 5);
        late.cancel(at(32 * SECOND));
        assert_eq!(left(&limit, &counters, at(32 * SECOND)), 7);
    }
}

#[test]
fn days_and_months_begin_anew_at_midnight() {
    let day = Spec::rate(Unit::Requests, "2/day".parse().unwrap(), None);
    let counters = state(&day);
    let midnight = 1_800_057_600;
    assert_eq!(midnight % 86_400, 0);
    let moment = |unix| Moment { nanos: 1, unix };
    (0..2).for_each(|_| drop(take(&day, &counters, 1, moment(midnight - 90)).unwrap()));
    assert_eq!(take(&day, &counters, 1, moment(midnight - 90)).unwrap_err().wait, Some(Duration::from_secs(90)));
    let late = take(&day, &counters, 1, moment(midnight)).unwrap();
    assert!(take(&day, &counters, 1, moment(midnight - 1)).is_ok(), "the clock went back, and the new page stays open");
    assert!(take(&day, &counters, 1, moment(midnight - 1)).is_err());
    late.cancel(moment(midnight + 1));
    assert_eq!(left(&day, &counters, moment(midnight + 1)), 1);

    let month = Spec::cost("5 USD/month".parse::<CostRate>().unwrap());
    let counters = state(&month);
    let charge = take(&month, &counters, 5_000_000_000_000, moment(midnight)).unwrap();
    assert!(take(&month, &counters, 1, moment(midnight + 86_400)).is_err());
    let next = moment(midnight + 40 * 86_400);
    drop(take(&month, &counters, 2_000_000_000_000, next).unwrap());
    charge.cancel(next);
    assert_eq!(left(&month, &counters, next), 3_000_000_000_000, "what was taken of the last page is not given back on this one");
}

#[test]
fn debts_are_counted_and_bounded() {
    for burst in [None, Some(100)] {
        let tokens = Spec::rate(Unit::Tokens, "100/min".parse().unwrap(), burst.and_then(NonZeroU64::new));
        let counters = state(&tokens);
        let mut charge = take(&tokens, &counters, 50, at(1)).unwrap();
        charge.force(Unit::Tokens, 1_000_000, at(2));
        assert!(take(&tokens, &counters, 1, at(59 * SECOND)).is_err());
        assert_eq!(left(&tokens, &counters, at(125 * SECOND)), 100, "no debt is larger than the limit");
    }
}

#[test]
fn threads_that_ask_at_once_get_what_there_is_and_not_one_more() {
    const THREADS: u64 = 4;
    const ASKS: u64 = 1_000;
    let specs =
        [spec("900/h", None), spec("1/24h", Some(1_500)), Spec::rate(Unit::Requests, "1200/day".parse().unwrap(), None), Spec::permits(5)];
    let states = specs.each_ref().map(state);
    // Of the first limit there are two subjects, and each gets all of its own; of the others there is one.
    let checks = |ask: u64| -> [Check<'_>; 4] {
        std::array::from_fn(|limit| Check::new(&specs[limit], &states[limit], subject(if limit == 0 { ask % 2 } else { 7 }), 1))
    };
    let kept = std::thread::scope(|scope| {
        let thread = |thread| {
            let of = move || {
                let mut kept = [0; 2];
                for ask in thread..thread + ASKS {
                    match acquire(&mut checks(ask), at(1)) {
                        // Some are given back, and are there for others.
                        Ok(charge) if ask % 5 == 0 => charge.cancel(at(1)),
                        Ok(_) => kept[(ask % 2) as usize] += 1,
                        Err(refusal) => assert!(refusal.wait.is_some()),
                    }
                }
                kept
            };
            scope.spawn(of)
        };
        let threads: Vec<_> = (0..THREADS).map(thread).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold([0; 2], |sum, kept| [sum[0] + kept[0], sum[1] + kept[1]])
    });
    let left: Vec<u64> = [0, 1]
        .map(checks)
        .iter_mut()
        .flat_map(|checks| {
            weigh(checks, at(1));
            checks.map(|check| check.outcome.standing.remaining)
        })
        .collect();
    let sum = kept[0] + kept[1];
    assert_eq!(sum, 1_200, "the day is used up, to the last one");
    assert_eq!(left, [900 - kept[0], 300, 0, 5, 900 - kept[1], 300, 0, 5], "and each counter says what was let through");
}

#[test]
fn a_flood_of_addresses_takes_no_more_memory_than_the_cap_and_frees_nobody() {
    let limit = spec("2/min", None);
    let counters = state(&limit);
    (0..2).for_each(|_| drop(take(&limit, &counters, 1, at(1)).unwrap()));
    let hash = |n: u64| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mut let_through = 0;
    for n in 0..1_200_000 {
        let subject = Subject { key: hash(n), group: 3 };
        let_through += u32::from(acquire(&mut [Check::new(&limit, &counters, subject, 1)], at(2 + n)).is_ok());
    }
    assert!(counters.bytes() <= 96 << 20, "{} MiB", counters.bytes() >> 20);
    assert!(counters.subjects() >= 1_000_000);
    assert!(let_through as usize <= counters.subjects() + 2, "those that found no room share a counter");
    assert_eq!(counters.shared() as usize, 1_200_001 - counters.subjects(), "and are told of");
    assert!(take(&limit, &counters, 1, at(SECOND)).is_err(), "who was there before is still known");
    counters.sweep(&limit, at(100 * SECOND), None);
    assert_eq!(counters.subjects(), 0);
    assert!(counters.bytes() < 1 << 20, "memory comes back");
}

/// Where there is no room to remember more, the limit holds as ever: what was used comes back later, and never earlier.
#[test]
fn tight_memory_makes_a_limit_stricter_and_never_weaker() {
    use super::{sliding::Log, table::Cell};
    for (rate, unit) in [("40/min", Unit::Requests), ("1000/min", Unit::Requests), ("60k/min", Unit::Tokens)] {
        let spec = Spec::rate(unit, rate.parse().unwrap(), None);
        let (mut log, mut let_through, size) = (Log::default(), Vec::<(u64, u64)>::new(), spec.amount() / 40);
        for ask in 0..2_000 {
            let now = 1 + ask * SECOND;
            log.tighten(ask > 20);
            let before = log.heap();
            if log.weigh(&spec, size, at(now)).is_ok() {
                log.charge(&spec, size, at(now));
                let_through.push((now, size));
                let sum: u64 = let_through.iter().filter(|(then, _)| then + 60 * SECOND > now).map(|(_, size)| size).sum();
                assert!(sum <= spec.amount(), "{rate}: {sum}");
            }
            assert!(ask <= 20 || log.heap() <= before.max(32), "{rate}: it has grown");
        }
        let share = let_through.iter().map(|(_, size)| size).sum::<u64>() * 60 * 100 / (2_000 * spec.amount());
        assert!(share >= 40, "{rate}: no more than {share} % of what there is");
    }
}

#[test]
fn a_sweep_forgets_only_those_of_whom_nothing_counts() {
    let (minute, bucket) = (spec("2/min", None), spec("2/min", Some(2)));
    let (day, permits) = (spec("2/day", None), Spec::permits(2));
    for spec in [minute, bucket, day, permits] {
        let counters = state(&spec);
        let held = take(&spec, &counters, 2, at(1)).unwrap();
        counters.sweep(&spec, at(SECOND), None);
        assert_eq!((counters.subjects(), left(&spec, &counters, at(SECOND))), (1, 0), "{spec:?}");
        held.cancel(at(SECOND));
        counters.sweep(&spec, at(90_000 * SECOND), None);
        assert_eq!((counters.subjects(), left(&spec, &counters, at(90_000 * SECOND))), (0, 2), "{spec:?}");
    }
}

#[test]
fn what_has_passed_is_not_taken_from_those_who_come_later() {
    let spec = Spec::rate(Unit::Tokens, "27/4s".parse().unwrap(), None);
    let state = state(&spec);
    let mut long_ago = take(&spec, &state, 3, at(1)).unwrap();
    // In the ticks of this window, four bytes come round.
    let now = at(1 + (1 << 34));
    drop(take(&spec, &state, 6, now).unwrap());
    long_ago.refund(Unit::Tokens, 3, now);
    assert_eq!(left(&spec, &state, now), 21);
}

#[test]
fn what_was_taken_beyond_the_reservation_is_given_back_too() {
    for burst in [None, Some(100)] {
        let tokens = Spec::rate(Unit::Tokens, "100/min".parse().unwrap(), burst.and_then(NonZeroU64::new));
        let counters = state(&tokens);
        let mut charge = take(&tokens, &counters, 20, at(1)).unwrap();
        charge.force(Unit::Tokens, 50, at(1));
        assert_eq!(left(&tokens, &counters, at(1)), 30);
        charge.refund(Unit::Tokens, 60, at(1));
        assert_eq!(left(&tokens, &counters, at(1)), 90);
        charge.cancel(at(1));
        assert_eq!(left(&tokens, &counters, at(1)), 100);
    }
}

#[test]
fn a_debt_that_was_forgiven_is_not_given_back() {
    for burst in [None, Some(100)] {
        let tokens = Spec::rate(Unit::Tokens, "100/min".parse().unwrap(), burst.and_then(NonZeroU64::new));
        let counters = state(&tokens);
        let mut other = take(&tokens, &counters, 90, at(1)).unwrap();
        let mut charge = take(&tokens, &counters, 10, at(1)).unwrap();
        other.force(Unit::Tokens, 80, at(1));
        charge.force(Unit::Tokens, 1_000_000, at(1));
        charge.cancel(at(1));
        assert_eq!(left(&tokens, &counters, at(1)), 0, "the other's 170 stay");
        other.refund(Unit::Tokens, 80, at(1));
        assert_eq!(left(&tokens, &counters, at(1)), 10);
    }
}

#[test]
fn what_has_passed_leaves_room_for_a_debt() {
    let tokens = Spec::rate(Unit::Tokens, "100/min".parse().unwrap(), None);
    let counters = state(&tokens);
    let mut long = take(&tokens, &counters, 100, at(1)).unwrap();
    long.force(Unit::Tokens, 100, at(1));
    long.force(Unit::Tokens, 100, at(90 * SECOND));
    assert_eq!(left(&tokens, &counters, at(90 * SECOND)), 0);
}

#[test]
fn a_charge_that_came_to_its_counter_a_moment_late_is_given_back_whole() {
    let spec = spec("10/s", None);
    let state = state(&spec);
    drop(take(&spec, &state, 1, at(101)).unwrap());
    let late = take(&spec, &state, 1, at(100)).unwrap();
    assert_eq!(left(&spec, &state, at(102)), 8);
    late.cancel(at(103));
    assert_eq!(left(&spec, &state, at(103)), 9);
}

#[test]
fn counters_that_grow_take_no_more_than_the_cap() {
    const HOUR: u64 = 3_600 * SECOND;
    let limit = spec("1000/24h", None);
    let counters = state(&limit);
    // All of one shard, which may have its part of the cap: each comes again and again, all day long.
    let mut let_through = 0;
    for round in 0..48 {
        for key in 0..14_336 {
            let now = at(1 + round * HOUR / 2 + key);
            let_through += u32::from(acquire(&mut [Check::new(&limit, &counters, subject(key), 1)], now).is_ok());
        }
    }
    assert_eq!(let_through, 48 * 14_336, "nobody came near the limit");
    assert!(counters.bytes() * 72 <= (96 << 20) * 11 / 10, "{} MiB, were all shards so", (counters.bytes() * 72) >> 20);
    // What was put together counts as if it had come last, so none of it passes too soon.
    assert_eq!(left(&limit, &counters, at(24 * HOUR)), 952);
}

#[test]
fn a_clock_that_was_wrong_by_years_closes_no_page_for_years() {
    let day = Spec::rate(Unit::Requests, "1/day".parse().unwrap(), None);
    let counters = state(&day);
    let moment = |unix| Moment { nanos: 1, unix };
    drop(take(&day, &counters, 1, moment(4_000_000_000)).unwrap());
    drop(take(&day, &counters, 1, moment(1_800_000_000)).unwrap());
    assert!(take(&day, &counters, 1, moment(1_800_000_000)).is_err());
}
