//! A provider that is killed and started anew under streams, with another that takes over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::sleep_until;

use super::{Site, words};
use crate::{
    figures::{Spread, Table},
    rig::{Ask, Bill, Caller, Simulated, offer, steady},
};

const RATE: f64 = 200.0;
/// When it is killed, each time for so long, and when the run ends.
const KILLS: [Duration; 3] = [Duration::from_secs(3), Duration::from_secs(10), Duration::from_secs(17)];
const GONE: Duration = Duration::from_secs(2);
const END: Duration = Duration::from_secs(24);

pub(super) async fn prove(table: &mut Table, bill: &mut Bill) {
    // Half a second a stream: a hundred are open at any time.
    let streams = sidegate::simulator::Options { first_token: Duration::from_millis(100), tokens_per_second: 20.0, ..Simulated::prompt() };
    let second = Simulated::start(streams.clone());
    let mut site = Site::start(Simulated::start(streams), Some(second)).await;
    let caller = Arc::new(Caller::to(site.sidegate.address));
    let start = Instant::now();
    let load = tokio::spawn(async move {
        offer(&steady(RATE, END), start, |_| {
            let caller = Arc::clone(&caller);
            async move { caller.call(&Ask::of("gpt-4o-mini").streamed()).await }
        })
        .await
    });
    let mut open = Vec::new();
    for kill in KILLS {
        sleep_until((start + kill).into()).await;
        open.push(site.first.kill());
        sleep_until((start + kill + GONE).into()).await;
        site.first.come_back();
    }
    let outcomes = load.await.expect("clients do not panic");
    let again = site.first.notes().await.iter().filter(|note| note.processed && note.started > start + KILLS[2] + GONE).count();
    site.traces(&outcomes, bill).await;
    let failed = outcomes.iter().filter(|outcome| !outcome.is_good()).count() as u64;
    let most: u64 = open.iter().sum();
    let what = |what: &str| format!("200 streams a second, their provider killed {} times: {what}", KILLS.len());
    table.tell(what("sent or streaming at each kill"), open.iter().map(u64::to_string).collect::<Vec<_>>().join(", "));
    table.hold(what("streams that failed"), format!("{failed} of {}", outcomes.len()), format!("≤ {most}"), failed <= most && most > 0);
    table.tell(what("how they ended"), words(outcomes.iter()));
    let heads = outcomes.iter().filter(|outcome| outcome.is_good()).map(|outcome| outcome.head);
    table.tell(what("first byte of the others"), Spread::of(heads.collect()));
    table.hold(what("served by it after the last"), again, "> 0", again > 0);
}
