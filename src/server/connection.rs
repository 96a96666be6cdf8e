//! One connection from accept to end: TLS if it is asked for, which protocol is spoken, and then hyper.

use std::{
    cell::Cell,
    convert::Infallible,
    fmt,
    future::poll_fn,
    io,
    net::IpAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use bytes::BytesMut;
use http::{
    HeaderValue, Request, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, UPGRADE},
};
use hyper::{
    body::{Body as _, Incoming},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::{Instant as Deadline, timeout, timeout_at},
};

use super::{
    activity::{Activity, Attended, Busy, Close, Connections},
    certified,
    drain::Drain,
    guard::Refused,
    io::Stream,
    protocol::{http1, http2, told_protocol},
    proxy_protocol,
    socket::Socket,
    streams::Streams,
    tls::ListenerTls,
};
use crate::{
    config::Listen,
    pipeline::{Inbound, Pipeline, body::Body, fields::Present, tunnel::Tunnel},
    types::ForeignName,
    upstream::coalesce::Coalesced,
};

/// What a worker's connections have in common.
pub struct Shared {
    /// The path of requests.
    pub pipeline: Pipeline,
    /// TLS, where the listener asks for it.
    pub tls: Option<Arc<ListenerTls>>,
    /// All connections of this worker.
    pub connections: Connections,
    /// What ends them all.
    pub drain: Drain,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

/// Why we ended a connection. A head that was refused has no line in the access log: it was no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It said nothing, or not enough, in time.
    Silent,
    /// It begins with no PROXY header, or a wrong one, and must begin with one.
    Unannounced,
    /// TLS could not be agreed on.
    Handshake,
    /// A head is beyond the bounds.
    TooLarge,
    /// A head is no HTTP.
    Malformed,
    /// The guard refused what came.
    Refused(Refused),
}

/// Serves one connection until it ends. With `announced` it must begin with a PROXY header, which says who the peer is. What
/// `listen` bounds holds for as long as the connection does.
///
/// # Errors
///
/// If it ended because of what was sent, or was not. What concerns a single request is logged with that.
pub async fn serve(
    mut socket: Socket,
    (mut peer, announced): (Option<IpAddr>, bool),
    listen: Arc<Listen>,
    shared: Rc<Shared>,
) -> Result<(), Ended> {
    // Watched from here on: a drain also ends those who have said nothing yet.
    let activity = shared.connections.add(socket.writes());
    let patience = (Deadline::now() + listen.header_timeout.0, &*activity);
    let watched = socket.clone();
    if announced {
        let source = in_time(patience, proxy_protocol::read(&mut socket)).await?;
        let no_header = |error: io::Error| if error.kind() == io::ErrorKind::InvalidData { Ended::Unannounced } else { Ended::Silent };
        peer = source.map_err(no_header)?.or(peer);
    }
    match shared.tls.clone() {
        None => {
            let (early, multiplexed) = in_time(patience, told_protocol(&mut socket)).await?.map_err(|_| Ended::Silent)?;
            speak(socket, early, multiplexed, (watched, activity), ((peer, None), &listen, shared)).await
        }
        Some(tls) => {
            let stream = in_time(patience, tls.acceptor().accept(socket)).await?.map_err(|_| Ended::Handshake)?;
            let session = stream.get_ref().1;
            let multiplexed = session.alpn_protocol() == Some(b"h2");
            // Asked for, and so verified, or there is none. Its name holds for as long as the connection does.
            let certified = session.peer_certificates().and_then(|chain| certified::of(chain.first()?));
            speak(stream, BytesMut::new(), multiplexed, (watched, activity), ((peer, certified), &listen, shared)).await
        }
    }
}

async fn in_time<T>((deadline, activity): (Deadline, &Activity), work: impl Future<Output = T>) -> Result<T, Ended> {
    tokio::select! {
        biased;
        done = timeout_at(deadline, work) => done.map_err(|_| Ended::Silent),
        () = activity.told_to_close_now() => Err(Ended::Silent),
    }
}

