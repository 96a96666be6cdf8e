//! The same traffic and as many reloads before each proxy, one after another.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    sides::{Running, Side},
    steady,
};
use crate::{
    figures::{Columns, Spread, Table},
    provider::Provider,
    traffic::{Kind, Tallies},
};

/// What one side showed.
struct Shown {
    tallies: Tallies,
    live: Spread,
    processes: usize,
}

pub(super) async fn prove(table: &mut Table, reloads: u32, pace: Duration) {
    let mut columns = Columns::new(format!("{reloads} reloads, one every {} ms", pace.as_millis()));
    for side in Side::ALL {
        let shown = run(side, reloads, pace).await;
        columns.add(side.name(), rows(&shown));
        let lost = shown.tallies.lost();
        match side {
            Side::Sidegate => table.hold(format!("{reloads} reloads beside the peers: requests lost"), lost, "0", lost == 0),
            Side::Restarted => {
                let blind: Vec<_> =
                    Kind::ALL.into_iter().filter(|kind| shown.tallies.of(*kind).losses.is_empty()).map(Kind::name).collect();
                let figure = if blind.is_empty() { "all".to_owned() } else { format!("not {}", blind.join(", ")) };
                table.hold("killed and started anew instead: kinds of clients that see it", figure, "all", blind.is_empty());
            }
            _ => {}
        }
        for kind in Kind::ALL {
            let reasons = shown.tallies.of(kind).reasons();
            if !reasons.is_empty() {
                eprintln!("{}, {}: {reasons}", side.name(), kind.name());
            }
        }
    }
    columns.print();
}

async fn run(side: Side, reloads: u32, pace: Duration) -> Shown {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let (first, second) = (Provider::h1().await, Provider::h2(100).await);
    let mut running = Running::start(side, folder.path(), [first.address, second.address]).await;
    let traffic = steady(running.goal.clone());
    sleep(Duration::from_secs(1)).await;
    let mut live = Vec::new();
    let begun = Instant::now();
    for n in 0..reloads {
        sleep_until(begun + pace * n).await;
        live.push(running.reload().await);
    }
    sleep(pace).await;
    let processes = running.process.processes();
    let tallies = traffic.stop(&[&first, &second]).await;
    Shown { tallies, live: Spread::of(live), processes }
}

fn rows(shown: &Shown) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let tally = shown.tallies.of(kind);
        rows.push((format!("{}: lost", kind.name()), format!("{} of {}", tally.losses.len(), tally.sent())));
        if kind == Kind::Kept {
            rows.push(("of these, sent before the close was seen".to_owned(), tally.sent_in_vain().to_string()));
        }
    }
    rows.push(("until the change is live".to_owned(), shown.live.to_string()));
    rows.push(("processes at the end".to_owned(), shown.processes.to_string()));
    rows
}
