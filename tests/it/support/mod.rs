//! What every story here is told with: scripted providers, exact clients, and Sidegate between them.
//!
//! Nothing sleeps to be in step with something else. A story waits for an event ([`within`]), opens a
//! [`Gate`], or asks again until an answer holds ([`eventually`]); all three give up after [`PATIENCE`].

pub(crate) mod client;
pub(crate) mod dns;
pub(crate) mod egress;
pub(crate) mod gate;
pub(crate) mod h2_client;
pub(crate) mod h2_provider;
pub(crate) mod h2_script;
pub(crate) mod mmdb;
pub(crate) mod program;
pub(crate) mod programme;
pub(crate) mod provider;
pub(crate) mod proxy;
pub(crate) mod refused;
pub(crate) mod script;
pub(crate) mod setup;
pub(crate) mod signer;
pub(crate) mod tls;
pub(crate) mod views;
pub(crate) mod wire;

use std::{fmt::Debug, future::Future, time::Duration};

pub(crate) use client::Client;
pub(crate) use dns::{NameServer, Says};
pub(crate) use egress::EgressProxy;
pub(crate) use gate::Gate;
pub(crate) use h2_client::H2Client;
pub(crate) use h2_provider::H2Provider;
pub(crate) use h2_script::H2Script;
pub(crate) use mmdb::Mmdb;
pub(crate) use program::Program;
pub(crate) use provider::Provider;
pub(crate) use proxy::Sidegate;
pub(crate) use refused::Refused;
pub(crate) use script::Script;
pub(crate) use setup::Setup;
pub(crate) use signer::Signer;

/// How long anything may take before a test says that it will never happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The outcome of `future`, which must come while there is patience.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("{what}: nothing after {PATIENCE:?}"),
    }
}

/// Asks again and again until `answer` satisfies `wanted`; returns that answer.
pub(crate) async fn eventually<T: Debug>(what: &str, mut answer: impl FnMut() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let last = answer();
        if wanted(&last) {
            return last;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: still {last:?} after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The value at which `count` comes to rest: equal at twenty looks in a row, 10 ms apart. Only for proving that
/// something has *stopped*, which no event can tell.
pub(crate) async fn at_rest(what: &str, count: impl Fn() -> u64) -> u64 {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let (mut last, mut same) = (count(), 0);
    while same < 20 {
        assert!(tokio::time::Instant::now() < deadline, "{what}: still moving at {last} after {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = count();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// Bytes for an assertion message: printable ones as they are, the rest escaped, and not a megabyte of them.
pub(crate) fn show(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(400)];
    let more = if shown.len() < bytes.len() { format!("… ({} bytes)", bytes.len()) } else { String::new() };
    format!("{}{more}", shown.escape_ascii())
}
