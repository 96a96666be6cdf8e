use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn id(number: u32) -> ObjectId {
    ObjectId::of(&number.to_le_bytes()).unwrap()
}

fn account(number: u32) -> MakerId {
    MakerId::named(&number.to_string())
}

fn known(homes: &Homes) -> usize {
    homes.0.iter().map(|shard| shard.lock().unwrap()).map(|shard| shard.fresh.len() + shard.stale.len()).sum()
}

#[test]
fn an_account_is_the_same_in_every_generation_and_no_other() {
    let key = Fingerprint::of(b"sk-1");
    assert_eq!(MakerId::named("acme"), MakerId::named("acme"));
    assert_eq!(MakerId::of_key(key), MakerId::of_key(key));
    assert_ne!(MakerId::of_key(key), MakerId::of_key(Fingerprint::of(b"sk-2")));
    assert_ne!(MakerId::named(&key.to_string()), MakerId::of_key(key), "a name that is written as a key's fingerprint is");
}

#[test]
fn however_many_are_made_there_is_a_bound_and_the_last_ones_are_known() {
    let homes = Homes::default();
    let all = 4 * 65_536;
    for number in 0..all {
        homes.learn(id(number), account(number % 3));
    }
    assert!(known(&homes) <= 65_536);
    // A half of the bound, less what chance may put into the fullest shard.
    for number in all - 28_000..all {
        assert_eq!(homes.find(id(number)), Some(account(number % 3)), "{number}");
    }
    assert_eq!(homes.find(id(0)), None);
}

#[test]
fn what_is_asked_for_stays() {
    let homes = Homes::default();
    homes.learn(id(0), account(7));
    for number in 1..4 * 65_536 {
        homes.learn(id(number), account(1));
        if number % 1_000 == 0 {
            assert_eq!(homes.find(id(0)), Some(account(7)), "after {number}");
        }
    }
}

#[test]
fn workers_that_learn_at_once_lose_nothing() {
    let homes = Homes::default();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let homes = &homes;
            scope.spawn(move || (0..2_000).for_each(|number| homes.learn(id(worker * 2_000 + number), account(worker))));
        }
    });
    for number in 0..8_000 {
        assert_eq!(homes.find(id(number)), Some(account(number / 2_000)));
    }
}

proptest! {
    #[test]
    fn a_small_map_says_what_was_learned_last(steps in prop::collection::vec((0..50_u32, prop::option::of(0..4_u32)), 0..400)) {
        let (homes, mut model) = (Homes::default(), HashMap::new());
        for (number, learned) in steps {
            if let Some(maker) = learned {
                homes.learn(id(number), account(maker));
                model.insert(number, account(maker));
            }
            prop_assert_eq!(homes.find(id(number)), model.get(&number).copied());
        }
        prop_assert_eq!(known(&homes), model.len());
    }

    #[test]
    fn a_full_shard_keeps_those_that_were_used_last(steps in prop::collection::vec(0..3 * HALF as u32, 0..6 * HALF)) {
        let mut shard = Shard::default();
        let mut last = Vec::new();
        for number in steps {
            if shard.find(id(number)).is_none() {
                shard.put(id(number), account(number));
            }
            last.push(number);
            prop_assert!(shard.fresh.len() + shard.stale.len() <= 2 * HALF);
        }
        let mut distinct = std::collections::HashSet::new();
        for number in last.into_iter().rev() {
            if distinct.len() == HALF && !distinct.contains(&number) {
                break;
            }
            distinct.insert(number);
        }
        for number in distinct {
            prop_assert_eq!(shard.find(id(number)), Some(account(number)));
        }
    }
}
