//! The long bars of the data path. `scripts/prove AREA` builds and runs it.
//!
//! Sidegate runs as its own process, as shipped, so that its memory can be read from outside. The provider and the
//! clients live here, on one thread, and speak no hyper: what they cost is in both columns of a comparison.

mod cancel;
mod client;
mod figures;
mod h2;
mod memory;
mod provider;
mod realtime;
mod sidegate;
mod streams;

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
            Some("h2") => h2::prove(&mut table).await,
            other => panic!("one of streams, realtime, memory, cancel, h2 is wanted, not {other:?}"),
        }
    });
    table.print();
    if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