async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    early: BytesMut,
    multiplexed: bool,
    (socket, activity): (Socket, Rc<Activity>),
    ((peer, certified), listen, shared): ((Option<IpAddr>, Option<ForeignName>), &Listen, Rc<Shared>),
) -> Result<(), Ended> {
    activity.spoken();
    let io = TokioIo::new(Stream::new(stream, early, !multiplexed, Rc::clone(&activity)));
    let inbound = |request| Inbound::new(request, peer, certified.clone());
    let result = if multiplexed {
        let service = service_fn(|request: Request<Incoming>| {
            // What it is made of is handed over, and not the future itself: it would stand there twice.
            let (pipeline, inbound, activity) = (shared.pipeline.clone(), inbound(request), Rc::clone(&activity));
            async { Ok::<_, Infallible>(for_http2(answer(pipeline, inbound, activity).await).map(Coalesced::new)) }
        });
        let streams = Streams::default();
        let connection = pin!(http2(listen, streams.clone()).serve_connection(io, service));
        // What is cut is reset, and then there is nothing more to wait for.
        let end = |connection: Pin<&mut http2::Connection<_, _, _>>, close| {
            connection.graceful_shutdown();
            close == Close::Gracefully || streams.cut()
        };
        run(connection, end, (&activity, &socket)).await
    } else {
        let (asked, switched, old) = (Cell::new(false), Cell::new(None), Cell::new(false));
        let service = service_fn(|request: Request<Incoming>| {
            old.set(request.version() == Version::HTTP_10);
            let (held, inbound) = (is_held(&request, &activity), inbound(request));
            let (pipeline, waits, holder) = (shared.pipeline.clone(), inbound.present.has(Present::EXPECT), Rc::clone(&activity));
            let (activity, asked, switched, old, drain) = (&activity, &asked, &switched, &old, &shared.drain);
            async move {
                let mut reply = for_http1(answer(pipeline, inbound, holder).await, waits, old.get());
                if !drain.is_serving() {
                    send_elsewhere(&mut reply);
                }
                if held {
                    asked.set(true);
                    switched.set(answered_upgrade(&mut reply, activity));
                }
                Ok::<_, Infallible>(reply)
            }
        });
        let mut connection = http1(listen).serve_connection(io, service);
        // A request that is here and was not read yet would be lost: its reply says that it is the last.
        let end = |connection: Pin<&mut http1::Connection<_, _>>, close| {
            if activity.is_busy() || !socket.has_unread() {
                connection.graceful_shutdown();
            }
            close == Close::Gracefully
        };
        let result = run(Pin::new(&mut connection), end, (&activity, &socket)).await;
        if asked.get() && matches!(result, Ok(Over::Ended)) {
            let parts = connection.into_parts();
            let stream = parts.io.into_inner().upgraded(&parts.read_buf);
            // A 101 that found no room is lost with hyper's buffer: then there is nothing to pass.
            let switched = switched.take().filter(|_| !socket.writes().are_stuck());
            Box::pin(after_http(stream, switched, (&activity, listen))).await;
        }
        // To HTTP/1.0 a body that ends with its connection is whole (RFC 9112 §6.3).
        let broken = result.as_ref().map_or_else(hyper::Error::is_user, |over| *over == Over::Left && activity.is_busy());
        if old.get() && broken {
            socket.break_off();
        }
        result
    };
    why(activity.refused(), result)
}

fn why(refused: Option<Refused>, result: hyper::Result<Over>) -> Result<(), Ended> {
    match (refused, result) {
        (Some(refused), _) => Err(Ended::Refused(refused)),
        (None, Err(error)) if error.is_parse_too_large() => Err(Ended::TooLarge),
        (None, Err(error)) if error.is_parse() => Err(Ended::Malformed),
        // Any other error means that it broke; each request on it has been told and settled.
        _ => Ok(()),
    }
}

/// A tunnel that a 101 opens, and the word that keeps its connection busy.
type Switched = (Box<Tunnel>, Busy);

