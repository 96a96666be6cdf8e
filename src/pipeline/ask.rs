//! Step 5: read the ask. The body of a known JSON operation is held in memory, as far as the bounds allow, so that its
//! model is known and it can be sent again; every other body passes untouched.
//!
//! Cancel: what was read is dropped, and the memory that it had reserved is given back.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_ENCODING};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::{Instant as Deadline, timeout_at};

use super::{decoded, fields::Present, joined::Joined, outgoing, reject::Reject, reservation, route::Candidates};
use crate::{
    config,
    policy::estimate::Prompt,
    provider::reader::{self, Unreadable},
    runtime::{Held, Reserved},
    types::Ask,
    upstream::Upload,
};

/// The least that a client must send of a body that is held, in bytes a second, once `body.read_timeout` has passed: who
/// sends a byte now and then would hold memory for hours.
const SLOWEST: u64 = 8 << 10;

/// Two readers could take two models from it.
const REPEATED: Reject = Reject::Malformed("a member that decides where the request goes stands there twice");

/// What a request asks for, and its body made ready to go up.
#[derive(Debug)]
pub struct Asked {
    /// What it asks for.
    pub ask: Ask,
    /// The body.
    pub upload: Upload,
    /// How long the client's body was waited for.
    pub waited: Duration,
    /// The memory that the body occupies, until it has gone up.
    pub reserved: Option<Reserved>,
    /// What it weighs, where that is needed.
    pub prompt: Prompt,
}

impl Asked {
    /// Of a body that is not read.
    fn unread(candidates: &Candidates<'_, '_>, upload: Upload) -> Self {
        let ask = Ask { model: candidates.model_in_target.clone(), ..Ask::default() };
        Self { ask, upload, waited: Duration::ZERO, reserved: None, prompt: Prompt::Unread }
    }
}

/// Reads what the endpoint allows to be read. A body that `is_weighed` has its length in tokens estimated: a limit counts them.
///
/// # Errors
///
/// If the body is too large, too slow, broken, or could be read in two ways.
pub async fn read(
    (headers, present): (&HeaderMap, Present),
    unread: &mut Option<Incoming>,
    candidates: &Candidates<'_, '_>,
    bounds: (&config::Body, &Held),
    is_weighed: bool,
) -> Result<Asked, Reject> {
    let (limits, held) = bounds;
    let max = limits.max.map(|max| max.0);
    let encoding = if present.has(Present::ENCODING) { headers.get(CONTENT_ENCODING) } else { None };
    let encoding = encoding.filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    let decisive = candidates.reads_body && candidates.turn_on_model();
    if decisive && encoding.is_some_and(|coding| !decoded::is_readable(coding)) {
        return Err(Reject::Encoded);
    }
    // Refused before anything is read: the body stays where it is, for the answer to deal with.
    let Some(body) = unread.take_if(|body| max.is_none_or(|max| body.size_hint().lower() <= max)) else { return Err(Reject::BodyTooLarge) };
    if body.is_end_stream() {
        return Ok(Asked::unread(candidates, Upload::held(Bytes::new(), None)));
    }
    // One that is encoded is read only where something must be known of it.
    let is_read = encoding.is_none_or(|coding| decisive || is_weighed && decoded::is_readable(coding));
    let is_read = candidates.reads_body && is_read;
    if !is_read && !candidates.may_go_again() {
        return Ok(Asked::unread(candidates, Upload::streamed(VecDeque::new(), body, max, outgoing::trailers)));
    }
    let started = Instant::now();
    let (read, rest, reserved) = hold(body, started, (limits, held), decisive).await?;
    let waited = started.elapsed();
    let (ask, prompt) = match encoding {
        _ if !is_read => (Ask { model: candidates.model_in_target.clone(), ..Ask::default() }, Prompt::Unread),
        None => understand(&read, rest.is_nothing(), (decisive, is_weighed))?,
        Some(coding) => match decoded::decode(coding, &read, limits.buffer.0, (held, limits.buffer_total.0)) {
            Some(text) if text.whole || !rest.is_nothing() => {
                understand(&text.bytes, text.whole && rest.is_nothing(), (decisive, is_weighed))?
            }
            _ if decisive => return Err(Reject::Encoded),
            _ => (Ask::default(), Prompt::Unread),
        },
    };
    let upload = match rest {
        Rest::Nothing(trailers) => Upload::held(read, trailers.and_then(outgoing::trailers)),
        Rest::More(body) => {
            let held = Some(read).filter(|read| !read.is_empty()).into_iter().collect();
            Upload::streamed(held, body, max, outgoing::trailers)
        }
    };
    Ok(Asked { ask, upload, waited, reserved, prompt })
}

/// Reads the text of a body, or of the first part of one.
fn understand(text: &[u8], whole: bool, (decisive, is_weighed): (bool, bool)) -> Result<(Ask, Prompt), Reject> {
    if !whole {
        return Ok((reader::read_prefix(text).map_err(|_| REPEATED)?, Prompt::Unread));
    }
    let ask = match reader::read(text) {
        // The provider says better what is wrong with it, and may even be more lenient. Where the model decides,
        // that would let a client name one that we can't see.
        Err(Unreadable::NotJson) if decisive => return Err(Reject::Malformed("the body is no JSON object")),
        Err(Unreadable::NotJson) => Ask::default(),
        read => read.map_err(|_| REPEATED)?,
    };
    Ok((ask, if is_weighed { reservation::prompt(text) } else { Prompt::Unread }))
}

/// What follows the part that is held.
enum Rest {
    Nothing(Option<HeaderMap>),
    More(Incoming),
}

impl Rest {
    fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing(_))
    }
}

/// Holds the body until its end or until a bound is met.
async fn hold(
    mut body: Incoming,
    started: Instant,
    (limits, held): (&config::Body, &Held),
    decisive: bool,
) -> Result<(Bytes, Rest, Option<Reserved>), Reject> {
    let mut read = Joined::default();
    let mut total = 0;
    let (patience, started) = (limits.read_timeout.0, Deadline::from_std(started));
    let mut deadline = started + patience;
    let mut reserved: Option<Reserved> = None;
    loop {
        let frame = match timeout_at(deadline, body.frame()).await {
            Err(_) => return Err(Reject::BodyTimeout),
            Ok(None) => return Ok((read.into_bytes(), Rest::Nothing(None), reserved)),
            Ok(Some(Err(_))) => return Err(Reject::BodyBroken),
            Ok(Some(Ok(frame))) => frame,
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => return Ok((read.into_bytes(), Rest::Nothing(frame.into_trailers().ok()), reserved)),
        };
        let size = data.len() as u64;
        total += size;
        if limits.max.is_some_and(|max| total > max.0) {
            return Err(Reject::BodyTooLarge);
        }
        read.push(data);
        let grown = match &mut reserved {
            Some(reserved) => reserved.grow(size, limits.buffer_total.0),
            None => {
                reserved = held.reserve(size, limits.buffer_total.0);
                reserved.is_some()
            }
        };
        if body.is_end_stream() {
            return Ok((read.into_bytes(), Rest::Nothing(None), reserved));
        }
        // Who fills the memory must not get others' requests past the rules that turn on the model.
        if !grown && decisive && total <= limits.buffer.0 {
            return Err(Reject::Overloaded);
        }
        if !grown || total > limits.buffer.0 {
            return Ok((read.into_bytes(), Rest::More(body), reserved));
        }
        deadline = (started + patience + Duration::from_secs(total / SLOWEST)).min(Deadline::now() + patience);
    }
}
