//! What a request was charged by its limits, from the moment it was let through until it is settled, once, whatever its end is.
//!
//! Tokens and money are charged before anybody knows how many they are. So they are reserved by an estimate, extended while a
//! stream says more than was expected, and trued up at the end to what the provider told, or else to what was counted. The table
//! of what is kept and what is given back stands in `docs/tokens.md`.
//!
//! Cancel: the trail owns it, and settles it when it is dropped. A reservation that is itself dropped keeps what was charged and
//! gives the permits back.

use std::sync::Arc;

use http::StatusCode;

use super::{
    limit::{self, Asking, Expected, Granted},
    reject::Reject,
    trail::Trail,
    wanted::Counts,
};
use crate::{
    policy::{
        estimate::{Estimate, Estimator, Prompt},
        limits::Charge,
    },
    provider::{reader::weight::weigh, usage::BYTES_OF_A_TOKEN},
    runtime::{Limits, Route, limits::Caller},
    types::{Ask, Moment, Money, Unit, Usage},
    upstream::Upload,
};

/// A stream that says more than was reserved is charged in steps of so many tokens: none is charged one by one.
const STEP: u64 = 256;

/// What came of a request, as far as its charge turns on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was done for it: nobody answered, or who did could not.
    Unserved,
    /// It was the client's fault, and went nowhere.
    Refused,
    /// It was the client's fault, and the provider said so.
    RefusedUpstream,
    /// It was served: the whole of it, or as much as its end let through.
    Served,
}

impl Outcome {
    /// By the provider's reply.
    #[must_use]
    pub fn of_reply(status: StatusCode) -> Self {
        match status {
            StatusCode::TOO_MANY_REQUESTS => Self::Unserved,
            status if status.is_server_error() => Self::Unserved,
            status if status.is_client_error() => Self::RefusedUpstream,
            _ => Self::Served,
        }
    }

    /// By our own answer.
    #[must_use]
    pub fn of_reject(reject: &Reject) -> Self {
        match reject {
            Reject::Limited(_) | Reject::Overloaded => Self::Unserved,
            reject if reject.is_upstreams_fault() => Self::Unserved,
            _ => Self::Refused,
        }
    }
}

/// What is known of a reply at its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// What the provider has said of it.
    pub usage: Usage,
    /// Tokens of the reply, counted by what went down.
    pub counted: u64,
    /// Whether all of it went down.
    pub whole: bool,
}

/// What is charged for a request, until all of it is known.
#[derive(Debug)]
pub struct Reservation {
    charge: Charge,
    /// What was reserved of tokens or money, if anything was.
    reserved: Option<Reserved>,
    /// Whether the stream was asked for a chunk that its client has not asked for.
    pub unasked: bool,
}

#[derive(Debug)]
struct Reserved {
    estimate: Estimate,
    cost: Money,
    /// Tokens that were charged beyond the estimate.
    extended: u64,
    /// Tells the client apart from others, about.
    who: u16,
}

impl Reservation {
    /// What was charged before the body was read.
    #[must_use]
    pub fn new(charge: Charge) -> Self {
        Self { charge, reserved: None, unasked: false }
    }

    /// What was charged behind it, by this estimate of its tokens and of their price.
    pub fn reserve(&mut self, charge: Charge, (estimate, cost): (Estimate, Money), who: u16) {
        if charge.has(Unit::Tokens) || charge.has(Unit::Cost) {
            self.reserved = Some(Reserved { estimate, cost, extended: 0, who });
        }
        self.charge.join(charge);
    }

