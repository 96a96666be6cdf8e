//! `sidegate limits test`: which limits a request would meet, and whether it would pass. The answer is made from the config; what a
//! running process has counted, it is asked for.

mod ask;
mod table;

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{DEFAULT_FILE, EX_USAGE, print, refuse};
use crate::{
    config::{self, Environment},
    pipeline::{
        client::Client,
        trial::{Supposed, suppose},
    },
    runtime::{Registry, compile, compile::Ground},
    server::admin::limits::{USUAL_PATH, told_trial},
    telemetry::Metrics,
    types::{Moment, Region, Secret, Tier},
};

/// The longest key that is read, in bytes: a token may have some thousand.
const LONGEST_KEY: u64 = 16 << 10;

/// What to do with limits.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say which limits a request would meet, why others are not for it, and whether it would pass.
    Test(Box<Test>),
}

/// The request, and where to ask.
#[derive(Debug, Args)]
pub struct Test {
    /// The config file; by default `proxy.yaml`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address that the request comes from.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    ip: IpAddr,
    /// The credential that it brings: `-` reads it from standard input. Given here, every user of this machine may read it.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true, conflicts_with = "client")]
    key: Option<String>,
    /// The client that makes it, in place of a credential.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Its tier, whatever else would say one.
    #[arg(long, value_name = "TIER")]
    tier: Option<Tier>,
    /// Its region, whatever else would say one.
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
    /// The session that it names.
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// The model that it asks for.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// The tokens that it is expected to use.
    #[arg(long, value_name = "COUNT")]
    tokens: Option<u64>,
    /// Its path.
    #[arg(long, value_name = "PATH", default_value = USUAL_PATH)]
    path: String,
    /// The admin listener of the process that is asked what remains; by default `admin.address` of the config, if it answers.
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// `sidegate limits …`: 0 if the request would pass, 1 if it would be refused, [`EX_USAGE`] for what makes no sense.
pub fn run(Command::Test(args): &Command, environment: &Environment) -> ExitCode {
    let loaded = match config::load(args.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE)), environment) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    match test(args, loaded) {
        Ok((text, passes)) => match print(&text) {
            ExitCode::SUCCESS if !passes => ExitCode::FAILURE,
            printed => printed,
        },
        Err(why) => {
            // Nobody is left to tell where standard error is closed; the exit code still says it.
            let _ = writeln!(io::stderr().lock(), "sidegate limits test: {why}");
            ExitCode::from(EX_USAGE)
        }
    }
}

/// What is printed, and whether the request would pass.
fn test(args: &Test, loaded: config::Loaded) -> Result<(String, bool), String> {
    let (metrics, registry) = (Metrics::default(), Registry::default());
    let address = loaded.config.admin.address;
    let ground = Ground { metrics: &metrics, registry: &registry, before: None };
    let snapshot = compile(loaded, ground).map_err(|error| error.to_string())?;
    let supposed = args.supposed()?;
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // Counters that have counted nothing: what a new caller has.
    let trial = suppose(&snapshot, &supposed, Moment { nanos: 0, unix })?;
    let fresh = told_trial(&trial);
    let running = match (&args.admin, is_asked_by_key(&trial.client)) {
        (Some(_), true) => return Err("a running process can't be asked for the holder of a provider's key".to_owned()),
        (None, true) => None,
        (Some(url), false) => Some(ask::at(url, &query(args, &trial.client))?),
        // Nobody has asked for it: where nothing answers, nothing runs.
        (None, false) => ask::at(&ask::near(address), &query(args, &trial.client)).ok(),
    };
    let passes = |answer: &Value| answer["passes"] == true;
    let verdict = running.as_ref().map_or_else(|| passes(&fresh), |running| passes(running) && trial.reject.is_none());
    let text = if args.json {
        format!("{:#}\n", json!({ "passes": verdict, "fresh": fresh, "running": running }))
    } else {
        table::text(&fresh, running.as_ref(), verdict)
    };
    Ok((text, verdict))
}

impl Test {
    fn supposed(&self) -> Result<Supposed, String> {
        Ok(Supposed {
            ip: Some(self.ip),
            key: self.key.as_deref().map(read_key).transpose()?,
            client: self.client.clone(),
            tier: self.tier.clone(),
            region: self.region.clone(),
            session: self.session.clone(),
            model: self.model.clone(),
            tokens: self.tokens,
            path: self.path.clone(),
        })
    }
}

fn read_key(given: &str) -> Result<Secret, String> {
    if given != "-" {
        return Ok(Secret::new(given.to_owned()));
    }
    let mut text = String::new();
    let read = io::stdin().lock().take(LONGEST_KEY + 1).read_to_string(&mut text);
    read.map_err(|error| format!("standard input can't be read: {error}"))?;
    let key = text.trim();
    if key.is_empty() || text.len() as u64 > LONGEST_KEY {
        Err("give one key on standard input".to_owned())
    } else {
        Ok(Secret::new(key.to_owned()))
    }
}

/// Whether the caller is known by a provider's key, which is sent to nobody here.
fn is_asked_by_key(client: &Client) -> bool {
    client.name.is_none() && client.credential.is_some()
}

/// The request as a running process is asked about it: with the name that the key stands for, never with the key.
fn query(args: &Test, client: &Client) -> Vec<(&'static str, String)> {
    let name = client.name.as_ref().map(|name| name.as_str().to_owned());
    let optional = [
        ("client", name),
        ("tier", args.tier.as_ref().map(ToString::to_string)),
        ("region", args.region.as_ref().map(ToString::to_string)),
        ("session", args.session.clone()),
        ("model", args.model.clone()),
        ("tokens", args.tokens.map(|count| count.to_string())),
    ];
    let given = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
    [("ip", args.ip.to_string()), ("path", args.path.clone())].into_iter().chain(given).collect()
}
