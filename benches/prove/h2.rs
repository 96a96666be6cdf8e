//! Connections to a provider that speaks HTTP/2 are shared: what one caller does must not hurt another.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    client::{H1, H2, h2},
    figures::{Spread, Table},
    provider::Provider,
    sidegate::Sidegate,
};

const STALLED: usize = 40;
const HEALTHY: usize = 1000;
const CANCELS: usize = 1000;
/// Cancelled at once, about what one connection carries.
const STORM: usize = 50;
const FEW: u32 = 3;
const MANY: usize = 60;

pub(crate) async fn prove(table: &mut Table) {
    stalled(table).await;
    storm(table).await;
    few_streams(table).await;
}

/// Readers who stop reading streams of small frames share a connection with callers who do not.
async fn stalled(table: &mut Table) {
    let provider = Provider::h2(100).await;
    let sidegate = Sidegate::with_one_worker_before(provider.address, "2").await;
    let mut readers = Vec::new();
    for _ in 0..STALLED {
        let mut client = H1::connect_with_small_buffer(sidegate.address).await;
        client.post("/v1/flood", 0).await;
        client.head().await.expect("a head");
        readers.push(client);
    }
    let mut last = u64::MAX;
    while last != provider.seen.flooded.load(Relaxed) {
        last = provider.seen.flooded.load(Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let (served, spread) = ask(&sidegate, HEALTHY).await;
    table.hold(format!("{STALLED} stalled readers: others served"), format!("{served} of {HEALTHY}"), "all", served == HEALTHY);
    table.tell(format!("{STALLED} stalled readers: others' replies"), spread);
    hold_connections(table, &format!("{STALLED} stalled readers"), &provider);
}

/// Streams that are given up by the dozen, again and again.
async fn storm(table: &mut Table) {
    let provider = Provider::h2(100).await;
    let sidegate = Sidegate::with_one_worker_before(provider.address, "2").await;
    let client = H2::connect(sidegate.address).await;
    let mut cancelled = 0;
    while cancelled < CANCELS {
        let mut bodies = Vec::new();
        for _ in 0..STORM {
            let mut body = client.reply("/v1/flood").await;
            h2::part(&mut body).await.expect("a part");
            bodies.push(body);
        }
        cancelled += bodies.len();
    }
    let (served, _) = ask(&sidegate, 100).await;
    table.hold(format!("{CANCELS} cancels: the next served"), format!("{served} of 100"), "all", served == 100);
    hold_connections(table, &format!("{CANCELS} cancels"), &provider);
}

/// A provider that allows fewer streams than there are callers.
async fn few_streams(table: &mut Table) {
    let provider = Provider::h2(FEW).await;
    let sidegate = Sidegate::with_one_worker_before(provider.address, "2").await;
    let begun = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..MANY {
        let mut client = H1::connect(sidegate.address).await;
        calls.spawn(async move {
            client.post("/v1/events/50", 0).await;
            client.head().await.expect("a head");
            let mut events = 0;
            while client.chunk().await.expect("a body that does not break off").is_some() {
                events += 1;
            }
            events
        });
    }
    let whole = calls.join_all().await.into_iter().filter(|events| *events == 50).count();
    let took = begun.elapsed();
    let what = format!("{FEW} streams a connection, {MANY} callers at once");
    table.hold(format!("{what}: served"), format!("{whole} of {MANY}"), "all", whole == MANY);
    // One stream lasts a second: nobody has waited for another to end.
    table.hold(format!("{what}: time"), format!("{:.2} s", took.as_secs_f64()), "< 1.5 s", took < Duration::from_millis(1500));
    let connections = provider.seen.connections.load(Relaxed);
    let least = MANY.div_ceil(FEW as usize);
    table.hold(format!("{what}: connections"), connections, format!("≥ {least}"), connections >= least);
}

fn hold_connections(table: &mut Table, when: &str, provider: &Provider) {
    let (opened, ended) = (provider.seen.connections.load(Relaxed), provider.seen.ended.load(Relaxed));
    table.hold(format!("{when}: connections that died"), format!("{ended} of {opened}"), "0", ended == 0);
}

/// Asks so often; how many got the right answer, and how soon.
async fn ask(sidegate: &Sidegate, times: usize) -> (usize, Spread) {
    let (mut served, mut durations) = (0, Vec::new());
    for _ in 0..times {
        let mut client = H1::connect(sidegate.address).await;
        let begun = Instant::now();
        client.post("/v1/ok", 0).await;
        let answered = tokio::time::timeout(Duration::from_secs(10), client.head()).await;
        served += usize::from(matches!(answered, Ok(Ok(_))));
        durations.push(begun.elapsed());
    }
    (served, Spread::of(durations))
}
