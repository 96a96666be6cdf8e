//! One connection from nothing: look up the name, connect, agree on TLS, learn which protocol to speak.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use super::{Endpoint, Failure, Phase, Reason, Resolver, error::is_tls};
use crate::config::HttpVersion;

/// How long a peer may leave our bytes unacknowledged before the kernel gives the connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// After how long without traffic the kernel asks whether the peer is still there, and how often.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// By how much an address goes before the next (RFC 8305 §8).
const HEAD_START: Duration = Duration::from_millis(250);

/// A byte stream to a provider.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The protocol that both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// Which protocols are offered to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Those that the config says.
    Configured,
    /// HTTP/1.1 alone, which can be upgraded.
    Http1,
}

/// What a connection is made of: plain text and TLS stay apart, so that plain text pays no indirection.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// The protocol that the config says; `None` where ALPN decides.
pub(super) fn known_protocol(endpoint: &Endpoint) -> Option<Protocol> {
    match endpoint.version {
        HttpVersion::Http2 => Some(Protocol::Http2),
        HttpVersion::Http1 => Some(Protocol::Http1),
        // Without TLS nobody is asked.
        HttpVersion::Auto => endpoint.tls.is_none().then_some(Protocol::Http1),
    }
}

/// Connects. The caller bounds the time.
pub(super) async fn connect(endpoint: &Endpoint, resolver: &Resolver, offer: Offer) -> Result<(Stream, Protocol), Failure> {
    let socket = reach(endpoint, resolver).await?;
    let Some(tls) = &endpoint.tls else {
        return Ok((Stream::Plain(socket), known_protocol(endpoint).unwrap_or(Protocol::Http1)));
    };
    let connector = TlsConnector::from(tls.config.clone());
    let handshake = match offer {
        Offer::Configured => connector.connect(tls.name.clone(), socket).await,
        Offer::Http1 => connector.with_alpn(vec![b"http/1.1".to_vec()]).connect(tls.name.clone(), socket).await,
    };
    let stream = handshake.map_err(|error| {
        let reason = if is_tls(&error) { Reason::Tls } else { Reason::Closed };
        Failure::because(Phase::Connect, reason, error)
    })?;
    let chosen = stream.get_ref().1.alpn_protocol();
    let protocol = match (chosen, endpoint.version) {
        (Some(b"h2"), _) => Protocol::Http2,
        // Asked for HTTP/2 and got no answer: speaking it anyway would only fail later and less clearly.
        (_, HttpVersion::Http2) if offer == Offer::Configured => {
            return Err(Failure::because(Phase::Connect, Reason::Tls, io::Error::other("the provider does not offer HTTP/2")));
        }
        _ => Protocol::Http1,
    };
    Ok((Stream::Tls(Box::new(stream)), protocol))
}

/// Looks the provider's name up and connects.
async fn reach(endpoint: &Endpoint, resolver: &Resolver) -> Result<TcpStream, Failure> {
    let resolved = resolver.resolve(endpoint.url.host(), endpoint.url.port()).await;
    let addresses = resolved.map_err(|error| Failure::because(Phase::Connect, Reason::Resolve, error))?;
    first_of(&addresses).await
}

/// Connects to the address that answers first. Each has a head start over the next, or until it fails (RFC 8305 §5): one
/// that swallows everything costs that much and no more.
///
/// Cancel: dropping the future gives all attempts up.
async fn first_of(addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut left = addresses.iter().copied();
    let mut attempts = JoinSet::new();
    let mut missed = Failure::new(Phase::Connect, Reason::Resolve);
    loop {
        if let Some(address) = left.next() {
            attempts.spawn(TcpStream::connect(address));
        }
        let patience = if left.len() > 0 { HEAD_START } else { Duration::MAX };
        match tokio::time::timeout(patience, attempts.join_next()).await {
            Err(_) => {}
            Ok(None) => return Err(missed),
            Ok(Some(attempt)) => match attempt.map_err(io::Error::other).flatten().and_then(tune) {
                Ok(socket) => return Ok(socket),
                Err(error) => missed = Failure::because(Phase::Connect, Reason::Refused, error),
            },
        }
    }
}

/// Small writes go out at once; a peer that vanished is noticed.
fn tune(socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_nodelay(true)?;
    let handle = SockRef::from(&socket);
    handle.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE.0).with_interval(KEEPALIVE.1))?;
    #[cfg(target_os = "linux")]
    handle.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn an_address_that_swallows_everything_does_not_hide_the_next() {
        // A listener whose queue is full: the kernel answers no further connection.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let hole = socket.listen(1).unwrap();
        let swallowing = hole.local_addr().unwrap();
        let mut filling = Vec::new();
        while let Ok(connected) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(swallowing)).await {
            filling.push(connected.unwrap());
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answering = listener.local_addr().unwrap();
        let refusing = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
        for addresses in [[swallowing, answering], [refusing, answering], [answering, swallowing]] {
            let begun = tokio::time::Instant::now();
            assert_eq!(first_of(&addresses).await.unwrap().peer_addr().unwrap(), answering, "{addresses:?}");
            assert!(begun.elapsed() < 4 * HEAD_START, "{addresses:?} took {:?}", begun.elapsed());
        }
        assert_eq!(first_of(&[refusing]).await.unwrap_err().reason, Reason::Refused);
        assert_eq!(first_of(&[]).await.unwrap_err().reason, Reason::Resolve);
    }
}
