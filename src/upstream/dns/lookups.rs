//! The end of a resolver that runs on the control thread: a task for each name, which asks for it when that is due.

use std::{
    fmt, io,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use tokio::sync::mpsc;

use super::{
    Known, Name, Names, TOO_OLD, UNANSWERED,
    source::{Found, Source},
};
use crate::config;

/// When a look-up counts as failed, however many servers and search domains are left to ask.
const GIVE_UP: Duration = Duration::from_secs(10);

/// Looks names up. Run it on the control thread.
pub struct Lookups {
    pub(super) names: Names,
    pub(super) new: mpsc::UnboundedReceiver<Arc<Name>>,
    pub(super) settings: config::Dns,
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookups")
    }
}

impl Lookups {
    /// Answers until every [`super::Resolver`] is gone. Run it inside a local set or runtime.
    pub async fn run(mut self) {
        let settings = Rc::new(self.settings);
        // Where providers are addresses, nobody is ever asked.
        let mut source = None;
        while let Some(name) = self.new.recv().await {
            let source = source.get_or_insert_with(|| Rc::new(Source::new(&settings)));
            tokio::task::spawn_local(keep(name, self.names.clone(), Rc::clone(source), Rc::clone(&settings)));
        }
    }
}

/// Keeps what is known of a name up to date while it is in use, until nobody has wanted it for [`TOO_OLD`].
async fn keep(name: Arc<Name>, names: Names, source: Rc<Source>, settings: Rc<config::Dns>) {
    loop {
        name.known.send_modify(|known| known.asking = Some(Instant::now()));
        let found = tokio::time::timeout(GIVE_UP, source.look_up(&name.host)).await;
        let found = found.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no name server answered in time")));
        let mut told = None;
        name.known.send_modify(|known| {
            told = known.settle(found, &settings, Instant::now());
        });
        // Whoever wanted this has it now: it is not asked for once more.
        let _ = name.wanted.notified().now_or_never();
        if let Some(failure) = told {
            tracing::warn!(name = %name.host, error = %failure, "a name could not be looked up; its last addresses serve on");
        }
        let until = name.known.borrow().until;
        if let Some(until) = until {
            tokio::time::sleep_until(until.into()).await;
        }
        // A name without an answer is asked for when somebody wants it, and not before.
        if until.is_some() && name.known.receiver_count() > 0 {
            continue;
        }
        while tokio::time::timeout(TOO_OLD, name.wanted.notified()).await.is_err() {
            let mut names = names.lock();
            if name.known.receiver_count() == 0 && Arc::strong_count(&name) <= 2 {
                names.remove(&name.host);
                return;
            }
        }
    }
}

impl Known {
    /// Takes in what a look-up found. A failure leaves the last good answer, and is returned when it is the first behind one.
    pub(super) fn settle(&mut self, found: io::Result<Found>, settings: &config::Dns, now: Instant) -> Option<Arc<io::Error>> {
        self.asking = None;
        self.ended += 1;
        match found.and_then(|found| self.merge(found)) {
            Ok((addresses, ttl)) => {
                let ttl = ttl.clamp(settings.min_ttl.0, settings.max_ttl.0.max(settings.min_ttl.0));
                *self = Self { addresses: Some(addresses), until: Some(now + ttl), since: Some(now), ended: self.ended, ..Self::default() };
                None
            }
            Err(failure) => {
                let failure = Arc::new(failure);
                let is_first = self.failure.replace(Arc::clone(&failure)).is_none();
                if self.since.is_none_or(|since| now.saturating_duration_since(since) >= TOO_OLD) {
                    (self.addresses, self.until, self.unanswered) = (None, None, Some(now + UNANSWERED));
                    return None;
                }
                self.until = Some(now + settings.min_ttl.0);
                Some(failure).filter(|_| is_first)
            }
        }
    }

    /// The addresses found. Those of a family that could not be asked for stay as they were: a lost packet must not close
    /// half of all connections.
    fn merge(&self, found: Found) -> io::Result<(Arc<[IpAddr]>, Duration)> {
        let Found { mut addresses, ttl, lacks } = found;
        if let Some(family) = lacks {
            let last = self.addresses.iter().flat_map(|last| last.iter());
            addresses.extend(last.filter(|ip| family.holds(**ip)));
        }
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok((addresses.into(), ttl))
    }
}
