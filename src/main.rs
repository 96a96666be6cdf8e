//! The `sidegate` program: flags → config → run.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use sidegate::{
    cli::{self, Cli, Command},
    config::{Environment, Loaded},
    server, telemetry,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = Environment::of_process();
    let result = match &cli.command {
        None => match cli.load(&environment) {
            Ok(loaded) => serve(loaded),
            Err(problems) => return cli::refuse(&problems),
        },
        Some(Command::Check { file }) => return cli::check(file, &environment),
        Some(Command::Schema) => return cli::schema(),
        Some(Command::Mock(args)) => sidegate::simulator::mock::run(args),
        Some(Command::Demo(args)) => cli::demo(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell where standard error is closed; the exit code still says it.
            drop(writeln!(io::stderr().lock(), "sidegate: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal asks it to end.
fn serve(loaded: Loaded) -> io::Result<()> {
    telemetry::log::start();
    guard_memory()?;
    let running = server::start(loaded, server::Options::default())?;
    let signal = wait_for_signal()?;
    tracing::info!(signal, "stopping");
    running.stop();
    Ok(())
}

/// Keys live in this process's memory: no core dump, and no other process of the same user looks into it.
fn guard_memory() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

fn wait_for_signal() -> io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        })
    })
}
