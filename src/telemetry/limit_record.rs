//! What came of the checks of one limit, and who was near its end or beyond.
//!
//! Counters know their subjects as hashes alone, so whoever asks for names finds them here: of those few who matter, noted when
//! they come near. A caller who is far from his limits is never noted, and who stays near is noted once. Subjects are shown
//! to operators and are never labels of metrics.
//!
//! It belongs to the limit's counters, not to a generation of the config.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Sets of notes; a subject's key says in which it stands.
const SETS: usize = 128;

/// Notes in a set: 1,024 in all.
const WAYS: usize = 8;

/// Keys that are known to be noted, without a look at the notes.
const RECENT: usize = 64;

/// The most bytes of a label: a name of a token may have two thousand.
const LONGEST: usize = 256;

/// After this time without news a note makes room before all others.
const STALE: Duration = Duration::from_secs(15 * 60);

/// The record of one limit.
#[derive(Debug)]
pub struct LimitRecord {
    allowed: AtomicU64,
    refused: AtomicU64,
    shadowed: AtomicU64,
    /// Read by every request of a busy caller, written when somebody new becomes one: apart from the counts, which change always.
    recent: Box<[AtomicU64; RECENT]>,
    notes: Mutex<Vec<Vec<Note>>>,
}

/// A subject that came near.
#[derive(Debug)]
struct Note {
    key: u64,
    label: Box<str>,
    refused: u64,
    /// What whoever stood here before was refused: so nobody makes room for himself by being new (Metwally and others,
    /// "Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005).
    inherited: u64,
    seen: Duration,
}

/// A subject that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turned {
    /// Its key.
    pub key: u64,
    /// What it is called.
    pub label: Box<str>,
    /// How often it was refused since it was noted.
    pub times: u64,
    /// When last, since the process began.
    pub last: Duration,
}

impl Default for LimitRecord {
    fn default() -> Self {
        Self {
            allowed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            shadowed: AtomicU64::new(0),
            recent: Box::new([const { AtomicU64::new(0) }; RECENT]),
            notes: Mutex::default(),
        }
    }
}

impl LimitRecord {
    /// There was room.
    pub fn allow(&self) {
        self.allowed.fetch_add(1, Relaxed);
    }

    /// There was none, and the request was refused.
    pub fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// There was none, and the limit is a shadow.
    pub fn shadow(&self) {
        self.shadowed.fetch_add(1, Relaxed);
    }

