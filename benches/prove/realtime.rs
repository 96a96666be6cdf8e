//! WebSockets that echo what they are sent: how long a message is under way, without Sidegate and with it. Both run at the
//! same time, so that what else the machine does is in both columns. No frame is parsed here or there: the bytes behind the
//! handshake are those of a realtime session, a chunk of sound up and one down.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    figures::{Spread, Table},
    sidegate::Sidegate,
};

const SESSIONS: usize = 50;
const MESSAGES: usize = 250;
/// As often as an application sends sound.
const GAP: Duration = Duration::from_millis(40);
/// 40 ms of sound, 24,000 samples of 16 bits a second, as base64 in JSON.
const SOUND: usize = 2_600;
/// What Sidegate may add to the median.
const BAR: Duration = Duration::from_millis(1);

// The example of RFC 6455 §1.3.
const ASK: &str = "GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nHost: sidegate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

pub(crate) async fn prove(table: &mut Table) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let provider = listener.local_addr().expect("a bound socket has an address");
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    let sidegate = Sidegate::before(provider, "1.1").await;
    let (direct, through) = tokio::join!(sessions(provider), sessions(sidegate.address));
    serving.abort();
    table.tell(format!("{SESSIONS} WebSockets that echo, direct"), &direct);
    table.tell(format!("{SESSIONS} WebSockets that echo, through Sidegate"), &through);
    let added = through.percentile(50.0).saturating_sub(direct.percentile(50.0));
    let figure = format!("{:.3} ms", added.as_secs_f64() * 1e3);
    table.hold("added to a message and its echo at p50", figure, "at most 1 ms", added <= BAR);
}

/// Grants a WebSocket and sends back what comes over it.
async fn echo(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("a fresh socket takes options");
    head(&mut stream).await;
    stream.write_all(GRANT.as_bytes()).await.expect("a 101 is sent");
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

/// Reads a head and nothing behind it.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8_lossy(&head).into_owned()
}

async fn sessions(to: SocketAddr) -> Spread {
    let mut sessions = JoinSet::new();
    for _ in 0..SESSIONS {
        sessions.spawn(session(to));
    }
    Spread::of(sessions.join_all().await.concat())
}

/// How long each message took to come back.
async fn session(to: SocketAddr) -> Vec<Duration> {
    let mut stream = TcpStream::connect(to).await.expect("somebody listens");
    stream.set_nodelay(true).expect("a fresh socket takes options");
    stream.write_all(ASK.as_bytes()).await.expect("a handshake is sent");
    let granted = head(&mut stream).await;
    assert!(granted.starts_with("HTTP/1.1 101 "), "not a 101: {granted}");
    let (message, mut back) = (vec![0x7e; SOUND], vec![0; SOUND]);
    let mut times = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        // The sessions' beats are spread over the gap, as they would be.
        tokio::time::sleep(GAP.mul_f64(0.5 + fastrand::f64())).await;
        let sent = Instant::now();
        stream.write_all(&message).await.expect("a message is sent");
        stream.read_exact(&mut back).await.expect("its echo comes");
        times.push(sent.elapsed());
    }
    times
}
