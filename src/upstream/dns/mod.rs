//! Names to addresses. Look-ups run on the control thread; workers share what is known and never wait for a look-up that
//! they can do without.
//!
//! An answer counts for its time to live. A name that is in use is asked for again when that has passed, so that nobody waits
//! for it. While a look-up fails, finds nothing or hangs, the last good answer is served on (RFC 8767): an outage of the name
//! server is no outage of the provider.

mod lookups;
mod source;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc, watch};

pub use lookups::Lookups;

use crate::config;

/// How long whoever asks waits for a new answer before an old one serves. RFC 8767 §5 would wait 1.8 s; a request is dearer.
const OVERDUE: Duration = Duration::from_millis(500);

/// An answer older than this serves nobody any more (RFC 8767 §5: one to three days).
const TOO_OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it counts that a name has no answer (RFC 9520 §3.2: at least so long). Else a flood of requests would be a flood of
/// questions.
const UNANSWERED: Duration = Duration::from_secs(1);

/// The most names that are known at once. They come from the config.
const MAX_NAMES: usize = 1_024;

/// What is known of a name.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The last good answer.
    addresses: Option<Arc<[IpAddr]>>,
    /// Until when it counts.
    until: Option<Instant>,
    /// When it was given.
    since: Option<Instant>,
    /// Why the last look-up gave none.
    failure: Option<Arc<io::Error>>,
    /// Until when that counts, where there is no answer at all.
    unanswered: Option<Instant>,
    /// How many look-ups have ended.
    ended: u64,
    /// Since when one is under way.
    asking: Option<Instant>,
}

/// What one who asks is told.
#[derive(Debug)]
enum Word {
    Serve(Arc<[IpAddr]>),
    Fail(Arc<io::Error>),
    /// Look again when something changes, at the latest then.
    Wait(Option<Instant>),
}

impl Known {
    /// What it says to one who came at `came`, when `joined` look-ups had ended.
    fn word(&self, joined: u64, came: Instant, now: Instant) -> Word {
        if let Some((addresses, until)) = self.addresses.as_ref().zip(self.until) {
            let patience = self.asking.unwrap_or(came) + OVERDUE;
            // In use it is being asked for just now: that does not make it worse at once.
            if now < until + OVERDUE || self.ended > joined || now >= patience {
                return Word::Serve(Arc::clone(addresses));
            }
            return Word::Wait(Some(patience));
        }
        match &self.failure {
            Some(failure) if self.ended > joined || self.is_unanswered(now) => Word::Fail(Arc::clone(failure)),
            _ => Word::Wait(None),
        }
    }

    fn is_unanswered(&self, now: Instant) -> bool {
        self.unanswered.is_some_and(|until| now < until)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

/// One name, shared by those who ask and the task that looks it up.
struct Name {
    host: Box<str>,
    known: watch::Sender<Known>,
    /// Somebody wants an answer that is not there.
    wanted: Notify,
}

#[derive(Clone, Default)]
struct Names(Arc<Mutex<HashMap<Box<str>, Arc<Name>>>>);

impl Names {
    /// It holds whole entries only: a panic elsewhere breaks nothing here.
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Name>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for addresses from any thread.
#[derive(Clone)]
pub struct Resolver {
    names: Names,
    new: mpsc::UnboundedSender<Arc<Name>>,
    drain: bool,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

/// A resolver and the part of it that does the work.
#[must_use]
pub fn resolver(settings: config::Dns) -> (Resolver, Lookups) {
    let (new, asked) = mpsc::unbounded_channel();
    let names = Names::default();
    (Resolver { names: names.clone(), new, drain: settings.drain }, Lookups { names, new: asked, settings })
}

impl Resolver {
    /// The addresses of `host`, at once where they are known or `host` is an address itself.
    ///
    /// # Errors
    ///
    /// If the name has no address and had none lately.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let addresses = self.ask(&*self.name(host)?).await?;
        Ok(addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
    }

    /// Follows the addresses of `host`, which keeps it in use. `None` where it is an address itself.
    #[must_use]
    pub fn follow(&self, host: &str) -> Option<Following> {
        if host.parse::<IpAddr>().is_ok() {
            return None;
        }
        Some(Following { known: self.name(host).ok()?.known.subscribe(), drain: self.drain })
    }

    async fn ask(&self, name: &Name) -> io::Result<Arc<[IpAddr]>> {
        let mut known = name.known.subscribe();
        let came = Instant::now();
        let joined = {
            let known = known.borrow();
            // One look-up serves all who wait.
            if !known.is_fresh(came) && !known.is_unanswered(came) && known.asking.is_none() {
                name.wanted.notify_one();
            }
            known.ended
        };
        loop {
            let word = known.borrow_and_update().word(joined, came, Instant::now());
            match word {
                Word::Serve(addresses) => return Ok(addresses),
                Word::Fail(failure) => return Err(io::Error::new(failure.kind(), failure)),
                Word::Wait(None) => known.changed().await.map_err(io::Error::other)?,
                Word::Wait(Some(patience)) => {
                    // Either way, look again.
                    drop(tokio::time::timeout_at(patience.into(), known.changed()).await);
                }
            }
        }
    }

    fn name(&self, host: &str) -> io::Result<Arc<Name>> {
        let mut names = self.names.lock();
        if let Some(name) = names.get(host) {
            return Ok(Arc::clone(name));
        }
        if names.len() >= MAX_NAMES {
            return Err(io::Error::other("too many names are in use"));
        }
        let name = Arc::new(Name { host: host.into(), known: watch::Sender::default(), wanted: Notify::new() });
        self.new.send(Arc::clone(&name)).map_err(|_| io::Error::other("the resolver has ended"))?;
        names.insert(host.into(), Arc::clone(&name));
        Ok(name)
    }
}

/// Hears of each new answer for a name.
#[derive(Debug)]
pub struct Following {
    known: watch::Receiver<Known>,
    drain: bool,
}

impl Following {
    /// The addresses of the next answer. Never, where connections are not to follow them.
    ///
    /// Cancel: nothing is lost.
    pub async fn next(&mut self) -> Arc<[IpAddr]> {
        while self.known.changed().await.is_ok() {
            let known = self.known.borrow_and_update();
            if self.drain
                && let Some(addresses) = known.addresses.as_ref().filter(|_| known.asking.is_none())
            {
                return Arc::clone(addresses);
            }
        }
        std::future::pending().await
    }
}