    /// Whether tokens or money were reserved, so that it is of use to know what the reply takes.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.reserved.is_some()
    }

    /// A stream has said so many tokens. What goes beyond the reservation is charged at once, without refusing anything: others
    /// shall see it before the stream is over.
    #[inline]
    pub fn extend(&mut self, produced: u64, now: impl FnOnce() -> Moment) {
        if let Some(reserved) = &mut self.reserved
            && produced > reserved.estimate.output + reserved.extended
        {
            let missing = produced - reserved.estimate.output - reserved.extended;
            let more = missing.next_multiple_of(STEP);
            reserved.extended += more;
            self.charge.force(Unit::Tokens, more, now());
        }
    }

    /// Makes the charge what it should be. What a reply has cost is for the price list to say, which may not know.
    pub fn settle(mut self, outcome: Outcome, told: Told, now: Moment, cost: impl FnOnce(&Usage) -> Option<Money>) {
        if outcome == Outcome::Unserved && told.usage.is_unknown() {
            self.charge.cancel(now);
            return;
        }
        let Some(reserved) = &self.reserved else { return };
        let estimate = &reserved.estimate;
        let counted = match outcome {
            Outcome::Served => told.counted,
            Outcome::Unserved | Outcome::Refused | Outcome::RefusedUpstream => 0,
        };
        let prompt = if outcome == Outcome::Refused { 0 } else { estimate.prompt };
        let output = match told.usage.output {
            Some(output) if told.whole => output,
            // One that tells its prompt alone has nothing else.
            None if told.whole && told.usage.input.is_some() => 0,
            // Some tell one token at the beginning, and the rest at the end.
            output => output.unwrap_or(0).max(counted),
        };
        let used = Usage { input: Some(told.usage.input.unwrap_or(prompt)), output: Some(output), ..told.usage };
        let tokens = used.input.unwrap_or(0).saturating_add(output);
        let spent = match outcome {
            Outcome::Served => cost(&used),
            // Nobody bills a refusal.
            Outcome::Unserved | Outcome::Refused | Outcome::RefusedUpstream => Some(Money(0)),
        };
        let (held, held_cost) = (estimate.total().saturating_add(reserved.extended), reserved.cost);
        true_up(&mut self.charge, Unit::Tokens, (held, tokens), now);
        if let Some(Money(spent)) = spent {
            true_up(&mut self.charge, Unit::Cost, (held_cost.0, spent), now);
        }
    }

    /// What a whole reply teaches about its model.
    pub fn teach(&self, estimator: &Estimator, ask: &Ask, usage: Usage) {
        if let Some(Reserved { estimate, who, .. }) = &self.reserved {
            estimator.learn(ask, estimate, usage, *who);
        }
    }

    /// Tokens that a reply may have which is no stream and does not tell: what its bytes come to, and no more than was expected.
    #[must_use]
    pub fn counted_by(&self, bytes: u64) -> u64 {
        self.reserved.as_ref().map_or(0, |reserved| (bytes / BYTES_OF_A_TOKEN).min(reserved.estimate.output))
    }
}

/// From what was charged to what it should have been.
fn true_up(charge: &mut Charge, unit: Unit, (held, used): (u64, u64), now: Moment) {
    match used.checked_sub(held) {
        Some(0) => {}
        Some(more) => charge.force(unit, more, now),
        None => charge.refund(unit, held - used, now),
    }
}

/// Step 7: the limits that turn on what is asked for, and what is reserved of those that count tokens and money.
///
/// # Errors
///
/// 429 if one of them has not enough left. Nothing was charged by this step, and what was before is given back with the answer.
pub fn reserve(
    limits: &Limits,
    caller: Option<&Caller<'_>>,
    (counts, route, prompt): (Counts, &Route, Prompt),
    trail: &mut Trail,
) -> Result<(), Reject> {
    let Some(caller) = caller.filter(|_| !limits.second.is_empty()) else { return Ok(()) };
    let runtime = Arc::clone(trail.runtime());
    let estimate = runtime.estimator.estimate(trail.ask(), prompt);
    // What nobody knows the price of is more than any limit has.
    let cost = route.reserve(trail.ask().certain_model(), estimate.prompt, estimate.output).unwrap_or(Money(u64::MAX));
    let expected = Expected { tokens: estimate.total(), cost: cost.0 };
    let Counts { has_model, tells_usage, .. } = counts;
    let asking = Asking { ask: trail.ask(), has_model, tells_usage, expected };
    let Granted { charge, standings } = limit::second(limits, caller, asking, &runtime)?;
    trail.limited(standings);
    // To tell clients apart, about, the end of a hash is enough.
    trail.reserved(charge, (estimate, cost), caller.client as u16);
    Ok(())
}

/// Tokens that a request may take of its key's account, about: those that were weighed, or else what its bytes come to.
#[must_use]
pub fn expected(route: &Route, (upload, prompt): (&Upload, Prompt), trail: &Trail) -> u64 {
    if matches!(prompt, Prompt::Unread) && !route.weighs {
        // Where a key's quota is only told by its provider, this is close enough: what is told corrects it.
        let (body, ask) = (upload.length().unwrap_or(0), trail.ask());
        return (body / BYTES_OF_A_TOKEN).saturating_add(ask.most_output.unwrap_or(0).saturating_mul(ask.choices.unwrap_or(1)));
    }
    trail.runtime().estimator.estimate(trail.ask(), prompt).total()
}

/// What a body weighs.
#[must_use]
pub fn prompt(body: &[u8]) -> Prompt {
    let weight = weigh(body);
    Prompt::Read { text: weight.text, attachments: weight.attachments }
}

#[cfg(test)]
mod tests;
