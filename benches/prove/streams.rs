//! 200 streams at once, events 20 ms apart: how old an event is when the client reads it, without Sidegate and with it.
//! Both run at the same time, so that what else the machine does is in both columns.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::task::JoinSet;

use crate::{
    client::{H1, H2, h2},
    figures::{Spread, Table},
    provider::{self, GAP, Provider},
    sidegate::Sidegate,
};

const STREAMS: u64 = 200;
/// Ten seconds of them.
const EVENTS: u64 = 500;
/// What Sidegate may add at the 99th percentile.
const BAR: Duration = Duration::from_millis(5);

pub(crate) async fn prove(table: &mut Table) {
    let provider = Provider::h1().await;
    let sidegate = Sidegate::before(provider.address, "1.1").await;
    let (direct, through) = tokio::join!(h1(provider.address), h1(sidegate.address));
    compare(table, "HTTP/1.1", &direct, &through);

    let provider = Provider::h2(100).await;
    let sidegate = Sidegate::before(provider.address, "2").await;
    let (direct, through) = tokio::join!(h2(provider.address), h2(sidegate.address));
    compare(table, "HTTP/2", &direct, &through);
}

/// Ages of all events, and how many were read only after the next was written.
struct Ages {
    spread: Spread,
    waited: usize,
}

impl Ages {
    fn of(streams: Vec<Vec<(Duration, Duration)>>) -> Self {
        let waited = |events: &Vec<(Duration, Duration)>| events.windows(2).filter(|pair| pair[0].0 + pair[0].1 > pair[1].0).count();
        let waited = streams.iter().map(waited).sum();
        let ages: Vec<_> = streams.into_iter().flatten().map(|(_, age)| age).collect();
        assert_eq!(ages.len() as u64, STREAMS * EVENTS, "events were lost");
        Self { spread: Spread::of(ages), waited }
    }
}

fn compare(table: &mut Table, protocol: &str, direct: &Ages, through: &Ages) {
    table.tell(format!("{protocol}, {STREAMS} streams, direct"), &direct.spread);
    table.tell(format!("{protocol}, {STREAMS} streams, through Sidegate"), &through.spread);
    let limit = direct.spread.percentile(99.0) + BAR;
    let share = through.spread.within(limit);
    table.hold(format!("{protocol}, events within direct's p99 + 5 ms"), format!("{share:.3} %"), "≥ 99 %", share >= 99.0);
    // What direct shows is this machine's doing.
    let waited = through.waited.saturating_sub(direct.waited);
    let gap = GAP.as_millis();
    table.hold(format!("{protocol}, events that waited for the next, {gap} ms later"), waited, "0 beyond direct", waited == 0);
}

async fn h1(to: SocketAddr) -> Ages {
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        pause().await;
        streams.spawn(async move {
            let mut client = H1::connect(to).await;
            client.post(&format!("/v1/events/{EVENTS}"), 0).await;
            client.head().await.expect("a head");
            let mut events = Events::default();
            while let Some(chunk) = client.chunk().await.expect("a body that does not break off") {
                events.take(&chunk);
            }
            events.ages
        });
    }
    Ages::of(streams.join_all().await)
}

async fn h2(to: SocketAddr) -> Ages {
    let mut streams = JoinSet::new();
    let mut client = Arc::new(H2::connect(to).await);
    for n in 0..STREAMS {
        pause().await;
        if n % 50 == 0 {
            client = Arc::new(H2::connect(to).await);
        }
        let client = Arc::clone(&client);
        streams.spawn(async move {
            let mut body = client.reply(&format!("/v1/events/{EVENTS}")).await;
            let mut events = Events::default();
            while let Some(part) = h2::part(&mut body).await {
                events.take(&part);
            }
            events.ages
        });
    }
    Ages::of(streams.join_all().await)
}

/// Spreads the streams' beats over the gap, as they would be.
async fn pause() {
    tokio::time::sleep(Duration::from_micros(fastrand::u64(200..1800))).await;
}

/// Events as they come out of a body, however it was cut.
#[derive(Default)]
struct Events {
    rest: Vec<u8>,
    ages: Vec<(Duration, Duration)>,
}

impl Events {
    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some(at) = self.rest.windows(2).position(|window| window == b"\n\n") {
            let event: Vec<u8> = self.rest.drain(..at + 2).collect();
            self.ages.push(provider::age(&event).expect("an event of ours"));
        }
    }
}
