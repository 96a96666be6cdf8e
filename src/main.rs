//! The `sidegate` program: flags → config → run.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use sidegate::{
    cli::{self, Cli, Command},
    config::{Environment, Loaded},
    server::{
        self,
        signals::Signals,
        systemd::{Notify, Passed},
    },
    telemetry,
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
        Some(Command::Key { command }) => return cli::key::run(command, &environment),
        Some(Command::Limits { command }) => return cli::limits::run(command, &environment),
        Some(Command::Health(args)) => return cli::health::run(args, &environment),
        Some(Command::Drain(args)) => return cli::drain::run(args, &environment),
        Some(Command::Mock(args)) => sidegate::simulator::mock::run(args).map(|()| ExitCode::SUCCESS),
        Some(Command::Demo(args)) => cli::demo(args).map(|()| ExitCode::SUCCESS),
        Some(Command::Load(args)) => return cli::load(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell where standard error is closed; the exit code still says it.
            drop(writeln!(io::stderr().lock(), "sidegate: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Serves until it is drained. The code is 0 where nothing was cut and nobody had to insist.
fn serve(loaded: Loaded, variable: Option<&str>) -> io::Result<ExitCode> {
    telemetry::log::start(&loaded.config.log, variable);
    guard_memory()?;
    let signals = Signals::listen()?;
    let notify = Notify::of_process();
    let running = server::start(loaded, server::Options { passed: Passed::of_process()?, ..server::Options::default() })?;
    notify.ready(&format!("serving on {}", running.address()));
    let drain = running.drain().clone();
    let forced = signals.attend(&drain, running.reloader(), notify);
    running.stop();
    Ok(if forced || drain.cut() > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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
