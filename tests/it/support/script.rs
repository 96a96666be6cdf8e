//! What a scripted provider does with one request, step by step.

use bytes::Bytes;

use super::Gate;

/// One step of a [`Script`].
#[derive(Clone)]
pub(super) enum Step {
    ReadHead,
    ReadBody,
    Write(Bytes),
    Offer(Bytes),
    Drip(Bytes),
    Flood(Bytes),
    Wait(Gate),
    Tell(Gate),
    UntilLeft,
    Reset,
    Close,
}

/// The steps of one exchange. Unless told otherwise it reads the whole request first and keeps the connection.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(super) steps: Vec<Step>,
}

impl Script {
    /// Reads the whole request, then goes on with the steps that follow.
    pub(crate) fn on_request() -> Self {
        Self::on_head().then(Step::ReadBody)
    }

    /// Reads the head alone.
    pub(crate) fn on_head() -> Self {
        Self::default().then(Step::ReadHead)
    }

    /// Starts as soon as the first byte of a request is there, before any of it is read.
    pub(crate) fn on_first_byte() -> Self {
        Self::default()
    }

    /// Answers with these bytes and keeps the connection.
    pub(crate) fn reply(bytes: impl Into<Bytes>) -> Self {
        Self::on_request().write(bytes)
    }

    /// Answers 200 with this body.
    pub(crate) fn ok(body: &str) -> Self {
        Self::reply(format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    /// Answers with this status, such as `200 OK`, and this JSON.
    pub(crate) fn json(status: &str, body: &str) -> Self {
        Self::reply(format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    /// Answers with this status, such as `429 Too Many Requests`, these fields, each with its line end, and this JSON.
    pub(crate) fn json_with(status: &str, fields: &str, body: &str) -> Self {
        let length = body.len();
        Self::reply(format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{fields}Content-Length: {length}\r\n\r\n{body}"))
    }

    /// Begins a stream of events; [`Self::chunk`] goes on and [`Self::end`] ends it.
    pub(crate) fn sse() -> Self {
        Self::reply("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    }

    /// A whole stream of these events, a chunk each.
    pub(crate) fn events(events: &[&str]) -> Self {
        events.iter().fold(Self::sse(), |script, event| script.chunk(event)).end()
    }

    /// The end of a chunked body.
    pub(crate) fn end(self) -> Self {
        self.write("0\r\n\r\n")
    }

    /// Never answers.
    pub(crate) fn hang() -> Self {
        Self::on_request().until_left()
    }

    /// Writes all of it at once.
    pub(crate) fn write(self, bytes: impl Into<Bytes>) -> Self {
        self.then(Step::Write(bytes.into()))
    }

    /// Writes as much of it as the peer takes: one that is appalled may leave in the middle.
    pub(crate) fn offer(self, bytes: impl Into<Bytes>) -> Self {
        self.then(Step::Offer(bytes.into()))
    }

    /// Writes it as one chunk of a chunked body.
    pub(crate) fn chunk(self, body: &str) -> Self {
        self.write(format!("{:x}\r\n{body}\r\n", body.len()))
    }

    /// Writes it byte by byte.
    pub(crate) fn drip(self, bytes: impl Into<Bytes>) -> Self {
        self.then(Step::Drip(bytes.into()))
    }

    /// Writes it over and over until the peer leaves.
    pub(crate) fn flood(self, bytes: impl Into<Bytes>) -> Self {
        self.then(Step::Flood(bytes.into()))
    }

    /// Waits until the test opens the gate.
    pub(crate) fn wait(self, gate: &Gate) -> Self {
        self.then(Step::Wait(gate.clone()))
    }

    /// Opens a gate for the test: the script has come this far.
    pub(crate) fn tell(self, gate: &Gate) -> Self {
        self.then(Step::Tell(gate.clone()))
    }

    /// Reads the body that an earlier step left unread.
    pub(crate) fn read_body(self) -> Self {
        self.then(Step::ReadBody)
    }

    /// Reads on and says nothing until the peer leaves.
    pub(crate) fn until_left(self) -> Self {
        self.then(Step::UntilLeft)
    }

    /// Cuts the connection with a TCP reset.
    pub(crate) fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Closes the connection in order.
    pub(crate) fn close(self) -> Self {
        self.then(Step::Close)
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
