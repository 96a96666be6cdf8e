//! A provider that does what the path says, over HTTP/1.1 and HTTP/2.

mod h1;
mod h2;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::AbortHandle,
    time::{Interval, MissedTickBehavior, interval_at},
};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The space between two events of a stream.
pub(crate) const GAP: Duration = Duration::from_millis(20);

/// What is written over and over by [`Behaviour::Flood`], a token's worth.
const FLOOD: [u8; 150] = [b'x'; 150];

/// What to do, as the path of a request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    /// Read the body, answer `ok`.
    Ok,
    /// Read the body, count it, answer with the count.
    Count,
    /// Answer with this many bytes.
    Bytes(u64),
    /// This many events, [`GAP`] apart, each with the time of its writing.
    Events(u64),
    /// Answer with this number.
    Echo(u64),
    /// A numbered stream of numbered events.
    Told(Told),
    /// Write without end.
    Flood,
    /// Never answer; mark when the request is here and when its sender is gone.
    Hang(u64),
    /// One event, then nothing; marks as [`Behaviour::Hang`].
    HangMidStream(u64),
    /// Leave the body unread; marks as [`Behaviour::Hang`].
    HangUploading(u64),
}

impl Behaviour {
    fn of(path: &str) -> Self {
        let mut parts = path.trim_start_matches("/v1/").split('/');
        let word = parts.next().unwrap_or_default();
        let mut number = || parts.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        if word == "told" {
            return Self::Told(Told { id: number(), events: number(), gap: Duration::from_millis(number().max(1)) });
        }
        let number = number();
        match word {
            "echo" => Self::Echo(number),
            "ok" => Self::Ok,
            "count" => Self::Count,
            "bytes" => Self::Bytes(number),
            "events" => Self::Events(number),
            "flood" => Self::Flood,
            "hang" => Self::Hang(number),
            "hang-mid-stream" => Self::HangMidStream(number),
            "hang-uploading" => Self::HangUploading(number),
            other => panic!("no behaviour is called {other}"),
        }
    }
}

/// A stream whose every byte its client knows beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) id: u64,
    /// How many events; 0 for as many as there is time for until [`Seen::finish`].
    pub(crate) events: u64,
    pub(crate) gap: Duration,
}

impl Told {
    /// The event of this number.
    pub(crate) fn event(id: u64, number: u64, last: bool) -> String {
        format!("data: {{\"id\":{id},\"event\":{number},\"last\":{last}}}\n\n")
    }

    fn is_last(&self, number: u64, seen: &Seen) -> bool {
        if self.events == 0 { seen.finishing.load(Relaxed) } else { number + 1 == self.events }
    }
}

/// One exchange that a client leaves.
pub(crate) struct Mark {
    pub(crate) reached: Semaphore,
    gone: Semaphore,
    at: Mutex<Option<Instant>>,
}

impl Mark {
    /// When the provider saw that its peer was gone; `None` if it never does.
    pub(crate) async fn gone(&self) -> Option<Instant> {
        let _seen = tokio::time::timeout(Duration::from_secs(10), self.gone.acquire()).await.ok()?;
        *self.at.lock().expect("no one panics with it")
    }

    fn is_gone(&self) {
        *self.at.lock().expect("no one panics with it") = Some(Instant::now());
        self.gone.add_permits(1);
    }
}

/// What the provider has seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    pub(crate) ended: AtomicUsize,
    /// Bytes written by every [`Behaviour::Flood`].
    pub(crate) flooded: AtomicU64,
    marks: Mutex<HashMap<u64, Arc<Mark>>>,
    /// Behind each key, how late the latest request that came with it was begun; see [`now`].
    keys: Mutex<HashMap<String, u64>>,
    finishing: AtomicBool,
}

impl Seen {
    /// Lets streams end that have no number of events.
    pub(crate) fn finish(&self) {
        self.finishing.store(true, Relaxed);
    }

    /// When the latest request that came with this key was begun by its client.
    pub(crate) fn latest_with(&self, key: &str) -> Option<u64> {
        self.keys.lock().expect("no one panics with it").get(key).copied()
    }

    /// A request whose number is the time of its beginning came with these credentials.
    fn came(&self, behaviour: Behaviour, authorization: Option<&str>) {
        let (Behaviour::Echo(begun) | Behaviour::Told(Told { id: begun, .. })) = behaviour else { return };
        let Some(key) = authorization.and_then(|value| value.strip_prefix("Bearer ")) else { return };
        let mut keys = self.keys.lock().expect("no one panics with it");
        match keys.get_mut(key) {
            Some(latest) => *latest = begun.max(*latest),
            None => drop(keys.insert(key.to_owned(), begun)),
        }
    }

    /// The exchange of this number, from whichever side it is asked for first.
    pub(crate) fn mark(&self, number: u64) -> Arc<Mark> {
        let mut marks = self.marks.lock().expect("no one panics with it");
        let fresh = || Arc::new(Mark { reached: Semaphore::new(0), gone: Semaphore::new(0), at: Mutex::default() });
        Arc::clone(marks.entry(number).or_insert_with(fresh))
    }
}

/// A running provider; dropping it lets no more connections in.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    accepting: AbortHandle,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Provider {
    pub(crate) async fn h1() -> Self {
        Self::start(|stream, seen| drop(tokio::spawn(h1::converse(stream, seen)))).await
    }

    /// One that allows `streams` at once on each connection.
    pub(crate) async fn h2(streams: u32) -> Self {
        Self::start(move |stream, seen| drop(tokio::spawn(h2::converse(stream, streams, seen)))).await
    }

    async fn start(converse: impl Fn(tokio::net::TcpStream, Arc<Seen>) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a fresh socket takes options");
                shared.connections.fetch_add(1, Relaxed);
                converse(stream, Arc::clone(&shared));
            }
        });
        Self { address, seen, accepting: accepting.abort_handle() }
    }
}

/// The bench's own clock: nanoseconds since its start.
pub(crate) fn now() -> u64 {
    START.elapsed().as_nanos() as u64
}

/// Beats of [`GAP`]. One that comes late moves those behind it: two events are never closer than that.
fn beats() -> Interval {
    beats_of(GAP)
}

fn beats_of(gap: Duration) -> Interval {
    let mut beats = interval_at(tokio::time::Instant::now() + gap, gap);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// An event of a token's size that says when it was written.
fn event() -> String {
    let pad = "x".repeat(120);
    format!("data: {{\"at\":{:020},\"pad\":\"{pad}\"}}\n\n", START.elapsed().as_nanos())
}

/// When the event was written, and how long ago that is.
pub(crate) fn age(event: &[u8]) -> Option<(Duration, Duration)> {
    let now = START.elapsed();
    let digits = event.strip_prefix(b"data: {\"at\":")?.get(..20)?;
    let written = Duration::from_nanos(std::str::from_utf8(digits).ok()?.parse().ok()?);
    Some((written, now.saturating_sub(written)))
}
