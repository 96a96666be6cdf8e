//! `sidegate health`: whether the process that runs is well, for probes where there is neither a shell nor a client.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use super::{
    ask::{Answer, Question, line},
    print,
    whom::Whom,
};
use crate::config::Environment;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is asked, and whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ask whether traffic should come here, which is also what is asked by default.
    #[arg(long, conflicts_with = "live")]
    ready: bool,
    /// Ask only whether the process answers, also while it drains.
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    whom: Whom,
}

/// `sidegate health`: 0 if it is well. Whatever else, also a config that can't be read, is 1, since probes know no other code.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    match ask(args, environment) {
        Ok(word) => print(&format!("{word}\n")),
        Err(why) => {
            // Nobody is left to tell where standard error is closed; the exit code still says it.
            let _ = writeln!(io::stderr().lock(), "sidegate health: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What it answers if it is well, in a word.
fn ask(args: &Args, environment: &Environment) -> Result<String, String> {
    let address = args.whom.address(environment)?;
    let target = if args.live { "/livez" } else { "/readyz" };
    let answer = Question { method: "GET", target, host: None, token: None }.ask(&address, PATIENCE);
    let Answer { status, body } = answer.map_err(|why| format!("{address} {why}"))?;
    let word = line(&body);
    if status == 200 { Ok(word) } else { Err(format!("{address} answers {status}: {word}")) }
}
