//! SIGTERM with 500 streams open and steady traffic: nothing may be cut inside the grace, and what outlasts it must be cut visibly.

use std::{
    net::SocketAddr,
    process::ExitStatus,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{net::TcpStream, task::JoinHandle, time::sleep};

use crate::{
    admin::Admin,
    figures::Table,
    process::{Process, Signal},
    provider::Provider,
    sidegate::{free_port, program},
    traffic::{Goal, Kind, Stream, Tallies, Traffic},
};

/// Streams over HTTP/1.1, and over so many connections of HTTP/2 so many each.
const STREAMS: usize = 300;
const LANES: (usize, usize) = (10, 20);
const ALL: usize = STREAMS + LANES.0 * LANES.1;
const GAP: Duration = Duration::from_millis(100);
/// The readiness probe's pace, and how soon it must see a drain.
const PROBE: Duration = Duration::from_millis(5);
/// What a cut and the process's end may take behind the deadline.
const SLACK: Duration = Duration::from_secs(3);

pub(crate) async fn prove(table: &mut Table) {
    let delay = Duration::from_secs(3);
    let shape = Shape { delay, timeout: Duration::from_secs(25), events: 60..120, signal: Signal::TERM, again: None };
    let grace = run(&shape).await;
    within_the_grace(table, &shape, &grace);
    let shape = Shape { delay: Duration::from_secs(1), timeout: Duration::from_secs(4), events: 0..1, signal: Signal::TERM, again: None };
    let cut = run(&shape).await;
    beyond_the_grace(table, &shape, &cut);
    let again = Some(Duration::from_secs(1));
    let shape = Shape { delay, timeout: Duration::from_secs(25), events: 0..1, signal: Signal::TERM, again };
    let insisted = run(&shape).await;
    insisting(table, &shape, &insisted);
    let shape = Shape { delay, timeout: Duration::from_secs(25), events: 60..120, signal: Signal::KILL, again: None };
    control(table, &run(&shape).await);
}

/// One drain.
struct Shape {
    delay: Duration,
    /// From the signal on.
    timeout: Duration,
    /// How many events each stream has.
    events: std::ops::Range<u64>,
    signal: Signal,
    /// SIGTERM once more, so long behind the first.
    again: Option<Duration>,
}

/// What was seen of one.
struct Drained {
    tallies: Tallies,
    /// Streams open when the signal came.
    open: usize,
    signalled: Instant,
    readiness: Option<Duration>,
    /// The first connection that was refused.
    refused: Option<Duration>,
    ended: Option<(Duration, ExitStatus)>,
    stdout: String,
    stderr: String,
}

async fn run(shape: &Shape) -> Drained {
    let (folder, provider) = (tempfile::tempdir().expect("a temporary directory"), Provider::h1().await);
    let (listen, admin) = (free_port(), free_port());
    let mut process = start(&folder, provider.address, (listen, admin), shape).await;
    let mut traffic = Traffic::leaves_when_refused(Goal { h1: listen, h2: listen, prefixes: &["/v1"] });
    traffic.streams(STREAMS, LANES, &Stream { events: shape.events.clone(), gap: GAP, again: false });
    let deadline = Instant::now() + Duration::from_secs(10);
    while traffic.open() < ALL && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
    }
    traffic.fresh(8, 5..25);
    traffic.kept(16, 16, 5..45);
    sleep(Duration::from_secs(1)).await;

    let open = traffic.open();
    let signalled = Instant::now();
    let (readiness, listener) = (watch_readiness(admin), watch_listener(listen));
    process.signal(shape.signal);
    if let Some(pause) = shape.again {
        sleep(pause).await;
        process.signal(Signal::TERM);
    }
    let status = process.ends_within(shape.timeout + SLACK).await;
    let ended = status.map(|status| (signalled.elapsed(), status));
    let after = |at: Option<Instant>| at.map(|at| at.duration_since(signalled));
    let readiness = after(readiness.await.expect("the probe does not panic"));
    let refused = after(listener.await.expect("the probe does not panic"));
    let tallies = traffic.stop(&[&provider]).await;
    let (stdout, stderr) = (process.written("stdout"), process.written("stderr"));
    Drained { tallies, open, signalled, readiness, refused, ended, stdout, stderr }
}

async fn start(folder: &TempDir, provider: SocketAddr, (listen, admin): (SocketAddr, SocketAddr), shape: &Shape) -> Process {
    let text = format!(
        "listen: {{ address: \"{listen}\" }}\nadmin: {{ address: \"{admin}\" }}\n\
         drain: {{ delay: {}ms, timeout: {}ms }}\n\
         providers:\n  scripted:\n    base_url: http://{provider}/v1\n    keys: [{{ value: sk-of-the-pool, name: only }}]\n\
         routes:\n  - {{ path: /v1, targets: [scripted] }}\n",
        shape.delay.as_millis(),
        shape.timeout.as_millis()
    );
    let file = folder.path().join("proxy.yaml");
    std::fs::write(&file, text).expect("a config file");
    let words = [&program(), "--config", &file.to_string_lossy()].map(str::to_owned);
    let mut process = Process::start(&words, folder.path(), true);
    process.listens_at(listen).await;
    process
}

/// When readiness was first seen to fail by an answer; nothing if the process ended before that.
fn watch_readiness(admin: SocketAddr) -> JoinHandle<Option<Instant>> {
    tokio::spawn(async move {
        let mut admin = Admin::at(admin);
        loop {
            match admin.ask("GET", "/readyz").await {
                Ok((503, _)) => return Some(Instant::now()),
                Ok(_) => sleep(PROBE).await,
                Err(_) => return None,
            }
        }
    })
}

