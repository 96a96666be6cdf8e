//! What verdicts do to keys, and what they leave alone.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{health::Machine, *};
use crate::types::{
    Moment,
    verdict::{Cause, Dimension, Verdict},
};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;

fn at(nanos: u64) -> Moment {
    Moment { nanos, unix: 0 }
}

/// Keys, each an account of its own.
fn pool(keys: usize) -> Vec<Slot> {
    (0..keys).map(|at| Slot { spec: Spec::of(1.0, Account(at)), state: Arc::default(), owner: Arc::default() }).collect()
}

fn ask(slots: &[Slot], model: Option<&str>, now: u64) -> Result<Lease, Unavailable> {
    let tried = Tried::default();
    let asked = Asked { choice: Choice::Any, model, tokens: 10, prefix: None, tried: &tried, repeatable: true, random: now };
    acquire(slots, &Turn::default(), &asked, at(now))
}

/// A lease on this very key.
fn lease_on(slots: &[Slot], key: usize, model: Option<&str>, now: u64) -> Lease {
    let tried = Tried::default();
    let choice = Choice::Of(slots[key].spec.account);
    let asked = Asked { choice, model, tokens: 10, prefix: None, tried: &tried, repeatable: true, random: now };
    acquire(slots, &Turn::default(), &asked, at(now)).unwrap()
}

fn end(slots: &[Slot], key: usize, cause: Cause, now: u64) -> Option<Transition> {
    lease_on(slots, key, Some("m"), now).judge(cause.into(), slots, at(now))
}

fn health(slots: &[Slot], key: usize, now: u64) -> Health {
    slots[key].standing(at(now)).health
}

#[test]
fn five_requests_with_a_revoked_key_make_one_quarantine_of_ten_minutes() {
    let slots = pool(4);
    let mut running: Vec<_> = (0..5).map(|_| lease_on(&slots, 0, None, SECOND)).collect();
    let changes: Vec<_> = running.iter_mut().filter_map(|lease| lease.judge(Cause::InvalidKey.into(), &slots, at(SECOND))).collect();
    let until = Some(SECOND + 10 * MINUTE);
    assert_eq!(changes, [Transition { from: Health::Active, to: Health::Quarantined, cause: Cause::InvalidKey, until }]);
    drop(running);
    for now in (2 * SECOND..10 * MINUTE).step_by(SECOND as usize) {
        assert_ne!(ask(&slots, None, now).unwrap().index, 0);
    }
}

#[test]
fn a_probe_that_fails_doubles_the_time_and_one_that_is_served_brings_the_key_back_slowly() {
    let slots = pool(2);
    end(&slots, 0, Cause::InvalidKey, SECOND);
    let mut now = SECOND + 10 * MINUTE;
    for minutes in [20, 40, 80, 160, 320, 360, 360] {
        let mut probe = ask(&slots, None, now).unwrap();
        assert_eq!((probe.index, probe.why, probe.is_probe()), (0, Why::Probe, true));
        assert_eq!(ask(&slots, None, now).unwrap().index, 1, "one request and no other");
        let change = probe.judge(Cause::InvalidKey.into(), &slots, at(now)).unwrap();
        assert_eq!((change.from, change.to, change.until), (Health::HalfOpen, Health::Quarantined, Some(now + minutes * MINUTE)));
        assert_eq!(ask(&slots, None, now + minutes * MINUTE - 1).unwrap().index, 1);
        now += minutes * MINUTE;
    }
    let probe = ask(&slots, None, now).unwrap();
    let change = probe.first_token(Duration::from_millis(300), at(now)).unwrap();
    assert_eq!((change.from, change.to), (Health::HalfOpen, Health::Active));
    drop(probe);
    let share = |now| {
        let held: Vec<_> = (0..22).map(|_| ask(&slots, None, now).unwrap()).collect();
        held.iter().filter(|lease| lease.index == 0).count()
    };
    assert_eq!(share(now), 2, "a tenth of the other's at first");
    assert_eq!(share(now + 30 * SECOND), 11);
    assert_eq!(end(&slots, 0, Cause::InvalidKey, now + MINUTE).unwrap().until, Some(now + 11 * MINUTE), "counted from the start again");
}

