//! How a key stands, for an operator to look at.

use super::{
    Slot,
    health::{Health, Look},
    shadow::Terms,
};
use crate::types::{Moment, headroom::Headroom, verdict::Cause};

/// How a key stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// How it is, its account included.
    pub health: Health,
    /// Why it is not active.
    pub cause: Option<Cause>,
    /// Until when, as [`Moment::nanos`].
    pub until: Option<u64>,
    /// Requests that hold a lease on it.
    pub in_flight: u32,
    /// How much of its weight counts: less than 1 for a while behind a quarantine.
    pub share: f64,
    /// Real requests that were sent to learn whether it, or its account, is good again.
    pub probes: u64,
    /// What is known of its account's models.
    pub models: Vec<ModelStanding>,
}

/// How one model of its account stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelStanding {
    /// Its name; empty for requests that name none, and for all those that found no place of their own.
    pub model: Box<str>,
    /// Until when the account is left alone for it, as [`Moment::nanos`], and why.
    pub cooling: Option<(u64, Cause)>,
    /// Until when the account is not asked for it, and why.
    pub off: Option<(u64, Cause)>,
    /// What is left of its quota, as far as anything is known.
    pub headroom: Headroom,
}

impl ModelStanding {
    fn says_anything(&self) -> bool {
        !self.model.is_empty() || self.cooling.is_some() || self.off.is_some()
    }
}

impl Slot {
    /// How it stands.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Standing {
        let terms = Terms::from(&self.spec);
        let of = |model: &super::model::Model| ModelStanding {
            model: model.name.clone(),
            cooling: model.cools(now.nanos),
            off: model.is_off(now.nanos),
            headroom: model.headroom(&terms, now.nanos),
        };
        let models: Vec<_> = self.owner.models().map(of).filter(ModelStanding::says_anything).collect();
        let (health, cause, until) = self.health(&models, now.nanos);
        Standing {
            health,
            cause,
            until,
            in_flight: self.state.in_flight(),
            share: self.state.machine.share(now.nanos).min(self.owner.machine.share(now.nanos)),
            probes: self.state.machine.probes() + self.owner.machine.probes(),
            models,
        }
    }

    fn health(&self, models: &[ModelStanding], now: u64) -> (Health, Option<Cause>, Option<u64>) {
        if self.state.is_retired() {
            return (Health::Retired, None, None);
        }
        if self.state.is_disabled() {
            return (Health::Disabled, None, None);
        }
        if self.spec.weight <= 0.0 {
            return (Health::Unused, None, None);
        }
        let looks = [self.state.machine.look(now), self.owner.machine.look(now)];
        let out = looks.iter().find_map(|look| match *look {
            Look::Waits { until, cause, .. } => Some((Health::Quarantined, Some(cause), Some(until))),
            Look::Probed(cause) => Some((Health::HalfOpen, Some(cause), None)),
            Look::Sound | Look::Rests(..) => None,
        });
        let rests = looks.iter().filter_map(|look| match *look {
            Look::Rests(until, cause) => Some((until, cause)),
            _ => None,
        });
        let cools = rests.chain(models.iter().filter_map(|model| model.cooling)).max_by_key(|(until, _)| *until);
        out.or(cools.map(|(until, cause)| (Health::Cooling, Some(cause), Some(until)))).unwrap_or((Health::Active, None, None))
    }
}
