//! 17 keys of unequal limits under bursts: how many requests a provider refuses, and how many clients fail.
//!
//! The provider's buckets hold a few seconds' worth and are full at first. Beyond its capacity a pool can serve what they held and what
//! waits at the end, and not more: at 1.1 times the capacity the length of the run decides what is possible.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use http::StatusCode;
use sidegate::simulator::{Limits, Options, Quota};

use crate::{
    figures::{Spread, Table},
    flag,
    rig::{Ask, Bursts, Caller, Outcome, Simulated, arrivals, offer},
    sidegate::Sidegate,
};

/// How many keys there are of which requests and tokens a minute.
const KEYS: [(usize, u32, u32); 4] = [(2, 10_000, 2_000_000), (3, 3_000, 600_000), (6, 500, 200_000), (6, 60, 60_000)];

/// Bytes of a prompt: most are short, some are long. The longest is less than the smallest bucket of five seconds.
const SHORTEST: f64 = 400.0;
const LONGER: f64 = 14_400.0;

/// What a request costs in the mean, by the provider's count: four bytes a token, the JSON around the prompt, and the reply.
const TOKENS: f64 = (SHORTEST + LONGER / 4.0 + 115.0) / 4.0 + 8.0;

/// Load as a part of the capacity, and the bars: percent of attempts that are refused, percent of clients that fail.
const LOADS: [(f64, f64, f64); 3] = [(0.6, 0.5, 0.1), (0.9, 1.0, 1.5), (1.1, 3.0, 5.0)];

/// Who spreads the requests over the keys.
#[derive(Clone, Copy, PartialEq)]
enum By {
    /// Sidegate, which is told each key's limits.
    Config,
    /// Sidegate, which has to read them from the replies.
    Replies,
    /// The client itself, in turns, with two more tries at once.
    Turns,
}

impl By {
    const ALL: [Self; 3] = [Self::Config, Self::Replies, Self::Turns];

    /// As `--by` has it.
    fn word(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Replies => "replies",
            Self::Turns => "turns",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Config => "limits in the config",
            Self::Replies => "limits read from replies",
            Self::Turns => "round robin, 2 retries",
        }
    }
}

pub(super) async fn prove(table: &mut Table) {
    let (quotas, wanted) = (quotas(flag("scale", 1.0)), flag("by", "all".to_owned()));
    for (load, refused_bar, failed_bar) in LOADS {
        for by in By::ALL.into_iter().filter(|by| ["all", by.word()].contains(&&*wanted)) {
            let run = run(by, load, &quotas).await;
            let what = |what: &str| format!("17 keys at {load} of their capacity, {}: {what}", by.name());
            let [refused, failed] = [run.refused, run.failed].map(|part| format!("{:.2} %", percent(part)));
            if by == By::Turns {
                table.tell(what("429s, clients that failed"), format!("{refused}, {failed}"));
                continue;
            }
            let figure = format!("{refused} of {}", run.refused.1);
            table.hold(what("429s"), figure, format!("≤ {refused_bar} %"), percent(run.refused) <= refused_bar);
            let figure = format!("{failed} of {}", run.failed.1);
            table.hold(what("clients that failed"), figure, format!("≤ {failed_bar} %"), percent(run.failed) <= failed_bar);
            if run.failed.0 > 0 {
                table.tell(what("how"), &run.words);
            }
            table.tell(what("first byte"), &run.first);
        }
    }
}

/// The accounts, by a part of their limits.
fn quotas(scale: f64) -> Vec<Quota> {
    let part = |limit: u32| Some(((f64::from(limit) * scale) as u32).max(1));
    let all = KEYS.iter().flat_map(|(count, requests, tokens)| std::iter::repeat_n((*requests, *tokens), *count));
    let limits = all.map(|(requests, tokens)| Limits { requests: part(requests), tokens: part(tokens) });
    let mut limits: Vec<_> = limits.collect();
    // Small keys beside each other would be the worst for whoever takes them in turns.
    Rng::with_seed(1).shuffle(&mut limits);
    limits.into_iter().enumerate().map(|(number, limits)| Quota { account: format!("a{number}"), limits }).collect()
}

fn key(quota: &Quota) -> String {
    format!("sk-account-{}-1", quota.account)
}

