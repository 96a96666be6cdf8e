//! The long bars of the data path. `scripts/prove AREA` builds and runs it.
//!
//! Sidegate runs as its own process, as shipped, so that its memory can be read from outside. The provider and the
//! clients live here, on one thread, and speak no hyper: what they cost is in both columns of a comparison.

mod admin;
mod cache;
mod cancel;
mod cardinality;
mod client;
#[path = "../../tests/it/support/dns.rs"]
mod dns;
mod drain;
mod figures;
mod h2;
mod keys;
mod limits;
mod load;
mod memory;
mod network;
mod outage;
mod process;
mod provider;
mod realtime;
mod reload;
mod rig;
mod sidegate;
mod sizing;
mod streams;
mod tls;
mod traffic;

use std::{process::ExitCode, str::FromStr};

use figures::Table;

fn main() -> ExitCode {
    // Cargo adds flags of its own, such as `--bench`.
    let area = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let mut table = Table::default();
    sidegate::raise_the_limit_of_open_files();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match area.as_deref() {
            Some("streams") => streams::prove(&mut table).await,
            Some("realtime") => realtime::prove(&mut table).await,
            Some("memory") => memory::prove(&mut table).await,
            Some("cancel") => cancel::prove(&mut table).await,
            Some("cardinality") => cardinality::prove(&mut table).await,
            Some("h2") => h2::prove(&mut table).await,
            Some("network") => network::prove(&mut table).await,
            Some("load") => load::prove(&mut table),
            Some("drain") => drain::prove(&mut table).await,
            Some("reload") => reload::prove(&mut table, flag("reloads", 10_000), flag("compared", 40)).await,
            Some("keys") => keys::prove(&mut table).await,
            Some("outage") => outage::prove(&mut table).await,
            Some("cache") => cache::prove(&mut table).await,
            Some("limits") => limits::prove(&mut table),
            Some("sizing") => sizing::prove(&mut table).await,
            Some("tls") => tls::prove(&mut table).await,
            other => panic!("an area of `scripts/prove` is wanted, not {other:?}"),
        }
    });
    table.print();
    if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The value of `--name=VALUE`.
pub(crate) fn flag<T: FromStr>(name: &str, default: T) -> T {
    let value = std::env::args().find_map(|argument| argument.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
    value.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("--{name} can't be {value}")))
}
