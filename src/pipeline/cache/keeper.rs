//! Beside a flight: what is kept of a reply, and whether it is worth that.

use std::{rc::Rc, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_ENCODING};

use super::super::{decoded, joined::Joined, observe::Media, trail::Paying};
use crate::{
    config::Replay,
    policy::cache::{Dates, Reply, Spec, Unfit, freshness::JITTER, worth},
    provider::finish::{self, Finish},
    runtime::{
        Held,
        cache::{Entry, Pause, Pieces, entry},
    },
    types::{Dialect, Ending, Moment, Question},
};

/// What is kept of one reply.
#[derive(Debug)]
pub(super) struct Keeper {
    spec: Arc<Spec>,
    dialect: Dialect,
    status: StatusCode,
    headers: HeaderMap,
    media: Media,
    /// Reads whether it comes to a good end; that of an error is not looked for.
    finish: Option<Finish>,
    frames: Vec<Bytes>,
    size: u64,
    pauses: Vec<Pause>,
    last: Instant,
    stands_in: bool,
}

impl Keeper {
    /// Of a reply with this head, as others may have it, to such a question.
    pub(super) fn new(
        spec: &Arc<Spec>,
        (question, dialect, stands_in): (Question, Dialect, bool),
        (status, headers): (StatusCode, &HeaderMap),
    ) -> Self {
        let media = Media::of(headers);
        let is_read = status == StatusCode::OK && media != Media::Other;
        Self {
            spec: Arc::clone(spec),
            dialect,
            status,
            headers: headers.clone(),
            media,
            finish: is_read.then(|| {
                Finish::of(
                    dialect.request_format(),
                    question,
                    if media == Media::Events { finish::Media::Events } else { finish::Media::Json },
                )
            }),
            frames: Vec::new(),
            size: 0,
            pauses: Vec::new(),
            last: Instant::now(),
            stands_in,
        }
    }

    /// The next bytes of it.
    pub(super) fn frame(&mut self, data: &Bytes) {
        if data.is_empty() {
            return;
        }
        self.size += data.len() as u64;
        if self.size > self.spec.max_entry {
            (self.frames, self.pauses, self.finish) = (Vec::new(), Vec::new(), None);
            return;
        }
        self.frames.push(data.clone());
        if self.media != Media::Events {
            return;
        }
        if let Some(finish) = self.finish.as_mut().filter(|_| !self.headers.contains_key(CONTENT_ENCODING)) {
            finish.push(data);
        }
        if self.spec.replay == Replay::Paced {
            let now = Instant::now();
            if let Some(pause) = self.pauses.last_mut() {
                pause.after_ms = (now - self.last).as_millis().try_into().unwrap_or(u32::MAX);
            }
            self.last = now;
            self.pauses.push(Pause { at: self.size as u32, after_ms: 0 });
        }
    }

    /// It is whole: what is kept of it, or why nothing is. What is decoded to be read is bounded by what may be held.
    pub(super) fn finish(
        mut self,
        paying: &Rc<Paying>,
        (client, model): (Option<&str>, Option<&str>),
        memory: (&Held, u64),
        now: Moment,
    ) -> Result<Entry, Unfit> {
        if self.size > self.spec.max_entry {
            return Err(Unfit::Large);
        }
        let ending = self.ending(memory)?;
        let reply = Reply { status: self.status.as_u16(), ending, whole: true, bytes: self.size, stands_in: self.stands_in };
        let kind = worth(&self.spec, &reply)?;
        let paid = paying.get();
        Ok(Entry {
            status: self.status,
            headers: entry::own(&self.headers),
            body: Pieces::of(&self.frames),
            pauses: self.pauses.into(),
            dates: Dates::new(&self.spec, kind, now, fastrand::i16(-JITTER..=JITTER)),
            usage: paid.usage,
            cost: paid.cost,
            client: client.map(Into::into),
            model: model.map(Into::into),
        })
    }

    fn ending(&mut self, memory: (&Held, u64)) -> Result<Ending, Unfit> {
        let decoded;
        let encoding = self.headers.get(CONTENT_ENCODING);
        let mut body = Joined::default();
        // Events have been read as they came.
        if self.media != Media::Events || encoding.is_some() {
            self.frames.iter().for_each(|frame| body.push(frame.clone()));
        }
        let body = body.into_bytes();
        let (text, is_encoded) = match encoding {
            None => (&body[..], false),
            // A text is seldom more than eight times as long as its code; one that is, is not kept.
            Some(coding) => match decoded::decode(coding, &body, self.spec.max_entry.saturating_mul(8), memory) {
                Some(whole) if whole.whole => {
                    decoded = whole;
                    (&decoded.bytes[..], true)
                }
                _ => return Err(Unfit::Unknown),
            },
        };
        let Some(finish) = &mut self.finish else {
            return match self.status {
                StatusCode::OK => Err(Unfit::Unknown),
                status if finish::is_callers_own(self.dialect, status, text) => Ok(Ending::Good),
                _ => Ok(Ending::Error),
            };
        };
        if self.media == Media::Json {
            finish.body(text);
        } else if is_encoded {
            finish.push(text);
        }
        Ok(finish.ending())
    }
}
