//! What goes up.

use std::{
    cell::Cell,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{coalesce::Coalesced, error::UploadBroken};

/// Whom an upload waits for, so that a timeout blames the right side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaiting {
    /// The provider has not taken what was offered.
    Provider,
    /// The client has not sent the next part.
    Client,
    /// Nobody: everything was handed over.
    Nobody,
}

/// How far an upload has come. Shared with whoever waits for the reply.
#[derive(Debug)]
pub struct Progress {
    awaiting: Cell<Awaiting>,
    /// None until it goes out.
    since: Cell<Option<Instant>>,
    sent: Cell<u64>,
    broken: Cell<Option<UploadBroken>>,
}

impl Progress {
    fn new(awaiting: Awaiting) -> Rc<Self> {
        Rc::new(Self { awaiting: Cell::new(awaiting), since: Cell::default(), sent: Cell::new(0), broken: Cell::default() })
    }

    fn set(&self, awaiting: Awaiting) {
        self.awaiting.set(awaiting);
        self.since.set(Some(Instant::now()));
    }

    /// The clocks start now: until here the request waited for a connection, or has not gone out at all.
    pub fn begin(&self, now: Instant) {
        self.since.set(Some(now));
    }

    /// Body bytes handed to the connection so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Since when whoever is awaited now is awaited: once all has gone up, the provider. Now, if it has not gone out.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since.get().unwrap_or_else(Instant::now)
    }

    /// So many bytes more went up: those of a tunnel, which are no body.
    pub fn add(&self, bytes: u64) {
        self.sent.set(self.sent.get() + bytes);
    }

    /// Why the client's side of it broke, if it did.
    pub(super) fn broken(&self) -> Option<UploadBroken> {
        self.broken.get()
    }

    pub(super) fn awaiting(&self) -> (Awaiting, Instant) {
        (self.awaiting.get(), self.since())
    }
}

/// Small, since it goes through many hands on its way to the connection: what few bodies have is behind a pointer.
enum Content {
    Empty,
    Held { data: Bytes, trailers: Option<Box<HeaderMap>> },
    Trailers(Box<HeaderMap>),
    Streamed(Box<Streamed>),
}

struct Streamed {
    held: VecDeque<Bytes>,
    rest: Coalesced<Incoming>,
    max: Option<u64>,
    adapt: AdaptTrailers,
}

/// What of a body's trailers goes up; `None` if nothing does.
pub type AdaptTrailers = fn(HeaderMap) -> Option<HeaderMap>;

/// The body of a request. The type of its content says whether it can be sent a second time.
pub struct Upload {
    content: Content,
    progress: Rc<Progress>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upload({:?})", self.progress)
    }
}

impl Upload {
    /// A body that is held whole, perhaps empty, and can be sent again.
    #[must_use]
    pub fn held(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        let empty = data.is_empty() && trailers.is_none();
        let progress = Progress::new(if empty { Awaiting::Nobody } else { Awaiting::Provider });
        Self { content: if empty { Content::Empty } else { Content::Held { data, trailers: trailers.map(Box::new) } }, progress }
    }

