//! Asks the admin listener of a running process about a request.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    time::Duration,
};

use http::Uri;
use serde_json::Value;

use super::super::ask::{Answer, Question};
use crate::{server::admin::query::encoded, types::Address};

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The URL by which this machine reaches a listener.
pub(super) fn near(address: SocketAddr) -> String {
    format!("http://{}", super::super::ask::near(address))
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
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = (host, authority.port_u16().unwrap_or(80)).to_socket_addrs().map_err(failed)?.next();
    let address = address.ok_or_else(|| format!("{url} can't be asked: the name has no address"))?;
    let pairs: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let target = format!("{}/limits/check?{}", uri.path().trim_end_matches('/'), pairs.join("&"));
    let question = Question { method: "GET", target: &target, host: Some(authority.as_str()), token: None };
    question.ask(&Address::Tcp(address), PATIENCE).and_then(read).map_err(|why| format!("{url} {why}"))
}

/// The JSON of an answer.
fn read(Answer { status, body }: Answer) -> Result<Value, String> {
    let body: Value = serde_json::from_str(&body).map_err(|_| format!("does not answer as an admin listener does (HTTP {status})"))?;
    match (status, body["error"]["message"].as_str()) {
        (200, _) if body["limits"].is_array() => Ok(body),
        (_, Some(message)) => Err(format!("answers {status}: {message}")),
        _ => Err(format!("does not answer as an admin listener does (HTTP {status})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_this_machine() {
        assert_eq!(near("0.0.0.0:8081".parse().unwrap()), "http://127.0.0.1:8081");
    }

    #[test]
    fn only_the_answer_of_an_admin_listener_is_one() {
        let read = |status, body: &str| read(Answer { status, body: body.to_owned() });
        assert!(read(200, "{\"limits\":[]}").is_ok());
        assert_eq!(read(403, "{\"error\":{\"message\":\"No.\",\"code\":\"x\"}}").unwrap_err(), "answers 403: No.");
        for (status, other) in [(200, "<html>"), (200, "{}"), (404, "{\"limits\":[]}"), (200, "")] {
            assert!(read(status, other).is_err());
        }
        for url in ["127.0.0.1:8081", "https://127.0.0.1:8081", "http://", "no url"] {
            assert!(at(url, &[]).is_err(), "{url}");
        }
    }
}
