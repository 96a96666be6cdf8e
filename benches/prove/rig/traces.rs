//! What Sidegate says that it did for each request (`GET /decisions`), beside what providers really did.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{task::JoinHandle, time::sleep};

use super::{Note, Outcome};
use crate::{admin::Admin, figures::Table};

/// Decisions that are told at once, and how often they are read: there are far fewer in between.
const AT_ONCE: usize = 1_000;
const OFTEN: Duration = Duration::from_secs(2);

/// One step of a request.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Whether something was sent, or tried to be.
    pub(crate) attempted: bool,
    sent: String,
    status: Option<u64>,
}

/// What was tried for one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace(pub(crate) Vec<Step>);

impl Trace {
    /// Attempts, to whomever.
    pub(crate) fn attempts(&self) -> usize {
        self.0.iter().filter(|step| step.attempted).count()
    }

    /// Whether the first target was asked, or at least tried.
    pub(crate) fn tries_the_first(&self) -> bool {
        self.0.first().is_some_and(|step| step.attempted)
    }

    /// Whether a provider may have had it.
    pub(crate) fn was_sent(&self) -> bool {
        self.work().1 > 0
    }

    /// How often a provider went to work, at least and at most, by what it says.
    fn work(&self) -> (usize, usize) {
        let served = |step: &&Step| step.sent == "answered" && step.status.is_some_and(|status| (200..300).contains(&status));
        let (served, open) = (self.0.iter().filter(served).count(), self.0.iter().filter(|step| step.sent == "unanswered").count());
        (served, served + open)
    }
}

/// Reads decisions while a run goes on: fewer are told at once than a run has requests.
pub(crate) struct Reader {
    reading: JoinHandle<()>,
    admin: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
}

impl Reader {
    pub(crate) fn start(admin: SocketAddr) -> Self {
        let said = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&said);
        let reading = tokio::spawn(async move {
            let mut admin = Admin::at(admin);
            loop {
                sleep(OFTEN).await;
                let text = text(&mut admin).await;
                kept.lock().expect("no one panics with it").push(text);
            }
        });
        Self { reading, admin, said }
    }

    /// All of them, when no request is open any more. What was read is only understood now: that would have delayed clients.
    pub(crate) async fn finish(self) -> Traces {
        self.reading.abort();
        let last = text(&mut Admin::at(self.admin)).await;
        let mut all = std::mem::take(&mut *self.said.lock().expect("no one panics with it"));
        all.push(last);
        let mut traces = HashMap::new();
        for text in all {
            let said: Value = serde_json::from_str(&text).expect("JSON");
            let rows = said["decisions"].as_array().expect("a list of decisions");
            traces.extend(rows.iter().filter_map(|row| Some((row["request_id"].as_str()?.to_owned(), trace(row)))));
        }
        Traces(traces)
    }
}

async fn text(admin: &mut Admin) -> String {
    let (status, body) = admin.ask("GET", &format!("/decisions?last={AT_ONCE}")).await.expect("the admin listener answers");
    assert_eq!(status, 200, "/decisions: {body}");
    body
}

/// The traces of a run, by the request's id.
pub(crate) struct Traces(HashMap<String, Trace>);

impl Traces {
    /// The trace of this request.
    pub(crate) fn of(&self, outcome: &Outcome) -> Option<&Trace> {
        outcome.id.as_ref().and_then(|id| self.0.get(id)).or_else(|| self.0.get(&outcome.name))
    }
}

fn trace(row: &Value) -> Trace {
    let step = |step: &Value| Step {
        attempted: step["stopped"].is_null(),
        sent: step["sent"].as_str().unwrap_or_default().to_owned(),
        status: step["status"].as_u64(),
    };
    Trace(row["tried"].as_array().into_iter().flatten().map(step).collect())
}

/// What providers worked on and would bill, beside what the traces say, over all fault runs.
#[derive(Default)]
pub(crate) struct Bill {
    requests: usize,
    untraced: usize,
    processed: usize,
    served: usize,
    unanswered: usize,
    twice: usize,
    differ: usize,
}

impl Bill {
    /// A run's requests, and what all its providers saw of them.
    pub(crate) fn add<'a>(&mut self, outcomes: &[Outcome], notes: impl Iterator<Item = &'a Note>, traces: &Traces) {
        let mut processed: HashMap<&str, usize> = HashMap::new();
        for note in notes.filter(|note| note.processed) {
            *processed.entry(note.request_id.as_deref().unwrap_or_default()).or_default() += 1;
        }
        for outcome in outcomes {
            let processed = processed.get(&*outcome.name).copied().unwrap_or(0);
            self.requests += 1;
            self.processed += processed;
            self.twice += usize::from(processed > 1);
            let Some(trace) = traces.of(outcome) else {
                self.untraced += 1;
                continue;
            };
            let (least, most) = trace.work();
            self.served += least;
            self.unanswered += most - least;
            self.differ += usize::from(!(least..=most).contains(&processed));
        }
    }

    pub(crate) fn tell(&self, table: &mut Table) {
        let all = format!("all {} requests of the fault runs", self.requests);
        table.hold(format!("{all}: processed more than once"), self.twice, "0", self.twice == 0);
        table.hold("… without a trace", self.untraced, "0", self.untraced == 0 && self.requests > 0);
        let said = format!("processed {}, traces say {} answered and {} unanswered", self.processed, self.served, self.unanswered);
        table.tell("… all in all", said);
        table.hold("… of which the provider's count is none that the trace allows", self.differ, "0", self.differ == 0);
    }
}