/// Whether the guard holds back what follows this request until it is answered.
fn is_held(request: &Request<Incoming>, activity: &Activity) -> bool {
    // In this order: nearly no connection ever holds anything, and a request that was read with the next, which does, has
    // nothing to say about it.
    activity.is_held() && request.headers().contains_key(UPGRADE) && request.body().is_end_stream()
}

/// What became of a request that asked for an upgrade. Any answer but a 101 makes it a request like others.
fn answered_upgrade(reply: &mut Response<Attended<Body>>, activity: &Rc<Activity>) -> Option<Switched> {
    let tunnel = reply.body_mut().inner_mut().take_tunnel();
    if tunnel.is_none() {
        activity.release();
    }
    tunnel.map(|tunnel| (tunnel, activity.begin()))
}

/// HTTP is over on a connection that was asked to become something else. Behind a 101 it carries bytes, until one side ends it
/// or it is told to end. Else hyper has left it open, and it ends here.
async fn after_http(mut client: impl AsyncRead + AsyncWrite + Unpin, switched: Option<Switched>, of: (&Activity, &Listen)) {
    let (activity, listen) = of;
    let passing = async {
        match switched {
            Some((tunnel, _busy)) => tunnel.run(client).await,
            // However that goes, the socket is closed.
            None => drop(timeout(listen.header_timeout.0, client.shutdown()).await),
        }
    };
    tokio::select! {
        biased;
        () = passing => {}
        () = activity.told_to_close_now() => {}
    }
}

/// How a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// HTTP is over on it.
    Ended,
    /// It was given up.
    Left,
}

/// Runs a connection to its end, which may come because it was told to or because the client left. `end` does as it was told,
/// and says whether there is something left to wait for.
///
/// The connection has the first turn, so that what it can still say goes out. A request that is in flight then is given
/// up, also that of a client that closed its sending side alone: hyper does the same when it reads that far.
async fn run<C>(
    mut connection: Pin<&mut C>,
    end: impl Fn(Pin<&mut C>, Close) -> bool,
    (activity, socket): (&Activity, &Socket),
) -> hyper::Result<Over>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut left = pin!(socket.left());
    let mut watching = true;
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(result.map(|()| Over::Ended));
            }
            match activity.poll_told_to_close(cx) {
                Poll::Ready(close) if end(connection.as_mut(), close) => continue,
                Poll::Ready(_) => return Poll::Ready(Ok(Over::Left)),
                Poll::Pending => {}
            }
            // A read that waits sees the client leave by itself.
            if !watching || socket.reader_waits() || left.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if activity.is_busy() {
                return Poll::Ready(Ok(Over::Left));
            }
            // Only the end of a reply, or of an upload that was answered early, is still under way.
            watching = false;
            activity.tell(Close::Gracefully);
        }
    })
    .await
}

async fn answer(pipeline: Pipeline, inbound: Inbound, activity: Rc<Activity>) -> Response<Attended<Body>> {
    let busy = activity.begin();
    pipeline.handle(inbound).await.map(|body| Attended::new(body, busy))
}

/// hyper closes the connection when nobody has asked for an upload that waits to be invited, and behind a body of unknown
/// length to a client of HTTP/1.0, which knows no chunks. The client is told.
fn for_http1(mut reply: Response<Attended<Body>>, waits_to_be_invited: bool, old: bool) -> Response<Attended<Body>> {
    if waits_to_be_invited && reply.body().inner().is_ours() || old && reply.body().size_hint().exact().is_none() {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    reply
}

/// Who keeps its connection would find it closed one day soon, perhaps with a request on its way: it learns of it before.
fn send_elsewhere(reply: &mut Response<Attended<Body>>) {
    if reply.status() != StatusCode::SWITCHING_PROTOCOLS {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// No length may go with a 204 (RFC 9110 §8.6). On HTTP/1 hyper leaves it out; on HTTP/2 some clients wait for the bytes.
fn for_http2(mut reply: Response<Attended<Body>>) -> Response<Attended<Body>> {
    if reply.status() == StatusCode::NO_CONTENT {
        reply.headers_mut().remove(CONTENT_LENGTH);
    }
    reply
}