#[test]
fn an_exhausted_account_takes_all_its_keys_along_and_is_probed_once() {
    let mut slots = pool(5);
    (slots[1].spec.account, slots[1].owner) = (slots[0].spec.account, Arc::clone(&slots[0].owner));
    let mut now = SECOND;
    for minutes in [5, 15, 60, 60] {
        let mut lease = ask(&slots, Some("m"), now).unwrap();
        while lease.index > 1 {
            lease = ask(&slots, Some("m"), now).unwrap();
        }
        assert_eq!(lease.is_probe(), now > SECOND);
        let other = ask(&slots, Some("m"), now).unwrap();
        assert!(now == SECOND || other.index > 1);
        lease.judge(Cause::Exhausted.into(), &slots, at(now));
        assert_eq!([0, 1].map(|key| health(&slots, key, now)), [Health::Quarantined; 2]);
        assert!(ask(&slots, Some("m"), now + minutes * MINUTE - 1).unwrap().index > 1);
        now += minutes * MINUTE;
    }
}

#[test]
fn at_most_half_of_a_pool_is_quarantined_within_a_minute() {
    let slots = pool(8);
    let changes: Vec<_> = (0..8).map(|key| end(&slots, key, Cause::InvalidKey, SECOND).unwrap().to).collect();
    assert_eq!(changes[..4], [Health::Quarantined; 4]);
    assert_eq!(changes[4..], [Health::Cooling; 4]);
    assert_eq!(end(&slots, 7, Cause::InvalidKey, 62 * SECOND).unwrap().to, Health::Quarantined);
}

#[test]
fn the_only_key_is_asked_once_a_second_though_it_is_bad() {
    let (slots, turn, tried) = (pool(1), Turn::default(), Tried::default());
    let ask = |now: u64| {
        let asked = Asked { choice: Choice::Any, model: None, tokens: 0, prefix: None, tried: &tried, repeatable: false, random: 1 };
        acquire(&slots, &turn, &asked, at(now))
    };
    ask(SECOND).unwrap().judge(Cause::InvalidKey.into(), &slots, at(SECOND));
    let mut sent = 0;
    for now in (2 * SECOND..62 * SECOND).step_by(SECOND as usize / 10) {
        match ask(now) {
            Ok(mut lease) => {
                sent += 1;
                assert_eq!(lease.why, Why::LastResort);
                let meanwhile = ask(now).unwrap_err();
                assert!(matches!(meanwhile, Unavailable::Until { nanos, why: Cause::InvalidKey } if nanos > now));
                lease.judge(Cause::InvalidKey.into(), &slots, at(now));
            }
            Err(refusal) => assert!(matches!(refusal, Unavailable::Until { nanos, .. } if nanos <= now + SECOND)),
        }
    }
    assert_eq!(sent, 60);
    let mut lease = ask(63 * SECOND).unwrap();
    assert_eq!(lease.judge(Cause::Served.into(), &slots, at(63 * SECOND)).unwrap().to, Health::Active);
}

#[test]
fn when_all_were_bad_and_one_is_good_again_the_others_are_tried_at_once() {
    let slots = pool(3);
    for (key, now) in [(0, SECOND), (1, 70 * SECOND), (2, 140 * SECOND)] {
        assert_eq!(end(&slots, key, Cause::InvalidKey, now).unwrap().to, Health::Quarantined);
    }
    let back = 150 * SECOND;
    let mut lease = ask(&slots, None, back).unwrap();
    assert_eq!((lease.index, lease.why), (0, Why::LastResort), "who is probed first");
    lease.judge(Cause::Served.into(), &slots, at(back));
    let mut next: Vec<_> = (0..3).map(|_| ask(&slots, None, back + 1).unwrap()).map(|lease| (lease.index, lease)).collect();
    next.sort_by_key(|(index, _)| *index);
    assert_eq!(next.iter().map(|(index, lease)| (*index, lease.is_probe())).collect::<Vec<_>>(), [(0, false), (1, true), (2, true)]);
}

