//! The client leaves, in each phase and over each protocol: how much later the provider sees it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::Reason;
use tokio::task::JoinSet;

use crate::{
    client::{H1, H2, h2 as client_h2},
    figures::{Spread, Table},
    provider::Provider,
    sidegate::Sidegate,
};

/// How often a client leaves in each phase, and how many do at once.
const TIMES: u64 = 400;
const AT_ONCE: u64 = 20;
const BAR: Duration = Duration::from_millis(50);

/// A phase, and the path on which the provider lets it last.
const PHASES: [(&str, &str); 3] = [("before the head", "hang"), ("mid-stream", "hang-mid-stream"), ("while uploading", "hang-uploading")];

pub(crate) async fn prove(table: &mut Table) {
    let mut number = 0;
    let provider = Provider::h1().await;
    let sidegate = Sidegate::before(provider.address, "1.1").await;
    for (phase, path) in PHASES {
        let spread = h1(&provider, &sidegate, path, &mut number).await;
        hold(table, "HTTP/1.1 to HTTP/1.1", phase, &spread);
    }
    for (phase, path) in PHASES {
        let spread = h2(&provider, &sidegate, path, &mut number).await;
        hold(table, "HTTP/2 to HTTP/1.1", phase, &spread);
    }
    let provider = Provider::h2(100).await;
    let sidegate = Sidegate::before(provider.address, "2").await;
    for (phase, path) in PHASES {
        let spread = h1(&provider, &sidegate, path, &mut number).await;
        hold(table, "HTTP/1.1 to HTTP/2", phase, &spread);
    }
    for (phase, path) in PHASES {
        let spread = h2(&provider, &sidegate, path, &mut number).await;
        hold(table, "HTTP/2 to HTTP/2", phase, &spread);
    }
}

/// Departures that no provider saw count as ten seconds.
fn hold(table: &mut Table, protocols: &str, phase: &str, seen: &Spread) {
    table.hold(format!("{protocols}, {phase}, {TIMES} times"), seen, "p99 ≤ 50 ms", seen.percentile(99.0) <= BAR);
}

async fn h1(provider: &Provider, sidegate: &Sidegate, path: &'static str, number: &mut u64) -> Spread {
    let mut delays = Vec::new();
    for _ in 0..TIMES / AT_ONCE {
        let mut leaving = JoinSet::new();
        for _ in 0..AT_ONCE {
            *number += 1;
            let (n, to, mark) = (*number, sidegate.address, provider.seen.mark(*number));
            leaving.spawn(async move {
                let mut client = H1::connect(to).await;
                let length = if path == "hang-uploading" { 1 << 20 } else { 100 };
                client.post(&format!("/v1/{path}/{n}"), length).await;
                client.upload(100).await;
                mark.reached.acquire().await.expect("a mark lasts").forget();
                if path == "hang-mid-stream" {
                    client.head().await.expect("a head");
                    client.chunk().await.expect("an event");
                }
                let left = Instant::now();
                drop(client);
                delay(left, mark.gone().await)
            });
        }
        delays.extend(leaving.join_all().await);
    }
    Spread::of(delays)
}

/// Gives up streams of one connection, which goes on.
async fn h2(provider: &Provider, sidegate: &Sidegate, path: &'static str, number: &mut u64) -> Spread {
    let client = H2::connect(sidegate.address).await;
    let mut delays = Vec::new();
    for _ in 0..TIMES / AT_ONCE {
        let mut leaving = JoinSet::new();
        for _ in 0..AT_ONCE {
            *number += 1;
            let mark = provider.seen.mark(*number);
            let (reply, mut upload) = client.post(&format!("/v1/{path}/{number}"), true).await;
            leaving.spawn(async move {
                upload.send_data(Bytes::from_static(b"some"), path != "hang-uploading").expect("room for a few bytes");
                mark.reached.acquire().await.expect("a mark lasts").forget();
                if path == "hang-mid-stream" {
                    let mut body = client_h2::body(reply).await;
                    client_h2::part(&mut body).await.expect("an event");
                }
                let left = Instant::now();
                upload.send_reset(Reason::CANCEL);
                delay(left, mark.gone().await)
            });
        }
        delays.extend(leaving.join_all().await);
    }
    Spread::of(delays)
}

fn delay(left: Instant, seen: Option<Instant>) -> Duration {
    seen.map_or(Duration::from_secs(10), |seen| seen.saturating_duration_since(left))
}
