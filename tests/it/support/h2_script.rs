//! What a scripted HTTP/2 provider does with one stream, step by step.

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Response};

use super::Gate;

/// One step of an [`H2Script`].
#[derive(Clone)]
pub(super) enum H2Step {
    ReadBody,
    Interim(Response<()>),
    Head { reply: Response<()>, last: bool },
    Data { bytes: Bytes, last: bool },
    Flood(Bytes),
    Trailers(HeaderMap),
    Wait(Gate),
    Tell(Gate),
    UntilLeft,
    Reset(Reason),
}

/// The steps of one stream.
#[derive(Clone, Default)]
pub(crate) struct H2Script {
    pub(super) steps: Vec<H2Step>,
}

impl H2Script {
    /// Reads the whole request, then goes on with the steps that follow.
    pub(crate) fn on_request() -> Self {
        Self::default().then(H2Step::ReadBody)
    }

    /// Leaves the body unread.
    pub(crate) fn on_head() -> Self {
        Self::default()
    }

    /// Answers 200 with this body.
    pub(crate) fn ok(body: &'static str) -> Self {
        Self::on_request().head(200).last(body)
    }

    /// Refuses the stream as never looked at (RFC 9113 §8.7).
    pub(crate) fn refused() -> Self {
        Self::on_head().reset(Reason::REFUSED_STREAM)
    }

    /// Reads the body that an earlier step left unread.
    pub(crate) fn read_body(self) -> Self {
        self.then(H2Step::ReadBody)
    }

    /// An interim reply: a head before the reply's.
    pub(crate) fn interim(self, reply: Response<()>) -> Self {
        self.then(H2Step::Interim(reply))
    }

    /// A reply's head with this status and no field.
    pub(crate) fn head(self, status: u16) -> Self {
        self.reply(Response::builder().status(status).body(()).expect("a valid status"))
    }

    /// A reply's head.
    pub(crate) fn reply(self, reply: Response<()>) -> Self {
        self.then(H2Step::Head { reply, last: false })
    }

    /// A reply that is a head alone.
    pub(crate) fn reply_without_body(self, reply: Response<()>) -> Self {
        self.then(H2Step::Head { reply, last: true })
    }

    /// A part of the body that is not its last.
    pub(crate) fn part(self, bytes: impl Into<Bytes>) -> Self {
        self.then(H2Step::Data { bytes: bytes.into(), last: false })
    }

    /// The last part of the body.
    pub(crate) fn last(self, bytes: impl Into<Bytes>) -> Self {
        self.then(H2Step::Data { bytes: bytes.into(), last: true })
    }

    /// Sends it over and over, one DATA frame each, until the peer leaves.
    pub(crate) fn flood(self, bytes: impl Into<Bytes>) -> Self {
        self.then(H2Step::Flood(bytes.into()))
    }

    /// Ends the body with these fields.
    pub(crate) fn trailers(self, fields: HeaderMap) -> Self {
        self.then(H2Step::Trailers(fields))
    }

    /// Waits until the test opens the gate.
    pub(crate) fn wait(self, gate: &Gate) -> Self {
        self.then(H2Step::Wait(gate.clone()))
    }

    /// Opens a gate for the test: the script has come this far.
    pub(crate) fn tell(self, gate: &Gate) -> Self {
        self.then(H2Step::Tell(gate.clone()))
    }

    /// Says nothing until the peer gives the stream up.
    pub(crate) fn until_left(self) -> Self {
        self.then(H2Step::UntilLeft)
    }

    /// Ends the stream with RST_STREAM.
    pub(crate) fn reset(self, reason: Reason) -> Self {
        self.then(H2Step::Reset(reason))
    }

    fn then(mut self, step: H2Step) -> Self {
        self.steps.push(step);
        self
    }
}
