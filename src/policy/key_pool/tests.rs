use proptest::prelude::*;

use super::*;
use crate::types::Moment;

fn pool(weights: &[f64]) -> Vec<Slot> {
    let slot = |(at, &weight)| Slot { spec: Spec::of(weight, Account(at)), state: Arc::default(), owner: Arc::default() };
    weights.iter().enumerate().map(slot).collect()
}

fn take(slots: &[Slot], turn: &Turn, choice: Choice) -> Result<Lease, Unavailable> {
    let tried = Tried::default();
    let asked = Asked { choice, model: None, tokens: 0, prefix: None, tried: &tried, repeatable: true, random: 1 };
    acquire(slots, turn, &asked, Moment::default())
}

fn in_flight(slots: &[Slot]) -> Vec<u32> {
    slots.iter().map(|slot| slot.state.in_flight()).collect()
}

#[test]
fn the_least_loaded_key_is_taken_and_given_back() {
    let (slots, turn) = (pool(&[1.0, 1.0, 1.0]), Turn::default());
    let leases: Vec<_> = (0..6).map(|_| take(&slots, &turn, Choice::Any).unwrap()).collect();
    assert_eq!(in_flight(&slots), [2, 2, 2]);
    drop(leases);
    assert_eq!(in_flight(&slots), [0, 0, 0]);
}

#[test]
fn equals_take_turns_also_when_nothing_runs_at_once() {
    let (slots, turn) = (pool(&[1.0, 1.0, 1.0]), Turn::default());
    let taken: Vec<_> = (0..6).map(|_| take(&slots, &turn, Choice::Any).unwrap().index).collect();
    assert_eq!(taken, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_key_of_twice_the_weight_carries_twice_the_load() {
    let (slots, turn) = (pool(&[2.0, 1.0]), Turn::default());
    let _leases: Vec<_> = (0..30).map(|_| take(&slots, &turn, Choice::Any).unwrap()).collect();
    assert_eq!(in_flight(&slots), [20, 10]);
}

#[test]
fn a_key_without_weight_or_retired_gets_nothing_while_its_leases_run_on() {
    let (slots, turn) = (pool(&[1.0, 0.0, 1.0]), Turn::default());
    let running = take(&slots, &turn, Choice::Any).unwrap();
    assert_eq!(running.index, 0);
    slots[0].state.retire();
    for _ in 0..5 {
        assert_eq!(take(&slots, &turn, Choice::Any).unwrap().index, 2);
    }
    assert_eq!(in_flight(&slots), [1, 0, 0]);
    drop(running);
    slots[2].state.retire();
    assert_eq!(take(&slots, &turn, Choice::Any).unwrap_err(), Unavailable::Exhausted(Exhausted));
    assert_eq!(take(&[], &turn, Choice::Any).unwrap_err(), Unavailable::Exhausted(Exhausted));
}

#[test]
fn a_disabled_key_gets_nothing_until_it_is_enabled_again() {
    let (slots, turn) = (pool(&[1.0, 1.0]), Turn::default());
    slots[0].state.disable();
    assert!(slots[0].state.is_disabled() && !slots[1].state.is_disabled());
    let leases: Vec<_> = (0..4).map(|_| take(&slots, &turn, Choice::Any).unwrap()).collect();
    assert_eq!(in_flight(&slots), [0, 4]);
    assert_eq!(take(&slots, &turn, Choice::Home).unwrap().index, 1, "the home is looked for among keys in use");
    slots[1].state.disable();
    assert!(!is_usable(&slots));
    assert_eq!(take(&slots, &turn, Choice::Any).unwrap_err(), Unavailable::Exhausted(Exhausted));
    slots[0].state.enable();
    assert_eq!(take(&slots, &turn, Choice::Any).unwrap().index, 0);
    drop(leases);
    slots[0].state.retire();
    slots[0].state.enable();
    assert!(!is_usable(&slots), "what was removed does not come back by being enabled");
}

proptest! {
    /// Whatever is taken and given back in whatever order, the counters say exactly what is held, and no
    /// key carries more than its fair share plus one.
    #[test]
    fn counters_equal_what_is_held(weights in prop::collection::vec(0.1..4.0, 1..8), steps in prop::collection::vec(any::<Option<u8>>(), 0..200)) {
        let (slots, turn) = (pool(&weights), Turn::default());
        let mut held = Vec::new();
        for step in steps {
            match step {
                Some(which) if !held.is_empty() => drop(held.swap_remove(usize::from(which) % held.len())),
                _ => {
                    let lease = take(&slots, &turn, Choice::Any).unwrap();
                    let load = |i: usize| f64::from(slots[i].state.in_flight()) / weights[i];
                    let least = (0..slots.len()).map(|i| load(i) + 1.0 / weights[i]).fold(f64::INFINITY, f64::min);
                    prop_assert!(load(lease.index) <= least + 1e-9);
                    held.push(lease);
                }
            }
            let total: u32 = in_flight(&slots).iter().sum();
            prop_assert_eq!(total as usize, held.len());
        }
        drop(held);
        prop_assert!(in_flight(&slots).iter().all(|n| *n == 0));
    }
}

#[test]
fn what_an_account_keeps_is_looked_for_with_its_own_keys() {
    let (mut slots, turn) = (pool(&[0.0, 1.0, 1.0, 1.0]), Turn::default());
    slots[3].spec.account = slots[1].spec.account;
    let mut home: Vec<_> = (0..4).map(|_| take(&slots, &turn, Choice::Home).unwrap()).collect();
    assert_eq!(in_flight(&slots), [0, 2, 0, 2]);
    assert_eq!(take(&slots, &turn, Choice::Any).unwrap().index, 2);
    slots[1].state.retire();
    home.push(take(&slots, &turn, Choice::Home).unwrap());
    assert_eq!(home.last().unwrap().index, 2, "the first key in use says whose home it is");
    assert_eq!(take(&pool(&[0.0]), &turn, Choice::Home).unwrap_err(), Unavailable::Exhausted(Exhausted));
}
