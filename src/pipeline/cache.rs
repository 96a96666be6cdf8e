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

use self::question::Known;
pub use self::{lead::Lead, played::Source};
use super::{limit, reject::Reject, reservation, trail::Trail, wanted::Wanted};
use crate::{
    policy::cache::{Bypass, Directives, Key, Spec, Use, freshness::is_over, judge, worth::keeps_refusals},
    runtime::{
        Route, Runtime, Snapshot,
        cache::{
            Boarded, Entry,
            flight::{Cursor, Failed, Says},
            flights::{Bounds, Pilot},
        },
    },
    types::{Cached, Question},
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

/// What the store has to say.
#[derive(Debug)]
pub enum Stored {
    /// An answer.
    Answer(Source),
    /// None, and others may be asking the same.
    Nothing(Box<Unanswered>),
    /// None, and the request goes its own way.
    Bypass(Box<Wanted>),
}

/// What a request asks that has no answer yet.
#[derive(Debug)]
struct Asked {
    wanted: Wanted,
    /// The number of its route in its generation.
    at: usize,
    /// How its reply is kept.
    spec: Arc<Spec>,
    question: Question,
    known: Known,
    /// What answers if nobody else can.
    stale: Option<Stale>,
}

/// An answer that is over its time, and how old it is.
type Stale = (Arc<Entry>, Duration);

/// A question to which the store has no answer.
#[derive(Debug)]
pub struct Unanswered {
    asked: Asked,
    directives: Directives,
    bounds: Bounds,
}

/// Looks into the store. Apart from the rest since nothing is waited for: most that is asked again needs nothing else.
///
/// # Errors
///
/// [`Reject::NotCached`] if the client wants nothing else and there is nothing, or a limit's refusal where limits count hits.
pub fn look(
    (snapshot, route, spec): (&Snapshot, &Route, &Arc<Spec>),
    question: Question,
    mut wanted: Wanted,
    trail: &mut Trail,
) -> Result<Stored, Reject> {
    let runtime = Arc::clone(trail.runtime());
    let directives = question::directives(&wanted.request);
    let known = if directives.no_store { Err(Bypass::NoStore) } else { question::known((&runtime.cache, spec), route, question, &wanted) };
    let known = match known {
        Ok(known) => known,
        Err(why) => {
            trail.bypassed(why);
            return if directives.only_if_cached { Err(Reject::NotCached) } else { Ok(Stored::Bypass(Box::new(wanted))) };
        }
    };
    if spec.counts_hits {
        let caller = limit::limited_caller(&snapshot.limits, &wanted.client);
        reservation::reserve(&snapshot.limits, caller.as_ref(), (wanted.counts, route, wanted.prompt), trail)?;
        wanted.is_charged = true;
    }
    let stale = match find(&runtime, spec, &known, &directives) {
        Looked::Fresh(source) => return Ok(Stored::Answer(source)),
        Looked::Stale(entry, age) => Some((entry, age)),
        Looked::Nothing => None,
    };
    if directives.only_if_cached {
        let welcome = stale.filter(|_| directives.max_stale.is_some());
        trail.cached(Cached::Miss);
        return welcome.map(|stale| Stored::Answer(Source::stale(stale))).ok_or(Reject::NotCached);
    }
    let Some(at) = snapshot.routes.iter().position(|other| std::ptr::eq(other, route)) else {
        // invariant: the route is one of its generation's.
        return Ok(Stored::Bypass(Box::new(wanted)));
    };
    let bounds = Bounds { most_kept: spec.max_entry, most_held: snapshot.config.cache_bounds().0.0, finishes: spec.finish };
    let asked = Asked { wanted, at, spec: Arc::clone(spec), question, known, stale };
    Ok(Stored::Nothing(Box::new(Unanswered { asked, directives, bounds })))
}

/// Looks for others who ask the same.
///
/// # Errors
///
/// [`Reject::Upstream`] if their calls have failed.
pub async fn ask(unanswered: Box<Unanswered>, trail: &mut Trail) -> Result<Found, Reject> {
    let Unanswered { asked, directives, bounds } = *unanswered;
    // Who wants a new answer does not want the one that another waits for.
    let boarded = if !asked.spec.collapse || directives.no_cache {
        let (pilot, cursor) = trail.runtime().cache.flights.alone(asked.known.key, bounds);
        Aboard::First(pilot, cursor)
    } else {
        board(&asked, &directives, bounds, trail).await?
    };
    Ok(match boarded {
        Aboard::Answered(source) => Found::Answer(source),
        Aboard::Left(why) => {
            trail.bypassed(why);
            Found::Bypass(Box::new(asked.wanted))
        }
        Aboard::First(pilot, cursor) => Found::Nothing(Box::new(Lead { asked, pilot, cursor })),
    })
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
async fn board(asked: &Asked, directives: &Directives, bounds: Bounds, trail: &mut Trail) -> Result<Aboard, Reject> {
    let Asked { spec, known, stale, .. } = asked;
    let runtime = Arc::clone(trail.runtime());
    let mut has_failed = false;
    loop {
        let began = Instant::now();
        let cursor = match runtime.cache.flights.board(known.key, bounds) {
            // A call that was over a moment ago has left its answer in the store, and then its place.
            Boarded::First(pilot, cursor) => match find(&runtime, spec, known, directives) {
                Looked::Fresh(source) => return Ok(Aboard::Answered(source)),
                Looked::Stale(..) | Looked::Nothing => return Ok(Aboard::First(pilot, cursor)),
            },
            Boarded::Joined(cursor) => cursor,
            Boarded::Full => return Ok(Aboard::Left(Bypass::Full)),
        };
        let came = poll_fn(|cx| cursor.poll_head(cx)).await;
        trail.held_up(began.elapsed());
        let is_unserved = match &came {
            Ok(head) => head.says == Says::Nothing,
            Err(why) => !matches!(why, Failed::Refused),
        };
        if let Some(stale) = stale.as_ref().filter(|_| is_unserved) {
            return Ok(Aboard::Answered(Source::stale(stale.clone())));
        }
        match came {
            Ok(head) if head.says == Says::Answer => return Ok(Aboard::Answered(Source::Flying { cursor, head })),
            // The second failure is everybody's; a refusal, by whomever, is nobody else's.
            Ok(head) if has_failed && head.says == Says::Nothing => return Ok(Aboard::Answered(Source::Flying { cursor, head })),
            Err(Failed::Upstream(failure)) if has_failed => return Err(Reject::Upstream(failure)),
            _ if has_failed => return Ok(Aboard::Left(Bypass::Refused)),
            _ => has_failed = true,
        }
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

/// An answer is found by what the question means, a refusal by how it is spelled.
fn find(runtime: &Runtime, spec: &Spec, known: &Known, directives: &Directives) -> Looked {
    let (store, now) = (&runtime.cache.store, runtime.moment());
    let looked = |key: &Key| {
        let Some(entry) = store.get(key) else { return Looked::Nothing };
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
    };
    match looked(&known.key) {
        Looked::Nothing if keeps_refusals(spec) => looked(&Key::of_refusal(known.spelling)),
        answer => answer,
    }
}
