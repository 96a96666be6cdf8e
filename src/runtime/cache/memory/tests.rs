use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::{policy::cache::Dates, runtime::cache::Pieces, types::Usage};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Keys are as good as random.
fn key(number: u64) -> Key {
    let mut random = fastrand::Rng::with_seed(number);
    Key::from_bytes(std::array::from_fn(|_| random.u8(..)))
}

fn dates(until: u64) -> Dates {
    Dates { stored: 0, until, jitter: 0, negative: false }
}

fn entry(bytes: usize) -> Arc<Entry> {
    named(bytes, None, None)
}

fn named(bytes: usize, client: Option<&str>, model: Option<&str>) -> Arc<Entry> {
    Arc::new(Entry {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Pieces::of(&[Bytes::from(vec![b'x'; bytes])]),
        pauses: Box::default(),
        dates: dates(u64::MAX),
        usage: Usage::default(),
        cost: None,
        client: client.map(Into::into),
        model: model.map(Into::into),
    })
}

/// What is there, counted by hand.
fn counted(memory: &Memory) -> Stored {
    let slots: Vec<_> = memory.shelf.load().cache.iter().collect();
    Stored {
        entries: slots.len() as u64,
        bytes: slots.iter().map(|(_, slot)| slot.entry.weight()).sum(),
        evictions: memory.held().evictions,
    }
}

#[test]
fn what_is_put_is_there_until_it_is_removed() {
    let memory = Memory::new(MIB, 100);
    let (old, new) = (entry(10), entry(20));
    assert!(memory.get(&key(1)).is_none());
    assert!(memory.put(key(1), Arc::clone(&old)) && memory.put(key(2), entry(5)));
    assert!(memory.put(key(1), Arc::clone(&new)));
    assert_eq!(memory.get(&key(1)).unwrap().body.len(), 20);
    assert_eq!(memory.held(), counted(&memory));
    assert_eq!((memory.held().entries, memory.held().evictions), (2, 0));
    memory.remove(&key(1), &old);
    assert!(memory.get(&key(1)).is_some(), "a newer one is not the one that was found over");
    memory.remove(&key(1), &new);
    assert!(memory.get(&key(1)).is_none() && memory.get(&key(2)).is_some());
    assert_eq!(memory.held(), counted(&memory));
}

#[test]
fn a_purge_takes_all_or_those_of_a_client_or_a_model() {
    let memory = Memory::new(MIB, 100);
    let fill = || {
        memory.put(key(1), named(9, Some("web"), Some("gpt-4o")));
        memory.put(key(2), named(9, Some("web"), None));
        memory.put(key(3), named(9, Some("batch"), Some("gpt-4o")));
        memory.put(key(4), named(9, None, Some("gpt-4o-mini")));
    };
    let left = || [1, 2, 3, 4].map(|number| memory.get(&key(number)).is_some());
    fill();
    assert_eq!(memory.purge(&Purge::Client("web".into())), 2);
    assert_eq!(left(), [false, false, true, true]);
    fill();
    assert_eq!(memory.purge(&Purge::Model("gpt-4o".into())), 2);
    assert_eq!(left(), [false, true, false, true]);
    assert_eq!(memory.purge(&Purge::Client("nobody".into())), 0);
    fill();
    assert_eq!(memory.purge(&Purge::All), 4);
    assert_eq!((left(), memory.held()), ([false; 4], Stored::default()));
}

#[test]
fn a_sweep_takes_what_is_over() {
    let memory = Memory::new(MIB, 100);
    for until in 1..=50 {
        let entry = Entry { dates: dates(until), ..Entry::clone(&entry(100)) };
        memory.put(key(until), Arc::new(entry));
    }
    assert_eq!(memory.sweep(Moment { nanos: 20, unix: 0 }), 20);
    assert_eq!(memory.sweep(Moment { nanos: 20, unix: 0 }), 0);
    assert!(memory.get(&key(20)).is_none() && memory.get(&key(21)).is_some());
    assert_eq!((memory.held().entries, memory.held()), (30, counted(&memory)));
}

#[test]
fn a_full_store_holds_what_it_may_and_hardly_less() {
    let mut random = fastrand::Rng::with_seed(7);
    for (most, largest) in [(256 * KIB, 4 * KIB), (4 * MIB, 64 * KIB), (40 * MIB, 256 * KIB)] {
        let memory = Memory::new(most, 1_000_000);
        let mut put = 0;
        while put < 3 * most {
            let entry = entry(random.usize(..largest as usize));
            put += entry.weight();
            memory.put(key(random.u64(..)), entry);
            assert!(memory.held().bytes <= most);
        }
        let held = memory.held();
        assert!(held.bytes * 100 >= most * 95, "{held:?} of {most}");
        assert!(held.evictions > 0);
        assert_eq!(held, counted(&memory));
    }
}

#[test]
fn there_are_never_more_entries_than_there_may_be() {
    for most in [1, 2, 50, 1_000] {
        let memory = Memory::new(64 * MIB, most);
        for number in 0..3 * most {
            assert!(memory.put(key(number), entry(10)));
            assert!(memory.held().entries <= most, "{:?} of {most}", memory.held());
        }
        let held = memory.held();
        assert!(held.entries * 100 >= most * 95 || held.entries + 2 >= most, "{held:?} of {most}");
        assert_eq!(held.evictions, 3 * most - held.entries);
    }
}

