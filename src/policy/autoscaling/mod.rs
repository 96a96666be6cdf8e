//! Autoscaling: whether this replica says that there should be more of them, or fewer.
//!
//! One reading at its high mark is enough to say more; fewer is said when every reading is at its low mark or below. What is
//! said stands until readings have come half way back (hysteresis), and at least for the cooldown. What starts has no past, so
//! it says nothing of fewer before it has run for the cooldown.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::config::Autoscaling;

/// Where a reading is high and where low.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    /// From here on there should be more replicas.
    pub high: f64,
    /// Up to here there may be fewer. `None` where the reading has no say in that.
    pub low: Option<f64>,
}

impl Marks {
    /// Where what was said ends: half way to the other mark.
    fn middle(self) -> f64 {
        // Without another mark, a tenth below the only one.
        self.low.map_or(self.high * 0.9, |low| low.midpoint(self.high))
    }
}

/// The numbers, from the config.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spec {
    /// Percent of the processors that the process may use.
    pub cpu: Marks,
    /// Percent of the memory that the process may use.
    pub memory: Marks,
    /// Requests a second.
    pub requests_per_second: Option<Marks>,
    /// How long what was said stands.
    pub cooldown: Duration,
}

impl From<&Autoscaling> for Spec {
    fn from(config: &Autoscaling) -> Self {
        let rate = config.requests_per_second;
        Self {
            cpu: Marks { high: config.cpu.high.number(), low: Some(config.cpu.low.number()) },
            memory: Marks { high: config.memory.high.number(), low: None },
            requests_per_second: rate.map(|rate| Marks { high: rate.high.into(), low: Some(rate.low.into()) }),
            cooldown: config.cooldown.0,
        }
    }
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Readings {
    /// Percent of the processors that the process may use.
    pub cpu: f64,
    /// Percent of the memory that the process may use, where that is known.
    pub memory: Option<f64>,
    /// Requests a second.
    pub requests_per_second: f64,
}

/// What was said last, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    said: Recommendation,
    started: Instant,
    changed: Option<Instant>,
}

impl State {
    /// Nothing has been said yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { said: Recommendation::Hold, started: now, changed: None }
    }
}

/// What is said of the number of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recommendation {
    /// More.
    ScaleUp,
    /// Fewer.
    ScaleDown,
    /// As many.
    Hold,
}

impl Recommendation {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ScaleUp => "scale_up",
            Self::ScaleDown => "scale_down",
            Self::Hold => "hold",
        }
    }
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A reading is far beyond its mark: half of what is left of a percentage, half more of a rate.
    High,
    /// A reading is beyond its mark.
    Medium,
    /// Nothing suffers.
    Low,
    /// Nothing is to be done.
    None,
}

impl Priority {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::None => "none",
        }
    }
}

/// What is said, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Advice {
    /// More, fewer or as many.
    pub recommendation: Recommendation,
    /// Why.
    pub reason: Reason,
    /// How urgent it is.
    pub priority: Priority,
    /// How long it stands at least.
    pub cooldown_left: Duration,
}

/// A reading beside its mark.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    what: &'static str,
    unit: &'static str,
    value: f64,
    marks: Marks,
    /// From here on it is urgent.
    urgent: f64,
}

/// Why something is said; it prints as a sentence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reason(Why);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Why {
    /// This reading is at or above its high mark, or has not come back from there.
    High(Measured),
    /// Every reading is low; this is the one nearest to its mark.
    Low(Measured),
    /// This reading stands between its marks.
    Between(Measured),
    /// Something else was said not long ago, or nothing for long enough.
    Cooldown(Recommendation),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tell = |f: &mut fmt::Formatter<'_>, measured: &Measured| {
            write!(f, "{} at {:.1}{}", measured.what, measured.value, measured.unit)?;
            match measured.marks.low {
                Some(low) => write!(f, " (high from {}{unit}, low up to {low}{unit})", measured.marks.high, unit = measured.unit),
                None => write!(f, " (high from {}{})", measured.marks.high, measured.unit),
            }
        };
        match &self.0 {
            Why::High(measured) => tell(f, measured),
            Why::Low(measured) => {
                tell(f, measured)?;
                f.write_str(", and nothing else is busier")
            }
            Why::Between(measured) => tell(f, measured),
            Why::Cooldown(wanted) => write!(f, "readings say {}, and the cooldown is not over", wanted.name()),
        }
    }
}

/// Decides from what is read now and what was said before.
pub fn decide(spec: &Spec, state: &mut State, readings: &Readings, now: Instant) -> Advice {
    let measured = measured(spec, readings);
    let (wanted, why) = wanted(&measured, state.said);
    // What has just started says that it is too much for it at once, but waits before it says that it is too little.
    let since = state.changed.or((wanted == Recommendation::ScaleDown).then_some(state.started));
    let left = |since: Option<Instant>| since.map_or(Duration::ZERO, |since| (since + spec.cooldown).saturating_duration_since(now));
    let mut why = why;
    if wanted != state.said {
        if left(since).is_zero() {
            (state.said, state.changed) = (wanted, Some(now));
        } else {
            why = Why::Cooldown(wanted);
        }
    }
    let priority = match state.said {
        Recommendation::Hold => Priority::None,
        Recommendation::ScaleDown => Priority::Low,
        Recommendation::ScaleUp if measured.iter().any(|one| one.value >= one.urgent) => Priority::High,
        Recommendation::ScaleUp if wanted == Recommendation::ScaleUp => Priority::Medium,
        Recommendation::ScaleUp => Priority::Low,
    };
    Advice { recommendation: state.said, reason: Reason(why), priority, cooldown_left: left(state.changed.or(since)) }
}

/// Every reading beside its mark, the processors first.
fn measured(spec: &Spec, readings: &Readings) -> Vec<Measured> {
    let share = |what, value, marks: Marks| Measured { what, unit: " %", value, marks, urgent: marks.high.midpoint(100.0) };
    let mut all = vec![share("cpu", readings.cpu, spec.cpu)];
    all.extend(readings.memory.map(|memory| share("memory", memory, spec.memory)));
    let (what, unit) = ("requests_per_second", "/s");
    let value = readings.requests_per_second;
    all.extend(spec.requests_per_second.map(|marks| Measured { what, unit, value, marks, urgent: marks.high * 1.5 }));
    all
}

/// What the readings say, given what was said before.
fn wanted(measured: &[Measured], said: Recommendation) -> (Recommendation, Why) {
    let high = |one: &&Measured| one.value >= if said == Recommendation::ScaleUp { one.marks.middle() } else { one.marks.high };
    let is_low = |one: &Measured| match one.marks.low {
        None => one.value < one.marks.high,
        Some(_) if said == Recommendation::ScaleDown => one.value <= one.marks.middle(),
        Some(low) => one.value <= low,
    };
    let pressure = |one: &Measured| one.value / one.marks.high.max(f64::MIN_POSITIVE);
    let busiest = |a: &&Measured, b: &&Measured| pressure(a).total_cmp(&pressure(b));
    if let Some(one) = measured.iter().filter(high).max_by(busiest) {
        return (Recommendation::ScaleUp, Why::High(*one));
    }
    // invariant: the processors are always measured.
    let nearest = |only: fn(&&Measured) -> bool| measured.iter().filter(only).max_by(busiest).copied().unwrap_or(measured[0]);
    if measured.iter().all(is_low) {
        return (Recommendation::ScaleDown, Why::Low(nearest(|one| one.marks.low.is_some())));
    }
    (Recommendation::Hold, Why::Between(nearest(|_| true)))
}

#[cfg(test)]
mod tests;