    /// How many checks had which outcome, each with its name.
    #[must_use]
    pub fn outcomes(&self) -> [(&'static str, u64); 3] {
        [("allowed", &self.allowed), ("refused", &self.refused), ("shadowed", &self.shadowed)]
            .map(|(name, count)| (name, count.load(Relaxed)))
    }

    /// This subject has used much. Who was noted before costs a look at one number.
    pub fn near(&self, key: u64, now: Duration, label: impl FnOnce() -> String) {
        if self.recent(key).load(Relaxed) != key {
            self.note(key, now, label, 0);
        }
    }

    /// This subject was refused, or would have been.
    pub fn turn_away(&self, key: u64, now: Duration, label: impl FnOnce() -> String) {
        self.note(key, now, label, 1);
    }

    fn note(&self, key: u64, now: Duration, label: impl FnOnce() -> String, times: u64) {
        let mut notes = self.lock();
        if notes.is_empty() {
            notes.resize_with(SETS, Vec::new);
        }
        let set = &mut notes[set_of(key)];
        if let Some(note) = set.iter_mut().find(|note| note.key == key) {
            note.refused += times;
            note.seen = now;
        } else {
            let mut new = Note { key, label: shortened(label()), refused: times, inherited: 0, seen: now };
            if set.len() < WAYS {
                set.push(new);
            } else if let Some(at) = (0..WAYS).min_by_key(|at| set[*at].worth(now)) {
                new.inherited = if set[at].is_stale(now) { 0 } else { set[at].refused + set[at].inherited };
                // It has to be noted again when it comes back. A look that comes at the same time may miss that until the next one.
                let _ = self.recent(set[at].key).compare_exchange(set[at].key, 0, Relaxed, Relaxed);
                set[at] = new;
            }
        }
        self.recent(key).store(key, Relaxed);
    }

    /// What a subject is called, if it is noted.
    #[must_use]
    pub fn label(&self, key: u64) -> Option<Box<str>> {
        self.lock().get(set_of(key))?.iter().find(|note| note.key == key).map(|note| note.label.clone())
    }

    /// Those who were refused most often, at most so many, the first of them first.
    #[must_use]
    pub fn most_refused(&self, most: usize) -> Vec<Turned> {
        let told = |note: &Note| Turned { key: note.key, label: note.label.clone(), times: note.refused, last: note.seen };
        let mut all: Vec<_> = self.lock().iter().flatten().filter(|note| note.refused > 0).map(told).collect();
        all.sort_unstable_by_key(|turned| (std::cmp::Reverse(turned.times), turned.key));
        all.truncate(most);
        all
    }

    fn recent(&self, key: u64) -> &AtomicU64 {
        &self.recent[(key >> 32) as usize % RECENT]
    }

    /// A panic elsewhere leaves it as it was: nothing in here can stop half way but the making of a label, before any change.
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Note>>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Note {
    fn is_stale(&self, now: Duration) -> bool {
        now.saturating_sub(self.seen) > STALE
    }

    /// Who has the least makes room: first who was not heard of for long, then who was refused least, the oldest of them.
    fn worth(&self, now: Duration) -> (u64, Duration) {
        (if self.is_stale(now) { 0 } else { 1 + self.refused + self.inherited }, self.seen)
    }
}

fn set_of(key: u64) -> usize {
    key as usize % SETS
}

fn shortened(mut label: String) -> Box<str> {
    if label.len() > LONGEST {
        label.truncate(label.floor_char_boundary(LONGEST - '…'.len_utf8()));
        label.push('…');
    }
    label.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(3_600);

    fn name(key: u64) -> impl FnOnce() -> String {
        move || format!("client-{key}")
    }

    /// Keys that all stand in one set, and of which each has a place of its own among the recent ones.
    fn rivals(count: u64) -> impl Iterator<Item = u64> {
        (1..=count).map(|number| number << 32 | 7)
    }

    #[test]
    fn outcomes_are_counted_each_by_itself() {
        let record = LimitRecord::default();
        (0..3).for_each(|_| record.allow());
        (0..2).for_each(|_| record.refuse());
        record.shadow();
        assert_eq!(record.outcomes(), [("allowed", 3), ("refused", 2), ("shadowed", 1)]);
    }

    #[test]
    fn who_is_near_has_a_name_and_is_asked_for_it_once() {
        let record = LimitRecord::default();
        assert_eq!(record.label(7), None);
        record.near(7, NOW, name(7));
        record.near(7, NOW, || unreachable!("it is noted"));
        assert_eq!(record.label(7).as_deref(), Some("client-7"));
        assert_eq!(record.most_refused(9), [], "it was refused nothing");
        record.turn_away(7, NOW, || unreachable!("it is noted"));
        assert_eq!(record.most_refused(9).iter().map(|turned| turned.times).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn it_stays_bounded_and_who_is_refused_most_stays_in_it() {
        let record = LimitRecord::default();
        let often = 9 << 40 | 7;
        (0..1_000).for_each(|_| record.turn_away(often, NOW, name(often)));
        for key in rivals(500) {
            record.turn_away(key, NOW, name(key));
            record.near(key << 7, NOW, name(key));
        }
        let noted: usize = record.lock().iter().map(Vec::len).sum();
        assert!(noted <= 2 * WAYS, "{noted}");
        let first = &record.most_refused(3)[0];
        assert_eq!((first.key, first.times, &*first.label), (often, 1_000, &*format!("client-{often}")));
        for key in 0..100_000_u64 {
            record.turn_away(key.wrapping_mul(0x9e37_79b9_7f4a_7c15), NOW, name(key));
        }
        assert_eq!(record.lock().iter().map(Vec::len).sum::<usize>(), SETS * WAYS);
    }

    #[test]
    fn who_made_room_is_noted_again_when_it_comes_back() {
        let record = LimitRecord::default();
        let keys: Vec<_> = rivals(WAYS as u64 + 1).collect();
        for (second, key) in (0..).zip(&keys) {
            record.near(*key, NOW + Duration::from_secs(second), name(*key));
        }
        assert_eq!(record.label(keys[0]), None, "the oldest made room");
        record.near(keys[0], NOW + Duration::from_secs(99), name(keys[0]));
        assert!(record.label(keys[0]).is_some());
    }

    #[test]
    fn who_was_refused_often_and_long_ago_makes_room_first() {
        let record = LimitRecord::default();
        let keys: Vec<_> = rivals(WAYS as u64 + 1).collect();
        (0..1_000).for_each(|_| record.turn_away(keys[0], NOW, name(keys[0])));
        keys[1..].iter().for_each(|key| record.near(*key, NOW + STALE + Duration::from_secs(1), name(*key)));
        assert_eq!(record.label(keys[0]), None);
        assert!(record.label(keys[1]).is_some());
    }

    #[test]
    fn a_long_name_is_cut_between_two_letters() {
        let record = LimitRecord::default();
        record.near(1, NOW, || "ä".repeat(2_000));
        let label = record.label(1).unwrap();
        assert!(label.len() <= LONGEST && label.ends_with("ä…"), "{label}");
        record.near(2, NOW, || "ä".repeat(LONGEST / 2));
        assert_eq!(record.label(2).unwrap().len(), LONGEST);
    }
}
