//! One model of a host is down: its others must not feel it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::time::sleep_until;

use super::{Site, words};
use crate::{
    figures::{Spread, Table},
    rig::{Ask, Bill, Caller, Outcome, Simulated, Trace, breakers, offer, steady},
};

const RATE: f64 = 200.0;
const DOWN: Duration = Duration::from_secs(2);
const END: Duration = Duration::from_secs(7);
/// From then on its breaker has had time to open.
const SETTLED: Duration = Duration::from_millis(500);

/// The model that fails, and others that do not.
const MODELS: [&str; 3] = ["gpt-4o", "gpt-4o-mini", "o3"];

pub(super) async fn prove(table: &mut Table, bill: &mut Bill) {
    let mut site = Site::start(Simulated::start(Simulated::prompt()), None).await;
    let caller = Arc::new(Caller::to(site.sidegate.address));
    let start = Instant::now();
    let load = tokio::spawn(async move {
        offer(&steady(RATE, END), start, |number| {
            let caller = Arc::clone(&caller);
            async move { caller.call(&Ask::of(MODELS[number % MODELS.len()])).await }
        })
        .await
    });
    sleep_until((start + DOWN).into()).await;
    site.first.order(json!({ "model": MODELS[0], "fault": "503" })).await;
    let down = Instant::now();
    // Half-way through its outage, so that no half-open moment is met by chance alone.
    sleep_until((start + DOWN + Duration::from_secs(1)).into()).await;
    let phases = breakers(&mut site.admin).await;
    let outcomes = load.await.expect("clients do not panic");
    let traces = site.traces(&outcomes, bill).await;
    let of = |failing: bool| outcomes.iter().enumerate().filter(move |(number, _)| (number % MODELS.len() == 0) == failing);
    let mut fine = of(false).map(|(_, outcome)| outcome);
    let failed = fine.by_ref().filter(|outcome| !outcome.is_good()).count();
    let what = |what: &str| format!("one model of three fails: {what}");
    table.hold(what("requests for the others that failed"), failed, "0", failed == 0);
    let others = of(false).map(|(_, outcome)| outcome).filter(|outcome| outcome.begun > down).map(|outcome| outcome.took);
    table.tell(what("the others meanwhile"), Spread::of(others.collect()));
    let state = |model: Option<&str>| phases.iter().find(|phase| phase.model.as_deref() == model).map(|phase| &*phase.state);
    let host = state(None).unwrap_or("closed");
    table.hold(what("the host's breaker"), host, "closed", host == "closed");
    let its = state(Some(MODELS[0])).unwrap_or("none");
    table.hold(what("its own breaker"), its, "open", its == "open");
    let refused = of(true).map(|(_, outcome)| outcome).filter(|outcome| outcome.begun > down + SETTLED);
    let refused: Vec<&Outcome> = refused.collect();
    table.tell(what("its requests from half a second on"), words(refused.iter().copied()));
    // Not those that are sent to see whether it is back.
    let is_probe = |outcome: &&&Outcome| traces.of(outcome).is_some_and(Trace::tries_the_first);
    let spread = Spread::of(refused.iter().filter(|outcome| !is_probe(outcome)).map(|outcome| outcome.took).collect());
    table.hold(what("until they are refused"), &spread, "p99 ≤ 5 ms", spread.percentile(99.0) <= Duration::from_millis(5));
}
