//! Step 9: the provider's reply goes down frame by frame, as it comes.
//!
//! Nothing is buffered: a frame is taken from the provider when the client's connection has room for it, so a slow
//! reader slows the provider down. A reply that breaks off ends with an error, which the server turns into a missing
//! last chunk or a reset stream, so that the client can tell.
//!
//! Cancel: dropping the relay drops the reply's body, which ends the exchange with the provider, and settles the
//! request as *left*.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::{fields, settle::Settlement, trail::End};
use crate::{
    provider::unasked::Unasked,
    types::fields::retain,
    upstream::{Failure, ReplyBody},
};

/// What a body yields.
type Item = Option<Result<Frame<Bytes>, Failure>>;

/// What takes a chunk out that the client has not asked for.
#[derive(Debug, Default)]
pub struct TakenOut {
    unasked: Unasked,
    /// What was held of an event that has no end.
    last: Bytes,
    /// What comes behind it.
    next: Option<Item>,
}

/// A reply on its way down.
#[derive(Debug)]
pub struct Relay {
    reply: ReplyBody,
    /// In nearly all replies everything is the client's.
    taken_out: Option<Box<TakenOut>>,
    /// Bytes that the reply still owes, where its head said how many. hyper takes no more than those and then drops
    /// the body without asking for its end.
    owed: Option<u64>,
    /// Gone once the request was settled.
    settlement: Option<Settlement>,
}

impl Relay {
    /// Relays `reply`, and settles the request at its end. A reply without a body is settled at once.
    #[must_use]
    pub fn new(reply: ReplyBody, without_body: bool, taken_out: Option<Box<TakenOut>>, settlement: Settlement) -> Self {
        let owed = reply.size_hint().exact().filter(|_| taken_out.is_none());
        let mut relay = Self { owed, reply, taken_out, settlement: Some(settlement) };
        if without_body || relay.reply.is_end_stream() {
            relay.settle(End::Complete);
        }
        relay
    }

    fn settle(&mut self, end: End) {
        // Where it stands: it is not small.
        if let Some(settlement) = &mut self.settlement {
            settlement.finish(end);
        }
        self.settlement = None;
    }

    fn passed(&mut self, data: &Bytes) {
        if let Some(settlement) = &mut self.settlement {
            settlement.relayed(data);
        }
        self.owed = self.owed.map(|owed| owed.saturating_sub(data.len() as u64));
        if self.owed == Some(0) {
            self.settle(End::Complete);
        }
    }

    pub(super) fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Item> {
        let this = &mut *self;
        if this.taken_out.is_some() {
            return this.poll_less(cx);
        }
        this.poll_reply(cx)
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        match Pin::new(&mut self.reply).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                // Nearly every frame is data, which is moved and not looked at; what else there is comes once.
                let frame = match frame.into_data() {
                    Ok(data) if self.taken_out.is_some() => Frame::data(self.passed_less(&data)),
                    Ok(data) => {
                        self.passed(&data);
                        Frame::data(data)
                    }
                    Err(other) => {
                        self.release();
                        // Nothing comes behind trailers, whether or not anybody asks.
                        self.settle(End::Complete);
                        without_fields_of_a_head(other)
                    }
                };
                if self.reply.is_end_stream() {
                    self.release();
                    self.settle(End::Complete);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(failure))) => {
                self.release();
                self.settle(End::Truncated(failure.name()));
                Poll::Ready(Some(Err(failure)))
            }
            Poll::Ready(None) => {
                self.release();
                self.settle(End::Complete);
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    /// What passes of these bytes, if not all is the client's. They are observed in any case.
    #[cold]
    fn passed_less(&mut self, data: &Bytes) -> Bytes {
        let passes = self.taken_out.as_mut().map(|taken_out| taken_out.unasked.push(data.clone())).unwrap_or_default();
        if let Some(settlement) = &mut self.settlement {
            settlement.relayed_less(data, passes.len() as u64);
        }
        passes
    }

    /// Nothing more comes: what was held till now goes down.
    fn release(&mut self) {
        if let Some(taken_out) = &mut self.taken_out
            && taken_out.last.is_empty()
        {
            taken_out.last = taken_out.unasked.finish();
            if let Some(settlement) = &mut self.settlement {
                settlement.passed(taken_out.last.len() as u64);
            }
        }
    }

    /// The same as [`Self::poll_reply`], less the chunk that is none of the client's.
    #[cold]
    fn poll_less(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        loop {
            if let Some(taken_out) = &mut self.taken_out
                && taken_out.next.is_some()
            {
                return Poll::Ready(taken_out.next.take().flatten());
            }
            let item = ready!(self.poll_reply(cx));
            let Some(taken_out) = &mut self.taken_out else { return Poll::Ready(item) };
            let is_nothing = matches!(&item, Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty));
            let is_behind = item.as_ref().is_none_or(|item| item.as_ref().map_or(true, |frame| !frame.is_data()));
            match std::mem::take(&mut taken_out.last) {
                last if last.is_empty() && is_nothing => {}
                last if last.is_empty() => return Poll::Ready(item),
                last if is_behind => {
                    taken_out.next = Some(item);
                    return Poll::Ready(Some(Ok(Frame::data(last))));
                }
                last => {
                    taken_out.next = Some(Some(Ok(Frame::data(last))));
                    if !is_nothing {
                        return Poll::Ready(item);
                    }
                }
            }
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        // Where something is taken out, its end is told by the body itself.
        self.taken_out.is_none() && self.reply.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        if self.taken_out.is_some() { SizeHint::new() } else { self.reply.size_hint() }
    }
}

/// RFC 9110 §6.5.1: what may not stand in a head has no place behind the body.
#[cold]
fn without_fields_of_a_head(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(trailers) => Frame::trailers(retain(trailers, |name| fields::goes_down(name) && !fields::is_framing(name))),
        Err(frame) => frame,
    }
}
