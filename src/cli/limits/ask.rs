//! Asks the admin listener of a running process.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use http::Uri;
use serde_json::Value;

use crate::server::admin::query::encoded;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes of an answer: 256 limits of one kilobyte.
const MOST: u64 = 1 << 20;

/// The URL by which this machine reaches a listener.
pub(super) fn near(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// What the process at `url` says of a request.
///
/// # Errors
///
/// Why it could not be asked, in a sentence.
pub(super) fn at(url: &str, query: &[(&str, String)]) -> Result<Value, String> {
    let uri: Uri = url.parse().map_err(|_| format!("`{url}` is no URL; write one such as http://127.0.0.1:8081"))?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
    let authority = authority.ok_or_else(|| format!("the admin listener speaks plain HTTP: write `{url}` as http://HOST:PORT"))?;
    let failed = |error: std::io::Error| format!("{url} can't be asked: {error}");
    let deadline = Instant::now() + PATIENCE;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = (host, authority.port_u16().unwrap_or(80)).to_socket_addrs().map_err(failed)?.next();
    let address = address.ok_or_else(|| format!("{url} can't be asked: the name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let target = format!("{}/limits/check?{}", uri.path().trim_end_matches('/'), pairs.join("&"));
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n").as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    let mut part = [0; 16 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || answer.len() as u64 > MOST {
            return Err(format!("{url} takes too long, or says too much"));
        }
        stream.set_read_timeout(Some(left)).map_err(failed)?;
        match stream.read(&mut part).map_err(failed)? {
            0 => break,
            count => answer.extend_from_slice(&part[..count]),
        }
    }
    read(&answer).map_err(|why| format!("{url} {why}"))
}

/// The JSON of an answer whose connection has closed behind it.
fn read(answer: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(answer).map_err(|_| "answers with what is no text")?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("does not speak HTTP")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    let body: Value = serde_json::from_str(body).map_err(|_| format!("does not answer as an admin listener does (HTTP {status})"))?;
    match (status, body["error"]["message"].as_str()) {
        ("200", _) if body["limits"].is_array() => Ok(body),
        (_, Some(message)) => Err(format!("answers {status}: {message}")),
        _ => Err(format!("does not answer as an admin listener does (HTTP {status})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_this_machine() {
        for (address, url) in [
            ("127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("0.0.0.0:8081", "http://127.0.0.1:8081"),
            ("[::]:8081", "http://[::1]:8081"),
            ("192.0.2.7:81", "http://192.0.2.7:81"),
        ] {
            assert_eq!(near(address.parse().unwrap()), url);
        }
    }

    #[test]
    fn only_the_answer_of_an_admin_listener_is_one() {
        assert!(read(b"HTTP/1.1 200 OK\r\na: b\r\n\r\n{\"limits\":[]}").is_ok());
        let refused = b"HTTP/1.1 403 Forbidden\r\n\r\n{\"error\":{\"message\":\"No.\",\"code\":\"x\"}}";
        assert_eq!(read(refused).unwrap_err(), "answers 403: No.");
        for other in [&b"HTTP/1.1 200 OK\r\n\r\n<html>"[..], b"HTTP/1.1 200 OK\r\n\r\n{}", b"SSH-2.0", b"\xff\xfe", b""] {
            assert!(read(other).is_err());
        }
        for url in ["127.0.0.1:8081", "https://127.0.0.1:8081", "http://", "no url"] {
            assert!(at(url, &[]).is_err(), "{url}");
        }
    }
}
