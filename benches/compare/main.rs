//! Sidegate beside a bare hyper proxy, nginx and HAProxy: the same simulated provider, the same load, in turn.
//! `scripts/prove compare` runs it.

mod counted;
mod load;
mod process;
mod provider;
mod proxies;

use std::{io, path::PathBuf, process::ExitCode};

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::LocalSet;

use crate::{
    counted::Load,
    process::Under,
    provider::Provider,
    proxies::{Programs, Proxy},
};

#[derive(Parser, Debug)]
struct Args {
    #[arg(long)]
    sidegate: Option<PathBuf>,
    #[arg(long)]
    bare: Option<PathBuf>,
    #[arg(long)]
    only: Vec<Proxy>,
    #[arg(long)]
    keep: Option<PathBuf>,
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("a limit may be raised up to its maximum");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = LocalSet::new();
    local.block_on(&runtime, run(args)).unwrap();
    ExitCode::SUCCESS
}

async fn run(args: Args) -> io::Result<()> {
    let sidegate = args.sidegate.clone().unwrap_or_else(|| env!("CARGO_BIN_EXE_sidegate").into());
    let bare = args.bare.clone().unwrap_or_else(|| sidegate.with_file_name("examples/bare"));
    let programs = Programs { sidegate, bare };
    let provider = Provider::start()?;
    let proxies = if args.only.is_empty() { Proxy::ALL.to_vec() } else { args.only.clone() };
    for (what, under) in [("instructions", Under::Callgrind), ("calls", Under::Strace)] {
        for load in [Load::Requests, Load::Events] {
            for proxy in &proxies {
                let keep = args.keep.as_ref().map(|keep| keep.join(format!("{what}-{load:?}-{proxy:?}")));
                let each = counted::each(*proxy, &programs, under, load, &provider, keep).await?;
                println!("{what:12} {load:?} {:10} {each:.1}", proxy.name());
            }
        }
    }
    Ok(())
}
