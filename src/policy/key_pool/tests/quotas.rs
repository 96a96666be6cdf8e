//! What an account can afford: nothing is granted twice, and nothing is lost.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{
    shadow::{Need, Shadow, Terms},
    *,
};
use crate::types::{
    Moment,
    headroom::{Headroom, Room},
    verdict::{Cause, Dimension, Verdict},
};

const SECOND: u64 = 1_000_000_000;

fn at(nanos: u64) -> Moment {
    Moment { nanos, unix: 0 }
}

fn quota(amount: u64) -> Option<Quota> {
    Some(Quota { amount, window: Duration::from_secs(60) })
}

fn pool(quotas: &[Option<Quota>]) -> Vec<Slot> {
    let slot = |(at, requests): (usize, &Option<Quota>)| Slot {
        spec: Spec { requests: *requests, affinity: true, ..Spec::of(1.0, Account(at)) },
        state: Arc::default(),
        owner: Arc::new(account::State::new(at as u64)),
    };
    quotas.iter().enumerate().map(slot).collect()
}

fn ask(slots: &[Slot], prefix: Option<u64>, random: u64, now: u64) -> Result<Lease, Unavailable> {
    let tried = Tried::default();
    let asked = Asked { choice: Choice::Any, model: Some("m"), tokens: 100, prefix, tried: &tried, repeatable: true, random };
    acquire(slots, &Turn::default(), &asked, at(now))
}

fn told(remaining: u64) -> Headroom {
    let room = Room { limit: Some(600), remaining, reset: None, window: Duration::from_secs(60) };
    Headroom { requests: Some(room), tokens: None }
}

/// How many requests the pool affords now.
fn afforded(slots: &[Slot], now: u64) -> usize {
    (0..).map_while(|random| ask(slots, None, random, now).ok().map(drop)).count()
}

#[test]
fn nothing_is_sent_to_an_account_that_is_empty_and_the_time_told_is_enough() {
    let slots = pool(&[quota(60), quota(120)]);
    assert_eq!(afforded(&slots, SECOND), 59 + 119, "all but the reserve");
    let Err(Unavailable::Until { nanos, why }) = ask(&slots, None, 1, SECOND) else { panic!("it was afforded") };
    assert_eq!(why, Cause::RateLimited(Dimension::Requests));
    assert!(ask(&slots, None, 1, nanos - SECOND / 100).is_err());
    assert_eq!(ask(&slots, None, 1, nanos).unwrap().index, 1, "the larger one fills sooner");
}

#[test]
fn what_was_not_sent_is_given_back() {
    let slots = pool(&[quota(20)]);
    for round in 0..100 {
        let mut lease = ask(&slots, None, round, SECOND).unwrap();
        if round % 2 == 0 {
            lease.unsent(at(SECOND));
        } else {
            lease.judge(Verdict::from(Cause::Unreachable), &slots, at(SECOND));
        }
    }
    assert_eq!(slots[0].state.in_flight(), 0);
    assert_eq!(afforded(&slots, SECOND), 19);
}

#[test]
fn a_need_beyond_the_whole_quota_is_sent_when_the_quota_is_whole() {
    let (mut shadow, terms) = (Shadow::default(), Terms { requests: None, tokens: quota(1_000) });
    assert!(shadow.take(&terms, Need::of(1_000_000), SECOND).is_ok());
    assert!(shadow.take(&terms, Need::of(1_000_000), 30 * SECOND).is_err());
    assert!(shadow.take(&terms, Need::of(1_000_000), 62 * SECOND).is_ok());
}

#[test]
fn what_a_provider_tells_lowers_at_any_time_and_raises_only_when_it_is_newest() {
    let slots = pool(&[None]);
    let first = ask(&slots, None, 1, SECOND).unwrap();
    first.answered(&told(599), at(SECOND));
    first.first_token(Duration::ZERO, at(SECOND));
    let left = |now| slots[0].standing(at(now)).models[0].headroom.requests.unwrap().remaining;
    let (older, newer) = (ask(&slots, None, 1, SECOND).unwrap(), ask(&slots, None, 1, SECOND).unwrap());
    older.answered(&told(100), at(SECOND));
    assert_eq!(left(SECOND), 99, "the one that was sent since is not in it");
    older.answered(&told(400), at(SECOND));
    assert_eq!(left(SECOND), 99);
    newer.answered(&told(400), at(SECOND));
    assert_eq!(left(SECOND), 400);
    newer.answered(&told(0), at(SECOND));
    assert!(ask(&slots, None, 1, SECOND).is_err());
}

#[test]
fn prompts_that_begin_alike_stay_with_an_account_until_it_runs_low() {
    let slots = pool(&[quota(100); 5]);
    let homes: Vec<_> = (0..40).map(|prefix| ask(&slots, Some(prefix), prefix, SECOND).unwrap().index).collect();
    assert!((0..5).all(|key| homes.contains(&key)), "{homes:?}");
    slots.iter().for_each(Slot::reset);
    let home = ask(&slots, Some(7), 1, SECOND).unwrap().index;
    let stayed = (0..100).take_while(|random| ask(&slots, Some(7), *random, SECOND).unwrap().index == home).count();
    assert!((80..90).contains(&stayed), "{stayed}");
    let without: Vec<_> = slots.iter().filter(|slot| slot.spec.account != Account(home)).cloned().collect();
    let account = |slots: &[Slot], prefix| slots[ask(slots, Some(prefix), 1, 200 * SECOND).unwrap().index].spec.account;
    let moved = (0..40).filter(|prefix| account(&slots, *prefix) != account(&without, *prefix)).count();
    let of_home = (0..40).filter(|prefix| account(&slots, *prefix) == Account(home)).count();
    assert_eq!(moved, of_home, "only those of the one that went");
}

proptest! {
    /// However requests come, are answered and are given back: in no window more is sent than the quota and what comes back in it.
    #[test]
    fn no_window_holds_more_than_the_quota_and_what_comes_back(
        amount in 1..50_u64,
        steps in prop::collection::vec((0..3 * SECOND, 0..8_u8), 1..200),
    ) {
        let (slots, mut now, mut sent) = (pool(&[quota(amount)]), SECOND, Vec::new());
        for (random, (passed, what)) in steps.into_iter().enumerate() {
            now += if what < 4 { 0 } else { passed };
            let Ok(mut lease) = ask(&slots, None, random as u64, now) else { continue };
            match what {
                0 => { lease.unsent(at(now)); continue }
                1 => { lease.judge(Verdict::from(Cause::Served), &slots, at(now)); }
                2 => { lease.answered(&Headroom { requests: Some(Room { limit: None, ..told(1_000).requests.unwrap() }), tokens: None }, at(now)); }
                _ => {}
            }
            sent.push(now);
        }
        for (first, start) in sent.iter().enumerate() {
            for (last, end) in sent.iter().enumerate().skip(first) {
                let most = amount as f64 * (1.0 + (end - start) as f64 / (60 * SECOND) as f64) + 1e-6;
                prop_assert!((last - first + 1) as f64 <= most, "{} within {}", last - first + 1, end - start);
            }
        }
        prop_assert_eq!(slots[0].state.in_flight(), 0);
    }
}
