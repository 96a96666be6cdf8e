//! `sidegate load`: a bounded load on a URL, and what came of it.
//!
//! ```text
//! args.rs site.rs       what is wanted, and where
//! request.rs            the bytes that are sent
//! schedule.rs           who may send when
//! user.rs dial.rs       a connection, and one request after another over it
//! reply.rs framing.rs events.rs answer.rs       a reply as its bytes come, and what it came to
//! tally.rs histogram.rs                         counts
//! prices.rs report.rs table.rs progress.rs      what is shown of them
//! ```
//!
//! One thread, and no allocation per event: what the load itself costs must not be what it measures.

mod answer;
mod args;
mod dial;
mod events;
mod framing;
mod histogram;
mod prices;
mod progress;
mod reply;
mod report;
mod request;
mod schedule;
mod site;
mod table;
mod tally;
mod user;

use std::{
    cell::RefCell,
    fmt,
    io::{self, Write},
    rc::Rc,
    time::Duration,
};

use tokio::{
    runtime::Builder,
    select,
    task::{JoinSet, LocalSet},
    time::{Instant, timeout},
};

use args::Bound;
pub use args::{Args, Asked, Rate};
use dial::Dialer;
use prices::Price;
use report::{Ended, Figures, Report, Requests};
use request::Request;
use schedule::Schedule;
pub use site::Site;
use tally::Tally;
use user::{Shared, User};

use super::mock::interrupted;
use crate::types::Secret;

/// Between the connects of two users: a thousand at once would be a test of listen backlogs.
const BETWEEN_USERS: Duration = Duration::from_millis(1);

/// Prompts of all users together, about four bytes a token: each user keeps its own. It is 1 GiB.
const MOST_TOKENS: u64 = 1 << 28;

/// Why there is no report.
#[derive(Debug)]
pub enum Error {
    /// The arguments make no sense.
    Usage(String),
    /// The URL can't be reached, or standard output is closed.
    Failed(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => f.write_str(what),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Puts the load on, prints the report on `out`, and says whether enough requests succeeded.
///
/// # Errors
/// Arguments that make no sense, a URL that can't be reached at all, or `out` is closed.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<bool, Error> {
    let keys = args.keys().map_err(|error| Error::Usage(error.to_owned()))?;
    if u64::from(users_of(args)) * u64::from(args.asked.prompt_tokens) > MOST_TOKENS {
        return Err(Error::Usage("so many users with so long prompts need too much memory; lower --users or --prompt-tokens".to_owned()));
    }
    let (price, listed) = prices::price(&args.asked.model, args.prices.as_deref()).map_err(Error::Usage)?.unzip();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let report = LocalSet::new().block_on(&runtime, measure(args, keys, price))?;
    let Requests { total, succeeded, .. } = report.figures.requests;
    let enough = total > 0 && 100.0 * succeeded as f64 >= args.min_success * total as f64;
    if args.json {
        let json = serde_json::to_string_pretty(&report).map_err(io::Error::from)?;
        writeln!(out, "{json}")?;
    } else {
        table::print(&report, listed.flatten().as_deref(), out)?;
    }
    Ok(enough)
}

async fn measure(args: &Args, keys: [Option<&Secret>; 2], price: Option<Price>) -> io::Result<Report> {
    let sites: Vec<_> = [Some(&args.url), args.compare.as_ref()].into_iter().flatten().zip(keys).collect();
    let mut dialers = Vec::new();
    for (site, _) in &sites {
        dialers.push(reach(site, args).await?);
    }
    let shared = share(args, dialers);
    let ask = args.ask();
    let start = Instant::now();
    let mut users = JoinSet::new();
    // Users take turns between the sites: what else the machine does is in the figures of both.
    for (n, ((site, key), shared)) in (0..users_of(args)).zip(sites.iter().zip(&shared).cycle()) {
        let user = User::new(Rc::clone(shared), Request::new(site, &ask, *key));
        users.spawn_local(user.run(start + BETWEEN_USERS * n));
    }
    let interrupted = select! {
        joined = join(&mut users) => { joined?; false }
        stopped = interrupted() => { stopped?; true }
        () = progress::show(&shared, !args.json && !args.quiet) => false,
    };
    let keys: Vec<_> = keys.into_iter().flatten().collect();
    let mut figures = sites.iter().zip(&shared).map(|((site, _), shared)| Figures::of(site, &shared.tally.borrow(), price, &keys));
    let (Some(first), compare) = (figures.next(), figures.next()) else { return Err(io::ErrorKind::InvalidInput.into()) };
    let refused = shared.iter().any(|shared| shared.tally.borrow().is_refused());
    Ok(Report {
        model: ask.model,
        stream: ask.stream,
        users: users_of(args),
        rate_per_s: args.rate.map(|Rate(rate)| rate),
        ended: if interrupted {
            Ended::Interrupted
        } else if refused {
            Ended::Refused
        } else {
            Ended::Complete
        },
        added_ms: compare.as_ref().map(|compare| first.added_to(compare)),
        figures: first,
        compare,
    })
}

/// A first connection, which is closed again: a site that can't be reached is one error, and not 600 failed requests.
async fn reach(site: &Site, args: &Args) -> io::Result<Dialer> {
    let found = async {
        let dialer = Dialer::of(site, args.roots.as_deref()).await?;
        dialer.connect().await?;
        Ok(dialer)
    };
    let found = timeout(args.timeout.0, found).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    found.map_err(|error: io::Error| io::Error::new(error.kind(), format!("can't connect to {site}: {error}")))
}

/// What the users of each site share: the load in equal parts.
fn share(args: &Args, dialers: Vec<Dialer>) -> Vec<Rc<Shared>> {
    let parts = dialers.len() as u64;
    // At a rate, the first request waits until all users are there to keep it.
    let start = Instant::now() + if args.rate.is_some() { BETWEEN_USERS * users_of(args) } else { Duration::ZERO };
    let rate = args.rate.map(|Rate(rate)| Rate(rate / parts as f64));
    let shared = |(n, dialer): (u64, Dialer)| {
        let bound = match args.bound() {
            Bound::Requests(count) => Bound::Requests((count + parts - 1 - n) / parts),
            time @ Bound::Time(_) => time,
        };
        // Between two requests of the one site comes one of the other.
        let offset = args.rate.map_or(Duration::ZERO, |Rate(rate)| Duration::from_secs_f64(n as f64 / rate));
        let schedule = Schedule::new(start + offset, bound, rate);
        Rc::new(Shared { dialer, schedule, tally: RefCell::new(Tally::new(args.asked.prompt_tokens)), timeout: args.timeout.0 })
    };
    (0..).zip(dialers).map(shared).collect()
}

/// At least one for each site.
fn users_of(args: &Args) -> u32 {
    args.users.max(if args.compare.is_some() { 2 } else { 1 })
}

async fn join(users: &mut JoinSet<()>) -> io::Result<()> {
    while let Some(joined) = users.join_next().await {
        joined.map_err(io::Error::other)?;
    }
    Ok(())
}
