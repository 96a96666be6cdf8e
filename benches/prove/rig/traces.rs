//! What Sidegate says that it did for each request (`GET /decisions`), beside what providers really did.

use std::collections::HashMap;

use serde_json::Value;

use super::{Note, Outcome};
use crate::{admin::Admin, figures::Table};

/// Decisions that are kept: more than a run has requests.
pub(crate) const KEPT: usize = 10_000;

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

    /// How often a provider went to work, at least and at most, by what it says.
    fn work(&self) -> (usize, usize) {
        let served = |step: &&Step| step.sent == "answered" && step.status.is_some_and(|status| (200..300).contains(&status));
        let (served, open) = (self.0.iter().filter(served).count(), self.0.iter().filter(|step| step.sent == "unanswered").count());
        (served, served + open)
    }
}

/// The traces of a run, by the request's id.
pub(crate) struct Traces(HashMap<String, Trace>);

impl Traces {
    pub(crate) async fn read(admin: &mut Admin) -> Self {
        let (status, body) = admin.ask("GET", &format!("/decisions?last={KEPT}")).await.expect("the admin listener answers");
        assert_eq!(status, 200, "/decisions: {body}");
        let said: Value = serde_json::from_str(&body).expect("JSON");
        let rows = said.as_array().or_else(|| said["decisions"].as_array()).expect("a list of decisions");
        Self(rows.iter().filter_map(|row| Some((row["request_id"].as_str()?.to_owned(), trace(row)))).collect())
    }

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
