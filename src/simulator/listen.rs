//! Sockets: accept, tell HTTP/1.1 from HTTP/2, and break a connection off where a fault asks for it.

use std::{error::Error, io, pin::Pin, rc::Rc, time::Duration};

use hyper::{
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::oneshot,
    task::spawn_local,
    time::sleep,
};

use super::{Provider, answer::answer, body::BrokenOff};

/// How long accepting rests after an error, which is nearly always a want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The head of the HTTP/2 preface `PRI * HTTP/2.0` (RFC 9113 §3.4); no method of HTTP/1.1 begins like it.
const PREFACE: &[u8; 3] = b"PRI";

/// HTTP/2 streams that one connection may have open, as the large providers announce.
const CONCURRENT_STREAMS: u32 = 100;

/// Serves connections until `stopped` resolves, also by its sender's drop.
pub(super) async fn serve(listener: TcpListener, provider: Rc<Provider>, mut stopped: oneshot::Receiver<()>) {
    loop {
        let accepted = select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(spawn_local(connection(stream, Rc::clone(&provider)))),
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// One connection, to its end. Its errors are the client's affair: an onlooker sees them as cancels.
async fn connection(stream: TcpStream, provider: Rc<Provider>) {
    let _ = stream.set_nodelay(true);
    let Ok(http2) = speaks_http2(&stream).await else { return };
    let service = service_fn(move |request| answer(Rc::clone(&provider), request));
    let io = TokioIo::new(stream);
    if http2 {
        let mut builder = http2::Builder::new(LocalExecutor);
        builder.timer(TokioTimer::new()).max_concurrent_streams(CONCURRENT_STREAMS);
        let _ = builder.serve_connection(io, service).await;
    } else {
        let mut connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(io, service);
        if let Err(error) = Pin::new(&mut connection).await
            && wants_reset(&error)
        {
            // With no time to linger, the close that follows is a RST (RFC 9293 §3.5) instead of a FIN.
            let _ = SockRef::from(connection.into_parts().io.inner()).set_linger(Some(Duration::ZERO));
        }
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
