//! Step 2: who calls.
//!
//! A client is known by its key, or else by its address. A tier comes from the key, else from a trusted proxy's word,
//! else from what the config says of strangers.

pub mod region;

use std::{net::IpAddr, str::FromStr};

use super::{admit::Admitted, client::Client, fields::Present, reject::Reject};
use crate::{
    config::{Trust, clients::KeyHash},
    provider::auth,
    runtime::snapshot::{Clients, Stranger},
    types::Tier,
};

/// Our own keys start with this, so one that is not known is an error and not a stranger's habit.
const OUR_PREFIX: &[u8] = b"sg-";

/// Finds out who calls.
///
/// # Errors
///
/// 401 for a key that claims to be ours and is not, and for strangers where they are not let in.
pub fn identify(request: &Admitted, clients: &Clients, trust: &Trust) -> Result<Client, Reject> {
    let ip = client_ip(request, trust);
    let claimed_tier = request.claims.tier.as_ref().and_then(|tier| Tier::from_str(tier.to_str().ok()?).ok());
    let query = request.head.uri.query();
    let may = request.present.has(Present::ANY_KEY) || query.is_some();
    // Hashing costs as much as the rest of this step: only where there is something to compare with.
    let is_compared = !clients.by_hash.is_empty();
    if may
        && is_compared
        && let Some(known) = auth::find_presented(&request.head.headers, query, |key| clients.by_hash.get(&KeyHash::of(key)))
    {
        return Ok(Client { name: Some(known.name.clone()), tier: Some(known.tier.clone()), region: None, ip, key_is_ours: true });
    }
    let presents =
        |is_it: fn(&[u8]) -> bool| may && auth::find_presented(&request.head.headers, query, |key| is_it(key).then_some(())).is_some();
    if presents(|key| key.starts_with(OUR_PREFIX)) {
        return Err(Reject::WrongKey);
    }
    let tier = match &clients.anonymous {
        Stranger::Denied => return Err(if presents(|_| true) { Reject::WrongKey } else { Reject::Unauthenticated }),
        Stranger::Local => claimed_tier,
        Stranger::Tier(tier) => Some(claimed_tier.unwrap_or_else(|| tier.clone())),
    };
    Ok(Client { name: None, tier, region: None, ip, key_is_ours: false })
}

/// The peer, or where a trusted peer says the request comes from: the nearest address of the chain that is not itself
/// trusted. What stands further left was written by somebody whose word does not count.
fn client_ip(request: &Admitted, trust: &Trust) -> Option<IpAddr> {
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
    use crate::{config::Listen, pipeline::admit::admit, runtime::snapshot::Known};

    fn clients(anonymous: Stranger) -> Clients {
        let known = Known { name: "web".parse().unwrap(), tier: "premium".parse().unwrap() };
        Clients { by_hash: [(KeyHash::of(b"sg-good"), known)].into(), anonymous }
    }

    fn trust() -> Trust {
        Trust { proxies: vec!["10.0.0.0/8".parse().unwrap()] }
    }

    fn call(peer: &str, headers: &[(&'static str, &'static str)], clients: &Clients) -> Result<Client, Reject> {
        let mut request = Request::builder().uri("/v1/x").header("host", "a");
        for (name, value) in headers {
            request = request.header(*name, HeaderValue::from_static(value));
        }
        let head = request.body(()).unwrap().into_parts().0;
        let present = Present::read(&head.headers);
        identify(&admit(Box::new(head), present, Some(peer.parse().unwrap()), &Listen::default(), &trust()).unwrap(), clients, &trust())
    }

    #[test]
    fn a_key_of_ours_names_the_client_in_whichever_form_it_comes() {
        for headers in [[("authorization", "Bearer sg-good")], [("x-api-key", "sg-good")], [("api-key", "sg-good")]] {
            let client = call("1.2.3.4", &headers, &clients(Stranger::Denied)).unwrap();
            assert_eq!((client.name.unwrap().as_str(), client.tier.unwrap().as_str()), ("web", "premium"));
        }
    }

    #[test]
    fn a_wrong_key_is_refused_and_a_strangers_counts_as_none() {
        let open = clients(Stranger::Tier("free".parse().unwrap()));
        assert!(matches!(call("1.2.3.4", &[("authorization", "Bearer sg-bad")], &open), Err(Reject::WrongKey)));
        assert_eq!(call("1.2.3.4", &[("authorization", "Bearer sk-whatever")], &open).unwrap().tier.unwrap().as_str(), "free");
        assert!(matches!(call("1.2.3.4", &[], &clients(Stranger::Denied)), Err(Reject::Unauthenticated)));
        assert!(matches!(call("1.2.3.4", &[("authorization", "Bearer sk-x")], &clients(Stranger::Denied)), Err(Reject::WrongKey)));
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
            let client = call(peer, &[("x-forwarded-for", chain)], &clients(Stranger::Local)).unwrap();
            assert_eq!(client.ip.unwrap().to_string(), ip, "{peer} {chain}");
        }
    }

    #[test]
    fn a_tier_is_believed_from_a_trusted_peer_only() {
        let open = clients(Stranger::Tier("free".parse().unwrap()));
        let tier = |peer| call(peer, &[("x-api-tier", "premium")], &open).unwrap().tier.unwrap().to_string();
        assert_eq!((tier("10.0.0.1").as_str(), tier("1.2.3.4").as_str()), ("premium", "free"));
    }
}
