//! A pool of 17 unlike keys under bursts, in virtual time: what it sends to providers that refuse, and whom it fails.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use super::super::*;
use crate::types::{
    Moment,
    headroom::{Headroom, Room},
    verdict::{Cause, Dimension, Verdict},
};

const MILLI: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLI;

/// Requests and tokens a minute of each account.
const ACCOUNTS: [(u64, u64); 17] = {
    let mut accounts = [(60, 60_000); 17];
    let mut at = 0;
    while at < 11 {
        accounts[at] = if at < 2 {
            (10_000, 2_000_000)
        } else if at < 5 {
            (3_000, 600_000)
        } else {
            (500, 200_000)
        };
        at += 1;
    }
    accounts
};

/// How the provider of the simulation counts: less at once than its quota says.
const BUCKET: f64 = 5.0;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Configured,
    Told,
    Both,
    /// No pool at all: the keys in turn.
    RoundRobin,
}

#[derive(Clone, Copy)]
struct Course {
    known: Known,
    load: f64,
    seed: u64,
    seconds: u64,
    patience: u64,
    scale: f64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Outcome {
    requests: u32,
    attempts: u32,
    refused: u32,
    failed: u32,
}

impl Outcome {
    fn refusals(&self) -> f64 {
        f64::from(self.refused) / f64::from(self.attempts) * 100.0
    }

    fn and(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            attempts: self.attempts + other.attempts,
            refused: self.refused + other.refused,
            failed: self.failed + other.failed,
        }
    }

    fn failures(&self) -> f64 {
        f64::from(self.failed) / f64::from(self.requests) * 100.0
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        drawn::next(&mut self.0)
    }

    fn part(&mut self) -> f64 {
        drawn::part(self.next())
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.part().ln()
    }
}

/// What an account may take at its provider.
struct Counted {
    requests: f64,
    tokens: f64,
    rate: (f64, f64),
    limit: (u64, u64),
    at: u64,
}

impl Counted {
    fn new((requests, tokens): (u64, u64), scale: f64) -> Self {
        let limit = ((requests as f64 * scale) as u64, (tokens as f64 * scale) as u64);
        let rate = (limit.0 as f64 / 60.0, limit.1 as f64 / 60.0);
        Self { requests: (rate.0 * BUCKET).max(1.0), tokens: (rate.1 * BUCKET).max(1_000.0), rate, limit, at: 0 }
    }

    fn ask(&mut self, tokens: f64, now: u64) -> Result<(), (Dimension, Duration)> {
        let passed = (now - self.at) as f64 / SECOND as f64;
        self.at = now;
        self.requests = (self.requests + passed * self.rate.0).min((self.rate.0 * BUCKET).max(1.0));
        self.tokens = (self.tokens + passed * self.rate.1).min((self.rate.1 * BUCKET).max(1_000.0));
        if self.requests < 1.0 {
            return Err((Dimension::Requests, Duration::from_secs_f64((1.0 - self.requests) / self.rate.0)));
        }
        if self.tokens < tokens {
            return Err((Dimension::Tokens, Duration::from_secs_f64((tokens - self.tokens) / self.rate.1)));
        }
        self.requests -= 1.0;
        self.tokens -= tokens;
        Ok(())
    }

    fn told(&self) -> Headroom {
        let room = |limit, remaining| Some(Room { limit: Some(limit), remaining, reset: None, window: Duration::from_secs(60) });
        Headroom { requests: room(self.limit.0, self.requests as u64), tokens: room(self.limit.1, self.tokens as u64) }
    }
}

struct Request {
    tokens: u64,
    deadline: u64,
    attempts: u32,
    lease: Option<Lease>,
    index: usize,
    answer: Option<(Verdict, Headroom)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    Bursts,
    /// Who is first in line asks again.
    Asks,
    Reaches(usize),
    Answered(usize),
    Ends(usize),
}

struct World {
    course: Course,
    slots: Vec<Slot>,
    turn: Turn,
    tried: Tried,
    accounts: Vec<Counted>,
    requests: Vec<Request>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    next: usize,
    random: Random,
    outcome: Outcome,
    mean: f64,
    burst: bool,
    /// Requests that wait until a key can afford them: first come, first served.
    line: VecDeque<usize>,
}

impl World {
    fn new(course: Course) -> Self {
        let quota = |amount: u64| Some(Quota { amount: (amount as f64 * course.scale) as u64, window: Duration::from_secs(60) });
        let slot = |(at, (requests, tokens)): (usize, &(u64, u64))| {
            let mut spec = Spec::of(1.0, super::super::Account(at));
            if matches!(course.known, Known::Configured | Known::Both) {
                (spec.requests, spec.tokens) = (quota(*requests), quota(*tokens));
            }
            Slot { spec, state: Arc::default(), owner: Arc::default() }
        };
        let whole: u64 = ACCOUNTS.iter().map(|(requests, _)| requests).sum();
        Self {
            course,
            slots: ACCOUNTS.iter().enumerate().map(slot).collect(),
            turn: Turn::default(),
            tried: Tried::default(),
            accounts: ACCOUNTS.iter().map(|limits| Counted::new(*limits, course.scale)).collect(),
            requests: Vec::new(),
            events: BinaryHeap::new(),
            order: 0,
            next: 0,
            random: Random(course.seed),
            outcome: Outcome::default(),
            mean: 60.0 / (whole as f64 * course.scale * course.load),
            burst: false,
            line: VecDeque::new(),
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((time, self.order, event)));
    }

