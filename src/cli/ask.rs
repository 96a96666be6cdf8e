//! Asks the admin listener of a running process: one request over plain HTTP/1.1, bounded in time and in size.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use crate::types::{Address, Secret};

/// The most bytes of an answer: 256 limits of one kilobyte, which is the longest there is.
const MOST: usize = 1 << 20;

/// What is asked.
pub(super) struct Question<'q> {
    pub(super) method: &'static str,
    /// The path, perhaps with a query.
    pub(super) target: &'q str,
    /// What stands in `Host`; by default `localhost`, a name that the listener takes wherever it is.
    pub(super) host: Option<&'q str>,
    /// What a change takes.
    pub(super) token: Option<&'q Secret>,
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Question<'_> {
    /// Asks the listener at `address`; all of it takes at most `patience`.
    ///
    /// # Errors
    ///
    /// Why there is no answer, in a sentence about the listener: "can't be asked: Connection refused".
    pub(super) fn ask(&self, address: &Address, patience: Duration) -> Result<Answer, String> {
        let deadline = Instant::now() + patience;
        let failed = |error: io::Error| match error.kind() {
            // A socket says the first of them when its time is over.
            ErrorKind::WouldBlock | ErrorKind::TimedOut => too_long(),
            _ => format!("can't be asked: {error}"),
        };
        let head = self.head()?;
        let mut wire = connect(address, patience).map_err(failed)?;
        wire.bound(left(deadline)?).map_err(failed)?;
        wire.write_all(head.as_bytes()).map_err(failed)?;
        let mut answer = Vec::new();
        let mut part = [0; 16 << 10];
        loop {
            wire.bound(left(deadline)?).map_err(failed)?;
            match wire.read(&mut part).map_err(failed)? {
                0 => return read(answer),
                count if answer.len() + count > MOST => return Err("says too much".to_owned()),
                count => answer.extend_from_slice(&part[..count]),
            }
        }
    }

    /// The request. Its connection ends with it, so the end of the answer shows however that is framed.
    fn head(&self) -> Result<String, String> {
        let Self { method, target, host, token } = self;
        let authorization = match token.map(Secret::expose) {
            Some(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => format!("Authorization: Bearer {token}\r\n"),
            Some(_) => return Err("can't be asked: `admin.token` holds what can't be sent".to_owned()),
            None => String::new(),
        };
        let length = if *method == "GET" { "" } else { "Content-Length: 0\r\n" };
        let host = host.unwrap_or("localhost");
        Ok(format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{authorization}{length}Connection: close\r\n\r\n"))
    }
}

/// The address by which this machine reaches a listener.
pub(super) fn near(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A connection of either kind.
pub(super) trait Wire: Read + Write {
    /// The next read, and the next write, may take so long. It is not zero.
    fn bound(&self, time: Duration) -> io::Result<()>;
}

impl Wire for TcpStream {
    fn bound(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time)).and_then(|()| self.set_write_timeout(Some(time)))
    }
}

impl Wire for UnixStream {
    fn bound(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time)).and_then(|()| self.set_write_timeout(Some(time)))
    }
}

/// Connects. To a Unix socket that takes no time: without room in its backlog it is refused at once.
///
/// # Errors
///
/// As the system says.
pub(super) fn connect(address: &Address, patience: Duration) -> io::Result<Box<dyn Wire>> {
    Ok(match address {
        Address::Tcp(address) => Box::new(TcpStream::connect_timeout(&near(*address), patience)?),
        Address::Unix(path) => Box::new(UnixStream::connect(path)?),
    })
}

/// The first line of what was answered, as far as it is short. What answers may be something else, and moves no cursor.
pub(super) fn line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|letter| !letter.is_control()).take(200).collect()
}

fn left(deadline: Instant) -> Result<Duration, String> {
    Some(deadline.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero()).ok_or_else(too_long)
}

fn too_long() -> String {
    "takes too long".to_owned()
}

/// An answer whose connection has closed behind it.
fn read(answer: Vec<u8>) -> Result<Answer, String> {
    let text = String::from_utf8(answer).map_err(|_| "answers with what is no text")?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("does not speak HTTP")?;
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.trim_end().parse().ok());
    let status = status.ok_or("does not speak HTTP")?;
    Ok(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_this_machine() {
        for (address, reached) in [
            ("127.0.0.1:8081", "127.0.0.1:8081"),
            ("0.0.0.0:8081", "127.0.0.1:8081"),
            ("[::]:8081", "[::1]:8081"),
            ("192.0.2.7:81", "192.0.2.7:81"),
        ] {
            assert_eq!(near(address.parse().unwrap()).to_string(), reached);
        }
    }

    #[test]
    fn only_what_speaks_http_has_answered() {
        let answer = read(b"HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\ndraining\n".to_vec()).unwrap();
        assert_eq!(answer, Answer { status: 503, body: "draining\n".to_owned() });
        for other in [&b"SSH-2.0"[..], b"\xff\xfe\r\n\r\n", b"", b"HTTP/1.1 200 OK", b"HTTP/1.1\r\n\r\n", b"FTP/1.1 200 OK\r\n\r\n"] {
            assert!(read(other.to_vec()).is_err());
        }
    }

    #[test]
    fn a_token_that_would_break_the_head_is_not_sent() {
        let head = |token: &str| {
            let token = Secret::new(token.to_owned());
            Question { method: "POST", target: "/drain", host: None, token: Some(&token) }.head()
        };
        let whole =
            "POST /drain HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer abc\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        assert_eq!(head("abc").unwrap(), whole);
        for odd in ["a\r\nb", "a b", "ä"] {
            let why = head(odd).unwrap_err();
            assert!(why.contains("admin.token") && !why.contains(odd), "{why}");
        }
    }
}
