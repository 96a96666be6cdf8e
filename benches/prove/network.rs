//! Names that change, name servers that fail, an address that swallows everything: how long a request waits.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::{
    client::H1,
    dns::{NameServer, Says},
    figures::{Spread, Table},
    sidegate::Sidegate,
};

const HOST: &str = "api.provider.test";

/// The time to live of every answer, and the least that Sidegate takes.
const TTL: u32 = 1;

/// How often the name changes, how many requests see each outage, and how many meet the dead address.
const CHANGES: usize = 20;
const DURING_OUTAGE: usize = 300;
const MEETING_DEAD: usize = 50;

pub(crate) async fn prove(table: &mut Table) {
    let (port, _first, _second) = twins().await;
    let server = NameServer::start().await;
    changes(table, &server, port).await;
    outages(table, &server, port).await;
    dead_address(table, &server).await;
}

/// The name moves from one address to the other and back, in every form that an answer can have.
async fn changes(table: &mut Table, server: &NameServer, port: u16) {
    server.say(HOST, Says::Addresses(vec![ip(1)], TTL));
    let sidegate = Sidegate::before_name(HOST, port, server.address).await;
    assert_eq!(ask(&sidegate).await.0, 1);
    let mut followed = Vec::new();
    for change in 0..CHANGES {
        let to = 2 - change as u64 % 2;
        let new = vec![ip(to)];
        server.say("elsewhere.provider.test", Says::Addresses(new.clone(), TTL));
        server.say(
            HOST,
            match change % 5 {
                0 => Says::OverTcp(new, TTL),
                1 => Says::Alias("elsewhere.provider.test", TTL),
                2 => Says::DeafToIpv6(new, TTL),
                _ => Says::Addresses(new, TTL),
            },
        );
        let changed = Instant::now();
        while ask(&sidegate).await.0 != to {
            assert!(changed.elapsed() < Duration::from_secs(10), "the change is not followed");
        }
        followed.push(changed.elapsed());
        for _ in 0..20 {
            assert_eq!(ask(&sidegate).await.0, to, "back at the old address");
        }
    }
    let followed = Spread::of(followed);
    let bar = Duration::from_secs(u64::from(TTL) + 1);
    table.hold(
        format!("a name changes, TTL {TTL} s, {CHANGES} times: until followed"),
        &followed,
        "max ≤ TTL + 1 s",
        followed.max() <= bar,
    );
}

async fn outages(table: &mut Table, server: &NameServer, port: u16) {
    for (what, outage) in [("fails", Says::Failure), ("knows nothing", Says::Nothing), ("is silent", Says::Silence)] {
        server.say(HOST, Says::Addresses(vec![ip(1)], TTL));
        let sidegate = Sidegate::before_name(HOST, port, server.address).await;
        assert_eq!(ask(&sidegate).await.0, 1);
        server.say(HOST, outage);
        let mut waits = Vec::new();
        // Over several times to live, so that every state of a look-up is met.
        for _ in 0..DURING_OUTAGE {
            waits.push(ask_anew(&sidegate).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let waits = Spread::of(waits);
        let holds = waits.max() <= Duration::from_millis(600);
        table.hold(
            format!("the name server {what}, {DURING_OUTAGE} requests on new connections"),
            &waits,
            "all served, max ≤ 600 ms",
            holds,
        );
    }
}

async fn dead_address(table: &mut Table, server: &NameServer) {
    let (provider, port, _hole) = loop {
        let (provider, port) = provider(1, 0).await.expect("a free port");
        if let Some(hole) = Hole::at(SocketAddr::new(ip(2), port)).await {
            break (provider, port, hole);
        }
    };
    server.say(HOST, Says::Addresses(vec![ip(2), ip(1)], 300));
    let sidegate = Sidegate::before_name(HOST, port, server.address).await;
    let mut waits = Vec::new();
    for _ in 0..MEETING_DEAD {
        waits.push(ask_anew(&sidegate).await);
    }
    drop(provider);
    let late = waits.iter().filter(|wait| **wait > Duration::from_millis(50)).count();
    let waits = Spread::of(waits);
    let holds = waits.max() < Duration::from_millis(300);
    table.hold(format!("one address of two dead, {MEETING_DEAD} requests on new connections"), &waits, "max < 300 ms", holds);
    table.tell("… of which waited for the dead one", late);
    table.tell("questions for the name in all of this", server.asked(HOST));
}

fn ip(last: u64) -> IpAddr {
    IpAddr::from([127, 0, 0, last as u8])
}

/// A request of a client of its own; which provider answered, and after how long.
async fn ask(sidegate: &Sidegate) -> (u64, Duration) {
    ask_for(sidegate, "/v1/models").await
}

/// The same over a new connection to the provider, which closes it behind the reply.
async fn ask_anew(sidegate: &Sidegate) -> Duration {
    ask_for(sidegate, "/v1/close").await.1
}

async fn ask_for(sidegate: &Sidegate, path: &str) -> (u64, Duration) {
    let mut client = H1::connect(sidegate.address).await;
    let begun = Instant::now();
    client.post(path, 0).await;
    // Each provider is known by the length of what it says.
    let length = client.head().await.expect("a reply");
    (length, begun.elapsed())
}

/// Two providers at one port of 127.0.0.1 and 127.0.0.2.
async fn twins() -> (u16, Running, Running) {
    loop {
        let (first, port) = provider(1, 0).await.expect("a free port");
        if let Some((second, _)) = provider(2, port).await {
            return (port, first, second);
        }
    }
}

/// Ends with its owner.
struct Running(tokio::task::AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A provider at 127.0.0.`number`, which says as many bytes; `None` if the port is taken.
async fn provider(number: u64, port: u16) -> Option<(Running, u16)> {
    let listener = TcpListener::bind((ip(number), port)).await.ok()?;
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let running = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, number as usize));
        }
    });
    Some((Running(running.abort_handle()), port))
}

/// No request here has a body.
async fn converse(mut stream: TcpStream, number: usize) {
    let mut head = Vec::new();
    while stream.read_buf(&mut head).await.is_ok_and(|count| count > 0) {
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let closes = head.starts_with(b"POST /v1/close ");
        head.clear();
        let more = if closes { "Connection: close\r\n" } else { "" };
        let reply = format!("HTTP/1.1 200 OK\r\n{more}Content-Length: {number}\r\n\r\n{}", "x".repeat(number));
        if stream.write_all(reply.as_bytes()).await.is_err() || closes {
            return;
        }
    }
}

/// A port that takes no connection: its queue is full, and stays so while this lives.
pub(crate) struct Hole {
    _listener: TcpListener,
    _filling: Vec<TcpStream>,
}

impl Hole {
    pub(crate) async fn at(address: SocketAddr) -> Option<Self> {
        let socket = TcpSocket::new_v4().ok()?;
        socket.set_reuseaddr(true).ok()?;
        socket.bind(address).ok()?;
        let listener = socket.listen(1).ok()?;
        let mut filling = Vec::new();
        while let Ok(connected) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
            filling.push(connected.ok()?);
        }
        Some(Self { _listener: listener, _filling: filling })
    }
}
