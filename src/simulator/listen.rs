//! Sockets: accept, TLS, tell HTTP/1.1 from HTTP/2, and break a connection off where a fault asks for it.

use std::{cell::RefCell, error::Error, future::poll_fn, io, rc::Rc, sync::Arc, time::Duration};

use hyper::{
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    select,
    sync::oneshot,
    task::spawn_local,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Provider, answer::answer, body::BrokenOff, realtime::Session};

/// How long accepting rests after an error, which is nearly always a want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The head of the HTTP/2 preface `PRI * HTTP/2.0` (RFC 9113 §3.4); no method of HTTP/1.1 begins like it.
const PREFACE: &[u8; 3] = b"PRI";

/// HTTP/2 streams that one connection may have open, as the large providers announce.
const CONCURRENT_STREAMS: u32 = 100;

/// What a connection of HTTP/1.1 becomes when its last reply was 101.
#[derive(Clone, Default)]
pub(super) struct Line(Rc<RefCell<Option<Session>>>);

impl Line {
    /// The connection belongs to this session once the reply is out.
    pub(super) fn becomes(&self, session: Session) {
        self.0.replace(Some(session));
    }
}

/// A connection with or without TLS.
trait Wire: AsyncRead + AsyncWrite + Unpin + 'static {
    fn socket(&self) -> &TcpStream;
}

impl Wire for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Wire for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Serves connections until `stopped` resolves, also by its sender's drop.
pub(super) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, provider: Arc<Provider>, mut stopped: oneshot::Receiver<()>) {
    loop {
        let accepted = select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(spawn_local(connection(stream, tls.clone(), Arc::clone(&provider)))),
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// One connection, to its end. Its errors are the client's affair: an onlooker sees them as cancels.
async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, provider: Arc<Provider>) {
    let _ = stream.set_nodelay(true);
    match tls {
        None => {
            let Ok(http2) = speaks_http2(&stream).await else { return };
            if http2 { serve_http2(stream, provider).await } else { serve_http1(stream, provider).await }
        }
        Some(tls) => {
            let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await else { return };
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            if http2 { serve_http2(stream, provider).await } else { serve_http1(stream, provider).await }
        }
    }
}

async fn serve_http2(stream: impl Wire, provider: Arc<Provider>) {
    let service = service_fn(move |request| {
        let provider = Arc::clone(&provider);
        // HTTP/2 has another way to WebSockets (RFC 8441), which is not offered.
        async move { answer(provider, request, &Line::default()).await }
    });
    let mut builder = http2::Builder::new(LocalExecutor);
    builder.timer(TokioTimer::new()).max_concurrent_streams(CONCURRENT_STREAMS);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn serve_http1(stream: impl Wire, provider: Arc<Provider>) {
    let line = Line::default();
    let service = {
        let line = line.clone();
        service_fn(move |request| {
            let (provider, line) = (Arc::clone(&provider), line.clone());
            // Boxed, because the connection wants to be polled without being pinned.
            Box::pin(async move { answer(provider, request, &line).await })
        })
    };
    let mut connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // Without hyper's own shutdown the stream comes back, for a session or for a reset.
    let ended = poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    if ended.as_ref().is_err_and(wants_reset) {
        // With no time to linger, the close that follows is a RST (RFC 9293 §3.5) instead of a FIN.
        let _ = SockRef::from(stream.socket()).set_linger(Some(Duration::ZERO));
        return;
    }
    let session = line.0.take();
    match session {
        Some(session) if ended.is_ok() => session.run(stream, parts.read_buf).await,
        _ => drop(stream.shutdown().await),
    }
}

/// Looks at the first bytes without taking them.
async fn speaks_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut head = [0; PREFACE.len()];
    loop {
        match stream.peek(&mut head).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n if head[..n] != PREFACE[..n] => return Ok(false),
            n if n == PREFACE.len() => return Ok(true),
            // The socket stays readable while a part of the preface is there: only time brings more.
            _ => sleep(Duration::from_millis(1)).await,
        }
    }
}

/// Whether the connection ended because a reply was told to reset it.
fn wants_reset(error: &hyper::Error) -> bool {
    error.source().and_then(|cause| cause.downcast_ref()) == Some(&BrokenOff::Reset)
}

/// Runs HTTP/2's own tasks beside their connection, on its thread.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        spawn_local(future);
    }
}
