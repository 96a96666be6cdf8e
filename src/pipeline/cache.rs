//! Step 6: what was asked before is not asked again. A hit is answered from the store; who asks what is being asked now reads what
//! comes of that; who is the first makes the call, for himself and for all that come while it lasts.
//!
//! Refusals are not shared: whoever waited for a call that came to nothing looks again, and one of them makes the next.
//!
//! Cancel: a reader that leaves is missed by nobody, and the last one ends the call.

mod keeper;
pub mod lead;
pub mod played;
mod question;
pub mod told;

use std::{
    future::poll_fn,
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;

pub use self::{lead::Lead, played::Source};
use super::{limit, reject::Reject, reservation, trail::Trail, wanted::Wanted};
use crate::{
    policy::cache::{Bypass, Directives, Key, Spec, Use, judge},
    runtime::{
        Route, Runtime, Snapshot,
        cache::{
            Boarded, Cache, Entry,
            flight::{Failed, Head},
            flights::Bounds,
        },
    },
    types::Question,
};

/// What the cache has to say.
#[derive(Debug)]
pub enum Found {
    /// An answer.
    Answer(Source),
    /// None: the request makes a call that others may join.
    Nothing(Box<Lead>),
    /// None, and the request goes its own way.
    Bypass(Wanted),
}

/// Asks the cache.
///
/// # Errors
///
/// [`Reject::NotCached`] if the client wants nothing else and there is nothing, [`Reject::Upstream`] if the calls of others have failed.
pub async fn ask(
    (snapshot, route, spec): (&Snapshot, &Route, &Arc<Spec>),
    question: Question,
    mut wanted: Wanted,
    trail: &mut Trail,
) -> Result<Found, Reject> {
    let runtime = Arc::clone(trail.runtime());
    let directives = question::directives(&wanted.request);
    let key = match question::key((&runtime.cache, spec), route, question, &wanted) {
        _ if directives.no_store => Err(Bypass::NoStore),
        key => key,
    };
    let key = match key {
        Ok(key) => key,
        Err(_) if directives.only_if_cached => return Err(Reject::NotCached),
        Err(why) => {
            trail.bypassed(why);
            return Ok(Found::Bypass(wanted));
        }
    };
    if spec.counts_hits {
        let caller = limit::limited_caller(&snapshot.limits, &wanted.client);
        reservation::reserve(&snapshot.limits, caller.as_ref(), (wanted.counts, route, wanted.prompt), trail)?;
        wanted.is_charged = true;
    }
    let stale = match look(&runtime, spec, &key, &directives) {
        Some((entry, Use::Fresh { age, left })) => return Ok(Found::Answer(Source::Stored { entry, age, left: Some(left) })),
        Some((entry, Use::Stale { age })) => Some((entry, age)),
        Some((_, Use::Useless)) | None => None,
    };
    if directives.only_if_cached {
        return Err(Reject::NotCached);
    }
    let most_held = snapshot.config.cache_bounds().0.0;
    let bounds = Bounds { most_kept: spec.max_entry, most_held, finishes: spec.finish };
    let lead = |(pilot, cursor), wanted| {
        let stale = stale.clone().map(stored_too_long);
        let at = snapshot.routes.iter().position(|other| std::ptr::eq(other, route)).unwrap_or_default();
        Box::new(Lead { wanted, at, spec: Arc::clone(spec), question, pilot, cursor, stale })
    };
    // Who wants a new answer does not want the one that another waits for.
    if !spec.collapse || directives.no_cache {
        return Ok(Found::Nothing(lead(runtime.cache.flights.alone(key, bounds), wanted)));
    }
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let cursor = match runtime.cache.flights.board(key, bounds) {
            Boarded::First(pilot, cursor) => return Ok(Found::Nothing(lead((pilot, cursor), wanted))),
            Boarded::Joined(cursor) => cursor,
            Boarded::Full => return Ok(Found::Bypass(wanted)),
        };
        let came = poll_fn(|cx| cursor.poll_head(cx)).await;
        trail.held_up(began.elapsed());
        let is_unserved = match came {
            Ok(head) if head.is_answer || failures > 0 => return Ok(Found::Answer(Source::Flying { cursor, head })),
            // The second failure is everybody's; a refusal of ours is nobody else's.
            Err(Failed::Upstream(failure)) if failures > 0 && stale.is_none() => return Err(Reject::Upstream(failure)),
            Err(Failed::Refused | Failed::Unserved) if failures > 0 && stale.is_none() => return Ok(Found::Bypass(wanted)),
            Ok(head) => is_unserved(&head),
            Err(Failed::Refused) => false,
            Err(Failed::Unserved | Failed::Upstream(_)) => true,
        };
        if let Some(stale) = stale.as_ref().filter(|_| is_unserved) {
            return Ok(Found::Answer(stored_too_long(stale.clone())));
        }
        failures += 1;
    }
}

/// What answers in place of an error.
fn stored_too_long((entry, age): (Arc<Entry>, Duration)) -> Source {
    Source::Stored { entry, age, left: None }
}

/// What is stored, and of what use it is.
fn look(runtime: &Runtime, spec: &Spec, key: &Key, directives: &Directives) -> Option<(Arc<Entry>, Use)> {
    let Cache { store, .. } = &runtime.cache;
    let entry = store.get(key)?;
    let used = judge(spec, &entry.dates, directives, runtime.moment());
    Some((entry, used))
}

/// Whether a provider's reply says that it could not serve.
fn is_unserved(head: &Head) -> bool {
    head.status.is_server_error() || head.status == StatusCode::TOO_MANY_REQUESTS
}
