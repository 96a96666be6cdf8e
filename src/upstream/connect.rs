//! One connection from nothing: look up the name, connect, pass an egress proxy, agree on TLS, learn which protocol to speak.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;

use super::{Endpoint, Failure, Phase, Reason, Resolver, addresses::Experience, endpoint::Door, proxy, tls};
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
    Unix(UnixStream),
}

/// A connection that was made.
pub(super) struct Connected {
    pub(super) stream: Stream,
    pub(super) protocol: Protocol,
    /// The address that was looked up for it: that of the provider, or of its proxy. None on a Unix socket.
    pub(super) address: Option<IpAddr>,
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
pub(super) async fn connect(endpoint: &Endpoint, resolver: &Resolver, offer: Offer) -> Result<Connected, Failure> {
    let plain = known_protocol(endpoint).unwrap_or(Protocol::Http1);
    let (socket, address) = match endpoint.door() {
        Door::Unix(path) => {
            let socket = UnixStream::connect(path).await;
            let socket = socket.map_err(|error| Failure::because(Phase::Connect, Reason::Refused, error))?;
            return Ok(Connected { stream: Stream::Unix(socket), protocol: plain, address: None });
        }
        Door::Tcp(host, port) => reach(host, port, resolver, &endpoint.experience).await?,
    };
    let address = Some(address);
    let socket = match &endpoint.proxy {
        Some(through) => {
            let tunnel = proxy::tunnel(socket, through, &endpoint.url).await;
            tunnel.map_err(|error| Failure::because(Phase::Connect, Reason::Proxy, error))?
        }
        None => socket,
    };
    let Some((secure, name)) = &endpoint.tls else {
        return Ok(Connected { stream: Stream::Plain(socket), protocol: plain, address });
    };
    let connector = TlsConnector::from(secure.config());
    let handshake = match offer {
        Offer::Configured => connector.connect(name.clone(), socket).await,
        Offer::Http1 => connector.with_alpn(vec![b"http/1.1".to_vec()]).connect(name.clone(), socket).await,
    };
    let stream = handshake.map_err(|error| Failure::because(Phase::Connect, tls::reason(&error), error))?;
    let chosen = stream.get_ref().1.alpn_protocol();
    let protocol = match (chosen, endpoint.version) {
        (Some(b"h2"), _) => Protocol::Http2,
        // Asked for HTTP/2 and got no answer: speaking it anyway would only fail later and less clearly.
        (_, HttpVersion::Http2) if offer == Offer::Configured => {
            return Err(Failure::because(Phase::Connect, Reason::Tls, io::Error::other("the provider does not offer HTTP/2")));
        }
        _ => Protocol::Http1,
    };
    Ok(Connected { stream: Stream::Tls(Box::new(stream)), protocol, address })
}

/// Looks a name up and connects.
async fn reach(host: &str, port: u16, resolver: &Resolver, experience: &Experience) -> Result<(TcpStream, IpAddr), Failure> {
    let resolved = resolver.resolve(host, port).await;
    let addresses = resolved.map_err(|error| Failure::because(Phase::Connect, Reason::Resolve, error))?;
    first_of(&experience.order(&addresses, Instant::now()), experience).await
}

/// Connects to the address that answers first. Each has a head start over the next, or until it fails (RFC 8305 §5): one
/// that swallows everything costs that much and no more, and goes last for a while.
///
/// Cancel: dropping the future gives all attempts up.
async fn first_of(addresses: &[SocketAddr], experience: &Experience) -> Result<(TcpStream, IpAddr), Failure> {
    let mut left = addresses.iter().copied();
    let mut attempts = JoinSet::new();
    let mut begun: Vec<(IpAddr, Instant)> = Vec::new();
    let mut missed = Failure::new(Phase::Connect, Reason::Resolve);
    loop {
        if let Some(address) = left.next() {
            begun.push((address.ip(), Instant::now()));
            attempts.spawn(async move { (address.ip(), TcpStream::connect(address).await) });
        }
        let patience = if left.len() > 0 { HEAD_START } else { Duration::MAX };
        let (ip, attempt) = match tokio::time::timeout(patience, attempts.join_next()).await {
            Err(_) => continue,
            Ok(None) => return Err(missed),
            Ok(Some(Ok(ended))) => ended,
            Ok(Some(Err(broken))) => {
                missed = Failure::because(Phase::Connect, Reason::Refused, io::Error::other(broken));
                continue;
            }
        };
        begun.retain(|(other, _)| *other != ip);
        match attempt.and_then(tune) {
            Ok(socket) => {
                let now = Instant::now();
                experience.welcome(ip);
                // Those that were overtaken.
                let overtaken = begun.iter().filter(|(_, since)| now.saturating_duration_since(*since) >= HEAD_START);
                overtaken.for_each(|(slow, _)| experience.shun(*slow, now));
                return Ok((socket, ip));
            }
            Err(error) => {
                experience.shun(ip, Instant::now());
                missed = Failure::because(Phase::Connect, Reason::Refused, error);
            }
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
            let (socket, _) = first_of(&addresses, &Experience::default()).await.unwrap();
            assert_eq!(socket.peer_addr().unwrap(), answering, "{addresses:?}");
            assert!(begun.elapsed() < 4 * HEAD_START, "{addresses:?} took {:?}", begun.elapsed());
        }
        assert_eq!(first_of(&[refusing], &Experience::default()).await.unwrap_err().reason, Reason::Refused);
        assert_eq!(first_of(&[], &Experience::default()).await.unwrap_err().reason, Reason::Resolve);
    }
}
