//! A token limit under more load than it allows: the engine, the estimator and the reservation themselves, in simulated time.
//!
//! Streams come at random (Poisson). Prompts and replies have lognormal lengths, replies end at `max_tokens`, and both are known to
//! nobody beforehand. Tokens of a stream come at a steady pace after its first.
//!
//! *Overshoot* is what the limit let through beyond its number, in the worst minute there is: tokens that admitted requests really
//! used, each at the time it was charged. That is, those of the prompt and those of the reply that were reserved when it was
//! admitted, and the rest when the stream came to them. *Admitted* is the part of the requests offered that was let through. Of their
//! tokens nobody can let through more than one in ten at ten times the load; it is the short ones that get in.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

use fastrand::Rng;
use sidegate::{
    pipeline::reservation::{Outcome, Reservation, Told},
    policy::{
        estimate::{Estimator, Prompt},
        limits::{Charge, Check, Spec, State, Subject, acquire},
    },
    types::{Ask, Moment, Money, Unit, Usage},
};

use crate::{figures::Table, flag};

const LIMIT: u64 = 200_000;
const MINUTE: u64 = 60 * SECOND;
const SECOND: u64 = 1_000_000_000;
const MOST_OUTPUT: u64 = 4_096;
/// Tokens of a stream in a second, and the time until the first.
const PACE: u64 = 50;
const FIRST: u64 = SECOND / 2;
/// How often a stream brings something.
const EVENT: u64 = SECOND / 4;
/// The first minutes teach the estimator, and are not judged.
const WARM_UP: u64 = 5;
/// Bytes for a token.
const RATIO: f64 = 4.1;

/// Median and spread of a lognormal length.
const PROMPT: (f64, f64) = (800.0, 1.5);
const OUTPUT: (f64, f64) = (250.0, 1.0);

pub(crate) fn prove(table: &mut Table) {
    for (load, admitted_bar) in [(1.5, 0.0), (10.0, 20.0)] {
        let [outcome, oracle] = [false, true].map(|knows| Simulation::new(load, knows).run(flag("minutes", 60)));
        let admitted = 100.0 * outcome.admitted as f64 / outcome.offered as f64;
        let what = |what: &str| format!("200k tokens a minute, {load} times the load: {what}");
        let bar = if admitted_bar > 0.0 { "≥ 20 %" } else { "told" };
        table.hold(what("overshoot, worst minute"), format!("{:.2} %", outcome.worst), "≤ 1 %", outcome.worst <= 1.0);
        table.hold(what("overshoot, whole run"), format!("{:.2} %", (outcome.used - 100.0).max(0.0)), "≤ 1 %", outcome.used <= 101.0);
        table.hold(what("requests admitted"), format!("{admitted:.1} % of {}", outcome.offered), bar, admitted >= admitted_bar);
        let knew = format!("{:.1} %, {:.1} %", 100.0 * oracle.admitted as f64 / oracle.offered as f64, oracle.used);
        table.tell(what("admitted and used if the limit knew all lengths beforehand"), knew);
        table.tell(what("overshoot, worst of the first five minutes"), format!("{:.2} %", outcome.cold));
        table.tell(what("of what the limit allows, used"), format!("{:.1} %", outcome.used));
    }
}

struct Judged {
    offered: u64,
    admitted: u64,
    /// Percent beyond the limit: while nothing was learned, and then.
    cold: f64,
    worst: f64,
    /// Percent of what the limit allows.
    used: f64,
}

/// A stream that was admitted.
struct Stream {
    reservation: Reservation,
    usage: (u64, u64),
    began: u64,
    /// Tokens of the reply that are charged so far.
    charged: u64,
}

struct Simulation {
    rng: Rng,
    /// Whether lengths are known beforehand: what no limit can.
    knows: bool,
    spec: Spec,
    state: Arc<State>,
    estimator: Estimator,
    ask: Ask,
    /// Between requests, on average, in nanoseconds.
    gap: f64,
    streams: Vec<Option<Stream>>,
    /// When which of them has something to say.
    events: BinaryHeap<Reverse<(u64, usize)>>,
    /// Tokens by the time of their charge.
    charged: Vec<(u64, u64)>,
}

impl Simulation {
    fn new(load: f64, knows: bool) -> Self {
        let mut rng = Rng::with_seed(flag("seed", 7));
        let mean = (0..100_000).map(|_| length(&mut rng, PROMPT, u64::MAX) + length(&mut rng, OUTPUT, MOST_OUTPUT)).sum::<u64>() / 100_000;
        let spec = Spec::rate(Unit::Tokens, format!("{LIMIT}/min").parse().expect("a rate"), None);
        Self {
            rng,
            knows,
            spec,
            state: Arc::new(State::new(spec.counting())),
            estimator: Estimator::default(),
            ask: Ask { model: Some("model".into()), stream: true, most_output: Some(MOST_OUTPUT), ..Ask::default() },
            gap: MINUTE as f64 * mean as f64 / (LIMIT as f64 * load),
            streams: Vec::new(),
            events: BinaryHeap::new(),
            charged: Vec::new(),
        }
    }

