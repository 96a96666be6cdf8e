//! `sidegate drain`: asks the process that runs to end in order, for hooks where there is neither a shell nor a client.

use std::{
    io::{self, ErrorKind, Write},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    ask::{Question, connect, line},
    print,
    whom::Whom,
};
use crate::{
    config::Environment,
    types::{Address, Period},
};

/// How long asking may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often it is looked whether the process is still there.
const TURN: Duration = Duration::from_millis(50);

/// Whom to ask, and whether to wait.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Wait until the process has ended, for at most so long.
    #[arg(long, value_name = "DURATION")]
    wait: Option<Period>,
    #[command(flatten)]
    whom: Whom,
}

/// `sidegate drain`: 0 if it drains, with `--wait` if it has ended; else 1.
pub fn run(args: &Args, environment: &Environment) -> ExitCode {
    match drain(args, environment) {
        Ok(word) => print(&format!("{word}\n")),
        Err(why) => {
            // Nobody is left to tell where standard error is closed; the exit code still says it.
            let _ = writeln!(io::stderr().lock(), "sidegate drain: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What has become of it, in a word.
fn drain(args: &Args, environment: &Environment) -> Result<&'static str, String> {
    let start = Instant::now();
    let (address, token) = args.whom.admin(environment)?;
    let answer = Question { method: "POST", target: "/drain", host: None, token: token.as_ref() }.ask(&address, PATIENCE);
    let answer = answer.map_err(|why| format!("{address} {why}"))?;
    if answer.status != 202 {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let message = body["error"]["message"].as_str().unwrap_or("it does not answer as an admin listener does");
        return Err(format!("{address} answers {}: {}", answer.status, line(message)));
    }
    let Some(Period(wait)) = args.wait else { return Ok("draining") };
    while !is_gone(&address) {
        let left = wait.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(format!("{address} still drains after {}", Period(wait)));
        }
        thread::sleep(left.min(TURN));
    }
    Ok("ended")
}

/// Whether nobody listens there any more: the admin listener stays until the process ends.
fn is_gone(address: &Address) -> bool {
    connect(address, PATIENCE).is_err_and(|error| matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound))
}
