//! Thousands of reloads in one process.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    files::{Files, Way, secret},
    steady,
};
use crate::{
    admin::Admin,
    figures::{Spread, Table, mib},
    process::{Process, Signal},
    provider::{self, Provider},
    sidegate::{free_port, program},
    traffic::{Goal, Kind, Tallies},
};

const GROWTH_BAR: u64 = 5 << 20;
/// How soon a change of a file must be live, and how long is waited for one.
const LIVE_BAR: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(10);
/// Reloads asked for over the admin listener each second.
const RATE_BAR: f64 = 50.0;
/// Of a hundred reloads, so many by a file alone and by SIGHUP; the others are asked for over the admin listener.
const BY_FILE: u64 = 3;
const BY_SIGNAL: u64 = 2;
/// The Secret's key is rotated after so many reloads: two more, for a file that comes and one that goes.
const ROTATION: u64 = 250;

pub(super) async fn prove(table: &mut Table, reloads: u64) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let providers = [Provider::h1().await, Provider::h2(100).await];
    let (listen, admin) = (free_port(), free_port());
    let files = Files::below(folder.path(), listen, admin, [providers[0].address, providers[1].address]);
    let words = [&program(), "--config", &files.config().to_string_lossy()].map(str::to_owned);
    let mut process = Process::start(&words, folder.path(), false);
    process.listens_at(listen).await;
    let mut admin = Admin::at(admin);
    let generation = admin.generation().await;
    let traffic = steady(Goal { h1: listen, h2: listen, prefixes: &["/v1", "/v2"] });
    sleep(Duration::from_secs(2)).await;

    let mut long = Long::new(files, admin, process, providers, generation);
    let warm_up = (reloads / 2).clamp(1, 500);
    for n in 0..reloads {
        if n == warm_up {
            long.process.forget_peak();
            long.resident = long.process.resident();
        }
        long.one(n).await;
    }
    let (resident, peak) = (long.process.resident(), long.process.peak());
    let [first, second] = &long.providers;
    let tallies = traffic.stop(&[first, second]).await;
    requests(table, &tallies);
    long.tell(table).await;
    long.tell_keys(table);
    let growth = resident.saturating_sub(long.resident);
    let what = format!("resident, growth from reload {warm_up} to {reloads}");
    table.hold(what, mib(growth), "≤ 5 MiB", growth <= GROWTH_BAR);
    table.tell("resident, at the beginning, at the end, at most", [long.resident, resident, peak].map(mib).join(", "));
}

fn requests(table: &mut Table, tallies: &Tallies) {
    for kind in Kind::ALL {
        let tally = tallies.of(kind);
        let (sent, lost) = (tally.sent(), tally.losses.len());
        table.hold(format!("{}: lost, of {sent}", kind.name()), lost, "0", lost == 0 && sent > 0);
        if lost > 0 {
            table.tell(format!("{}: why", kind.name()), tally.reasons());
        }
    }
}

/// The process, and what was seen of it.
struct Long {
    files: Files,
    admin: Admin,
    process: Process,
    providers: [Provider; 2],
    change: u64,
    rotation: u64,
    /// The generation that must be in force, and the one that all began with.
    generation: u64,
    first: u64,
    /// Changes that did not come to be in force in time.
    missed: u64,
    delays: Delays,
    /// Keys that were taken away, and when that was in force, by the bench's clock.
    gone: Vec<(String, u64)>,
    resident: u64,
}

/// From a change until it was in force.
#[derive(Default)]
struct Delays {
    posted: Vec<Duration>,
    signalled: Vec<Duration>,
    watched: HashMap<&'static str, Vec<Duration>>,
    /// Until a provider saw the new key.
    rotated: Vec<Duration>,
    removed: Vec<Duration>,
}

impl Long {
    fn new(files: Files, admin: Admin, process: Process, providers: [Provider; 2], generation: u64) -> Self {
        let (delays, gone) = (Delays::default(), Vec::new());
        let (change, rotation, missed, resident) = (0, 0, 0, 0);
        Self { files, admin, process, providers, change, rotation, generation, first: generation, missed, delays, gone, resident }
    }

