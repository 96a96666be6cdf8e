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
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::{fields, settle::Settlement, trail::End};
use crate::{
    types::fields::retain,
    upstream::{Failure, ReplyBody},
};

/// A reply on its way down.
#[derive(Debug)]
pub struct Relay {
    reply: ReplyBody,
    /// Bytes that the reply still owes, where its head said how many. hyper takes no more than those and then drops
    /// the body without asking for its end.
    owed: Option<u64>,
    /// Gone once the request was settled.
    settlement: Option<Settlement>,
}

impl Relay {
    /// Relays `reply`, and settles the request at its end. A reply without a body is settled at once.
    #[must_use]
    pub fn new(reply: ReplyBody, without_body: bool, settlement: Settlement) -> Self {
        let mut relay = Self { owed: reply.size_hint().exact(), reply, settlement: Some(settlement) };
        if without_body || relay.reply.is_end_stream() {
            relay.settle(End::Complete);
        }
        relay
    }

    fn settle(&mut self, end: End) {
        if let Some(settlement) = self.settlement.take() {
            settlement.finish(end);
        }
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

    pub(super) fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        match Pin::new(&mut this.reply).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                // Nearly every frame is data, which is moved and not looked at; what else there is comes once.
                let frame = match frame.into_data() {
                    Ok(data) => {
                        this.passed(&data);
                        Frame::data(data)
                    }
                    Err(other) => without_fields_of_a_head(other),
                };
                if this.reply.is_end_stream() {
                    this.settle(End::Complete);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(failure))) => {
                this.settle(End::Truncated(failure.name()));
                Poll::Ready(Some(Err(failure)))
            }
            Poll::Ready(None) => {
                this.settle(End::Complete);
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
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
