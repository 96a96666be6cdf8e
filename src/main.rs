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
use tokio::{
    runtime::{self, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::explain(&error),
    };
    raise_the_limit_of_open_files();
    let environment = Environment::of_process();
    let result = match &cli.command {
        None => match cli.load(&environment) {
            Ok(loaded) => serve(loaded, environment.get(telemetry::log::VARIABLE)),
            Err(problems) => return cli::refuse(&problems),
        },
        Some(Command::Check { file }) => return cli::check(file, &environment),
        Some(Command::Schema) => return cli::schema(),
        Some(Command::Mock(args)) => sidegate::simulator::mock::run(args),
        Some(Command::Demo(args)) => cli::demo(args),
        Some(Command::Load(args)) => return cli::load(args),
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
fn serve(loaded: Loaded, variable: Option<&str>) -> io::Result<()> {
    telemetry::log::start(&loaded.config.log, variable);
    guard_memory()?;
    // Before the first client can come: who takes every file descriptor must not find us without those for signals.
    let signals = Signals::listen()?;
    let running = server::start(loaded, server::Options::default())?;
    let signal = signals.wait();
    tracing::info!(signal, "stopping");
    running.stop();
    Ok(())
}

/// A connection is a descriptor, and the usual soft limit of 1024 is there for programs that call select(2).
fn raise_the_limit_of_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Where it may not be raised, the lower one serves fewer connections.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Keys live in this process's memory: no core dump, and no other process of the same user looks into it.
fn guard_memory() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// The signals that ask the process to end.
struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        drop(entered);
        Ok(Self { runtime, interrupt, terminate })
    }

    /// Waits for the first of them and says which it was.
    fn wait(self) -> &'static str {
        let Self { runtime, mut interrupt, mut terminate } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            }
        })
    }
}
