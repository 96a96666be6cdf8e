//! A tunnel through an egress proxy (RFC 9110 §9.3.6).
//!
//! Every provider is reached by CONNECT, also in plain text: the proxy then learns a host and a port. Behind TLS it sees no
//! request and no key; in plain text it could read both, as could every other machine on the way.

use std::{error::Error, fmt, io};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::config::{BaseUrl, Proxy};

/// The most that a proxy may say before the tunnel opens.
const MAX_HEAD: usize = 8 << 10;

/// Why there is no tunnel.
#[derive(Debug)]
pub(super) enum NoTunnel {
    /// The proxy's answer, of which nothing but the status is repeated: the rest may hold anything.
    Status(u16),
    /// The answer was longer than [`MAX_HEAD`], or not HTTP.
    Unreadable,
    /// The connection ended.
    Io(io::Error),
}

impl fmt::Display for NoTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(407) => f.write_str("the egress proxy wants other credentials (407)"),
            Self::Status(status) => write!(f, "the egress proxy refused to connect ({status})"),
            Self::Unreadable => f.write_str("the egress proxy did not answer in HTTP"),
            Self::Io(_) => f.write_str("the egress proxy closed the connection"),
        }
    }
}

impl Error for NoTunnel {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let Self::Io(error) = self { Some(error) } else { None }
    }
}

impl From<io::Error> for NoTunnel {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Opens a tunnel to the host of `url` over a connection to its proxy. The caller bounds the time.
///
/// Nothing of a request goes out before the proxy has agreed, and nothing that comes behind its answer is lost: a provider
/// that speaks first is heard.
pub(super) async fn tunnel(mut socket: TcpStream, proxy: &Proxy, url: &BaseUrl) -> Result<TcpStream, NoTunnel> {
    socket.write_all(&request(proxy, url)).await?;
    let mut head = Vec::new();
    let mut peeked = [0; 1 << 10];
    loop {
        let count = socket.peek(&mut peeked).await?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let before = head.len();
        head.extend_from_slice(&peeked[..count]);
        let end = end_of_head(&head, before);
        head.truncate(end.unwrap_or(head.len()));
        // What was looked at is taken, up to the end of the head and no further.
        let taken = head.len() - before;
        socket.read_exact(&mut peeked[..taken]).await?;
        if head.len() > MAX_HEAD {
            return Err(NoTunnel::Unreadable);
        }
        if end.is_some() {
            break;
        }
    }
    match status(&head) {
        Some(200..=299) => Ok(socket),
        Some(status) => Err(NoTunnel::Status(status)),
        None => Err(NoTunnel::Unreadable),
    }
}

fn request(proxy: &Proxy, url: &BaseUrl) -> Vec<u8> {
    let (host, port) = (url.host(), url.port());
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
    if let Some(authorization) = proxy.authorization() {
        request.extend([b"Proxy-Authorization: ", authorization.as_bytes(), b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    request
}

/// Where the head ends, if it does, of whose first `before` bytes that is known to be false.
fn end_of_head(head: &[u8], before: usize) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let from = before.saturating_sub(END.len() - 1);
    memchr::memmem::find(&head[from..], END).map(|at| from + at + END.len())
}

/// The status of `HTTP/1.x 200 …`.
fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.0 ").or_else(|| head.strip_prefix(b"HTTP/1.1 "))?;
    let (digits, after) = rest.split_at_checked(3)?;
    let ends = matches!(after.first(), Some(b' ' | b'\r'));
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|status| ends && (100..600).contains(status))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What comes of a proxy that says `answer`, and what is read behind it.
    async fn behind(answer: &'static str) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let proxy: Proxy = "http://user:word@proxy.test".parse().unwrap();
        let url: BaseUrl = "https://[2001:db8::1]/v1".parse().unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        let said = async {
            let mut asked = vec![0; request(&proxy, &url).len()];
            peer.read_exact(&mut asked).await.unwrap();
            peer.write_all(answer.as_bytes()).await.unwrap();
            drop(peer);
            String::from_utf8(asked).unwrap()
        };
        let (tunnel, asked) = tokio::join!(tunnel(socket, &proxy, &url), said);
        let expected = "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\nProxy-Authorization: Basic dXNlcjp3b3Jk\r\n\r\n";
        assert_eq!(asked, expected);
        let mut text = String::new();
        tunnel.map_err(|error| error.to_string())?.read_to_string(&mut text).await.unwrap();
        Ok(text)
    }

    #[tokio::test]
    async fn a_tunnel_loses_nothing_of_what_the_provider_says_first() {
        assert_eq!(behind("HTTP/1.1 200 Connection established\r\nVia: squid\r\n\r\nhello").await.unwrap(), "hello");
        assert_eq!(behind("HTTP/1.0 204\r\n\r\n").await.unwrap(), "");
    }

    #[tokio::test]
    async fn an_answer_that_opens_no_tunnel_is_told_without_its_words() {
        let endless: &'static str = Box::leak(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(2 * MAX_HEAD)).into_boxed_str());
        for (answer, told) in [
            ("HTTP/1.1 407 secret\r\n\r\n", "the egress proxy wants other credentials (407)"),
            ("HTTP/1.1 403 secret\r\n\r\n", "the egress proxy refused to connect (403)"),
            ("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "the egress proxy refused to connect (302)"),
            ("SSH-2.0-OpenSSH\r\n\r\n", "the egress proxy did not answer in HTTP"),
            ("HTTP/1.1 2000\r\n\r\n", "the egress proxy did not answer in HTTP"),
            ("HTTP/1.1 200 OK\r\n", "the egress proxy closed the connection"),
            (endless, "the egress proxy did not answer in HTTP"),
        ] {
            assert_eq!(behind(answer).await.unwrap_err(), told, "{}", answer.chars().take(40).collect::<String>());
        }
    }
}
