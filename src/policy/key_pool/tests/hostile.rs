//! What callers and providers say that can't be meant: it wedges nothing and fills nothing.

use std::time::Duration;

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
const MINUTE: u64 = 60 * SECOND;
const DAY: Duration = Duration::from_hours(24);

fn at(nanos: u64) -> Moment {
    Moment { nanos, unix: 0 }
}

fn pool(keys: usize) -> Vec<Slot> {
    (0..keys).map(|at| Slot { spec: Spec::of(1.0, Account(at)), state: Arc::default(), owner: Arc::default() }).collect()
}

fn asked<'a>(choice: Choice, model: &'a str, tried: &'a Tried) -> Asked<'a> {
    Asked { choice, model: Some(model), tokens: 10, prefix: None, tried, repeatable: true, random: 7 }
}

fn lease_on(slots: &[Slot], key: usize, model: &str, now: u64) -> Lease {
    acquire(slots, &Turn::default(), &asked(Choice::Of(Account(key)), model, &Tried::default()), at(now)).unwrap()
}

fn until(slots: &[Slot], now: u64) -> Option<u64> {
    slots[0].standing(at(now)).until
}

#[test]
fn a_probe_that_its_account_cannot_afford_keeps_nobody_from_another_key() {
    let slots = pool(2);
    let (mut told, mut revoked) = (lease_on(&slots, 0, "m", SECOND), lease_on(&slots, 0, "m", SECOND));
    assert!(told.judge(Cause::Served.into(), &slots, at(SECOND)).is_none());
    let nothing_left = Room { limit: Some(100), remaining: 0, reset: None, window: DAY };
    told.answered(&Headroom { requests: Some(nothing_left), tokens: None }, at(SECOND));
    revoked.judge(Cause::InvalidKey.into(), &slots, at(SECOND));
    let now = 11 * MINUTE;
    assert!(slots[0].standing(at(now)).until.unwrap() < now, "its probe is due");
    let lease = acquire(&slots, &Turn::default(), &asked(Choice::Any, "m", &Tried::default()), at(now)).unwrap();
    assert_eq!(lease.index, 1);
}

#[test]
fn a_last_resort_of_which_nothing_came_shortens_no_quarantine() {
    let slots = pool(1);
    lease_on(&slots, 0, "m", SECOND).judge(Cause::InvalidKey.into(), &slots, at(SECOND));
    let out = Some(SECOND + 10 * MINUTE);
    assert_eq!(until(&slots, 2 * SECOND), out);
    let unsent = lease_on(&slots, 0, "m", 3 * SECOND);
    assert_eq!(unsent.why, Why::LastResort);
    unsent.unsent(at(3 * SECOND));
    assert_eq!(until(&slots, 4 * SECOND), out, "it was not sent");
    drop(lease_on(&slots, 0, "m", 5 * SECOND));
    assert_eq!(until(&slots, 6 * SECOND), out, "its client left");
}

#[test]
fn to_ask_whether_there_is_a_key_takes_none_and_nobodys_turn() {
    let (slots, turn, tried) = (pool(2), Turn::default(), Tried::default());
    for key in [0, 1] {
        lease_on(&slots, key, "m", SECOND).judge(Cause::Exhausted.into(), &slots, at(SECOND));
    }
    let asked = asked(Choice::Any, "m", &tried);
    let before = [0, 1].map(|key| slots[key].standing(at(40 * SECOND)));
    assert!((0..5).all(|_| could_acquire(&slots, &turn, &asked, at(MINUTE * 3))));
    assert_eq!(before, [0, 1].map(|key| slots[key].standing(at(40 * SECOND))));
    assert!(acquire(&slots, &turn, &asked, at(MINUTE * 3)).is_ok());
    assert!(!could_acquire(&slots, &turn, &Asked { choice: Choice::Of(Account(9)), ..asked }, at(MINUTE * 3)));
}

#[test]
fn models_that_callers_invent_while_an_account_rests_leave_room_for_those_that_it_serves() {
    let (slots, mut now) = (pool(1), SECOND);
    for name in 0..200 {
        now += MINUTE;
        let refused = Verdict { cause: Cause::RateLimited(Dimension::Unknown), wait: Some(Duration::from_secs(1)) };
        lease_on(&slots, 0, &format!("invented-{name}"), now).judge(refused, &slots, at(now));
    }
    now += MINUTE;
    for name in 0..20 {
        lease_on(&slots, 0, &format!("real-{name}"), now).judge(Cause::Served.into(), &slots, at(now));
    }
    let standing = slots[0].standing(at(now));
    assert_eq!(standing.models.iter().filter(|model| model.model.starts_with("real-")).count(), 20);
}

#[test]
fn a_request_for_any_number_of_tokens_leaves_what_was_sent_countable() {
    let (mut shadow, terms) = (Shadow::default(), Terms::default());
    let told = |remaining| Headroom {
        requests: None,
        tokens: Some(Room { limit: Some(1_000), remaining, reset: None, window: Duration::from_secs(60) }),
    };
    let huge = shadow.take(&terms, Need::of(u64::MAX), SECOND).unwrap();
    shadow.told(&terms, &told(1_000), huge, SECOND);
    let first = shadow.take(&terms, Need::of(500), SECOND).unwrap();
    shadow.take(&terms, Need::of(300), SECOND).unwrap();
    shadow.told(&terms, &told(500), first, SECOND);
    let left = shadow.standing(&terms, SECOND).tokens.unwrap().remaining;
    assert!(left <= 200, "the second is on its way, and {left} are left");
}
