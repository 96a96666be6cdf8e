//! The command line: what to do, with which config.

mod ask;
pub mod drain;
pub mod health;
pub mod key;
pub mod limits;
mod whom;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    config::{self, Environment, Loaded, Problems},
    server,
    simulator::{demo, load, mock},
    types::Address,
};

/// The exit code for a config that can't work: `EX_USAGE` of sysexits(3).
pub const EX_USAGE: u8 = 64;

/// The config file that is taken where none is named.
pub const DEFAULT_FILE: &str = "proxy.yaml";

/// A sidecar reverse proxy in front of AI providers.
#[derive(Debug, Parser)]
#[command(name = "sidegate", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The config file; by default `proxy.yaml` if there is one, else OpenAI with the key in OPENAI_API_KEY.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do; without it, serve.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a config file and print everything that is wrong with it.
    Check {
        /// The file to check.
        #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
    /// Print the JSON Schema of the config file.
    Schema,
    /// Make client keys and master keys, and seal provider keys for the config.
    Key {
        /// What to do with keys.
        #[command(subcommand)]
        command: key::Command,
    },
    /// Try limits out.
    Limits {
        /// What to do with limits.
        #[command(subcommand)]
        command: limits::Command,
    },
    /// Ask the process that runs whether it is well: a probe for where there is no shell.
    Health(health::Args),
    /// Ask the process that runs to end in order.
    Drain(drain::Args),
    /// Serve a simulated provider, for trying things out and for tests.
    Mock(mock::Args),
    /// Show the proxy at work in front of a simulated provider. No account is needed.
    Demo(demo::Args),
    /// Put a bounded load on a URL and measure it.
    Load(Box<load::Args>),
}

impl Cli {
    /// Loads the config to serve with: the named file, else `proxy.yaml` if there is one, else the zero config.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(&self, environment: &Environment) -> Result<Loaded, Problems> {
        let default = Path::new(DEFAULT_FILE);
        match &self.config {
            Some(file) => config::load(file, environment),
            // A file that is there but can't be read is an error, never a reason to serve something else.
            None if default.symlink_metadata().is_ok() => config::load(default, environment),
            None => config::from_environment(environment),
        }
    }
}

/// `sidegate check FILE`: one line where it is fine, else everything that is wrong and [`EX_USAGE`].
pub fn check(file: &Path, environment: &Environment) -> ExitCode {
    match config::load(file, environment) {
        Ok(loaded) => print(&format!("{}: fine: {loaded}\n", file.display())),
        Err(problems) => refuse(&problems),
    }
}

/// `sidegate schema`: the JSON Schema on standard output.
pub fn schema() -> ExitCode {
    print(&format!("{:#}\n", config::schema()))
}

/// `sidegate demo`: the simulator shows, and this is how it starts the proxy.
///
/// # Errors
///
/// If an address can't be bound or standard output is gone.
pub fn demo(args: &demo::Args) -> io::Result<()> {
    demo::run(args, &mut io::stdout().lock(), |text| {
        let loaded = config::from_text("demo", text, &Environment::default()).map_err(|problems| io::Error::other(problems.to_string()))?;
        // The demo shows the traffic itself.
        let running = server::start(loaded, server::Options { access_log: Box::new(io::sink()), ..server::Options::default() })?;
        match running.address() {
            Address::Tcp(address) => Ok((*address, running)),
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    })
}

/// `sidegate load`: 0 where enough requests succeeded, 1 where not or where there is nothing to measure, [`EX_USAGE`] for
/// arguments that make no sense.
pub fn load(args: &load::Args) -> ExitCode {
    match load::run(args, &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to tell where standard error is closed; the exit code still says it.
            let _ = writeln!(io::stderr().lock(), "sidegate load: {error}");
            if matches!(error, load::Error::Usage(_)) { ExitCode::from(EX_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

/// What clap has to say: help and version are no error; anything else is one of usage.
pub fn explain(error: &clap::Error) -> ExitCode {
    // As above.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(EX_USAGE) } else { ExitCode::SUCCESS }
}

/// Prints what is wrong with a config to standard error; the answer is [`EX_USAGE`].
pub fn refuse(problems: &Problems) -> ExitCode {
    // Nobody is left to tell where standard error is closed; the exit code still says it.
    let _ = writeln!(io::stderr().lock(), "{problems}");
    ExitCode::from(EX_USAGE)
}

/// Prints to standard output; a reader that has gone (`| head`) is no panic.
fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
