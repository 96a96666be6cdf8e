//! Eight threads, each with ten million requests of five limits, some of them given back: what the counters say in the end is
//! what was let through, to the last one.

use std::{array, collections::VecDeque, num::NonZeroU64, sync::Arc, thread};

use rustix::time::{ClockId, clock_gettime};
use sidegate::{
    policy::limits::{Charge, Check, Counters, Spec, State, Subject, acquire_of, weigh},
    types::{Moment, Unit},
};

use super::five::{Five, mixed};
use crate::{figures::Table, flag};

const THREADS: u64 = 8;
/// Of each limit, the subjects.
const SUBJECTS: [u64; 5] = [1_024, 256, 3, 4, 1];
/// Requests that each thread has under way.
const UNDER_WAY: usize = 16;
/// Nanoseconds of CPU that a request may take for all five.
const BAR: u64 = 400;

/// All at the same time: nothing flows back and nothing passes, so that every number is exact.
const NOW: Moment = Moment { nanos: 1_000_000_000, unix: 1_800_000_000 };

/// What was let through, by limit and subject.
type Counts = [Vec<u64>; 5];

struct Limits([(Spec, Arc<State>); 5], Counters);

impl Limits {
    /// About a half of `requests` is refused, by each of them some.
    fn before(requests: u64) -> Self {
        let rate = |amount: u64, window: &str, burst| {
            let rate = format!("{}/{window}", amount.max(1)).parse().expect("a rate");
            Spec::rate(Unit::Requests, rate, NonZeroU64::new(burst))
        };
        let of = |part: u64, of: u64| requests * part / 100 / of;
        let specs = [
            rate(1, "24h", of(70, SUBJECTS[0]).max(1)),
            rate(of(65, SUBJECTS[1]), "h", 0),
            rate(of(60, SUBJECTS[2]), "day", 0),
            rate(of(58, SUBJECTS[3]), "15min", 0),
            Spec::permits(THREADS * UNDER_WAY as u64 - 5),
        ];
        let limits = specs.map(|spec| (spec, Arc::new(State::new(spec.counting()))));
        let counters = limits.each_ref().map(|(_, state)| Arc::clone(state)).into_iter().collect();
        Self(limits, counters)
    }

    fn checks(&self, who: [u64; 5]) -> [Check<'_>; 5] {
        array::from_fn(|limit| {
            let (spec, state) = &self.0[limit];
            let key = mixed(who[limit] ^ (limit as u64) << 56);
            Check { place: Some(limit), ..Check::new(spec, state, Subject { key, group: key }, 1) }
        })
    }

    /// What a counter says was used.
    fn used(&self, limit: usize, subject: u64) -> u64 {
        let mut check = [self.checks([subject; 5])[limit]];
        weigh(&mut check, NOW);
        check[0].spec.at_once() - check[0].outcome.standing.remaining
    }
}

pub(crate) fn prove(table: &mut Table) {
    let each: u64 = flag("requests", 10_000_000);
    let limits = Limits::before(THREADS * each);
    let (counts, cpu) = thread::scope(|scope| {
        let limits = &limits;
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || ask(limits, thread * each..(thread + 1) * each))).collect();
        let mut sum = (SUBJECTS.map(|subjects| vec![0; subjects as usize]), 0);
        for thread in threads {
            let (counts, cpu) = thread.join().expect("a thread comes to its end");
            sum.1 += cpu;
            sum.0.iter_mut().flatten().zip(counts.iter().flatten()).for_each(|(sum, count)| *sum += count);
        }
        sum
    });
    let granted: u64 = counts[0].iter().sum();
    let mut wrong = 0;
    for (limit, counts) in counts.iter().enumerate().take(4) {
        let most = limits.0[limit].0.at_once();
        for (subject, count) in counts.iter().enumerate() {
            wrong += u64::from(limits.used(limit, subject as u64) != *count || *count > most);
        }
    }
    let cpu = cpu / (THREADS * each);
    let part = 100.0 * granted as f64 / (THREADS * each) as f64;
    table.tell(format!("{THREADS} threads × {each} requests of 5 limits: let through and kept"), format!("{granted} ({part:.1} %)"));
    table.hold("counters that differ from what was let through", wrong, "0", wrong == 0);
    table.hold("permits still held in the end", limits.used(4, 0), "0", limits.used(4, 0) == 0);
    table.hold("CPU a request, all 5 limits, eight threads at the same counters", format!("{cpu} ns"), "≤ 400 ns", cpu <= BAR);
    let alone = alone();
    table.hold("CPU a request, all 5 limits, one thread", format!("{alone} ns"), "≤ 400 ns", alone <= BAR);
}

/// The middle one of some rounds by a single thread: the machine is not ours alone.
fn alone() -> u64 {
    const ROUNDS: usize = 9;
    const REQUESTS: u64 = 500_000;
    let mut five = Five::before(1_000);
    let mut rounds: [u64; ROUNDS] = array::from_fn(|_| {
        let began = cpu();
        (0..REQUESTS).for_each(|_| five.ask());
        (cpu() - began) / REQUESTS
    });
    rounds.sort_unstable();
    rounds[ROUNDS / 2]
}

/// What one thread does: what it was let through and has kept, and the time on a processor.
fn ask(limits: &Limits, requests: std::ops::Range<u64>) -> (Counts, u64) {
    let mut counts: Counts = SUBJECTS.map(|subjects| vec![0; subjects as usize]);
    let mut under_way: VecDeque<Charge> = VecDeque::with_capacity(UNDER_WAY);
    let began = cpu();
    for request in requests {
        let dice = mixed(request);
        let who: [u64; 5] = array::from_fn(|limit| (dice >> (limit * 11)) % SUBJECTS[limit]);
        let Ok(charge) = acquire_of(Some(&limits.1), &mut limits.checks(who), NOW) else {
            under_way.pop_front();
            continue;
        };
        if dice.is_multiple_of(50) {
            charge.cancel(NOW);
            continue;
        }
        who.iter().zip(&mut counts).for_each(|(subject, counts)| counts[*subject as usize] += 1);
        if under_way.len() == UNDER_WAY {
            under_way.pop_front();
        }
        under_way.push_back(charge);
    }
    drop(under_way);
    (counts, cpu() - began)
}

/// The time that this thread has had a processor, in nanoseconds.
fn cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