#[test]
fn an_account_that_is_refused_rests_for_that_model_and_the_later_deadline_holds() {
    let slots = pool(1);
    let refuse = |lease: &mut Lease, wait: Option<u64>, now| {
        let verdict = Verdict { cause: Cause::RateLimited(Dimension::Requests), wait: wait.map(Duration::from_nanos) };
        lease.judge(verdict, &slots, at(now)).unwrap()
    };
    let mut running: Vec<_> = (0..3).map(|_| ask(&slots, Some("m"), SECOND).unwrap()).collect();
    let until = refuse(&mut running[0], Some(20 * SECOND), SECOND).until.unwrap();
    assert!((21 * SECOND..=23 * SECOND).contains(&until), "never before the provider's word, and little after it");
    assert_eq!(refuse(&mut running[1], Some(SECOND), SECOND).until, Some(until));
    assert_eq!(refuse(&mut running[2], None, 2 * SECOND).until, Some(until));
    let why = Cause::RateLimited(Dimension::Requests);
    assert_eq!(ask(&slots, Some("m"), 3 * SECOND).unwrap_err(), Unavailable::Until { nanos: until, why });
    assert_eq!(ask(&slots, Some("another"), 3 * SECOND).unwrap().index, 0);
    let long = refuse(&mut ask(&slots, Some("m"), MINUTE).unwrap(), Some(100 * 3_600 * SECOND), MINUTE).until.unwrap();
    assert!(long <= MINUTE + 7 * 3_600 * SECOND);
}

#[test]
fn a_model_is_turned_off_only_where_another_account_serves_it_and_never_everywhere() {
    let slots = pool(3);
    assert_eq!(end(&slots, 0, Cause::UnknownModel, SECOND), None, "the caller's mistake, as far as anybody knows");
    end(&slots, 1, Cause::Served, SECOND);
    assert_eq!(end(&slots, 0, Cause::UnknownModel, SECOND).unwrap().until, Some(SECOND + 60 * MINUTE));
    assert!(end(&slots, 2, Cause::Forbidden, SECOND).is_some());
    for _ in 0..6 {
        assert_eq!(ask(&slots, Some("m"), 2 * SECOND).unwrap().index, 1);
    }
    assert_eq!(end(&slots, 1, Cause::UnknownModel, 2 * SECOND), None, "the last one stays");
}

#[test]
fn callers_change_nothing_and_fill_nothing() {
    let slots = pool(2);
    for request in 0..1_000 {
        let model = format!("model-{request}");
        let mut lease = ask(&slots, Some(&model), SECOND).unwrap();
        lease.answered(&crate::types::headroom::Headroom::default(), at(SECOND));
        let cause = [Cause::Refused, Cause::UnknownModel, Cause::Forbidden, Cause::ContextLength, Cause::Left, Cause::NoReply][request % 6];
        assert_eq!(lease.judge(cause.into(), &slots, at(SECOND)), None);
    }
    for slot in &slots {
        let standing = slot.standing(at(SECOND));
        assert_eq!((standing.health, standing.in_flight, standing.models), (Health::Active, 0, vec![]));
    }
    for model in 0..200 {
        lease_on(&slots, 0, Some(&model.to_string()), SECOND).judge(Cause::Served.into(), &slots, at(SECOND));
    }
    assert_eq!(slots[0].standing(at(SECOND)).models.len(), account::MODELS);
}