    /// A body whose first parts may have been read already. It can be sent once, and breaks off beyond `max` bytes.
    #[must_use]
    pub fn streamed(held: VecDeque<Bytes>, rest: Incoming, max: Option<u64>, adapt: AdaptTrailers) -> Self {
        let streamed = Streamed { held, rest: Coalesced::new(rest), max, adapt };
        Self { content: Content::Streamed(Box::new(streamed)), progress: Progress::new(Awaiting::Provider) }
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Rc<Progress> {
        Rc::clone(&self.progress)
    }

    /// The bytes of a body that is held whole and has no trailers.
    #[must_use]
    pub fn whole(&self) -> Option<&Bytes> {
        match &self.content {
            Content::Held { data, trailers: None } => Some(data),
            _ => None,
        }
    }

    /// Puts other bytes in the place of a body that is held whole, before any of it has gone up.
    pub fn replace(&mut self, with: Bytes) {
        if let Content::Held { data, .. } = &mut self.content {
            *data = with;
        }
    }

    /// Whether [`Self::again`] makes another.
    #[must_use]
    pub fn can_go_again(&self) -> bool {
        matches!(self.content, Content::Empty | Content::Held { .. })
    }

    /// The same body from the start, unless it can be sent only once.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        match &self.content {
            Content::Empty => Some(Self::held(Bytes::new(), None)),
            Content::Held { data, trailers } => Some(Self::held(data.clone(), trailers.as_deref().cloned())),
            Content::Trailers(_) | Content::Streamed(_) => None,
        }
    }

    /// The body's length, where it is known before it is sent.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// Whom it waits for once the part at hand is out. Behind the last byte of a declared length nobody asks for more.
    fn next_awaited(&self) -> Awaiting {
        if self.is_end_stream() { Awaiting::Nobody } else { Awaiting::Provider }
    }

    fn break_off(&self, why: UploadBroken) -> Poll<Option<Result<Frame<Bytes>, UploadBroken>>> {
        self.progress.broken.set(Some(why));
        Poll::Ready(Some(Err(why)))
    }

    fn hand_over(&self, data: Bytes) -> Poll<Option<Result<Frame<Bytes>, UploadBroken>>> {
        self.progress.sent.set(self.progress.sent.get() + data.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadBroken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadBroken>>> {
        let this = &mut *self;
        match std::mem::replace(&mut this.content, Content::Empty) {
            Content::Empty => Poll::Ready(None),
            Content::Held { data, trailers } => {
                if let Some(trailers) = trailers {
                    this.content = Content::Trailers(trailers);
                }
                this.progress.set(Awaiting::Nobody);
                this.hand_over(data)
            }
            Content::Trailers(trailers) => Poll::Ready(Some(Ok(Frame::trailers(*trailers)))),
            Content::Streamed(mut streamed) => {
                let Streamed { max, adapt, .. } = *streamed;
                if let Some(data) = streamed.held.pop_front() {
                    this.content = Content::Streamed(streamed);
                    this.progress.set(this.next_awaited());
                    return this.hand_over(data);
                }
                let polled = poll_data(&mut streamed.rest, cx);
                if !matches!(polled, Poll::Ready(None | Some(Err(_)))) {
                    this.content = Content::Streamed(streamed);
                }
                this.progress.set(if polled.is_pending() { Awaiting::Client } else { this.next_awaited() });
                match ready!(polled) {
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) if max.is_some_and(|max| this.progress.sent() + data.len() as u64 > max) => {
                            this.content = Content::Empty;
                            this.break_off(UploadBroken::TooLarge)
                        }
                        Ok(data) => this.hand_over(data),
                        Err(frame) => Poll::Ready(frame.into_trailers().ok().and_then(adapt).map(|trailers| Ok(Frame::trailers(trailers)))),
                    },
                    Some(Err(_)) => this.break_off(UploadBroken::Broken),
                    None => Poll::Ready(None),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Held { .. } | Content::Trailers(_) => false,
            Content::Streamed(streamed) => streamed.held.is_empty() && streamed.rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Held { data, trailers: None } => SizeHint::with_exact(data.len() as u64),
            Content::Held { .. } | Content::Trailers(_) => SizeHint::new(),
            Content::Streamed(streamed) => match streamed.rest.size_hint().exact() {
                Some(left) => SizeHint::with_exact(left + streamed.held.iter().map(|data| data.len() as u64).sum::<u64>()),
                None => SizeHint::new(),
            },
        }
    }
}

/// The next frame that carries something. An empty DATA frame says nothing, and some peers count them as an attack.
pub(super) fn poll_data<B: Body<Data = Bytes> + Unpin>(body: &mut B, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
    loop {
        match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            Some(Ok(frame)) if frame.data_ref().is_some_and(|data| !data.has_remaining()) => {}
            other => return Poll::Ready(other),
        }
    }
}
