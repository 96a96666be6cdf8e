//! Who goes when there is no room: by the paper on S3-FIFO (SOSP 2023, algorithm 1), and by LRU.

use std::collections::{HashMap, HashSet, VecDeque};

use super::traffic::Thing;

/// A cache of which only the names are kept.
pub(super) trait Policy {
    /// Asks for a thing of this weight, which is kept from then on if it was not: whether it was.
    fn ask(&mut self, thing: Thing, weight: u64) -> bool;
}

/// Who was asked for last stays.
pub(super) struct Lru {
    room: u64,
    clock: u64,
    /// When each was asked for last, and its weight.
    held: HashMap<Thing, (u64, u64)>,
    /// Every time that one was asked for.
    asked: VecDeque<(Thing, u64)>,
}

impl Lru {
    pub(super) fn new(room: u64) -> Self {
        Self { room, clock: 0, held: HashMap::new(), asked: VecDeque::new() }
    }
}

impl Policy for Lru {
    fn ask(&mut self, thing: Thing, weight: u64) -> bool {
        self.clock += 1;
        self.asked.push_back((thing, self.clock));
        if let Some((last, _)) = self.held.get_mut(&thing) {
            *last = self.clock;
            return true;
        }
        while self.room < weight {
            let Some((oldest, at)) = self.asked.pop_front() else { break };
            if self.held.get(&oldest).is_some_and(|(last, _)| *last == at)
                && let Some((_, freed)) = self.held.remove(&oldest)
            {
                self.room += freed;
            }
        }
        self.room -= weight;
        self.held.insert(thing, (self.clock, weight));
        false
    }
}

/// A queue with the weight of what is in it.
#[derive(Default)]
struct Queue {
    things: VecDeque<Thing>,
    weight: u64,
}

impl Queue {
    fn push(&mut self, thing: Thing, weight: u64) {
        self.things.push_back(thing);
        self.weight += weight;
    }
}

/// A small queue for what is new, a large one for what was asked for again, and the names of those that have left the small one.
pub(super) struct S3Fifo {
    room: u64,
    /// How often each was asked for since it came into its queue, at most 3, and its weight.
    held: HashMap<Thing, (u8, u64)>,
    small: Queue,
    main: Queue,
    ghosts: VecDeque<Thing>,
    remembered: HashSet<Thing>,
}

impl S3Fifo {
    pub(super) fn new(room: u64) -> Self {
        Self {
            room,
            held: HashMap::new(),
            small: Queue::default(),
            main: Queue::default(),
            ghosts: VecDeque::new(),
            remembered: HashSet::new(),
        }
    }

    fn make_room(&mut self) {
        if self.small.weight >= self.room / 10 || self.main.things.is_empty() { self.leave_small() } else { self.leave_main() }
    }

    /// The first of the small queue that was asked for no more than once since it came goes; those before it have proved themselves.
    fn leave_small(&mut self) {
        while let Some(thing) = self.small.things.pop_front() {
            let Some((asked, weight)) = self.held.get_mut(&thing) else { continue };
            self.small.weight -= *weight;
            if *asked > 1 {
                *asked = 0;
                self.main.push(thing, *weight);
                continue;
            }
            self.held.remove(&thing);
            self.remember(thing);
            return;
        }
    }

    /// The first of the large queue that was not asked for since its last turn goes.
    fn leave_main(&mut self) {
        while let Some(thing) = self.main.things.pop_front() {
            let Some((asked, weight)) = self.held.get_mut(&thing) else { continue };
            self.main.weight -= *weight;
            if *asked > 0 {
                *asked -= 1;
                self.main.push(thing, *weight);
                continue;
            }
            self.held.remove(&thing);
            return;
        }
    }

    /// As many names as there are things in the large queue.
    fn remember(&mut self, thing: Thing) {
        if self.remembered.insert(thing) {
            self.ghosts.push_back(thing);
        }
        while self.ghosts.len() > self.main.things.len().max(1) {
            let Some(oldest) = self.ghosts.pop_front() else { break };
            self.remembered.remove(&oldest);
        }
    }
}

impl Policy for S3Fifo {
    fn ask(&mut self, thing: Thing, weight: u64) -> bool {
        if let Some((asked, _)) = self.held.get_mut(&thing) {
            *asked = (*asked + 1).min(3);
            return true;
        }
        while self.small.weight + self.main.weight + weight > self.room {
            self.make_room();
        }
        self.held.insert(thing, (0, weight));
        // Its name stays in the queue of ghosts until its turn: that it is forgotten earlier or later makes no difference.
        let queue = if self.remembered.remove(&thing) { &mut self.main } else { &mut self.small };
        queue.push(thing, weight);
        false
    }
}