    fn run(mut self) -> Outcome {
        self.at(SECOND, Event::Arrives);
        self.at(SECOND, Event::Bursts);
        let end = (self.course.seconds + 1) * SECOND;
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            match event {
                Event::Arrives if now < end => self.arrives(now),
                Event::Bursts if now < end => {
                    self.burst = !self.burst;
                    // Drawn, but not so that the mean of a course is another than it was asked for.
                    let lasts = if self.burst { 3.0 } else { 6.0 } * (0.8 + 0.4 * self.random.part());
                    self.at(now + (lasts * SECOND as f64) as u64, Event::Bursts);
                }
                Event::Arrives | Event::Bursts => {}
                Event::Asks => self.line_moves(now),
                Event::Reaches(id) => self.reaches(id, now),
                Event::Answered(id) => self.answered(id, now),
                Event::Ends(id) => drop(self.requests[id].lease.take()),
            }
        }
        assert!(self.slots.iter().all(|slot| slot.state.in_flight() == 0));
        self.outcome
    }

    fn arrives(&mut self, now: u64) {
        let after = self.random.exponential(self.mean) / if self.burst { 2.0 } else { 0.5 };
        self.at(now + (after * SECOND as f64) as u64, Event::Arrives);
        let tokens = 50 + self.random.next() % 200;
        let deadline = now + self.course.patience * SECOND;
        self.outcome.requests += 1;
        self.requests.push(Request { tokens, deadline, attempts: 0, lease: None, index: 0, answer: None });
        self.comes(self.requests.len() - 1, now);
    }

    fn comes(&mut self, id: usize, now: u64) {
        let is_first = self.line.is_empty();
        self.line.push_back(id);
        if is_first {
            self.line_moves(now);
        }
    }

    fn line_moves(&mut self, now: u64) {
        while let Some(id) = self.line.front().copied() {
            match self.asks(id, now) {
                Err(Unavailable::Until { nanos, .. }) if self.requests[id].deadline > now => {
                    assert!(nanos > now);
                    return self.at(nanos, Event::Asks);
                }
                Err(_) => self.outcome.failed += 1,
                Ok(()) => {}
            }
            self.line.pop_front();
        }
    }

    fn asks(&mut self, id: usize, now: u64) -> Result<(), Unavailable> {
        let random = self.random.next();
        let request = &mut self.requests[id];
        if self.course.known == Known::RoundRobin {
            self.next += 1;
            request.index = self.next % ACCOUNTS.len();
        } else {
            let asked = Asked {
                choice: Choice::Any,
                model: Some("m"),
                tokens: request.tokens,
                prefix: None,
                tried: &self.tried,
                repeatable: true,
                random,
            };
            let lease = acquire(&self.slots, &self.turn, &asked, Moment { nanos: now, unix: 0 })?;
            (request.index, request.lease) = (lease.index, Some(lease));
        }
        request.attempts += 1;
        self.outcome.attempts += 1;
        let way = 5 * MILLI + self.random.next() % (30 * MILLI);
        self.at(now + way, Event::Reaches(id));
        Ok(())
    }

    fn reaches(&mut self, id: usize, now: u64) {
        let request = &mut self.requests[id];
        let account = &mut self.accounts[request.index];
        let (verdict, after) = match account.ask(request.tokens as f64, now) {
            Ok(()) => (Verdict::from(Cause::Served), 0.3 + self.random.exponential(0.3)),
            Err((dimension, wait)) => (Verdict { cause: Cause::RateLimited(dimension), wait: Some(wait) }, 0.02),
        };
        let told = if matches!(self.course.known, Known::Told | Known::Both) { account.told() } else { Headroom::default() };
        request.answer = Some((verdict, told));
        self.at(now + (after * SECOND as f64) as u64, Event::Answered(id));
    }

    fn answered(&mut self, id: usize, now: u64) {
        let moment = Moment { nanos: now, unix: 0 };
        let request = &mut self.requests[id];
        let (verdict, told) = request.answer.take().unwrap();
        if let Some(lease) = &mut request.lease {
            lease.answered(&told, moment);
            if verdict.cause == Cause::Served {
                lease.first_token(Duration::from_millis(600), moment);
            }
            lease.judge(verdict, &self.slots, moment);
        }
        if verdict.cause == Cause::Served {
            let lasts = (self.random.exponential(4.0) * SECOND as f64) as u64;
            return self.at(now + lasts, Event::Ends(id));
        }
        self.outcome.refused += 1;
        request.lease = None;
        if request.attempts < 3 {
            self.comes(id, now);
        } else {
            self.outcome.failed += 1;
        }
    }
}

/// Three courses of two minutes, with a tenth of the quotas: the machine has other things to do.
fn course(known: Known, load: f64) -> Outcome {
    let outcomes = (1..4).map(|seed| World::new(Course { known, load, seed, seconds: 120, patience: 8, scale: 0.1 }).run());
    let outcome = outcomes.fold(Outcome::default(), Outcome::and);
    println!("{known:?} {load}: {:.2} % refused, {:.2} % failed", outcome.refusals(), outcome.failures());
    outcome
}

#[test]
fn what_keys_can_afford_is_known_before_they_refuse() {
    for known in [Known::Configured, Known::Told, Known::Both] {
        for (load, refusals, failures) in [(0.6, 0.5, 0.1), (0.9, 1.0, 1.5), (1.1, 3.0, 5.0)] {
            let outcome = course(known, load);
            assert!(outcome.refusals() <= refusals && outcome.failures() <= failures, "{known:?} {load} {outcome:?}");
        }
    }
}

#[test]
fn keys_in_turn_are_refused_and_fail() {
    for load in [0.6, 0.9, 1.1] {
        let outcome = course(Known::RoundRobin, load);
        assert!(outcome.refusals() > 25.0 && outcome.failures() > 6.0, "{load} {outcome:?}");
    }
}
