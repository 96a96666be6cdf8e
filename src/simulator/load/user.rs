//! One user: a connection, and one request after another over it.

use std::{cell::RefCell, rc::Rc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    answer::{Answer, Failure, Kind},
    dial::{Dialer, Socket},
    reply::Reply,
    request::Request,
    schedule::{Schedule, Ticket},
    tally::Tally,
};

/// What is read at once; an event is far smaller.
const READ: usize = 8 << 10;

/// After a connection that did not come about: a site that is gone must not be asked in a tight loop.
const PAUSE: Duration = Duration::from_millis(100);

/// What the users of one site share.
pub(super) struct Shared {
    pub(super) dialer: Dialer,
    pub(super) schedule: Schedule,
    pub(super) tally: RefCell<Tally>,
    /// What a reply may take.
    pub(super) timeout: Duration,
}

/// A user. Dropped at any point, its open request stays counted as begun.
pub(super) struct User {
    shared: Rc<Shared>,
    line: Line,
}

impl User {
    pub(super) fn new(shared: Rc<Shared>, request: Request) -> Self {
        let line = Line { socket: None, request, reply: Reply::new(), buffer: vec![0; READ].into() };
        Self { shared, line }
    }

    /// Connects at `begin`, and sends as long as there are tickets and anybody is let in.
    pub(super) async fn run(mut self, begin: Instant) {
        let Self { shared, line } = &mut self;
        sleep_until(begin).await;
        // Before the clock of the first request; what goes wrong here goes wrong there again, and counts there.
        line.socket = timeout(shared.timeout, shared.dialer.connect()).await.ok().and_then(Result::ok);
        while !shared.tally.borrow().is_refused()
            && let Some(ticket) = shared.schedule.draw(Instant::now())
        {
            if let Some(due) = ticket.due {
                sleep_until(due).await;
            }
            if let Some(Kind::Connect) = exchange(shared, line, ticket).await {
                sleep(PAUSE).await;
            }
        }
    }
}

/// Sends one request and counts what it comes to; the answer is the kind of its failure.
async fn exchange(shared: &Shared, line: &mut Line, ticket: Ticket) -> Option<Kind> {
    let begun = Instant::now();
    shared.tally.borrow_mut().begin(begun);
    let outcome = timeout(shared.timeout, line.exchange(&shared.dialer, ticket.number)).await;
    let outcome = outcome.unwrap_or_else(|_| Err(Kind::Timeout.into()));
    let failed = outcome.as_ref().err().map(|failure| failure.kind);
    shared.tally.borrow_mut().end(ticket.due.unwrap_or(begun), Instant::now(), outcome);
    failed
}

/// A connection with what is used again from one request to the next.
struct Line {
    socket: Option<Box<dyn Socket>>,
    request: Request,
    reply: Reply,
    buffer: Box<[u8]>,
}

impl Line {
    /// Sends the n-th request and reads its reply. A connection that was kept may be closed before it comes to be used
    /// again: then the request goes over a new one.
    async fn exchange(&mut self, dialer: &Dialer, n: u64) -> Result<Answer, Failure> {
        if let Some(kept) = self.socket.take() {
            match self.over(kept, n).await {
                Err(Failure { kind: Kind::NoReply, .. }) => {}
                outcome => return outcome,
            }
        }
        let fresh = dialer.connect().await.map_err(|error| Failure::new(Kind::Connect, error))?;
        self.over(fresh, n).await
    }

    /// The socket comes back only with a reply that was read to its end: after anything else it is closed.
    async fn over(&mut self, mut socket: Box<dyn Socket>, n: u64) -> Result<Answer, Failure> {
        self.reply.reset();
        // An error shows again where the reply is read, which may be there all the same: a refusal before the body.
        let sent = socket.write_all(self.request.numbered(n)).await;
        let sent = if sent.is_ok() { socket.flush().await } else { sent };
        loop {
            let read = socket.read(&mut self.buffer).await.unwrap_or(0);
            if read == 0 {
                return self.reply.closed();
            }
            if self.reply.take(&self.buffer[..read], std::time::Instant::now())? {
                break;
            }
        }
        if sent.is_ok() && self.reply.keeps_the_connection() {
            self.socket = Some(socket);
        }
        self.reply.answer()
    }
}
