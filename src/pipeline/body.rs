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
pub struct Body {
    content: Content,
    /// Why it broke off, while the server has the time to write what came before: behind an error it writes nothing, not even what it
    /// was handed before.
    broken: Option<Failure>,
}

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
        Content::Ours(bytes).into()
    }

    /// Whether it is our own.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        matches!(self.content, Content::Ours(_))
    }

    /// No body: what follows the head are the bytes of a tunnel.
    #[must_use]
    pub fn tunnel(tunnel: Box<Tunnel>) -> Self {
        Content::Tunnel(tunnel).into()
    }

    /// The tunnel that begins behind the head, if one does. Left where it is, it ends with this body.
    pub fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        match std::mem::replace(&mut self.content, Content::Ours(Bytes::new())) {
            Content::Tunnel(tunnel) => Some(tunnel),
            other => {
                self.content = other;
                None
            }
        }
    }

    /// A reply that others have had, or have as well.
    #[must_use]
    pub fn played(played: Played) -> Self {
        Content::Played(Box::new(played)).into()
    }

    /// A provider's reply.
    #[must_use]
    pub fn relay(relay: Box<Relay>) -> Self {
        Content::Relay(relay).into()
    }
}

impl From<Content> for Body {
    fn from(content: Content) -> Self {
        Self { content, broken: None }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Some(failure) = self.broken.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let frame = match &mut self.content {
            Content::Tunnel(_) => Poll::Ready(None),
            Content::Ours(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Ours(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Relay(relay) => Pin::new(&mut **relay).poll_frame(cx),
            Content::Played(played) => played.poll_frame(cx),
        };
        if let Poll::Ready(Some(Err(failure))) = frame {
            self.broken = Some(failure);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        if self.broken.is_some() {
            return false;
        }
        match &self.content {
            Content::Ours(bytes) => bytes.is_empty(),
            Content::Tunnel(_) => true,
            Content::Relay(relay) => relay.is_end_stream(),
            Content::Played(played) => played.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Ours(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Relay(relay) => relay.size_hint(),
            Content::Played(played) => played.size_hint(),
            Content::Tunnel(_) => SizeHint::with_exact(0),
        }
    }
}
