//! The body of whatever goes down: our own few bytes, a provider's reply as it comes, or one that others have had.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::{cache::played::Played, relay::Relay, tunnel::Tunnel};
use crate::upstream::Failure;

/// What the server sends to the client.
#[derive(Debug)]
pub struct Body(Content);

#[derive(Debug)]
enum Content {
    Ours(Bytes),
    /// Behind a pointer, as the whole goes through many hands on its way to the connection.
    Relay(Box<Relay>),
    Played(Box<Played>),
    Tunnel(Box<Tunnel>),
}

impl Body {
    /// Bytes of our own.
    #[must_use]
    pub fn ours(bytes: Bytes) -> Self {
        Self(Content::Ours(bytes))
    }

    /// Whether it is our own.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self.0, Content::Ours(_))
    }

    /// No body: what follows the head are the bytes of a tunnel.
    #[must_use]
    pub fn tunnel(tunnel: Box<Tunnel>) -> Self {
        Self(Content::Tunnel(tunnel))
    }

    /// The tunnel that begins behind the head, if one does. Left where it is, it ends with this body.
    pub fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        match std::mem::replace(&mut self.0, Content::Ours(Bytes::new())) {
            Content::Tunnel(tunnel) => Some(tunnel),
            other => {
                self.0 = other;
                None
            }
        }
    }

    /// A reply that others have had, or have as well.
    #[must_use]
    pub fn played(played: Played) -> Self {
        Self(Content::Played(Box::new(played)))
    }

    /// A provider's reply.
    #[must_use]
    pub fn relay(relay: Box<Relay>) -> Self {
        Self(Content::Relay(relay))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match &mut self.0 {
            Content::Tunnel(_) => Poll::Ready(None),
            Content::Ours(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Ours(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Relay(relay) => Pin::new(&mut **relay).poll_frame(cx),
            Content::Played(played) => played.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Ours(bytes) => bytes.is_empty(),
            Content::Tunnel(_) => true,
            Content::Relay(relay) => relay.is_end_stream(),
            Content::Played(played) => played.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Ours(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Relay(relay) => relay.size_hint(),
            Content::Played(played) => played.size_hint(),
            Content::Tunnel(_) => SizeHint::with_exact(0),
        }
    }
}
