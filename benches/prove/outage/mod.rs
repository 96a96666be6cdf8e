//! A host that is down in every way there is, one model that is, and a provider that is killed under streams.
//!
//! `--part=host|model|restart` for one of them, `--mode=refuses|vanishes|hangs|fails` for one way of being down.

mod host;
mod model;
mod restart;

use std::{collections::BTreeMap, time::Duration};

use crate::{
    admin::Admin,
    figures::Table,
    flag,
    rig::{Bill, Outcome, Reader, Simulated, Traces},
    sidegate::Sidegate,
};

/// How long a breaker is open at first.
const OPEN: Duration = Duration::from_secs(2);
/// An attempt's timeouts: to connect, and to the head of the reply.
const CONNECT: Duration = Duration::from_millis(300);
const FIRST_BYTE: Duration = Duration::from_millis(500);

pub(crate) async fn prove(table: &mut Table) {
    let part = flag("part", "all".to_owned());
    let mut bill = Bill::default();
    if ["all", "host"].contains(&&*part) {
        host::prove(table, &mut bill).await;
    }
    if ["all", "model"].contains(&&*part) {
        model::prove(table, &mut bill).await;
    }
    if ["all", "restart"].contains(&&*part) {
        restart::prove(table, &mut bill).await;
    }
    bill.tell(table);
}

/// A host, and perhaps another that takes over, with Sidegate before them.
struct Site {
    first: Simulated,
    second: Option<Simulated>,
    sidegate: Sidegate,
    admin: Admin,
    reader: Reader,
}

impl Site {
    async fn start(first: Simulated, second: Option<Simulated>) -> Self {
        let sidegate = Sidegate::of("", &config(&first, second.as_ref())).await;
        let admin = Admin::at(sidegate.admin);
        let reader = Reader::start(sidegate.admin);
        Self { first, second, sidegate, admin, reader }
    }

    /// What was tried for each request, which goes on the bill with what providers saw.
    async fn traces(self, outcomes: &[Outcome], bill: &mut Bill) -> Traces {
        let mut notes = self.first.notes().await.clone();
        if let Some(second) = &self.second {
            notes.extend(second.notes().await.iter().cloned());
        }
        let traces = self.reader.finish().await;
        bill.add(outcomes, notes.iter(), &traces);
        traces
    }
}

fn config(first: &Simulated, second: Option<&Simulated>) -> String {
    let provider = |name: &str, provider: &Simulated| {
        format!(
            "  {name}:\n    base_url: http://{}/v1\n    keys: [{{ value: sk-account-{name}-1, name: only }}]\n    \
             timeouts: {{ connect: {}ms, first_byte: {}ms }}\n    breaker: {{ open: {}s }}\n",
            provider.address,
            CONNECT.as_millis(),
            FIRST_BYTE.as_millis(),
            OPEN.as_secs()
        )
    };
    let (others, targets) = second.map_or((String::new(), "first"), |second| (provider("second", second), "first, second"));
    format!("providers:\n{}{others}routes:\n  - {{ path: /v1, targets: [{targets}] }}\n", provider("first", first))
}

/// How many ended how.
fn words<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> String {
    let mut words = BTreeMap::<_, usize>::new();
    outcomes.for_each(|outcome| *words.entry(outcome.word()).or_default() += 1);
    words.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

fn seconds(time: Option<Duration>) -> String {
    time.map_or("never".to_owned(), |time| format!("{:.2} s", time.as_secs_f64()))
}
