//! Steady traffic that counts every request. No client mends anything: none sends a request again.

mod h1;
mod h2;
mod story;
mod tally;

use std::{
    net::SocketAddr,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::provider::Provider;
use story::Story;
pub(crate) use tally::{Failed, Kind, Tallies};

/// What every request says.
const BODY: &str = r#"{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"Go on."}]}"#;
/// How long a client waits for a reply or an event.
const PATIENCE: Duration = Duration::from_secs(15);

/// The streams of one client after another.
#[derive(Clone)]
pub(crate) struct Stream {
    /// How many events a stream has; `0..1` for as many as there is time for.
    pub(crate) events: Range<u64>,
    pub(crate) gap: Duration,
    /// Whether another follows.
    pub(crate) again: bool,
}

/// Where clients go.
#[derive(Clone)]
pub(crate) struct Goal {
    pub(crate) h1: SocketAddr,
    /// The same, by prior knowledge.
    pub(crate) h2: SocketAddr,
    /// Path prefixes, in turn.
    pub(crate) prefixes: &'static [&'static str],
}

/// What all clients share.
struct Shared {
    goal: Goal,
    tallies: Mutex<Tallies>,
    open: AtomicUsize,
    stopping: AtomicBool,
    leaves_when_refused: bool,
}

/// Clients at work.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    clients: JoinSet<()>,
}

impl Traffic {
    pub(crate) fn to(goal: Goal) -> Self {
        Self::new(goal, false)
    }

    /// A client that finds nobody listening stops coming, and this is no loss.
    pub(crate) fn leaves_when_refused(goal: Goal) -> Self {
        Self::new(goal, true)
    }

    fn new(goal: Goal, leaves_when_refused: bool) -> Self {
        let (tallies, open, stopping) = (Mutex::default(), AtomicUsize::new(0), AtomicBool::new(false));
        Self { shared: Arc::new(Shared { goal, tallies, open, stopping, leaves_when_refused }), clients: JoinSet::new() }
    }

    /// This many clients, each with a new connection for each request, this far apart.
    pub(crate) fn fresh(&mut self, clients: usize, pause: Range<u64>) {
        for n in 0..clients {
            self.clients.spawn(h1::fresh(Arc::clone(&self.shared), n, pause.clone()));
        }
    }

    /// This many connections over each protocol, each with a request after such a pause in milliseconds.
    pub(crate) fn kept(&mut self, clients: usize, clients_h2: usize, pause: Range<u64>) {
        for n in 0..clients {
            self.clients.spawn(h1::kept(Arc::clone(&self.shared), n, pause.clone()));
        }
        for n in 0..clients_h2 {
            self.clients.spawn(h2::kept(Arc::clone(&self.shared), n, pause.clone()));
        }
    }

    /// This many clients over HTTP/1.1, and on each of `lanes` connections over HTTP/2.
    pub(crate) fn streams(&mut self, clients: usize, (lanes, each): (usize, usize), stream: &Stream) {
        for n in 0..clients {
            self.clients.spawn(h1::streams(Arc::clone(&self.shared), n, stream.clone()));
        }
        for _ in 0..lanes {
            let lane = Arc::new(h2::Lane::default());
            for n in 0..each {
                self.clients.spawn(h2::streams(Arc::clone(&self.shared), Arc::clone(&lane), n, stream.clone()));
            }
        }
    }

    /// Streams whose first event has come and whose last has not.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Relaxed)
    }

    /// Lets every request end that has begun, and begins none.
    pub(crate) async fn stop(self, providers: &[&Provider]) -> Tallies {
        self.shared.stopping.store(true, Relaxed);
        providers.iter().for_each(|provider| provider.seen.finish());
        // Every wait of a client is limited.
        self.clients.join_all().await;
        self.shared.tallies().clone()
    }
}

impl Shared {
    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        self.tallies.lock().expect("no client panics while it counts")
    }

    fn goes_on(&self) -> bool {
        !self.stopping.load(Relaxed)
    }

    fn path(&self, n: usize, rest: &str) -> String {
        let prefixes = self.goal.prefixes;
        format!("{}/{rest}", prefixes[n % prefixes.len()])
    }

    /// Counts a request; whether its client comes again.
    fn count(&self, kind: Kind, begun: Instant, result: Result<(), Failed>) -> bool {
        let mut tallies = self.tallies();
        let tally = tallies.of_mut(kind);
        match result {
            Ok(()) => tally.whole += 1,
            Err(Failed::Refused) if self.leaves_when_refused => {
                tally.refused.push(begun);
                return false;
            }
            Err(Failed::Refused) => tally.losses.push(tally::Loss { begun, why: "connection refused".to_owned() }),
            Err(Failed::Lost(why)) => tally.losses.push(tally::Loss { begun, why }),
        }
        true
    }

    /// A stream from its first event on counts as open.
    fn opened(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Relaxed);
        Open(Arc::clone(self))
    }
}

struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

/// No client waits for ever.
async fn patiently<T>(wanted: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    timeout(PATIENCE, wanted).await.unwrap_or_else(|_| Err(Failed::lost("nothing came in time")))
}

async fn pause(milliseconds: &Range<u64>) {
    sleep(Duration::from_millis(fastrand::u64(milliseconds.clone()))).await;
}

/// The path of a stream, and what will be told.
fn begin(stream: &Stream) -> (String, Story) {
    let id = crate::provider::now();
    let events = fastrand::u64(stream.events.clone());
    (format!("told/{id}/{events}/{}", stream.gap.as_millis()), Story::new(id))
}
