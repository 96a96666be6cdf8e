//! Equal streams at the same time: one call for all, whoever of them leaves, and the same end for all where the provider fails.

use std::time::Duration;

use fastrand::Rng;
use sidegate::simulator::Options;
use tokio::{
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use super::{
    asking::{Told, ask, ask_on, question, words},
    config, kept,
};
use crate::{admin::Admin, client::H1, figures::Table, flag, rig::Simulated, sidegate::Sidegate};

/// Equal requests at once.
const MANY: usize = 500;

/// Clients of each round, one of which is killed, or all of which see the provider fail.
const FEW: usize = 8;
const FAILURES: u64 = 60;

/// How long a reply of a round takes, about.
const ROUND: Duration = Duration::from_millis(150);

/// How a provider can fail in the middle of a reply: broken off twice, and a proper end too early.
const FAULTS: [&str; 3] = ["fault-truncated", "fault-reset", "fault-unfinished"];

pub(super) async fn prove(table: &mut Table) {
    many(table).await;
    let provider = Simulated::start(Options { first_token: ROUND / 5, tokens_per_second: 500.0, length: 60, ..Options::default() });
    let sidegate = Sidegate::of(", workers: 2", &config(provider.address, "cache: {}\n")).await;
    kills(table, &provider, &sidegate).await;
    drop(sidegate);
    let sidegate = Sidegate::of(", workers: 2", &config(provider.address, "cache: {}\n")).await;
    failures(table, &provider, &sidegate).await;
}

async fn many(table: &mut Table) {
    let first_token = Duration::from_millis(500);
    let provider = Simulated::start(Options { first_token, tokens_per_second: 30.0, length: 60, ..Options::default() });
    let sidegate = Sidegate::of(", workers: 2", &config(provider.address, "cache: {}\n")).await;
    let body = question("gpt-4o-mini", "Tell us all.", true);
    let mut connections = Vec::new();
    for _ in 0..MANY {
        connections.push(H1::connect(sidegate.address).await);
    }
    let mut asking = JoinSet::new();
    for mut connection in connections {
        let body = body.clone();
        asking.spawn(async move { ask_on(&mut connection, "", &body).await });
    }
    let told = asking.join_all().await;
    let what = |what: &str| format!("{MANY} equal streams at once: {what}");
    let calls = provider.notes().await.len();
    table.hold(what("calls"), calls, "1", calls == 1);
    let same = told.iter().filter(|one| one.is_good() && one.body == told[0].body).count();
    table.hold(what("good replies, byte for byte the same"), same, MANY.to_string(), same == MANY);
    table.tell(what("how"), words(&told));
}

/// Clients that ask the same. The first leads the call: it has reached the provider before the others ask.
async fn join(provider: &Simulated, sidegate: &Sidegate, body: &str) -> Vec<JoinHandle<Told>> {
    let to = sidegate.address;
    let client = || {
        let body = body.to_owned();
        tokio::spawn(async move { ask(to, "", &body).await })
    };
    let before = provider.requests();
    let mut clients = vec![client()];
    while provider.requests() == before && !clients[0].is_finished() {
        sleep(Duration::from_millis(1)).await;
    }
    clients.extend((1..FEW).map(|_| client()));
    clients
}

/// In each round a client is killed at a random point, in every other one the one that leads.
async fn kills(table: &mut Table, provider: &Simulated, sidegate: &Sidegate) {
    let (rounds, mut rng) = (flag("rounds", 200), Rng::with_seed(flag("seed", 7)));
    let (mut killed, mut failed, mut all) = ([0; 2], 0, Vec::new());
    for round in 0..rounds {
        let body = question("gpt-4o-mini", &format!("Round {round}."), true);
        let mut clients = join(provider, sidegate, &body).await;
        let victim = if round % 2 == 0 { 0 } else { rng.usize(1..FEW) };
        sleep(ROUND.mul_f64(rng.f64() * 1.2)).await;
        let victim_is_first = victim == 0;
        let victim = clients.remove(victim);
        victim.abort();
        killed[usize::from(victim_is_first)] += usize::from(victim.await.is_err());
        let mut told = Vec::new();
        for client in clients {
            told.push(client.await.expect("clients do not panic"));
        }
        failed += told.iter().filter(|one| !one.is_good() || one.body != told[0].body).count();
        all.append(&mut told);
    }
    let what = |what: &str| format!("{rounds} rounds of {FEW} equal streams, one killed: {what}");
    let others = rounds * (FEW - 1);
    table.hold(what("others without the whole reply"), format!("{failed} of {others}"), "0", failed == 0);
    let figure = format!("{} that led, {} that had joined", killed[1], killed[0]);
    table.tell(what("killed before their end"), figure);
    table.tell(what("calls"), provider.notes().await.len());
    table.tell(what("how"), words(&all));
}

/// In each round the provider fails in the middle. Then one asks again.
async fn failures(table: &mut Table, provider: &Simulated, sidegate: &Sidegate) {
    let (mut differ, mut good, mut unasked, mut all) = (0, 0, 0, Vec::new());
    for round in 0..FAILURES {
        let fault = FAULTS[round as usize % FAULTS.len()];
        let body = question(fault, &format!("Round {round}."), true);
        let mut told = Vec::new();
        for client in join(provider, sidegate, &body).await {
            told.push(client.await.expect("clients do not panic"));
        }
        differ += told.iter().filter(|one| one.seen() != told[0].seen()).count();
        let before = provider.requests();
        told.push(ask(sidegate.address, "", &body).await);
        unasked += usize::from(provider.requests() == before);
        good += told.iter().filter(|one| one.is_good()).count();
        all.append(&mut told);
    }
    let what = |what: &str| format!("{FAILURES} rounds of {FEW} equal streams, the provider fails in the middle: {what}");
    table.hold(what("clients that saw something else than the first"), differ, "0", differ == 0);
    table.hold(what("clients that took it for a good end"), good, "0", good == 0);
    table.hold(what("questions asked again that the provider did not see"), unasked, "0", unasked == 0);
    let (entries, stored) = kept(&mut Admin::at(sidegate.admin)).await;
    table.hold(what("replies stored, and still kept"), format!("{stored}, {entries}"), "0, 0", (entries, stored) == (0, 0));
    table.tell(what("how"), words(&all));
}
