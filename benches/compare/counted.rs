//! Instructions and system calls, of one request and of one streamed event. A proxy runs twice from start to end, with
//! different amounts of the same load; the difference belongs to the load alone. Threads beside the worker are in it.

use std::{io, path::PathBuf};

use crate::{
    load::{Requests, Streams, Wanted},
    process::Process,
    provider::Provider,
};

/// Connections, or streams, at once: few, as each run must be like the next.
const AT_ONCE: usize = 8;

/// The shorter run is also the warm-up.
const REQUESTS: [usize; 2] = [1_000, 9_000];

/// On each stream: so many that what differs from start to start, such as a clock's calibration, is lost among them.
const EVENTS: [usize; 2] = [100, 6_100];

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    Requests,
    Events,
    /// Requests for what is answered from memory, where a proxy has one.
    Hits(Wanted),
}

/// What one request, or one event, makes the process count that `start` starts.
pub(crate) async fn each(
    start: impl Fn() -> io::Result<Process>,
    load: Load,
    provider: &Provider,
    keep: Option<PathBuf>,
) -> io::Result<f64> {
    let (amounts, at_once) = match load {
        Load::Requests | Load::Hits(_) => (REQUESTS, 1),
        Load::Events => (EVENTS, AT_ONCE),
    };
    let mut counted = [0; 2];
    for (count, amount) in counted.iter_mut().zip(amounts) {
        let process = start()?;
        match load {
            Load::Requests => Requests::over(AT_ONCE, process.address, Wanted::Reply).await?.run(amount).await?,
            Load::Hits(wanted) => Requests::over(AT_ONCE, process.address, wanted).await?.run(amount).await?,
            Load::Events => Streams::open(AT_ONCE, process.address, provider).await?.beat(amount).await?,
        }
        let keep = keep.as_ref().map(|keep| keep.with_added_extension(amount.to_string()));
        *count = process.count(keep.as_deref())?;
    }
    let [fewer, more] = counted.map(|count| count as f64);
    Ok((more - fewer) / ((amounts[1] - amounts[0]) * at_once) as f64)
}
