//! Refusals of a model of which it is not known yet whose they are: the account's, which has no right to it, or the caller's, who has
//! asked for something that no account may.
//!
//! What other accounts say of the same request decides. Where one serves it, those that refused it are not asked for the model for a
//! while; where several refuse it and none serves it, that is about the request. So no caller turns a model off in one account after
//! another with one request that all of them refuse.
//!
//! Cancel: the leases are given back, and nothing is held against anybody.

use std::sync::Arc;

use super::{super::tell, send::Ended};
use crate::{
    policy::key_pool::Lease,
    runtime::{Provider, Runtime, snapshot::PoolKey},
    types::{Action, Cause},
};

/// The refusals of one target's accounts.
#[derive(Default)]
pub(super) struct Doubts<'s>(Vec<Doubt<'s>>);

struct Doubt<'s> {
    provider: &'s Arc<Provider>,
    key: &'s Arc<PoolKey>,
    lease: Lease,
    cause: Cause,
}

impl<'s> Doubts<'s> {
    /// An attempt has ended so: if it is a doubt, its lease is kept until that is settled.
    pub(super) fn hear(&mut self, ended: &mut Ended<'s>) {
        if let Ended::Answered(delivery, verdict, true) = ended
            && verdict.cause.action() == Action::TurnOff
            && let Some((key, lease)) = delivery.key.zip(delivery.holds.lease.take())
        {
            self.0.push(Doubt { provider: &delivery.target.provider, key, lease, cause: verdict.cause });
        }
    }

    /// No other account of the target is asked.
    pub(super) fn settle(&mut self, is_served: bool, runtime: &Runtime) {
        let doubts = std::mem::take(&mut self.0);
        if doubts.is_empty() || !is_served && doubts.len() > 1 {
            return;
        }
        let now = runtime.moment();
        for Doubt { provider, key, mut lease, cause } in doubts {
            if let Some(transition) = lease.judge(cause.into(), &provider.slots, now) {
                tell::key(runtime, (provider, key), &transition, now);
            }
        }
    }
}