#[test]
fn an_operator_knows_better() {
    let slots = pool(1);
    end(&slots, 0, Cause::RateLimited(Dimension::Unknown), SECOND);
    end(&pool(1), 0, Cause::InvalidKey, SECOND);
    slots[0].reset();
    assert_eq!(health(&slots, 0, SECOND), Health::Active);
    end(&slots, 0, Cause::InvalidKey, SECOND);
    assert_eq!(health(&slots, 0, SECOND), Health::Quarantined);
    slots[0].reset();
    assert!(!ask(&slots, None, SECOND).unwrap().is_probe());
}

/// The drawing, as pairs of what it was and what it became.
const DRAWN: [(Health, Health); 9] = [
    (Health::Active, Health::Quarantined),
    (Health::Active, Health::Cooling),
    (Health::Cooling, Health::Active),
    (Health::Cooling, Health::HalfOpen),
    (Health::Quarantined, Health::HalfOpen),
    (Health::HalfOpen, Health::Active),
    (Health::HalfOpen, Health::Quarantined),
    (Health::HalfOpen, Health::Cooling),
    (Health::Quarantined, Health::Active),
];

#[derive(Clone, Debug)]
enum Step {
    Probe { early: bool },
    Fail { epoch: u8, lets: bool },
    Pass { epoch: u8 },
    Undecided { epoch: u8, sent: bool },
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<bool>().prop_map(|early| Step::Probe { early }),
        (0..4_u8, any::<bool>()).prop_map(|(epoch, lets)| Step::Fail { epoch, lets }),
        (0..4_u8).prop_map(|epoch| Step::Pass { epoch }),
        (0..4_u8, any::<bool>()).prop_map(|(epoch, sent)| Step::Undecided { epoch, sent }),
        (0..20 * MINUTE).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..100)
}

fn seen(machine: &Machine, now: u64) -> Health {
    match machine.look(now) {
        health::Look::Sound => Health::Active,
        health::Look::Rests(..) => Health::Cooling,
        health::Look::Waits { .. } => Health::Quarantined,
        health::Look::Probed(_) => Health::HalfOpen,
    }
}

proptest! {
    /// Whatever happens in whatever order: only drawn transitions, one probe at a time, and nothing by results of old epochs.
    #[test]
    fn a_machine_goes_only_where_it_is_drawn_to_go(steps in steps()) {
        let (machine, mut now) = (Machine::default(), SECOND);
        for step in steps {
            let (before, epoch) = (seen(&machine, now), machine.epoch());
            let changed = match step {
                Step::Probe { early } => machine.probe(early, now).map(|(_, transition)| transition),
                Step::Fail { epoch: old, lets } => {
                    machine.fail(epoch.wrapping_sub(old.into()), (Cause::InvalidKey, None), || lets, now)
                }
                Step::Pass { epoch: old } => machine.pass(epoch.wrapping_sub(old.into()), now),
                Step::Undecided { epoch: old, sent } => machine.undecided(epoch.wrapping_sub(old.into()), sent, now),
                Step::Wait(time) => {
                    now += time;
                    prop_assert!(before == Health::Cooling || seen(&machine, now) == before);
                    continue;
                }
            };
            let after = seen(&machine, now);
            match step {
                Step::Probe { .. } if before == Health::HalfOpen => prop_assert!(changed.is_none(), "a second probe"),
                Step::Fail { epoch: old, .. } | Step::Pass { epoch: old } | Step::Undecided { epoch: old, .. } if old > 0 => {
                    prop_assert!(changed.is_none(), "an old result changed something");
                }
                _ => {}
            }
            match changed {
                None => prop_assert_eq!((before, epoch), (after, machine.epoch())),
                Some(Transition { from, to, .. }) => {
                    prop_assert!(DRAWN.contains(&(from, to)), "{from:?} {to:?}");
                    prop_assert!(machine.epoch() > epoch);
                    prop_assert!(after == to || to == Health::Cooling || to == Health::Quarantined);
                }
            }
        }
    }
}
