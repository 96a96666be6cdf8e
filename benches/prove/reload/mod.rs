//! Reloads under load: nothing may be lost, nothing may grow, and what changed must be live soon.

mod compare;
mod files;
mod long;
mod sides;

use std::time::Duration;

use crate::{
    figures::Table,
    traffic::{Goal, Stream, Traffic},
};

/// `reloads` in one process; then, for a few, the peers beside it.
pub(crate) async fn prove(table: &mut Table, reloads: u64, compared: u32) {
    if reloads > 0 {
        long::prove(table, reloads).await;
    }
    if compared > 0 {
        compare::prove(table, compared, Duration::from_millis(200)).await;
    }
}

/// What comes all the time: requests on fresh and on kept-alive connections, streams that last and streams that end, over both protocols.
fn steady(goal: Goal) -> Traffic {
    let mut traffic = Traffic::to(goal);
    traffic.fresh(8, 5..25);
    traffic.kept(16, 16, 5..45);
    let gap = Duration::from_millis(20);
    traffic.streams(10, (2, 5), &Stream { events: 0..1, gap, again: false });
    traffic.streams(10, (2, 5), &Stream { events: 5..100, gap, again: true });
    traffic
}