/// Requests a second that it can serve: tokens end first, but for the smallest keys.
fn capacity(quota: &Quota) -> f64 {
    let Limits { requests, tokens } = quota.limits;
    let [requests, tokens] = [requests, tokens].map(|limit| limit.map_or(f64::INFINITY, f64::from) / 60.0);
    requests.min(tokens / TOKENS)
}

/// Of how many how many.
type Part = (usize, usize);

fn percent((part, all): Part) -> f64 {
    100.0 * part as f64 / all.max(1) as f64
}

struct Run {
    refused: Part,
    failed: Part,
    words: String,
    first: Spread,
}

async fn run(by: By, load: f64, quotas: &[Quota]) -> Run {
    let time = Duration::from_secs(flag("seconds", 60));
    let options = Options {
        quotas: quotas.to_vec(),
        bucket: Duration::from_secs_f64(flag("bucket", 5.0)),
        first_token: Duration::from_millis(300),
        tokens_per_second: 40.0,
        length: 8,
        ..Options::default()
    };
    let provider = Simulated::start(options);
    let capacity: f64 = quotas.iter().map(capacity).sum();
    let times = arrivals(&Bursts { mean: load * capacity, time, seed: flag("seed", 7) });
    let sidegate = if by == By::Turns { None } else { Some(Sidegate::of("", &config(by, &provider, quotas)).await) };
    let caller = Arc::new(Caller::to(sidegate.as_ref().map_or(provider.address, |sidegate| sidegate.address)));
    let keys: Arc<[String]> = quotas.iter().map(key).collect();
    let (turn, mut rng) = (Arc::new(AtomicUsize::new(0)), Rng::with_seed(flag("seed", 7)));
    let outcomes = offer(&times, Instant::now(), |_| {
        let prompt = (SHORTEST + rng.f64().powi(3) * LONGER) as usize;
        let ask = Ask { prompt, ..Ask::of("gpt-4o-mini").streamed() };
        let (caller, keys, turn) = (Arc::clone(&caller), Arc::clone(&keys), Arc::clone(&turn));
        async move { if by == By::Turns { in_turns(&caller, &keys, &turn, ask).await } else { caller.call(&ask).await } }
    })
    .await;
    let notes = provider.notes().await;
    let refused = notes.iter().filter(|note| note.status == Some(StatusCode::TOO_MANY_REQUESTS)).count();
    let failed = outcomes.iter().filter(|outcome| !outcome.is_good()).count();
    let first = outcomes.iter().filter(|outcome| outcome.is_good()).map(|outcome| outcome.head);
    Run {
        refused: (refused, notes.len()),
        failed: (failed, outcomes.len()),
        words: super::words(&outcomes),
        first: Spread::of(first.collect()),
    }
}

/// The next key, and two more if it is refused: no key is remembered for what it said.
async fn in_turns(caller: &Caller, keys: &[String], turn: &AtomicUsize, mut ask: Ask) -> Outcome {
    let begun = Instant::now();
    let mut left = 3;
    loop {
        ask.key.clone_from(&keys[turn.fetch_add(1, Relaxed) % keys.len()]);
        let outcome = caller.call(&ask).await;
        left -= 1;
        if outcome.status != Some(429) || left == 0 {
            let head = begun.elapsed().saturating_sub(outcome.took.saturating_sub(outcome.head));
            return Outcome { begun, head, took: begun.elapsed(), ..outcome };
        }
    }
}

/// As an operator writes it who knows the limits, or who knows nothing.
fn config(by: By, provider: &Simulated, quotas: &[Quota]) -> String {
    let limits = |quota: &Quota| match quota.limits {
        Limits { requests: Some(requests), tokens: Some(tokens) } if by == By::Config => {
            format!(", requests: {requests}/min, tokens: {tokens}/min")
        }
        _ => String::new(),
    };
    let row = |quota: &Quota| format!("      - {{ value: {}, name: {}{} }}\n", key(quota), quota.account, limits(quota));
    let keys: String = quotas.iter().map(row).collect();
    let within: String = flag("within", "5s".to_owned());
    format!(
        "retry: {{ within: {within} }}\n\
         providers:\n  pool:\n    base_url: http://{}/v1\n    keys:\n{keys}\
         routes:\n  - {{ path: /v1, targets: [pool] }}\n",
        provider.address
    )
}
