//! Instructions and system calls, of one request and of one streamed event. A proxy runs twice from start to end, with
//! different amounts of the same load; the difference belongs to the load alone. Threads beside the worker are in it.

use std::{io, path::PathBuf};

use crate::{
    load::{Requests, Streams},
    process::{Process, Under},
    provider::Provider,
    proxies::{Programs, Proxy},
};

/// Connections, or streams, at once: few, as each run must be like the next.
const AT_ONCE: usize = 8;

/// The shorter run is also the warm-up.
const REQUESTS: (usize, usize) = (1_000, 5_000);

/// On each stream.
const EVENTS: (usize, usize) = (100, 1_100);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    Requests,
    Events,
}

/// What is counted of one request, or of one event.
pub(crate) async fn each(
    proxy: Proxy,
    programs: &Programs,
    under: Under,
    load: Load,
    provider: &Provider,
    keep: Option<PathBuf>,
) -> io::Result<f64> {
    let ((few, many), at_once) = match load {
        Load::Requests => (REQUESTS, 1),
        Load::Events => (EVENTS, AT_ONCE),
    };
    let mut counted = [0; 2];
    for (count, amount) in counted.iter_mut().zip([few, many]) {
        let process = Process::start(proxy, programs, provider.address, under)?;
        match load {
            Load::Requests => Requests::over(AT_ONCE, process.address).await?.run(amount).await?,
            Load::Events => Streams::open(AT_ONCE, process.address, provider).await?.beat(amount).await?,
        }
        let keep = keep.as_ref().map(|keep| keep.with_added_extension(amount.to_string()));
        *count = process.count(keep.as_deref())?;
    }
    Ok((counted[1] as f64 - counted[0] as f64) / ((many - few) * at_once) as f64)
}
