//! The simulated provider: as little work as an answer can be, and no hyper. It runs on the load's own thread.

use std::{
    cell::Cell,
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
};

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Mutex, mpsc},
    task::spawn_local,
};

use crate::load::{BODY, RECORDED, STREAM};

/// Bytes of the body of a reply that is no stream.
pub(crate) const REPLY: usize = 690;

/// Bytes of one event, without the framing of its chunk.
pub(crate) const EVENT: usize = 180;

/// Events of a stream that is sent at once, but for its end.
pub(crate) const RECORDED_EVENTS: usize = 60;

/// The last event of a stream that is sent at once.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";

/// How it ends in chunks.
pub(crate) const END: &[u8] = b"data: [DONE]\n\n\r\n0\r\n\r\n";

/// A provider that listens, and the streams that it has begun: who takes one writes its events.
#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    begun: Rc<Mutex<mpsc::UnboundedReceiver<TcpStream>>>,
    answered: Rc<Cell<usize>>,
}

impl Provider {
    pub(crate) fn start() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(4096)?;
        let (begin, begun) = mpsc::unbounded_channel();
        let address = listener.local_addr()?;
        let answered = Rc::new(Cell::new(0));
        spawn_local(accept(listener, begin, Rc::clone(&answered)));
        Ok(Self { address, begun: Rc::new(Mutex::new(begun)), answered })
    }

    /// How many requests it has answered, but for streams that others write.
    pub(crate) fn answered(&self) -> usize {
        self.answered.get()
    }

    /// The connection of the next stream that was asked for: its head is sent, its events are the caller's.
    pub(crate) async fn next_stream(&self) -> TcpStream {
        self.begun.lock().await.recv().await.expect("the provider outlives its streams")
    }
}

async fn accept(listener: TcpListener, begin: mpsc::UnboundedSender<TcpStream>, answered: Rc<Cell<usize>>) {
    loop {
        let (socket, _) = listener.accept().await.expect("the provider accepts");
        socket.set_nodelay(true).expect("a fresh socket takes options");
        let (begin, answered) = (begin.clone(), Rc::clone(&answered));
        // An error is a proxy that has left.
        spawn_local(async move { drop(answer(socket, begin, &answered).await) });
    }
}

async fn answer(mut socket: TcpStream, begin: mpsc::UnboundedSender<TcpStream>, answered: &Cell<usize>) -> io::Result<()> {
    let (reply, recorded) = (reply(), recorded());
    let mut received = Vec::with_capacity(4 << 10);
    loop {
        let head = loop {
            // Every body has one length, so the head's end tells the request's.
            if let Some(at) = memmem::find(&received, b"\r\n\r\n")
                && received.len() >= at + 4 + BODY
            {
                break at;
            }
            if socket.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
        };
        if memmem::find(&received[head..], STREAM).is_some() {
            socket.write_all(STREAM_HEAD).await?;
            drop(begin.send(socket));
            return Ok(());
        }
        let whole = if memmem::find(&received[head..], RECORDED).is_some() { &recorded } else { &reply };
        received.clear();
        answered.set(answered.get() + 1);
        socket.write_all(whole).await?;
    }
}

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\
    date: Mon, 02 Jun 2025 10:00:00 GMT\r\n\
    content-type: text/event-stream; charset=utf-8\r\n\
    cache-control: no-cache\r\n\
    x-request-id: req_8a1c3de0b5f24c7e9a6d\r\n\
    transfer-encoding: chunked\r\n\r\n";

/// A whole reply, head and body.
fn reply() -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ndate: Mon, 02 Jun 2025 10:00:00 GMT\r\ncontent-type: application/json\r\n\
         content-length: {REPLY}\r\nx-request-id: req_8a1c3de0b5f24c7e9a6d\r\n\r\n"
    );
    let start = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let end = r#""},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":100,"total_tokens":120}}"#;
    let filling = "a".repeat(REPLY - start.len() - end.len());
    [head.as_bytes(), start.as_bytes(), filling.as_bytes(), end.as_bytes()].concat()
}

/// A whole stream in one write, which is the least that it can cost a proxy.
fn recorded() -> Vec<u8> {
    let stop = "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let done = String::from_utf8_lossy(DONE);
    let last = format!("{:x}\r\n{stop}\r\n{:x}\r\n{done}\r\n0\r\n\r\n", stop.len(), done.len());
    [STREAM_HEAD, &event().repeat(RECORDED_EVENTS), last.as_bytes()].concat()
}

/// One event in one chunk.
pub(crate) fn event() -> Vec<u8> {
    let start =
        r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":""#;
    let end = "\"}}]}\n\n";
    let filling = "a".repeat(EVENT - start.len() - end.len());
    format!("{EVENT:x}\r\n{start}{filling}{end}\r\n").into_bytes()
}
