//! What has changed about a key or a breaker is counted, and told to the operator in a line of the log.

use std::time::{Duration, SystemTime};

use crate::{
    policy::{
        breaker,
        key_pool::{self, Health},
    },
    runtime::{Provider, Runtime, snapshot::PoolKey},
    telemetry::transitions::{BreakerMoved, KeyMoved},
    types::Moment,
};

/// A key's state has changed.
pub fn key(runtime: &Runtime, (provider, key): (&Provider, &PoolKey), changed: &key_pool::Transition, now: Moment) {
    let key_pool::Transition { from, to, cause, until } = *changed;
    if to == Health::Cooling {
        key.record.cooled(cause);
        // Under a storm of refusals each of them is one.
        if !runtime.cooled.may_speak() {
            return;
        }
    } else {
        key.record.moved(to.name(), cause);
    }
    let until = until.map(|until| on_the_calendar(until, now));
    KeyMoved { provider: &provider.name, key: key.id, name: &key.name, from: from.name(), to: to.name(), cause, until }.tell();
}

/// Breakers' states have changed.
pub fn breakers(provider: &Provider, changed: &[breaker::Transition], now: Moment) {
    for breaker::Transition { scope, model, from, to, why, until } in changed {
        provider.record.breakers.moved(scope.name(), to.name(), why.name());
        let until = until.map(|until| on_the_calendar(until, now));
        let (model, cause) = (model.as_deref(), why.name());
        BreakerMoved { provider: &provider.name, scope: scope.name(), model, from: from.name(), to: to.name(), cause, until }.tell();
    }
}

/// A point on the clock of policies as a date.
#[must_use]
pub fn on_the_calendar(nanos: u64, now: Moment) -> SystemTime {
    let from_now = Duration::from_nanos(nanos.saturating_sub(now.nanos));
    SystemTime::UNIX_EPOCH + Duration::from_secs(now.unix) + from_now
}
