//! `sidegate mock`: a simulated provider until Ctrl-C.

use std::{
    io::{self, Write},
    net::SocketAddr,
};

use tokio::{
    runtime::Builder,
    select,
    signal::unix::{SignalKind, signal},
};

use super::{Options, faults, start};
use crate::types::Period;

/// Serve a simulated provider: OpenAI's formats without an account
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9090")]
    pub listen: SocketAddr,
    /// How replies come
    #[command(flatten)]
    pub replies: Replies,
}

/// How long replies are, and how fast they come.
#[derive(Clone, Debug, clap::Args)]
pub struct Replies {
    /// Time to the first token
    #[arg(long, value_name = "DURATION", default_value = "200ms")]
    pub first_token: Period,
    /// The pace of the tokens behind it; `inf` sends them at once
    #[arg(long, value_name = "NUMBER", default_value = "50", value_parser = rate)]
    pub tokens_per_second: f64,
    /// Tokens in a reply, unless the request asks for fewer
    #[arg(long, value_name = "TOKENS", default_value = "60", value_parser = clap::value_parser!(u32).range(1..))]
    pub length: u32,
    /// Equal seeds and equal requests make equal replies
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub seed: u64,
}

impl Replies {
    /// The options of a provider at `address`.
    #[must_use]
    pub fn options(&self, address: SocketAddr) -> Options {
        let &Self { first_token, tokens_per_second, length, seed } = self;
        Options { address, first_token: first_token.0, tokens_per_second, length: length as usize, seed }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate| *rate > 0.0).ok_or_else(|| format!("`{text}` is not a rate; write a number above 0, or `inf`"))
}

fn after_help() -> String {
    format!("Any model is answered. These names misbehave:\n{}", faults::table())
}

/// Serves until Ctrl-C or SIGTERM. Prints one line on stdout when it listens.
///
/// # Errors
/// The address can't be bound, or stdout is closed.
pub fn run(args: &Args) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let provider = start(args.replies.options(args.listen))?;
    writeln!(io::stdout(), "sidegate mock: listening on {}", provider.base_url())?;
    runtime.block_on(interrupted())
}

/// Resolves with Ctrl-C or SIGTERM.
pub(super) async fn interrupted() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}