    fn run(mut self, minutes: u64) -> Judged {
        let (mut now, mut offered, mut admitted) = (1, 0, 0);
        let end = (WARM_UP + minutes) * MINUTE;
        while now < end {
            self.go_on_until(now);
            let is_in = self.come(now);
            if now >= WARM_UP * MINUTE {
                offered += 1;
                admitted += u64::from(is_in);
            }
            now += (-(1.0 - self.rng.f64()).ln() * self.gap) as u64 + 1;
        }
        self.charged.sort_unstable();
        let judged = self.charged.iter().filter(|(then, _)| (WARM_UP * MINUTE..end).contains(then));
        let used = judged.map(|(_, tokens)| tokens).sum::<u64>() as f64 / (LIMIT * minutes) as f64;
        let began = self.charged.partition_point(|(then, _)| *then < WARM_UP * MINUTE);
        let [cold, worst] = [&self.charged[..began], &self.charged[began..]].map(beyond);
        Judged { offered, admitted, cold, worst, used: 100.0 * used }
    }

    /// A request comes: whether it is let in.
    fn come(&mut self, now: u64) -> bool {
        let (prompt, output) = (length(&mut self.rng, PROMPT, 100_000), length(&mut self.rng, OUTPUT, MOST_OUTPUT));
        // Text is not always as dense.
        let text = (prompt as f64 * RATIO * (0.85 + 0.3 * self.rng.f64())) as u64;
        let estimate = self.estimator.estimate(&self.ask, Prompt::Read { text, attachments: 0 });
        let amount = if self.knows { prompt + output } else { estimate.total() };
        let mut check = [Check::new(&self.spec, &self.state, Subject { key: 1, group: 1 }, amount)];
        let Ok(charge) = acquire(&mut check, moment(now)) else { return false };
        if self.knows {
            self.charged.push((now, amount));
            return true;
        }
        let mut reservation = Reservation::new(Charge::default());
        let charged = output.min(estimate.output);
        reservation.reserve(charge, (estimate, Money(0)), 0);
        self.charged.push((now, prompt + charged));
        self.streams.push(Some(Stream { reservation, usage: (prompt, output), began: now, charged }));
        self.events.push(Reverse((now + FIRST, self.streams.len() - 1)));
        true
    }

    /// What streams bring before `until`.
    fn go_on_until(&mut self, until: u64) {
        while let Some(Reverse((now, which))) = self.events.peek().copied().filter(|Reverse((now, _))| *now < until) {
            self.events.pop();
            let Some(mut stream) = self.streams[which].take() else { continue };
            let (prompt, output) = stream.usage;
            let produced = ((now - stream.began - FIRST) * PACE / SECOND).min(output);
            stream.reservation.extend(produced, || moment(now));
            if produced > stream.charged {
                self.charged.push((now, produced - stream.charged));
                stream.charged = produced;
            }
            if produced < output {
                self.events.push(Reverse((now + EVENT, which)));
                self.streams[which] = Some(stream);
                continue;
            }
            let usage = Usage { input: Some(prompt), output: Some(output), ..Usage::default() };
            stream.reservation.teach(&self.estimator, &self.ask, usage);
            stream.reservation.settle(Outcome::Served, Told { usage, counted: output, whole: true }, moment(now), |_| None);
        }
    }
}

/// By how many percent of the limit the worst minute goes beyond it.
fn beyond(charged: &[(u64, u64)]) -> f64 {
    let (mut within, mut sum, mut worst) = (VecDeque::new(), 0, 0_u64);
    for (now, tokens) in charged.iter().copied() {
        within.push_back((now, tokens));
        sum += tokens;
        while let Some((_, tokens)) = within.front().filter(|(then, _)| then + MINUTE <= now) {
            sum -= tokens;
            within.pop_front();
        }
        worst = worst.max(sum);
    }
    100.0 * worst.saturating_sub(LIMIT) as f64 / LIMIT as f64
}

fn moment(nanos: u64) -> Moment {
    Moment { nanos, unix: 1_800_000_000 + nanos / SECOND }
}

/// A length by its median and spread, at least 1 (G. Box, M. Muller, "A note on the generation of random normal deviates").
fn length(rng: &mut Rng, (median, spread): (f64, f64), most: u64) -> u64 {
    let normal = (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
    ((median * (spread * normal).exp()) as u64).clamp(1, most)
}
