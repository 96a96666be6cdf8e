//! Sidegate beside a bare hyper proxy, nginx and HAProxy: the same simulated provider, the same load, in turn.
//! `scripts/prove compare` runs it; `docs/benchmarks.md` says what each figure is.

mod bars;
mod counted;
mod figures;
mod load;
mod measure;
mod process;
mod provider;
mod proxies;
mod report;

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{runtime, task::LocalSet};

use crate::{
    figures::Figures,
    measure::{Bench, Group},
    provider::Provider,
    proxies::{Programs, Proxy},
};

#[derive(Parser, Debug)]
#[command(name = "scripts/prove compare")]
struct Args {
    /// The groups of figures; all of them if none is named.
    groups: Vec<Group>,
    /// Print JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// How often each proxy has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only this proxy; may be repeated.
    #[arg(long, value_name = "PROXY")]
    only: Vec<Proxy>,
    /// Another build of Sidegate.
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_sidegate"))]
    sidegate: PathBuf,
    /// Another build of the bare hyper proxy; by default the example beside the binary that was built with this.
    #[arg(long, value_name = "FILE")]
    bare: Option<PathBuf>,
    /// Keep the files of callgrind and strace in this folder.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Cargo adds it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    raise_the_limit_of_open_files();
    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut figures = Figures::default();
    if let Err(error) = LocalSet::new().block_on(&runtime, measure(&args, &mut figures)) {
        eprintln!("compare: {error}");
        return ExitCode::FAILURE;
    }
    let held = bars::check(&figures);
    if args.json {
        println!("{:#}", report::json(&figures, &held));
    } else {
        print!("{}", report::text(&figures, &held));
    }
    let missed: Vec<_> = held.iter().filter(|held| !held.holds).collect();
    for held in &missed {
        eprintln!("compare: {} is {}, not {}", held.what, held.figure, held.bar);
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure(args: &Args, figures: &mut Figures) -> io::Result<()> {
    let beside = PathBuf::from(env!("CARGO_BIN_EXE_sidegate")).with_file_name("examples/bare");
    let bench = Bench {
        programs: Programs { sidegate: args.sidegate.clone(), bare: args.bare.clone().unwrap_or(beside), cached: false },
        proxies: if args.only.is_empty() { Proxy::ALL.to_vec() } else { args.only.clone() },
        provider: Provider::start()?,
        rounds: args.rounds,
        keep: args.keep.clone(),
    };
    let groups = if args.groups.is_empty() { Group::value_variants() } else { &args.groups };
    for group in groups {
        eprintln!("compare: {group:?}");
        bench.measure(*group, figures).await?;
    }
    Ok(())
}

/// Both ends of thousands of connections live in this process; what it starts inherits the limit.
fn raise_the_limit_of_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("a limit may be raised up to its maximum");
}