#[test]
fn what_is_heavier_than_there_is_room_for_is_not_kept_and_neither_is_what_it_replaces() {
    let memory = Memory::new(MIB, 100);
    assert!(memory.put(key(1), entry(10)) && memory.put(key(2), entry(10)));
    assert!(!memory.put(key(1), entry(MIB as usize)));
    assert!(memory.get(&key(1)).is_none() && memory.get(&key(2)).is_some());
    assert_eq!((memory.held().entries, memory.held()), (1, counted(&memory)));
    assert!(memory.put(key(1), entry(800 * KIB as usize)), "nearly all of a small store may be one entry");
    let whole = Memory::new(256 * MIB, 100_000);
    assert!(whole.put(key(1), entry(16 * MIB as usize)), "an entry far beyond the usual limit has room in a part of a large one");
    for nothing in [Memory::new(0, 100), Memory::new(MIB, 0)] {
        assert!(!nothing.put(key(1), entry(10)));
        assert_eq!(nothing.held(), Stored::default());
    }
}

#[test]
fn what_is_asked_again_and_again_stays_however_much_is_asked_once() {
    let memory = Memory::new(MIB, 10_000);
    let hot: Vec<_> = (0..100).map(key).collect();
    for key in &hot {
        memory.put(*key, entry(2_000));
    }
    let mut found = 0;
    for number in 0..20_000 {
        memory.put(key(1_000 + number), entry(2_000));
        let asked = &hot[number as usize % hot.len()];
        match memory.get(asked) {
            Some(_) => found += 1,
            None => drop(memory.put(*asked, entry(2_000))),
        }
    }
    assert!(found > 19_000, "{found} of 20000");
}

#[test]
fn a_store_that_is_made_larger_keeps_all_and_one_made_smaller_what_has_room() {
    let memory = Memory::new(4 * MIB, 1_000);
    for number in 0..100 {
        memory.put(key(number), entry(10_000));
    }
    memory.resize(128 * MIB, 100_000);
    assert_eq!((memory.held().entries, memory.held()), (100, counted(&memory)));
    assert!((0..100).all(|number| memory.get(&key(number)).is_some()));
    memory.resize(512 * KIB, 1_000);
    let held = memory.held();
    assert!(held.bytes <= 512 * KIB && held.bytes * 100 >= 512 * KIB * 93, "{held:?}");
    assert_eq!(held.entries + held.evictions, 100);
    assert_eq!(held, counted(&memory));
    memory.resize(512 * KIB, 10);
    assert!((1..=10).contains(&memory.held().entries), "{:?}", memory.held());
    memory.resize(0, 10);
    assert_eq!((memory.held().entries, memory.held().bytes), (0, 0));
}

#[test]
fn threads_that_do_everything_at_once_leave_a_true_count() {
    let memory = Memory::new(2 * MIB, 500);
    let until = Instant::now() + Duration::from_millis(300);
    thread::scope(|threads| {
        for seed in 0..4 {
            let memory = &memory;
            threads.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                while Instant::now() < until {
                    let (key, client) = (key(random.u64(..2_000)), if random.bool() { "one" } else { "two" });
                    match random.u8(..100) {
                        0 => drop(memory.purge(&Purge::Client(client.into()))),
                        1 => memory.resize(random.u64(1..4) * MIB, 500),
                        2 => drop(memory.sweep(Moment { nanos: 1, unix: 0 })),
                        3..20 => drop(memory.get(&key).inspect(|entry| memory.remove(&key, entry))),
                        20..60 => drop(memory.put(key, named(random.usize(..20_000), Some(client), None))),
                        _ => assert!(memory.get(&key).is_none_or(|entry| entry.body.len() < 20_000)),
                    }
                }
            });
        }
    });
    assert_eq!(memory.held(), counted(&memory));
    memory.resize(MIB, 400);
    let held = memory.held();
    assert!(held.bytes <= MIB && held.entries <= 400, "{held:?}");
    memory.purge(&Purge::All);
    assert_eq!((memory.held().entries, memory.held().bytes), (0, 0));
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64, usize),
    Get(u64),
    Remove(u64),
    Resize(u64, u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..60_u64, 0..40_000_usize).prop_map(|(number, bytes)| Step::Put(number, bytes)),
        4 => (0..60_u64).prop_map(Step::Get),
        1 => (0..60_u64).prop_map(Step::Remove),
        1 => (1..600 * KIB, 1..60_u64).prop_map(|(bytes, entries)| Step::Resize(bytes, entries)),
    ]
}

proptest! {
    #[test]
    fn both_limits_hold_and_only_the_latest_is_found(steps in proptest::collection::vec(any_step(), 1..150)) {
        let (memory, mut latest, mut limits) = (Memory::new(300 * KIB, 40), HashMap::new(), (300 * KIB, 40));
        for step in steps {
            match step {
                Step::Put(number, bytes) => drop((memory.put(key(number), entry(bytes)), latest.insert(number, bytes))),
                Step::Get(number) => {
                    let found = memory.get(&key(number)).map(|entry| entry.body.len());
                    prop_assert!(found.is_none() || found == latest.get(&number).copied());
                }
                Step::Remove(number) => {
                    if let Some(found) = memory.get(&key(number)) {
                        memory.remove(&key(number), &found);
                    }
                    prop_assert!(memory.get(&key(number)).is_none());
                    latest.remove(&number);
                }
                Step::Resize(bytes, entries) => {
                    memory.resize(bytes, entries);
                    limits = (bytes, entries);
                }
            }
            let held = memory.held();
            prop_assert!(held.bytes <= limits.0 && held.entries <= limits.1, "{:?} of {:?}", held, limits);
            prop_assert_eq!(held, counted(&memory));
        }
    }
}