    /// The next change of the config, and at times of the Secret.
    async fn one(&mut self, n: u64) {
        self.change += 1;
        if n % 100 < BY_FILE {
            // At no fixed time between two looks at the files.
            sleep(Duration::from_millis(fastrand::u64(..300))).await;
        }
        let begun = Instant::now();
        match n % 100 {
            at if at < BY_FILE => {
                // Several of one way behind each other: the mount stays a mount.
                let way = Way::ALL[(n / 1000) as usize % Way::ALL.len()];
                self.files.write(self.change, way);
                self.in_force().await;
                self.delays.watched.entry(way.name()).or_default().push(begun.elapsed());
            }
            at if at < BY_FILE + BY_SIGNAL => {
                self.files.write(self.change, Way::Rename);
                self.process.signal(Signal::HUP);
                self.in_force().await;
                self.delays.signalled.push(begun.elapsed());
            }
            _ => {
                self.files.write(self.change, Way::Rename);
                self.post().await;
                self.delays.posted.push(begun.elapsed());
            }
        }
        if let Some(key) = Files::extra_key(self.change - 1) {
            self.gone.push((key, provider::now()));
        }
        if n % ROTATION == ROTATION / 2 {
            self.rotate().await;
        }
    }

    async fn post(&mut self) {
        let (status, said) = self.admin.ask("POST", "/reload").await.expect("the admin listener answers");
        self.generation += 1;
        let said: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        // The watch may have been first, and then nothing is left to change.
        if status != 200 || said["generation"] != self.generation {
            eprintln!("generation {} was wanted: {status} {said}", self.generation);
            self.miss().await;
        }
    }

    /// Waits until the next generation is.
    async fn in_force(&mut self) {
        self.generation += 1;
        let deadline = Instant::now() + PATIENCE;
        while self.admin.generation().await != self.generation {
            if Instant::now() > deadline {
                eprintln!("generation {} did not come: {}", self.generation, self.admin.config().await["reload"]);
                return self.miss().await;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn miss(&mut self) {
        self.missed += 1;
        self.generation = self.admin.generation().await;
    }

    /// A new file beside the old one, and then the old one goes.
    async fn rotate(&mut self) {
        let old = secret(self.rotation);
        self.rotation += 1;
        let new = secret(self.rotation);
        sleep(Duration::from_millis(fastrand::u64(..300))).await;
        let begun = Instant::now();
        self.files.secret(&[old.clone(), new.clone()]);
        while self.providers.iter().any(|provider| provider.seen.latest_with(&new).is_none()) && begun.elapsed() < PATIENCE {
            sleep(Duration::from_millis(1)).await;
        }
        self.delays.rotated.push(begun.elapsed());
        self.in_force().await;
        sleep(Duration::from_millis(fastrand::u64(..300))).await;
        let begun = Instant::now();
        self.files.secret(&[new]);
        self.in_force().await;
        self.delays.removed.push(begun.elapsed());
        self.gone.push((old, provider::now()));
    }

    async fn tell(&mut self, table: &mut Table) {
        let (wanted, counted) = (self.change + 2 * self.rotation, self.admin.generation().await - self.first);
        table.hold(format!("generations, of {wanted} changes"), counted, "all", counted == wanted && self.missed == 0);
        table.tell("reloads refused on the way", &self.admin.config().await["reload"]["refused"]);
        let Delays { posted, signalled, watched, rotated, removed } = std::mem::take(&mut self.delays);
        if !posted.is_empty() {
            let rate = posted.len() as f64 / posted.iter().sum::<Duration>().as_secs_f64();
            table.hold(format!("{} by POST /reload, a second", posted.len()), format!("{rate:.0}"), "≥ 50", rate >= RATE_BAR);
            table.tell("until it answers, the file's writing included", Spread::of(posted));
        }
        if !signalled.is_empty() {
            table.tell(format!("{} by SIGHUP, until live", signalled.len()), Spread::of(signalled));
        }
        let mut soon = |what: String, delays: Vec<Duration>| {
            if !delays.is_empty() {
                let delays = Spread::of(delays);
                table.hold(what, &delays, "max ≤ 2 s", delays.max() <= LIVE_BAR);
            }
        };
        for way in Way::ALL {
            let delays = watched.get(way.name()).cloned().unwrap_or_default();
            soon(format!("{} by a file {}, until live", delays.len(), way.name()), delays);
        }
        soon(format!("{} keys in a Secret, until a provider sees the new one", rotated.len()), rotated);
        soon("until the old one, taken away, is out of force".to_owned(), removed);
    }

    /// A key that was gone before a request began must not come with it.
    fn tell_keys(&self, table: &mut Table) {
        let latest = |key: &str| self.providers.iter().filter_map(|provider| provider.seen.latest_with(key)).max();
        let used = self.gone.iter().filter(|(key, _)| latest(key).is_some()).count();
        let late = self.gone.iter().filter(|(key, gone)| latest(key).is_some_and(|begun| begun > *gone)).count();
        table.tell("keys taken away, and those of them that had been used", format!("{}, {used}", self.gone.len()));
        table.hold("of these, used for a request that began later", late, "0", late == 0);
    }
}
