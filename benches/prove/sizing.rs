//! What so many users take of a machine: processor, memory, descriptors and connections, and whether the sizes that are recommended
//! for them have room.
//!
//! A **user** asks for a chat every 20 seconds: a prompt of about a thousand tokens, and a reply of 300 events, 20 ms apart, over HTTP/1.1.
//! So a reply takes a little more than 6 seconds, and three of ten users are reading one at any time. Each has a connection of its own,
//! which is kept. The provider is reached by TLS, and every policy is on but the cache, whose size is the operator's choice.

use std::{
    fs, io,
    net::SocketAddr,
    ops::{AddAssign, Range},
    time::Duration,
};

use memchr::memmem;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until, timeout},
};

use crate::{
    admin::Admin,
    client::H1,
    figures::{Table, mib},
    flag,
    process::Process,
    rig::counted,
    sidegate::{Sidegate, free_port, program},
};

/// From one request of a user to the next.
const TURN: Duration = Duration::from_secs(20);
/// How the simulated provider replies, which is a process of its own.
const REPLIES: [&str; 6] = ["--first-token", "300ms", "--tokens-per-second", "50", "--length", "300"];
/// Bytes of a prompt, about four a token.
const PROMPT: usize = 4 << 10;
/// How long a user waits for all of a reply.
const PATIENCE: Duration = Duration::from_secs(60);

/// What docs/scale.md recommends for so many users of one process: the request for processors, in thousandths of one, and for memory, in MiB.
const SIZES: [(usize, f64, u64); 3] = [(100, 150.0, 64), (500, 400.0, 128), (2_000, 1_000.0, 256)];

/// What remains of a request for processors is for bursts.
const CPU_HEADROOM: f64 = 1.5;

pub(crate) async fn prove(table: &mut Table) {
    let time = Duration::from_secs(flag("seconds", 60));
    let one = flag("users", 0);
    let sizes = if one == 0 { SIZES.map(|(users, ..)| users).to_vec() } else { vec![one] };
    for users in sizes {
        tell(table, users, &measure(users, time).await);
    }
}

/// What was seen of one size.
#[derive(Default)]
struct Measured {
    asked: Asked,
    seconds: f64,
    /// Before the first user.
    idle: u64,
    peak: u64,
    /// Thousandths of a processor, of each step.
    cpu: Vec<f64>,
    descriptors: f64,
    downstream: f64,
    upstream: f64,
    streams: Vec<f64>,
}

/// What users have asked and got.
#[derive(Clone, Copy, Default)]
struct Asked {
    whole: u64,
    events: u64,
    lost: u64,
}

impl AddAssign for Asked {
    fn add_assign(&mut self, more: Self) {
        self.whole += more.whole;
        self.events += more.events;
        self.lost += more.lost;
    }
}

async fn measure(users: usize, time: Duration) -> Measured {
    let folder = certified();
    let address = free_port();
    let _provider = provider(address, &folder).await;
    let sidegate = Sidegate::of("", &config(address, &folder)).await;
    let mut measured = Measured { idle: sidegate.process.resident(), ..Measured::default() };
    // All of them have come after one turn, and are in their ordinary places after another.
    let begun = Instant::now();
    let end = begun + TURN * 2 + time;
    let mut asking = JoinSet::new();
    for user in 0..users {
        let first = begun + TURN.mul_f64(user as f64 / users as f64);
        asking.spawn(live(sidegate.address, user, first, begun + TURN * 2..end));
    }
    sleep_until(begun + TURN * 2).await;
    sidegate.process.forget_peak();
    watch(&sidegate, time, &mut measured).await;
    measured.peak = sidegate.process.peak();
    for asked in asking.join_all().await {
        measured.asked += asked;
    }
    measured
}

/// Looks once in five seconds at what the process says of itself.
async fn watch(sidegate: &Sidegate, time: Duration, measured: &mut Measured) {
    let (mut admin, mut looks, begun) = (Admin::at(sidegate.admin), interval(Duration::from_secs(5)), Instant::now());
    looks.tick().await;
    let mut last = (Instant::now(), counted(&mut admin, "process_cpu_seconds_total").await);
    while begun.elapsed() + Duration::from_secs(4) < time {
        looks.tick().await;
        let now = (Instant::now(), counted(&mut admin, "process_cpu_seconds_total").await);
        measured.cpu.push(1e3 * (now.1 - last.1) / now.0.duration_since(last.0).as_secs_f64());
        last = now;
        measured.descriptors = measured.descriptors.max(counted(&mut admin, "process_open_fds").await);
        measured.downstream = measured.downstream.max(counted(&mut admin, "sidegate_downstream_connections").await);
        measured.upstream = measured.upstream.max(counted(&mut admin, "sidegate_upstream_connections").await);
        measured.streams.push(counted(&mut admin, "sidegate_streams_open").await);
    }
    sleep(time.saturating_sub(begun.elapsed())).await;
    measured.seconds = begun.elapsed().as_secs_f64();
}

/// A user from the first request to the end; what it asked in between counts.
async fn live(to: SocketAddr, user: usize, first: Instant, counts: Range<Instant>) -> Asked {
    sleep_until(first).await;
    let (mut connection, mut asked, mut next, mut turn) = (None, Asked::default(), first, 0);
    while next < counts.end {
        let outcome = timeout(PATIENCE, ask(to, &mut connection, user, turn)).await;
        let events = outcome.ok().and_then(Result::ok);
        if counts.contains(&next) {
            match events {
                Some(events) => asked += Asked { whole: 1, events, lost: 0 },
                None => asked.lost += 1,
            }
        }
        turn += 1;
        // Nobody is a metronome: up to a tenth sooner or later.
        next += TURN.mul_f64(0.9 + 0.2 * fastrand::f64());
        sleep_until(next).await;
    }
    asked
}

