//! What the process grows by: bodies of 1 GiB pass through it, and 500 readers stop reading in the middle of streams
//! that never end.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use crate::{
    client::{H1, H2, h2},
    figures::{Table, mib},
    provider::Provider,
    sidegate::Sidegate,
};

const GIB: u64 = 1 << 30;
const BODY_BAR: u64 = 16 << 20;
const READERS: u64 = 500;
const READER_BAR: u64 = 256 << 10;

pub(crate) async fn prove(table: &mut Table) {
    let provider = Provider::h1().await;
    let sidegate = Sidegate::before(provider.address, "1.1").await;
    warm_up(&sidegate).await;

    sidegate.process.forget_peak();
    let before = sidegate.process.resident();
    let mut client = H1::connect(sidegate.address).await;
    client.post("/v1/count", GIB).await;
    client.upload(GIB).await;
    let length = client.head().await.expect("a reply");
    client.discard(length).await.expect("the count");
    hold_body(table, "HTTP/1.1, 1 GiB up", sidegate.process.peak().saturating_sub(before));

    sidegate.process.forget_peak();
    let before = sidegate.process.resident();
    client.post(&format!("/v1/bytes/{GIB}"), 0).await;
    assert_eq!(client.head().await.expect("a reply"), GIB);
    client.discard(GIB).await.expect("1 GiB");
    hold_body(table, "HTTP/1.1, 1 GiB down", sidegate.process.peak().saturating_sub(before));
    drop(client);

    h2_bodies(table).await;
    stalled_h1(table, "HTTP/1.1", &Provider::h1().await, "1.1").await;
    stalled_h1(table, "HTTP/1.1 to HTTP/2", &Provider::h2(100).await, "2").await;
    stalled_h2(table).await;
}

async fn h2_bodies(table: &mut Table) {
    let provider = Provider::h2(100).await;
    let sidegate = Sidegate::before(provider.address, "2").await;
    warm_up(&sidegate).await;
    let client = H2::connect(sidegate.address).await;

    sidegate.process.forget_peak();
    let before = sidegate.process.resident();
    let (reply, mut stream) = client.post("/v1/count", true).await;
    h2::upload(&mut stream, GIB).await;
    let mut count = h2::body(reply).await;
    assert_eq!(h2::part(&mut count).await.expect("the count"), GIB.to_string());
    hold_body(table, "HTTP/2, 1 GiB up", sidegate.process.peak().saturating_sub(before));

    sidegate.process.forget_peak();
    let before = sidegate.process.resident();
    let mut body = client.reply(&format!("/v1/bytes/{GIB}")).await;
    let mut length = 0;
    while let Some(part) = h2::part(&mut body).await {
        length += part.len() as u64;
    }
    assert_eq!(length, GIB);
    hold_body(table, "HTTP/2, 1 GiB down", sidegate.process.peak().saturating_sub(before));
}

fn hold_body(table: &mut Table, what: &str, growth: u64) {
    table.hold(format!("{what}: growth"), mib(growth), "< 16 MiB", growth < BODY_BAR);
}

async fn stalled_h1(table: &mut Table, protocols: &str, provider: &Provider, version: &str) {
    let sidegate = Sidegate::before(provider.address, version).await;
    warm_up(&sidegate).await;
    sidegate.process.forget_peak();
    let before = sidegate.process.resident();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut client = H1::connect_with_small_buffer(sidegate.address).await;
        client.post("/v1/flood", 0).await;
        client.head().await.expect("a head");
        readers.push(client);
    }
    at_rest(provider).await;
    hold_reader(table, protocols, &sidegate, before, provider);
}

async fn stalled_h2(table: &mut Table) {
    let provider = Provider::h2(100).await;
    let sidegate = Sidegate::before(provider.address, "2").await;
    warm_up(&sidegate).await;
    sidegate.process.forget_peak();
    let before = sidegate.process.resident();
    let mut readers = Vec::new();
    for _ in 0..READERS / 50 {
        let client = H2::connect(sidegate.address).await;
        let mut bodies = Vec::new();
        for _ in 0..50 {
            bodies.push(client.reply("/v1/flood").await);
        }
        readers.push((client, bodies));
    }
    at_rest(&provider).await;
    hold_reader(table, "HTTP/2", &sidegate, before, &provider);
}

fn hold_reader(table: &mut Table, protocol: &str, sidegate: &Sidegate, before: u64, provider: &Provider) {
    let each = sidegate.process.peak().saturating_sub(before) / READERS;
    let what = format!("{protocol}, {READERS} readers that stopped: each");
    table.hold(what, format!("{} KiB", each >> 10), "≤ 256 KiB", each <= READER_BAR);
    // Kernel buffers included: shows that the provider was stopped at all.
    let written = provider.seen.flooded.load(Relaxed) / READERS;
    table.tell(format!("{protocol}, what the provider got rid of for each"), format!("{} KiB", written >> 10));
}

/// Threads, pools and allocator in the state of a process that has work.
async fn warm_up(sidegate: &Sidegate) {
    for _ in 0..200 {
        let mut client = H1::connect(sidegate.address).await;
        client.post("/v1/bytes/100000", 0).await;
        client.head().await.expect("a head");
    }
}

/// Waits until every writer has been stopped: nothing more was written for two seconds.
async fn at_rest(provider: &Provider) {
    let mut last = u64::MAX;
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = provider.seen.flooded.load(Relaxed);
        if now == last {
            return;
        }
        last = now;
    }
}
