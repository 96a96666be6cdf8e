//! Where a request comes from: its peer, or where a trusted peer says.

use std::net::IpAddr;

use crate::{config::Trust, pipeline::admit::Admitted};

/// The peer, or where a trusted peer says the request comes from: the nearest address of the chain that is not itself
/// trusted. What stands further left was written by somebody whose word does not count.
pub(super) fn client_ip(request: &Admitted, trust: &Trust) -> Option<IpAddr> {
    let mut nearest = request.peer.map(|ip| ip.to_canonical());
    let chain = request.claims.forwarded_for.iter().rev().flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    for hop in chain {
        if !trust.covers(nearest) {
            break;
        }
        match hop.trim_ascii() {
            // Nobody is named between two commas, and the list goes on (RFC 9110 §5.6.1).
            b"" => {}
            hop => match parse_hop(hop) {
                Some(ip) => nearest = Some(ip),
                None => break,
            },
        }
    }
    nearest
}

/// An address of the chain: alone, in brackets, and perhaps with a port, as some proxies write it. A zone (RFC 4007 §11)
/// means something on one machine only, and is left out.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?;
    let ip = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']')?;
            let numbered = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            numbered.then(|| parse_v6(ip)).flatten()?
        }
        None => match text.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => match text.split_once(':') {
                Some((ip, port)) if is_port(port) => IpAddr::V4(ip.parse().ok()?),
                _ => parse_v6(text)?,
            },
        },
    };
    Some(ip.to_canonical())
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

fn parse_v6(text: &str) -> Option<IpAddr> {
    let (ip, zone) = text.split_once('%').unwrap_or((text, "-"));
    let is_zone = !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    is_zone.then(|| ip.parse().ok().map(IpAddr::V6)).flatten()
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request};

    use super::*;
    use crate::{
        config::Listen,
        pipeline::{admit::admit, fields::Present},
    };

    fn from(peer: &str, chain: &'static str) -> String {
        let request = Request::builder().uri("/v1/x").header("host", "a").header("x-forwarded-for", HeaderValue::from_static(chain));
        let head = request.body(()).unwrap().into_parts().0;
        let present = Present::read(&head.headers);
        let trust = Trust { proxies: vec!["10.0.0.0/8".parse().unwrap()] };
        let request = admit(Box::new(head), present, Some(peer.parse().unwrap()), &Listen::default(), &trust).unwrap();
        client_ip(&request, &trust).unwrap().to_string()
    }

    #[test]
    fn the_chain_is_walked_from_the_right_and_only_as_far_as_trust_reaches() {
        for (peer, chain, ip) in [
            ("1.2.3.4", "9.9.9.9", "1.2.3.4"),
            ("10.0.0.1", "9.9.9.9", "9.9.9.9"),
            ("10.0.0.1", "6.6.6.6, 9.9.9.9, 10.0.0.2", "9.9.9.9"),
            ("10.0.0.1", "6.6.6.6, nonsense, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "9.9.9.9:1234", "9.9.9.9"),
            ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
            ("::ffff:10.0.0.1", "::ffff:9.9.9.9", "9.9.9.9"),
            ("10.0.0.1", "[::ffff:9.9.9.9]:443", "9.9.9.9"),
            ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
            ("10.0.0.1", "fe80::1%eth0", "fe80::1"),
            ("10.0.0.1", "[fe80::1%25]:443", "fe80::1"),
            ("10.0.0.1", "6.6.6.6, 9.9.9.9,, ,10.0.0.2,", "9.9.9.9"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            // What is no address ends the chain at the hop that wrote it.
            ("10.0.0.1", "9.9.9.9, unknown", "10.0.0.1"),
            ("10.0.0.1", "9.9.9.9:", "10.0.0.1"),
            ("10.0.0.1", "9.9.9.9:65536", "10.0.0.1"),
            ("10.0.0.1", "9.9.9.9:+1", "10.0.0.1"),
            ("10.0.0.1", "9.9.9.9%eth0", "10.0.0.1"),
            ("10.0.0.1", "fe80::1%", "10.0.0.1"),
            ("10.0.0.1", "[9.9.9.9]", "10.0.0.1"),
            ("10.0.0.1", "[2001:db8::1", "10.0.0.1"),
            ("10.0.0.1", "[2001:db8::1]x", "10.0.0.1"),
            ("10.0.0.1", "09.9.9.9", "10.0.0.1"),
            ("10.0.0.1", "\"[2001:db8::1]\"", "10.0.0.1"),
            ("10.0.0.1", "9.9.9.9 6.6.6.6", "10.0.0.1"),
        ] {
            assert_eq!(from(peer, chain), ip, "{peer} {chain}");
        }
    }
}
