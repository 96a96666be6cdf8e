//! What the process grows by: under hits, and with a store that is full and turned over many times.

use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval_at, sleep},
};

use super::{
    asking::{ask_on, question},
    config,
    scripted::{Answer, Scripted},
    standing,
};
use crate::{
    admin::Admin,
    client::H1,
    figures::{Table, mib},
    flag,
    rig::counted,
    sidegate::Sidegate,
};

const CONNECTIONS: u32 = 16;

/// Hits a second, and questions that are asked in turns.
const RATE: u32 = 1_000;
const QUESTIONS: u32 = 100;

/// What an allocator may take and give back between two looks.
const GROWTH_BAR: u64 = 1 << 20;

/// The store beside which growth is told, in MiB.
const SMALL: u64 = 1;

/// Sizes of the text of a reply, in KiB: from, and below.
const SIZES: (usize, usize) = (1, 60);

pub(super) async fn prove(table: &mut Table) {
    let provider = Scripted::start(|request| {
        let size = request.body.split_once("size=").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        Answer::good(request.number, &"x".repeat(size.expect("a question says how long the reply is to be")))
    })
    .await;
    hits(table, &provider).await;
    cap(table, &provider).await;
}

fn sized(number: u64, size: usize) -> String {
    question("gpt-4o-mini", &format!("size={size} number={number}"), false)
}

async fn hits(table: &mut Table, provider: &Scripted) {
    let time = Duration::from_secs(flag("seconds", 60));
    let sidegate = Sidegate::of("", &config(provider.address, "cache: {}\n")).await;
    // What is made when it is first needed is there then, such as the last minutes that the admin listener tells of.
    let (warm, _) = ask_steadily(&sidegate, time / 3).await;
    let before = sidegate.process.resident();
    let (all, hits) = ask_steadily(&sidegate, time).await;
    // Log and metrics are behind by a moment.
    sleep(Duration::from_secs(1)).await;
    let after = sidegate.process.resident();
    let what = |what: &str| format!("{RATE} hits a second for {} s, after {warm} others: {what}", time.as_secs());
    table.hold(what("hits"), format!("{hits} of {all}"), "all", hits == all);
    table.tell(what("resident, before and after"), format!("{}, {}", mib(before), mib(after)));
    let growth = after.saturating_sub(before);
    table.hold(what("growth"), format!("{} KiB", growth >> 10), "< 1 MiB", growth < GROWTH_BAR);
}

/// Asks at the rate for this time: how many replies came, and how many of them were hits.
async fn ask_steadily(sidegate: &Sidegate, time: Duration) -> (u64, u64) {
    let (gap, to) = (Duration::from_secs(1) * CONNECTIONS / RATE, sidegate.address);
    let mut asking = JoinSet::new();
    for n in 0..CONNECTIONS {
        asking.spawn(async move {
            let mut connection = H1::connect(to).await;
            let mut beats = interval_at(tokio::time::Instant::now() + gap * n / CONNECTIONS, gap);
            beats.set_missed_tick_behavior(MissedTickBehavior::Burst);
            let (begun, mut asked, mut all, mut hits) = (Instant::now(), n, 0, 0);
            while begun.elapsed() < time {
                beats.tick().await;
                let told = ask_on(&mut connection, "", &sized((asked % QUESTIONS).into(), 1_000)).await;
                assert!(told.is_good(), "a reply: {told:?}");
                (all, hits, asked) = (all + 1, hits + u64::from(told.cached == "hit"), asked + CONNECTIONS);
            }
            (all, hits)
        });
    }
    asking.join_all().await.into_iter().fold((0, 0), |sum, each| (sum.0 + each.0, sum.1 + each.1))
}

async fn cap(table: &mut Table, provider: &Scripted) {
    let (cap, times): (u64, u64) = (flag("cap", 64), flag("times", 5));
    let told = (cap * times) << 20;
    let full = filled(provider, cap, told).await;
    // What the same traffic takes with next to no store: connections, buffers, pages of code, and what the allocator keeps.
    let small = filled(provider, SMALL, told).await;
    let what = |what: &str| format!("{cap} MiB, filled {times} times with replies of {} to {} KiB: {what}", SIZES.0, SIZES.1);
    let part = |taken: u64, of: u64| format!("{} ({:.1} %)", mib(taken), 100.0 * taken as f64 / of as f64);
    let near = |taken: u64, of: u64| (taken as f64 / of as f64 - 1.0).abs() <= 0.05;
    let bytes = cap << 20;
    table.hold(what("sidegate_cache_bytes"), part(full.said, bytes), "the cap − 5 %", near(full.said, bytes) && full.said <= bytes);
    table.tell(what("replies kept, evicted"), format!("{}, {}", full.entries, full.evictions));
    let sides = format!("{} → {}, {} → {}", mib(full.empty), mib(full.resident), mib(small.empty), mib(small.resident));
    table.tell(what("resident, and the same with a store of 1 MiB"), sides);
    let (grown, bytes) = (full.growth().saturating_sub(small.growth()), (cap - SMALL) << 20);
    table.hold(what("growth beyond that, of what the caps differ by"), part(grown, bytes), "± 5 %", near(grown, bytes));
}

/// A process whose store was filled.
struct Filled {
    empty: u64,
    resident: u64,
    /// `sidegate_cache_bytes`.
    said: u64,
    entries: u64,
    evictions: u64,
}

impl Filled {
    fn growth(&self) -> u64 {
        self.resident.saturating_sub(self.empty)
    }
}

async fn filled(provider: &Scripted, cap: u64, told: u64) -> Filled {
    let sidegate = Sidegate::of("", &config(provider.address, &format!("cache: {{ max_size: {cap}MiB, max_entry: 100KiB }}\n"))).await;
    let empty = sidegate.process.resident();
    fill(&sidegate, told).await;
    let mut admin = Admin::at(sidegate.admin);
    let said = counted(&mut admin, "sidegate_cache_bytes").await as u64;
    let standing = standing(&mut admin).await;
    let number = |name: &str| standing[name].as_u64().expect("a number");
    Filled { empty, resident: sidegate.process.resident(), said, entries: number("entries"), evictions: number("evictions") }
}

/// Asks new questions until their replies have so many bytes.
async fn fill(sidegate: &Sidegate, bytes: u64) {
    let (to, each) = (sidegate.address, bytes / u64::from(CONNECTIONS));
    let mut asking = JoinSet::new();
    for n in 0..CONNECTIONS {
        let mut rng = Rng::with_seed(n.into());
        asking.spawn(async move {
            let mut connection = H1::connect(to).await;
            let (mut told, mut number) = (0, u64::from(n));
            while told < each {
                let size = rng.usize(SIZES.0 << 10..SIZES.1 << 10);
                let reply = ask_on(&mut connection, "", &sized(number, size)).await;
                assert!(reply.is_good(), "a reply");
                (told, number) = (told + reply.body.len() as u64, number + u64::from(CONNECTIONS));
            }
        });
    }
    asking.join_all().await;
    // A reply is stored when its reader has it.
    sleep(Duration::from_secs(1)).await;
}
