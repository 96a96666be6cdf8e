//! What a million live subjects weigh, and what ten million addresses can do.

use std::{fs, num::NonZeroU64, sync::Arc};

use sidegate::{
    policy::limits::{Charge, Check, Refusal, Spec, State, Subject, acquire},
    types::{Moment, Unit},
};

use super::{five::mixed, part};
use crate::figures::{Table, mib};

const KEYS: u64 = 1_000_000;
const BAR: u64 = 96 << 20;
/// Of the flood.
const ADDRESSES: u64 = 10_000_000;
/// Beyond the counters: pages that the allocator and this program need beside them.
const BESIDE: u64 = 4 << 20;

/// A limit and how it is used.
struct Row {
    name: &'static str,
    spec: fn() -> Spec,
    /// How many requests of each subject, how much in each, and nanoseconds from one to the next.
    used: (u64, u64, u64),
    /// Whether all million fit. Where each remembers more than its share of the memory, those that come last have to share.
    fits: bool,
}

const ROWS: [Row; 10] = [
    Row { name: "60/min, burst 90", spec: || rate("60/min", 90), used: (1, 1, 0), fits: true },
    Row { name: "10/min, 1 used", spec: || rate("10/min", 0), used: (1, 1, 0), fits: true },
    Row { name: "10/min, all 10 used", spec: || rate("10/min", 0), used: (10, 1, 3_000_000_000), fits: true },
    Row { name: "1000/15min, 1 used", spec: || rate("1000/15min", 0), used: (1, 1, 0), fits: true },
    Row { name: "1000/15min, in 4 places", spec: || rate("1000/15min", 0), used: (4, 1, 60_000_000_000), fits: true },
    Row { name: "1000/15min, everywhere", spec: || rate("1000/15min", 0), used: (50, 20, 15_000_000_000), fits: false },
    Row { name: "tokens 20k/min, 1 request", spec: || tokens("20k/min"), used: (1, 1_234, 0), fits: true },
    Row { name: "tokens 20k/min, 4 requests", spec: || tokens("20k/min"), used: (4, 1_234, 10_000_000_000), fits: true },
    Row { name: "1000/day", spec: || rate("1000/day", 0), used: (10, 1, 0), fits: true },
    Row { name: "4 at the same time", spec: || Spec::permits(4), used: (2, 1, 0), fits: true },
];

fn rate(rate: &str, burst: u64) -> Spec {
    Spec::rate(Unit::Requests, rate.parse().expect("a rate"), NonZeroU64::new(burst))
}

fn tokens(rate: &str) -> Spec {
    Spec::rate(Unit::Tokens, rate.parse().expect("a rate"), None)
}

pub(crate) fn prove(table: &mut Table) {
    for row in &ROWS {
        let ran = part(&[], &["--part=keys".to_owned(), format!("--row={}", row.name)]).output().expect("this program runs");
        assert!(ran.status.success(), "{}: {}", row.name, String::from_utf8_lossy(&ran.stderr));
        let said = String::from_utf8_lossy(&ran.stdout);
        let numbers: Vec<u64> = said.lines().next().unwrap_or_default().split(' ').filter_map(|number| number.parse().ok()).collect();
        let [live, counted, resident] = numbers[..] else { panic!("{}: {said}", row.name) };
        let holds = counted <= BAR && resident <= BAR + BESIDE && (live >= KEYS || !row.fits);
        let figure = format!("{live} live, {} counted, {} resident", mib(counted), mib(resident));
        table.hold(format!("1,000,000 subjects of {}", row.name), figure, if row.fits { "all live, ≤ 96 MiB" } else { "≤ 96 MiB" }, holds);
    }
    let ran = part(&[], &["--part=flood".to_owned()]).output().expect("this program runs");
    print!("{}", String::from_utf8_lossy(&ran.stdout));
    table.hold("10,000,000 addresses: see above", if ran.status.success() { "holds" } else { "fails" }, "", ran.status.success());
}

/// What `--part=keys` does: subjects with a counter of their own, bytes that they say they have, and what the process has grown by.
pub(crate) fn run(name: &str) {
    let row = ROWS.iter().find(|row| row.name == name).expect("a row of this name");
    let (spec, (times, amount, gap)) = ((row.spec)(), row.used);
    let (state, before) = (Arc::new(State::new(spec.counting())), resident());
    for time in 0..times {
        for key in 0..KEYS {
            // All of them at about the same time, as if a million clients came together.
            drop(take(&spec, &state, key, amount, 1_000_000_000 + time * gap + key * 100));
        }
    }
    println!("{} {} {}", state.subjects(), state.bytes(), resident().saturating_sub(before));
}

/// What `--part=flood` does: as many addresses as an attacker likes, and two clients that were there before.
pub(crate) fn flood(table: &mut Table) {
    let spec = rate("10/min", 0);
    let (state, before) = (Arc::new(State::new(spec.counting())), resident());
    let [spent, saving] = [u64::MAX, u64::MAX - 1];
    (0..10).for_each(|_| drop(take(&spec, &state, spent, 1, 1)));
    (0..4).for_each(|_| drop(take(&spec, &state, saving, 1, 1)));
    let mut let_through = 0;
    for address in 0..ADDRESSES {
        // A million in a second; ten seconds in all, so that nothing passes meanwhile.
        let_through += u64::from(take(&spec, &state, address, 1, 1_000 * address).is_ok());
    }
    let (now, grown) = (10_000_000_000, resident().saturating_sub(before));
    table.hold("10,000,000 addresses in 10 s: resident", mib(grown), "≤ 96 MiB and 4 beside", grown <= BAR + BESIDE);
    table.hold("counters, by their own count", mib(state.bytes() as u64), "≤ 96 MiB", state.bytes() as u64 <= BAR);
    let own = state.subjects() as u64;
    // The networks of the others share 256 counters of 10 a minute.
    table.hold("let through", let_through, format!("≤ {own} + 2,560"), let_through <= own + 2_560);
    table.hold("who had used up his 10 gets", (0..5).filter(|_| take(&spec, &state, spent, 1, now).is_ok()).count(), "0", {
        take(&spec, &state, spent, 1, now).is_err()
    });
    let rest = (0..10).filter(|_| take(&spec, &state, saving, 1, now).is_ok()).count();
    table.hold("who had used 4 of his 10 gets", rest, "6", rest == 6);
}

fn take(spec: &Spec, state: &Arc<State>, key: u64, amount: u64, nanos: u64) -> Result<Charge, Refusal> {
    let (key, group) = (mixed(key), mixed(key >> 8));
    let now = Moment { nanos, unix: 1_800_000_000 + nanos / 1_000_000_000 };
    acquire(&mut [Check::new(spec, state, Subject { key, group }, amount)], now)
}

/// Resident bytes of this process.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a process has a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") << 10
}
