//! Behind a send: what its end says, and about whom.
//!
//! A refusal is read before it goes down, since its body tells a revoked key from a caller's mistake. The beginning of a stream is
//! read only while another attempt could do better: some providers say 200 and then that it is an error. Whatever was read is put
//! back and goes down unchanged.
//!
//! Cancel: nothing is held but the reply, which ends with the future.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, header::CONTENT_ENCODING};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::{decoded, joined::Joined, observe::Media};
use crate::{
    provider::{sse::Splitter, verdict},
    runtime::Held,
    types::{Cause, Dialect, Verdict},
    upstream::{Failure, Phase, Reason, ReplyBody},
};

/// How much of a refusal is read, in bytes, and for how long. Error bodies are short and come with their heads.
const REFUSAL: (usize, Duration) = (64 << 10, Duration::from_secs(1));

/// How much of the beginning of a stream is read, and for how long.
const BEGINNING: (usize, Duration) = (16 << 10, Duration::from_millis(250));

/// What a reply says. Its beginning is looked at as well if it `could_be_better`: while another attempt is left.
pub async fn of_reply(
    reply: &mut Response<ReplyBody>,
    (dialect, could_be_better): (Dialect, bool),
    (held, most_held): (&Held, u64),
    unix: u64,
) -> Verdict {
    let status = reply.status();
    if is_refusal(status) {
        let read = ahead(reply.body_mut(), REFUSAL, |_| false).await;
        let text = match reply.headers().get(CONTENT_ENCODING) {
            None => Some(read),
            Some(coding) => decoded::decode(coding, &read, REFUSAL.0 as u64, (held, most_held)).map(|decoded| decoded.bytes.into()),
        };
        return verdict::of_reply(dialect, status, reply.headers(), &text.unwrap_or_default(), unix);
    }
    if could_be_better && status == StatusCode::OK {
        return of_beginning(reply, dialect, unix).await;
    }
    Cause::Served.into()
}

/// Whether a reply is one that its body must tell more about.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error() || status.as_u16() > 599
}

/// What the beginning of a 200 says: all is well, unless its first event is an error.
async fn of_beginning(reply: &mut Response<ReplyBody>, dialect: Dialect, unix: u64) -> Verdict {
    match Media::of(reply.headers()) {
        Media::Json if dialect != Dialect::Openrouter => return Cause::Served.into(),
        Media::Other => return Cause::Served.into(),
        // Nobody looks into what is encoded.
        Media::Json | Media::Events if reply.headers().contains_key(CONTENT_ENCODING) => return Cause::Served.into(),
        Media::Events => {}
        // It says 200 also where the model behind it has failed: https://openrouter.ai/docs/api-reference/errors, as of 2026-11.
        Media::Json => {
            let read = ahead(reply.body_mut(), BEGINNING, |_| false).await;
            return verdict::of_reply(dialect, StatusCode::OK, reply.headers(), &read, unix);
        }
    }
    let (mut splitter, mut found) = (Splitter::default(), None);
    ahead(reply.body_mut(), BEGINNING, |data| {
        let mut is_decided = false;
        splitter.push(data, |event| {
            if !is_decided && verdict::is_first_word(event) {
                is_decided = true;
                found = verdict::of_event(dialect, event);
            }
        });
        is_decided
    })
    .await;
    found.unwrap_or(Cause::Served.into())
}

/// Reads on until that is enough, and puts everything back. Returns the bytes.
async fn ahead(body: &mut ReplyBody, (most, patience): (usize, Duration), mut is_enough: impl FnMut(&[u8]) -> bool) -> Bytes {
    let (mut frames, mut text) = (VecDeque::new(), Joined::default());
    let deadline = Instant::now() + patience;
    while text.len() < most {
        let Ok(Some(frame)) = timeout_at(deadline, body.frame()).await else { break };
        let is_over = match &frame {
            Ok(frame) => frame.data_ref().is_some_and(|data| {
                text.push(data.clone());
                is_enough(data)
            }),
            Err(_) => true,
        };
        frames.push_back(frame);
        if is_over {
            break;
        }
    }
    body.put_back(frames);
    let mut bytes = text.into_bytes();
    bytes.truncate(most);
    bytes
}

/// What it says that there was no reply.
#[must_use]
pub fn of_failure(failure: &Failure) -> Cause {
    match (failure.phase, failure.reason) {
        (_, Reason::Upload | Reason::TooLarge) => Cause::Left,
        (_, Reason::Unprocessed | Reason::Full) => Cause::Unprocessed,
        // A provider that does not take our certificate says so behind the handshake.
        (Phase::Connect, _) | (_, Reason::Tls | Reason::Certificate(_)) => Cause::Unreachable,
        (_, Reason::Protocol) => Cause::Malformed,
        (Phase::Body, _) => Cause::BrokenOff,
        (Phase::Head, _) => Cause::NoReply,
    }
}
