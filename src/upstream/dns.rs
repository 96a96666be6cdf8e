//! Names to addresses. Look-ups run on the control thread; workers ask over a channel and share one cache.
//!
//! The system's resolver says no time to live, so an answer counts for [`FRESH`]. When a later look-up fails, the
//! last good answer is served on, and so it is while one hangs: an outage of the resolver is no outage of the provider.

use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

/// How long an answer counts before it is asked for again.
const FRESH: Duration = Duration::from_secs(30);

/// How long whoever asks again waits for the answer before the last good one serves.
const OVERDUE: Duration = Duration::from_millis(500);

type Answer = Result<Arc<[IpAddr]>, Arc<io::Error>>;

#[derive(Default)]
struct Name {
    answer: Option<(Arc<[IpAddr]>, Instant)>,
    waiting: Vec<oneshot::Sender<Answer>>,
}

type Names = Arc<Mutex<HashMap<Box<str>, Name>>>;

/// An answer under way, and the last good one.
#[derive(Debug)]
struct Asked {
    answer: oneshot::Receiver<Answer>,
    last: Option<Arc<[IpAddr]>>,
}

/// Asks for addresses from any thread.
#[derive(Clone, Debug)]
pub struct Resolver {
    names: Names,
    ask: mpsc::UnboundedSender<Box<str>>,
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.answer)
    }
}

/// The other end of a [`Resolver`], run on the control thread.
#[derive(Debug)]
pub struct Lookups {
    names: Names,
    asked: mpsc::UnboundedReceiver<Box<str>>,
}

/// A resolver and the part of it that does the work.
#[must_use]
pub fn resolver() -> (Resolver, Lookups) {
    let (ask, asked) = mpsc::unbounded_channel();
    let names = Names::default();
    (Resolver { names: Arc::clone(&names), ask }, Lookups { names, asked })
}

/// The map holds answers and waiters only: it is whole after a panic elsewhere.
fn lock(names: &Names) -> MutexGuard<'_, HashMap<Box<str>, Name>> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resolver {
    /// The addresses of `host`, at once where they are known or `host` is an address itself.
    ///
    /// # Errors
    ///
    /// If the name has no address and never had one.
    pub async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let answer = match self.known_or_ask(host, Instant::now()) {
            Ok(known) => Ok(known),
            Err(Asked { answer, last: None }) => answer.await.map_err(|_| io::Error::other("the resolver has ended"))?,
            Err(Asked { answer, last: Some(last) }) => match tokio::time::timeout(OVERDUE, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) | Err(_) => Ok(last),
            },
        };
        answer.map(|ips| ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect()).map_err(|error| io::Error::new(error.kind(), error))
    }

    /// An answer that counts, or the one that was asked for. Where one is overdue already nobody else waits for it.
    fn known_or_ask(&self, host: &str, now: Instant) -> Result<Arc<[IpAddr]>, Asked> {
        let mut names = lock(&self.names);
        let name = match names.entry(host.into()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Name::default()),
        };
        if let Some((ips, since)) = &name.answer
            && (now.duration_since(*since) < FRESH || !name.waiting.is_empty())
        {
            return Ok(Arc::clone(ips));
        }
        let last = name.answer.as_ref().map(|(ips, _)| Arc::clone(ips));
        let (tell, answer) = oneshot::channel();
        name.waiting.push(tell);
        // One look-up serves all who wait for the same name.
        if name.waiting.len() == 1 {
            drop(self.ask.send(host.into()));
        }
        Err(Asked { answer, last })
    }
}

impl Lookups {
    /// Answers until every [`Resolver`] is gone. Run it inside a local set or runtime.
    pub async fn run(mut self) {
        while let Some(host) = self.asked.recv().await {
            let names = Arc::clone(&self.names);
            tokio::task::spawn_local(async move {
                let found = tokio::net::lookup_host((&*host, 0)).await.map(|found| found.map(|address| address.ip()).collect::<Vec<_>>());
                let found = match found {
                    Ok(ips) if ips.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
                    found => found,
                };
                settle(&names, &host, found, Instant::now());
            });
        }
    }
}

/// Remembers a good answer, falls back to the last good one otherwise, and tells everyone who waits.
fn settle(names: &Names, host: &str, found: io::Result<Vec<IpAddr>>, now: Instant) {
    let mut names = lock(names);
    let Some(name) = names.get_mut(host) else { return };
    let answer: Answer = match (found, &name.answer) {
        (Ok(ips), _) => Ok(ips.into()),
        (Err(_), Some((last, _))) => Ok(Arc::clone(last)),
        (Err(error), None) => Err(Arc::new(error)),
    };
    if let Ok(ips) = &answer {
        name.answer = Some((Arc::clone(ips), now));
    }
    for waiting in std::mem::take(&mut name.waiting) {
        drop(waiting.send(answer.clone()));
    }
    if answer.is_err() {
        names.remove(host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "provider.test";

    #[test]
    fn one_look_up_serves_all_who_wait_and_a_failure_serves_the_last_good_answer() {
        let (resolver, mut lookups) = resolver();
        let start = Instant::now();
        let mut first = resolver.known_or_ask(HOST, start).unwrap_err().answer;
        let mut second = resolver.known_or_ask(HOST, start).unwrap_err().answer;
        assert_eq!(&*lookups.asked.try_recv().unwrap(), HOST);
        assert!(lookups.asked.try_recv().is_err(), "asked twice");

        let ip: IpAddr = "192.0.2.1".parse().unwrap();
        settle(&resolver.names, HOST, Ok(vec![ip]), start);
        assert_eq!(*first.try_recv().unwrap().unwrap(), [ip]);
        assert_eq!(*second.try_recv().unwrap().unwrap(), [ip]);
        assert_eq!(*resolver.known_or_ask(HOST, start + FRESH / 2).unwrap(), [ip]);

        let mut later = resolver.known_or_ask(HOST, start + FRESH).unwrap_err().answer;
        settle(&resolver.names, HOST, Err(io::ErrorKind::TimedOut.into()), start + FRESH);
        assert_eq!(*later.try_recv().unwrap().unwrap(), [ip], "stale is better than nothing");
    }

    #[tokio::test]
    async fn a_look_up_that_hangs_hides_no_answer() {
        let (resolver, mut lookups) = resolver();
        let stale = Instant::now().checked_sub(FRESH).unwrap();
        drop(resolver.known_or_ask(HOST, stale));
        settle(&resolver.names, HOST, Ok(vec!["192.0.2.1".parse().unwrap()]), stale);
        lookups.asked.try_recv().unwrap();

        let known: SocketAddr = "192.0.2.1:443".parse().unwrap();
        assert_eq!(resolver.resolve(HOST, 443).await.unwrap(), [known], "after a while");
        assert_eq!(*resolver.known_or_ask(HOST, Instant::now()).unwrap(), [known.ip()], "at once");
        assert!(lookups.asked.try_recv().is_ok(), "not asked");
        assert!(lookups.asked.try_recv().is_err(), "asked twice");
    }

    #[test]
    fn a_name_that_never_had_an_address_is_an_error_and_is_forgotten() {
        let (resolver, _lookups) = resolver();
        let mut asked = resolver.known_or_ask(HOST, Instant::now()).unwrap_err().answer;
        settle(&resolver.names, HOST, Err(io::ErrorKind::NotFound.into()), Instant::now());
        assert!(asked.try_recv().unwrap().is_err());
        assert!(lock(&resolver.names).is_empty());
    }
}
