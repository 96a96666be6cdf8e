//! `sidegate mock`: a simulated provider until Ctrl-C.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
};

use tokio::{
    runtime::Builder,
    select,
    signal::unix::{SignalKind, signal},
};

use super::{
    Limits, Options, Quota, Tls,
    faults::{self, Rate},
    keys, limits, start,
};
use crate::types::{Dialect, Period};

/// Serve a simulated provider: the formats of OpenAI, Azure, Anthropic and Gemini without an account
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = after_help())]
pub struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9090")]
    pub listen: SocketAddr,
    /// How replies come
    #[command(flatten)]
    pub replies: Replies,
    /// How the provider behaves towards keys and sockets
    #[command(flatten)]
    pub conduct: Conduct,
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

/// Limits, faults, TLS and threads.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Conduct {
    /// The dialect of every request; without it, its path and fields tell
    #[arg(long, value_name = "DIALECT", value_parser = dialect)]
    pub dialect: Option<Dialect>,
    /// Requests that an account may make in a minute
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub requests_per_minute: Option<u32>,
    /// Tokens that an account may ask for in a minute
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub tokens_per_minute: Option<u32>,
    /// An account with limits of its own, such as `large=10000/2000000` for the keys `sk-account-large-…`; may be given several times
    #[arg(long = "account", value_name = "NAME=REQUESTS/TOKENS")]
    pub accounts: Vec<Quota>,
    /// Within which time an account that has nothing left has all it can hold; by default, a minute
    #[arg(long, value_name = "DURATION")]
    pub bucket: Option<Period>,
    /// Something that goes wrong by chance, such as `error-500=2%`; may be given several times
    #[arg(long = "fault", value_name = "KIND=RATE")]
    pub faults: Vec<Rate>,
    /// Speak TLS with this certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// Threads that serve
    #[arg(long, value_name = "NUMBER", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
}

impl Replies {
    /// The options of a provider at `address`.
    #[must_use]
    pub fn options(&self, address: SocketAddr) -> Options {
        let &Self { first_token, tokens_per_second, length, seed } = self;
        Options { address, first_token: first_token.0, tokens_per_second, length: length as usize, seed, ..Options::default() }
    }
}

impl Args {
    /// The options that these flags make.
    #[must_use]
    pub fn options(&self) -> Options {
        let Conduct { dialect, requests_per_minute, tokens_per_minute, accounts, bucket, faults, certificate, key, workers } =
            self.conduct.clone();
        Options {
            quotas: accounts,
            bucket: bucket.map_or(limits::DEEP, |bucket| bucket.0),
            dialect,
            limits: Limits { requests: requests_per_minute, tokens: tokens_per_minute },
            faults,
            tls: certificate.zip(key).map(|(certificate, key)| Tls { certificate, key }),
            workers: workers.max(1).into(),
            ..self.replies.options(self.listen)
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|rate| *rate > 0.0).ok_or_else(|| format!("`{text}` is not a rate; write a number above 0, or `inf`"))
}

fn dialect(text: &str) -> Result<Dialect, String> {
    let names = || Dialect::ALL.map(Dialect::name).join(", ");
    Dialect::ALL.into_iter().find(|dialect| dialect.name() == text).ok_or_else(|| format!("`{text}` is no dialect; known are {}", names()))
}

fn after_help() -> String {
    format!(
        "Any model is answered. These names misbehave, and `--fault` takes them without `fault-`:\n{}\n\
         Any key is taken. These beginnings have a meaning:\n{}\n\
         {DIALECTS}\n\
         A WebSocket is at /v1/realtime?model=…; the model `echo` sends each message back at once.\n\
         GET /_simulator tells what each key has asked for, by its fingerprint; DELETE starts the counts anew.\n\
         {ORDERS}",
        faults::table(),
        keys::table()
    )
}

/// What a provider that runs can be told, for a terminal.
const ORDERS: &str = r#"POST /_simulator changes what happens from now on:
  {"key":"sk-1","is":"invalid"}     or `forbidden`, `flapping`, `good`; `dead` is its whole account out of money
  {"fault":"503"}                   every request meets this fault; null ends it
  {"model":"gpt-4o","fault":"hang"} those for this model do
"#;

/// How a request's dialect is told, for a terminal.
const DIALECTS: &str = "\
The first that fits is the dialect of a request:
  azure     a path below /openai/
  gemini    a path below /v1beta/; its errors come in a list below /v1beta/openai/
  anthropic /v1/messages, or a field `anthropic-version` or `x-api-key`
  gemini    a field `x-goog-api-key`
  openai    all else
";

/// Serves until Ctrl-C or SIGTERM. Prints one line on stdout when it listens.
///
/// # Errors
/// The address can't be bound, the certificate can't be used, or stdout is closed.
pub fn run(args: &Args) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let provider = start(args.options())?;
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