/// One chat; how many events it had.
async fn ask(to: SocketAddr, kept: &mut Option<H1>, user: usize, turn: u64) -> io::Result<u64> {
    let mut connection = match kept.take() {
        Some(connection) if !connection.is_closed() => connection,
        _ => H1::open(to).await?,
    };
    let prompt = format!("{user} {turn} {}", "word ".repeat(PROMPT / 5));
    let body = json!({ "model": "gpt-4o-mini", "stream": true, "messages": [{ "role": "user", "content": prompt }] }).to_string();
    let fields = format!("Authorization: Bearer sg-of-the-users\r\nX-Session-Id: user-{user}\r\n");
    connection.ask_with("POST", "/v1/chat/completions", &fields, &body).await?;
    let reply = connection.reply().await?;
    let (mut events, mut ended) = (0, false);
    while let Some(chunk) = connection.chunk().await? {
        events += memmem::find_iter(&chunk, b"data: ").count() as u64;
        ended |= memmem::find(&chunk, b"[DONE]").is_some();
    }
    if reply.status != 200 || !ended {
        return Err(io::ErrorKind::InvalidData.into());
    }
    *kept = Some(connection);
    Ok(events)
}

async fn provider(address: SocketAddr, folder: &TempDir) -> Process {
    let file = |name: &str| folder.path().join(name).display().to_string();
    let mut words = [&program(), "mock", "--listen", &address.to_string()].map(str::to_owned).to_vec();
    words.extend(["--certificate", &file("chain.pem"), "--key", &file("key.pem")].map(str::to_owned));
    words.extend(REPLIES.map(str::to_owned));
    let mut process = Process::start(&words, folder.path(), false);
    process.listens_at(address).await;
    process
}

fn config(provider: SocketAddr, folder: &TempDir) -> String {
    let (hash, roots) = (sidegate::config::KeyHash::of(b"sg-of-the-users"), folder.path().join("root.pem"));
    format!(
        r#"
providers:
  simulated:
    base_url: "https://{}/v1"
    tls: {{ roots: {} }}
    keys: [{{ value: sk-of-the-pool, requests: 100k/min, tokens: 100M/min }}, {{ value: sk-another-of-it, requests: 100k/min, tokens: 100M/min }}]
    queue: {{ concurrent: 5000 }}
routes: [{{ path: /v1, targets: [simulated] }}]
clients:
  anonymous: deny
  keys: [{{ name: web, tier: premium, sha256: {hash} }}]
  session: {{ header: x-session-id }}
limits:
  - {{ name: users, per: session, requests: 60/min, tokens: 100k/min, concurrent: 4 }}
  - {{ name: web, per: client, requests: 1M/min, burst: 1000000 }}
  - {{ name: spending, per: client, cost: 10000 USD/day }}
prices: {{}}
"#,
        provider,
        roots.display(),
    )
}

/// A certificate for this machine's loopback, its key, and the authority's.
fn certified() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    for (name, text) in [("chain.pem", certificate.pem()), ("key.pem", key.serialize_pem()), ("root.pem", issuer.pem())] {
        fs::write(folder.path().join(name), text).expect("a file in a folder of ours");
    }
    folder
}

fn tell(table: &mut Table, users: usize, measured: &Measured) {
    let what = |what: &str| format!("{users} users, {what}");
    let Asked { whole, events, lost } = measured.asked;
    let per_second = |count: u64| count as f64 / measured.seconds;
    table.hold(what("replies lost"), format!("{lost} of {}", whole + lost), "0", lost == 0 && whole > 0);
    table.tell(what("requests and events a second"), format!("{:.1}, {:.0}", per_second(whole), per_second(events)));
    table.tell(what("streams open, median"), format!("{:.0}", median(&measured.streams)));
    let (cpu, most) = (median(&measured.cpu), measured.cpu.iter().copied().fold(0.0, f64::max));
    let processor = (what("CPU, median of 5 s"), format!("{cpu:.0} m (most {most:.0} m)"));
    let memory = (what("resident, peak"), format!("{}, {} idle", mib(measured.peak), mib(measured.idle)));
    match SIZES.into_iter().find(|(size, ..)| *size == users) {
        Some((_, request, mebibytes)) => {
            let bar = format!("× {CPU_HEADROOM} ≤ {request:.0} m requested");
            table.hold(processor.0, processor.1, bar, cpu * CPU_HEADROOM <= request);
            let holds = measured.peak <= mebibytes << 20;
            table.hold(memory.0, memory.1, format!("≤ {mebibytes} MiB requested"), holds);
        }
        None => [processor, memory].into_iter().for_each(|(what, figure)| table.tell(what, figure)),
    }
    let each = measured.peak.saturating_sub(measured.idle) / users as u64;
    table.tell(what("resident beyond idle, each"), format!("{} KiB", each >> 10));
    let figure = format!("{:.0}; {:.0} and {:.0}", measured.descriptors, measured.downstream, measured.upstream);
    table.tell(what("descriptors; connections of clients and to the provider, most"), figure);
}

fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
