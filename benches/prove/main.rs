//! The long bars of the data path. `scripts/prove AREA` builds and runs it.
//!
//! Sidegate runs as its own process, as shipped, so that its memory can be read from outside. The provider and the
//! clients live here, on one thread, and speak no hyper: what they cost is in both columns of a comparison.

mod cancel;
mod cardinality;
mod client;
#[path = "../../tests/it/support/dns.rs"]
mod dns;
mod figures;
mod h2;
mod load;
mod memory;
mod network;
mod provider;
mod realtime;
mod sidegate;
mod streams;
mod tls;

use std::process::ExitCode;

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
            Some("tls") => tls::prove(&mut table).await,
            other => panic!("an area of `scripts/prove` is wanted, not {other:?}"),
        }
    });
    table.print();
    if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