/// When the first connection was refused. These connections say nothing.
fn watch_listener(listen: SocketAddr) -> JoinHandle<Option<Instant>> {
    tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let begun = Instant::now();
            if TcpStream::connect(listen).await.is_err() {
                return Some(begun);
            }
            sleep(PROBE).await;
        }
        None
    })
}

fn within_the_grace(table: &mut Table, shape: &Shape, drained: &Drained) {
    course(table, shape, drained);
    for kind in [Kind::Stream, Kind::StreamH2] {
        let tally = drained.tallies.of(kind);
        let (lost, all) = (tally.losses.len(), tally.sent());
        table.hold(format!("{}: truncated, of {all} open at SIGTERM", kind.name()), lost, "0", lost == 0);
        if lost > 0 {
            table.tell(format!("{}: why", kind.name()), tally.reasons());
        }
    }
    exit(table, drained, 0, shape.timeout);
}

/// Readiness first, then the listener; and no request lost that could reach it.
fn course(table: &mut Table, shape: &Shape, drained: &Drained) {
    table.hold("streams open at SIGTERM", drained.open, format!("{ALL}"), drained.open == ALL);
    let ms = |at: Option<Duration>| at.map_or("never".to_owned(), |at| format!("{:.1} ms", at.as_secs_f64() * 1e3));
    let first = drained.readiness.is_some_and(|ready| drained.refused.is_none_or(|refused| ready < refused));
    table.hold("until /readyz answers 503", ms(drained.readiness), "before anything is refused", first);
    // A clock that is read behind the signal's sending reads a little late, never early.
    let late = drained.refused.is_some_and(|refused| refused >= shape.delay);
    let bar = format!("not before {} ms", shape.delay.as_millis());
    table.hold("until a connection is refused", ms(drained.refused), bar, late);
    for kind in [Kind::Fresh, Kind::Kept, Kind::KeptH2] {
        let tally = drained.tallies.of(kind);
        let early = tally.refused.iter().filter(|begun| begun.duration_since(drained.signalled) < shape.delay).count();
        let lost = tally.losses.len() + early;
        table.hold(format!("{}: lost, of {}", kind.name(), tally.sent()), lost, "0", lost == 0 && tally.sent() > 0);
        if !tally.losses.is_empty() {
            table.tell(format!("{}: why", kind.name()), tally.reasons());
        }
        for loss in tally.losses.iter().take(3) {
            let after = loss.begun.saturating_duration_since(drained.signalled);
            table.tell("a loss, and when it was begun behind SIGTERM", format!("{}, {:.1} ms", loss.why, after.as_secs_f64() * 1e3));
        }
    }
}

fn beyond_the_grace(table: &mut Table, shape: &Shape, drained: &Drained) {
    table.tell(format!("streams without end, `drain.timeout` {} s", shape.timeout.as_secs()), drained.open);
    cut(table, drained);
    exit(table, drained, 1, shape.timeout + SLACK);
}

/// Every open stream ends in a way that its reader can tell from a whole one, and is told of.
fn cut(table: &mut Table, drained: &Drained) {
    let both = [Kind::Stream, Kind::StreamH2].map(|kind| drained.tallies.of(kind));
    let seen: usize = both.iter().flat_map(|tally| &tally.losses).filter(|loss| loss.why.starts_with("truncated")).count();
    table.hold("streams cut visibly", seen, format!("all {ALL}"), seen == ALL && drained.open == ALL);
    if seen != ALL {
        both.iter().for_each(|tally| table.tell("why", tally.reasons()));
    }
    let lines = drained.stdout.lines().filter(|line| line.contains("\"end\":\"truncated\"") && line.contains("/told/")).count();
    table.hold("lines of the access log that say `truncated`", lines, format!("{ALL}"), lines == ALL);
    let said = drained.stderr.lines().find(|line| line.contains("cut what was still running"));
    table.hold("the log says how many were cut", said.is_some(), "true", said.is_some());
}

fn insisting(table: &mut Table, shape: &Shape, drained: &Drained) {
    let pause = shape.again.unwrap_or_default();
    table.tell(format!("a second SIGTERM {} s behind the first, streams open", pause.as_secs()), drained.open);
    cut(table, drained);
    exit(table, drained, 1, pause + Duration::from_secs(2));
}

/// The same clients before a process that is killed: they must see it, or they see nothing.
fn control(table: &mut Table, drained: &Drained) {
    let lost = |kinds: &[Kind]| kinds.iter().map(|kind| drained.tallies.of(*kind).losses.len()).sum::<usize>();
    let (streams, requests) = (lost(&[Kind::Stream, Kind::StreamH2]), lost(&[Kind::Fresh, Kind::Kept, Kind::KeptH2]));
    table.hold("SIGKILL instead: streams lost", streams, format!("all {ALL}"), streams == ALL);
    table.hold("SIGKILL instead: other requests lost", requests, "> 0", requests > 0);
}

fn exit(table: &mut Table, drained: &Drained, wanted: i32, limit: Duration) {
    let code = drained.ended.and_then(|(_, status)| status.code());
    let figure = code.map_or("none".to_owned(), |code| code.to_string());
    table.hold("exit code", figure, wanted.to_string(), code == Some(wanted));
    let after = drained.ended.map(|(after, _)| after);
    let figure = after.map_or("never".to_owned(), |after| format!("{:.2} s", after.as_secs_f64()));
    let bar = format!("≤ {} s", limit.as_secs());
    table.hold("from SIGTERM to the process's end", figure, bar, after.is_some_and(|after| after <= limit));
}
