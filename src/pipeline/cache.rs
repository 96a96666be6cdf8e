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
    policy::cache::{Bypass, Directives, Key, Spec, Use, freshness::is_over, judge},
    runtime::{
        Route, Runtime, Snapshot,
        cache::{
            Boarded, Entry,
            flight::{Cursor, Failed, Head},
            flights::{Bounds, Pilot},
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
    Bypass(Box<Wanted>),
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
            return Ok(Found::Bypass(Box::new(wanted)));
        }
    };
    if spec.counts_hits {
        let caller = limit::limited_caller(&snapshot.limits, &wanted.client);
        reservation::reserve(&snapshot.limits, caller.as_ref(), (wanted.counts, route, wanted.prompt), trail)?;
        wanted.is_charged = true;
    }
    let stale = match look(&runtime, spec, &key, &directives) {
        Looked::Fresh(source) => return Ok(Found::Answer(source)),
        Looked::Stale(entry, age) => Some((entry, age)),
        Looked::Nothing => None,
    };
    if directives.only_if_cached {
        return Err(Reject::NotCached);
    }
    let bounds = Bounds { most_kept: spec.max_entry, most_held: snapshot.config.cache_bounds().0.0, finishes: spec.finish };
    // Who wants a new answer does not want the one that another waits for.
    let boarded = if !spec.collapse || directives.no_cache {
        let (pilot, cursor) = runtime.cache.flights.alone(key, bounds);
        Ok(Aboard::First(pilot, cursor))
    } else {
        board((spec, &directives), (key, bounds), stale.as_ref(), trail).await
    };
    match boarded? {
        Aboard::Answered(source) => Ok(Found::Answer(source)),
        Aboard::Left(why) => {
            trail.bypassed(why);
            Ok(Found::Bypass(Box::new(wanted)))
        }
        Aboard::First(pilot, cursor) => {
            let stale = stale.map(|(entry, age)| Source::Stored { entry, age, left: None });
            let at = snapshot.routes.iter().position(|other| std::ptr::eq(other, route)).unwrap_or_default();
            Ok(Found::Nothing(Box::new(Lead { wanted, at, spec: Arc::clone(spec), question, pilot, cursor, stale })))
        }
    }
}

/// What comes of looking for others who ask the same.
enum Aboard {
    /// They are answered, and so is this request.
    Answered(Source),
    /// Nobody does: the request makes the call.
    First(Pilot, Cursor),
    /// The request goes its own way.
    Left(Bypass),
}

/// Joins the call of those who ask the same, until one comes to something or is the request's own.
async fn board(
    (spec, directives): (&Spec, &Directives),
    (key, bounds): (Key, Bounds),
    stale: Option<&(Arc<Entry>, Duration)>,
    trail: &mut Trail,
) -> Result<Aboard, Reject> {
    let runtime = Arc::clone(trail.runtime());
    let mut failures = 0;
    loop {
        let began = Instant::now();
        let cursor = match runtime.cache.flights.board(key, bounds) {
            // A call that was over a moment ago has left its answer in the store, and then its place.
            Boarded::First(pilot, cursor) => match look(&runtime, spec, &key, directives) {
                Looked::Fresh(source) => return Ok(Aboard::Answered(source)),
                Looked::Stale(..) | Looked::Nothing => return Ok(Aboard::First(pilot, cursor)),
            },
            Boarded::Joined(cursor) => cursor,
            Boarded::Full => return Ok(Aboard::Left(Bypass::Full)),
        };
        let came = poll_fn(|cx| cursor.poll_head(cx)).await;
        trail.held_up(began.elapsed());
        let has_failed_before = failures > 0 && stale.is_none();
        let is_unserved = match came {
            Ok(head) if head.is_answer || has_failed_before => return Ok(Aboard::Answered(Source::Flying { cursor, head })),
            // The second failure is everybody's; a refusal of ours is nobody else's.
            Err(Failed::Upstream(failure)) if has_failed_before => return Err(Reject::Upstream(failure)),
            Err(Failed::Refused | Failed::Unserved) if has_failed_before => return Ok(Aboard::Left(Bypass::Refused)),
            Ok(head) => is_unserved(&head),
            Err(Failed::Refused) => false,
            Err(Failed::Unserved | Failed::Upstream(_)) => true,
        };
        if let Some((entry, age)) = stale.filter(|_| is_unserved) {
            return Ok(Aboard::Answered(Source::Stored { entry: Arc::clone(entry), age: *age, left: None }));
        }
        failures += 1;
    }
}

/// What is stored.
enum Looked {
    /// An answer.
    Fresh(Source),
    /// One, so old, that answers if nobody else can.
    Stale(Arc<Entry>, Duration),
    /// Nothing of use to this request.
    Nothing,
}

fn look(runtime: &Runtime, spec: &Spec, key: &Key, directives: &Directives) -> Looked {
    let store = &runtime.cache.store;
    let Some(entry) = store.get(key) else { return Looked::Nothing };
    let now = runtime.moment();
    match judge(spec, &entry.dates, directives, now) {
        Use::Fresh { age, left } => Looked::Fresh(Source::Stored { entry, age, left: Some(left) }),
        Use::Stale { age } => Looked::Stale(entry, age),
        Use::Useless => {
            if is_over(spec, &entry.dates, now) {
                store.remove(key, &entry);
            }
            Looked::Nothing
        }
    }
}

/// Whether a provider's reply says that it could not serve.
fn is_unserved(head: &Head) -> bool {
    head.status.is_server_error() || head.status == StatusCode::TOO_MANY_REQUESTS
}
