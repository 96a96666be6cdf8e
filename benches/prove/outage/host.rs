//! A host that is down for a while, under steady load, with a fallback and without.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinHandle,
    time::{sleep, sleep_until},
};

use super::{CONNECT, FIRST_BYTE, OPEN, Site, seconds, words};
use crate::{
    admin::Admin,
    figures::{Spread, Table},
    flag,
    rig::{Ask, Bill, Caller, Outcome, Simulated, Trace, Traces, breakers, offer, steady},
};

const RATE: f64 = 200.0;
/// When the host goes down, when it is back, and when the run ends.
const DOWN: Duration = Duration::from_secs(2);
const BACK: Duration = Duration::from_secs(6);
const END: Duration = Duration::from_secs(15);
/// The fewest attempts from which a breaker takes a share.
const MINIMUM: f64 = 20.0;
/// What a machine may add: a look at the admin listener and a turn of the scheduler.
const SLACK: Duration = Duration::from_millis(250);

/// A way of being down, and how long it takes an attempt to find out.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Refuses,
    Vanishes,
    Hangs,
    Fails,
}

impl Mode {
    const ALL: [Self; 4] = [Self::Refuses, Self::Vanishes, Self::Hangs, Self::Fails];

    fn name(self) -> &'static str {
        match self {
            Self::Refuses => "refuses",
            Self::Vanishes => "vanishes",
            Self::Hangs => "hangs",
            Self::Fails => "fails",
        }
    }

    fn found_out_after(self) -> Duration {
        match self {
            Self::Refuses | Self::Fails => Duration::ZERO,
            Self::Vanishes => CONNECT,
            Self::Hangs => FIRST_BYTE,
        }
    }

    async fn begin(self, host: &mut Simulated) {
        match self {
            Self::Refuses => drop(host.kill()),
            Self::Vanishes => host.vanish().await,
            Self::Hangs => host.fault(Some("hang")).await,
            Self::Fails => host.fault(Some("503")).await,
        }
    }

    async fn end(self, host: &mut Simulated) {
        match self {
            Self::Refuses | Self::Vanishes => host.come_back(),
            Self::Hangs | Self::Fails => host.fault(None).await,
        }
    }
}

pub(super) async fn prove(table: &mut Table, bill: &mut Bill) {
    let wanted = flag("mode", "all".to_owned());
    for mode in Mode::ALL.into_iter().filter(|mode| ["all", mode.name()].contains(&&*wanted)) {
        for fallback in [true, false] {
            run(table, bill, mode, fallback).await;
        }
    }
}

async fn run(table: &mut Table, bill: &mut Bill, mode: Mode, fallback: bool) {
    let second = fallback.then(|| Simulated::start(Simulated::prompt()));
    let mut site = Site::start(Simulated::start(Simulated::prompt()), second).await;
    let caller = Arc::new(Caller::to(site.sidegate.address));
    let start = Instant::now();
    let load = tokio::spawn(async move {
        offer(&steady(RATE, END), start, |_| {
            let caller = Arc::clone(&caller);
            async move { caller.call(&Ask::of("gpt-4o-mini")).await }
        })
        .await
    });
    sleep_until((start + DOWN).into()).await;
    let down = Instant::now();
    mode.begin(&mut site.first).await;
    let opened = watch(site.sidegate.admin, true, BACK - DOWN).await.expect("the probe does not panic");
    sleep_until((start + BACK).into()).await;
    mode.end(&mut site.first).await;
    let back = Instant::now();
    let closed = watch(site.sidegate.admin, false, END - BACK).await.expect("the probe does not panic");
    let outcomes = load.await.expect("clients do not panic");
    let served = site.first.notes().await.iter().filter(|note| note.processed && note.started > back).map(|note| note.started).min();
    let traces = site.traces(&outcomes, bill).await;
    let times = Times { down, opened, back, closed };
    tell(
        table,
        &format!("a host that {}, {}", mode.name(), if fallback { "with a fallback" } else { "alone" }),
        &Told { mode, outcomes: &outcomes, traces: &traces, times: &times, recovered: served },
    );
}

struct Times {
    down: Instant,
    opened: Option<Instant>,
    back: Instant,
    closed: Option<Instant>,
}

struct Told<'a> {
    mode: Mode,
    outcomes: &'a [Outcome],
    traces: &'a Traces,
    times: &'a Times,
    recovered: Option<Instant>,
}

fn tell(table: &mut Table, name: &str, told: &Told<'_>) {
    let &Times { down, opened, back, closed } = told.times;
    let what = |what: &str| format!("{name}: {what}");
    let between = |from: Instant, to: Instant| told.outcomes.iter().filter(move |outcome| outcome.begun >= from && outcome.begun < to);
    let until_open = opened.map(|opened| opened - down);
    let bar = told.mode.found_out_after() + Duration::from_secs_f64(MINIMUM / RATE) + SLACK;
    let figure = format!("{}, {} requests", seconds(until_open), between(down, opened.unwrap_or(back)).count());
    table.hold(what("until its breaker opens"), figure, format!("≤ {:.2} s", bar.as_secs_f64()), until_open.is_some_and(|it| it <= bar));
    table.tell(what("requests until then"), words(between(down, opened.unwrap_or(back))));
    // The few that are sent to see whether it is back wait for it: they are no refusal, and no fallback yet.
    let is_probe = |outcome: &&Outcome| told.traces.of(outcome).is_some_and(Trace::tries_the_first);
    let after: Vec<_> = between(opened.unwrap_or(down), back).filter(|outcome| !is_probe(outcome)).map(|outcome| outcome.took).collect();
    if !after.is_empty() {
        let spread = Spread::of(after);
        let holds = spread.percentile(99.0) <= Duration::from_millis(5);
        table.hold(what("refusal or fallback from then on"), &spread, "p99 ≤ 5 ms", holds);
    }
    let later = down + Duration::from_secs(1);
    let requests = between(later, back).count();
    let attempts: usize = between(later, back).filter_map(|outcome| told.traces.of(outcome)).map(|trace| trace.attempts()).sum();
    let most = 1.2 * requests as f64 + 3.0 * (back - later).as_secs_f64();
    let figure = format!("{attempts} for {requests} requests");
    table.hold(what("attempts from the second second on"), figure, format!("≤ {most:.0}"), attempts as f64 <= most);
    let lost = between(down, back).filter(|outcome| !outcome.is_good()).count();
    table.tell(what("clients that failed while it was down"), format!("{lost} of {}", between(down, back).count()));
    // By then it has been opened twice at most, the second time for twice as long; both within a fifth.
    let period = 2 * OPEN + 2 * OPEN / 5;
    let recovery = told.recovered.map(|recovered| recovered - back);
    let bar = format!("≤ {:.1} s, a half-open period", period.as_secs_f64());
    table.hold(what("back, until it serves"), seconds(recovery), bar, recovery.is_some_and(|it| it <= period));
    table.tell(what("back, until the breaker is closed"), seconds(closed.map(|closed| closed - back)));
}

/// When some breaker is open, or when none is any more.
fn watch(admin: std::net::SocketAddr, open: bool, patience: Duration) -> JoinHandle<Option<Instant>> {
    tokio::spawn(async move {
        let (mut admin, deadline) = (Admin::at(admin), Instant::now() + patience);
        while Instant::now() < deadline {
            let phases = breakers(&mut admin).await;
            let met =
                if open { phases.iter().any(|phase| phase.state == "open") } else { phases.iter().all(|phase| phase.state == "closed") };
            if met {
                return Some(Instant::now());
            }
            sleep(Duration::from_millis(10)).await;
        }
        None
    })
}
