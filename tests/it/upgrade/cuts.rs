//! Bytes that are cut anywhere: TLS records and what carries them, on both sides of a tunnel, in many sessions at once.
//!
//! Where the records and the reads end must make no difference. A wake-up that is lost when a tunnel takes over from HTTP would
//! show here as a session that waits for bytes which have come.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

use super::{ASKING, GRANTED, REALTIME};
use crate::support::{
    Sidegate,
    tls::{Authority, TlsFront, connect_with},
    within,
};

/// Sessions at once, and how often.
const SESSIONS: (u64, u64) = (24, 4);

/// Moves bytes in pieces of any size, at times after a pause, so that what was written apart may come at once too.
async fn cut(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut rng: Rng) {
    let mut buffer = vec![0; 32 << 10];
    loop {
        let most = if rng.bool() { rng.usize(1..64) } else { buffer.len() };
        let Ok(read @ 1..) = from.read(&mut buffer[..most]).await else { break };
        match rng.u8(..8) {
            0 => tokio::time::sleep(Duration::from_millis(rng.u64(..4))).await,
            1..4 => tokio::task::yield_now().await,
            _ => {}
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    // Who is not there any more need not be told.
    let _ = to.shutdown().await;
}

/// A connection to this address whose bytes are cut both ways.
async fn cutting(to: std::net::SocketAddr, rng: &mut Rng) -> DuplexStream {
    let socket = within("a connection", TcpStream::connect(to)).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let (near, far) = duplex(rng.usize(1..64 << 10));
    let ((reads, writes), (takes, gives)) = (socket.into_split(), split(far));
    tokio::spawn(cut(takes, writes, rng.fork()));
    tokio::spawn(cut(reads, gives, rng.fork()));
    near
}

/// Writes in pieces, each a TLS record or more.
async fn write(to: &mut (impl AsyncWrite + Unpin), mut bytes: &[u8], rng: &mut Rng) {
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(if rng.u8(..4) == 0 { 1 } else { rng.usize(1..=bytes.len()) });
        to.write_all(piece).await.unwrap();
        if rng.bool() {
            to.flush().await.unwrap();
        }
        bytes = rest;
    }
    to.flush().await.unwrap();
}

/// Reads up to the end of a head.
async fn head(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).unwrap()
}

/// A provider that grants every WebSocket and sends back what it gets, its first word at times right behind the 101.
async fn echoes(listener: TcpListener, mut rng: Rng) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let mut rng = rng.fork();
        tokio::spawn(async move {
            socket.set_nodelay(true).unwrap();
            head(&mut socket).await;
            let (first, rest) = GRANTED.as_bytes().split_at(rng.usize(..GRANTED.len()));
            socket.write_all(first).await.unwrap();
            if rng.bool() {
                tokio::task::yield_now().await;
            }
            socket.write_all(&[rest, b"hello"].concat()).await.unwrap();
            let (mut reads, mut writes) = socket.split();
            tokio::io::copy(&mut reads, &mut writes).await.unwrap();
            writes.shutdown().await.unwrap();
        });
    }
}

/// One session from the handshake to its end.
async fn session(to: std::net::SocketAddr, config: Arc<rustls::ClientConfig>, mut rng: Rng) {
    let socket = cutting(to, &mut rng).await;
    let (mut reads, mut writes) = split(connect_with(config, socket).await);
    let asking = format!("GET {REALTIME} HTTP/1.1\r\nHost: localhost\r\n{ASKING}\r\n");
    let most = if rng.u8(..4) == 0 { 200_000 } else { 2_000 };
    let said: Vec<u8> = (0..rng.usize(..most)).map(|_| rng.u8(..)).collect();
    let early = rng.usize(..=said.len().min(300)) * usize::from(rng.bool());
    let (mut writing, all) = (rng.fork(), said.clone());
    let (granted, grant) = oneshot::channel();
    let sending = async move {
        let (first, rest) = all.split_at(early);
        write(&mut writes, &[asking.as_bytes(), first].concat(), &mut writing).await;
        write(&mut writes, rest, &mut writing).await;
        // Before the 101, who ends has left.
        grant.await.unwrap();
        writes.shutdown().await.unwrap();
    };
    let receiving = async {
        assert!(head(&mut reads).await.starts_with("HTTP/1.1 101 "));
        granted.send(()).unwrap();
        let mut heard = Vec::new();
        reads.read_to_end(&mut heard).await.unwrap();
        heard
    };
    let ((), heard) = within("a session", async { tokio::join!(sending, receiving) }).await;
    assert!(heard == [b"hello", &said[..]].concat(), "{} bytes were said and {} heard", said.len(), heard.len());
}

#[tokio::test]
async fn wherever_bytes_are_cut_every_session_over_tls_is_answered_to_its_end() {
    let authority = Authority::new();
    let (certificate, key) = authority.files("localhost");
    let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = TlsFront::before(echo.local_addr().unwrap(), authority.server("localhost", &["h2", "http/1.1"])).await;
    tokio::spawn(echoes(echo, Rng::with_seed(1)));
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", tls: {{ certificate: {}, key: {} }} }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "https://localhost:{}/v1", keys: [{{ value: "$KEY" }}], tls: {{ roots: {} }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
clients: {{ anonymous: free }}
"#,
        certificate.display(),
        key.display(),
        front.address.port(),
        authority.roots().display()
    );
    let sidegate = Sidegate::start(&config, front.address).await;
    let client = Arc::new(authority.client(None, &["http/1.1"]));
    for round in 0..SESSIONS.1 {
        let mut sessions = JoinSet::new();
        for n in 0..SESSIONS.0 {
            sessions.spawn(session(sidegate.address, Arc::clone(&client), Rng::with_seed(round * SESSIONS.0 + n)));
        }
        while let Some(ended) = sessions.join_next().await {
            ended.unwrap();
        }
    }
}
