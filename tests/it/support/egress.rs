//! A scripted egress proxy: it remembers what it is told, opens tunnels or says something else.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

/// What it does with whoever comes.
#[derive(Clone, Copy, Debug)]
enum Does {
    /// Opens a tunnel to this address, whatever host was asked for.
    Tunnel(SocketAddr),
    /// Says this and waits until the peer leaves.
    Say(&'static str),
}

/// Dropping it ends it.
pub(crate) struct EgressProxy {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    accepting: AbortHandle,
}

impl EgressProxy {
    /// Opens a tunnel to `provider` for everybody.
    pub(crate) async fn to(provider: SocketAddr) -> Self {
        Self::start(Does::Tunnel(provider)).await
    }

    /// Says this to everybody.
    pub(crate) async fn saying(answer: &'static str) -> Self {
        Self::start(Does::Say(answer)).await
    }

    async fn start(does: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let hears = Arc::clone(&heard);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let at = {
                    let mut heard = hears.lock().unwrap();
                    heard.push(Vec::new());
                    heard.len() - 1
                };
                tokio::spawn(attend(socket, does, Arc::clone(&hears), at));
            }
        });
        Self { address, heard, accepting: accepting.abort_handle() }
    }

    /// All bytes that came over each connection: what was said to the proxy and what went through it.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// The first lines of each connection, up to the empty one.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heard().iter().map(|text| text.split_once("\r\n\r\n").map_or(text.clone(), |(head, _)| head.to_owned())).collect()
    }
}

impl Drop for EgressProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn attend(mut socket: TcpStream, does: Does, heard: Arc<Mutex<Vec<Vec<u8>>>>, at: usize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = socket.read_u8().await else { return };
        head.push(byte);
        heard.lock().unwrap()[at].push(byte);
    }
    let provider = match does {
        Does::Tunnel(provider) => provider,
        Does::Say(answer) => {
            let _ = socket.write_all(answer.as_bytes()).await;
            let _ = socket.read_u8().await;
            return;
        }
    };
    let Ok(mut through) = TcpStream::connect(provider).await else { return };
    let _ = socket.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
    let (mut from, mut to) = socket.split();
    let (mut back, mut on) = through.split();
    let upward = async {
        let mut bytes = [0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            heard.lock().unwrap()[at].extend_from_slice(&bytes[..count]);
            if on.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = upward => {}
        _ = tokio::io::copy(&mut back, &mut to) => {}
    }
}
