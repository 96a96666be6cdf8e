//! `listen:`, `admin:` and `body:`: what faces the applications, and what it may cost.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::SecretText;
use crate::types::{Address, Period, Size};

/// Where applications connect.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// `IP:PORT`, or `unix:/path` for a socket file.
    pub address: Address,
    /// Serve TLS (with ALPN for HTTP/2); without it, plain HTTP/1.1 and HTTP/2 by prior knowledge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenTls>,
    /// Peers that `trust.proxies` covers begin each connection with a PROXY protocol header, version 1 or 2, before TLS; its
    /// source is the peer from then on. Without a valid one their connection is closed. Nobody else is believed: what they
    /// send is ordinary traffic.
    pub proxy_protocol: bool,
    /// Connections open at once; beyond it, new ones wait in the kernel's backlog.
    pub connections: NonZeroUsize,
    /// The time a client has to say which protocol it speaks, to finish its TLS handshake, and to send a whole request head.
    pub header_timeout: Period,
    /// How long a connection without a request stays open. Keep it above a load balancer's own idle timeout.
    pub keep_alive: Period,
    /// How long a client may take nothing of what is written to it before its connection is closed, and with it the
    /// provider's stream. Over HTTP/2 this holds for the connection: a client that reads on, and gives a single stream no
    /// window, is left alone.
    pub write_timeout: Period,
    /// The most header fields a request may have, cookie crumbs of HTTP/2 counted one by one.
    pub max_headers: NonZeroUsize,
    /// The most bytes a request head may have.
    pub max_header_size: Size,
    /// Keep the case of field names where HTTP/1.1 is spoken on both sides, up and down. Names mean the same in any case
    /// (RFC 9110 §5.1), and keeping it makes up a fifth of the work that a small request costs: else they are in small letters, as in
    /// HTTP/2.
    pub keep_case: bool,
    /// Worker threads; by default one for each processor that the process may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<NonZeroUsize>,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            tls: None,
            proxy_protocol: false,
            connections: const { NonZeroUsize::new(10_000).unwrap() },
            header_timeout: Period::secs(10),
            keep_alive: Period::secs(90),
            write_timeout: Period::secs(60),
            max_headers: const { NonZeroUsize::new(100).unwrap() },
            max_header_size: Size::kib(64),
            keep_case: false,
            workers: None,
        }
    }
}

/// The certificate that the listener shows, and those that it asks for. When the files change, new handshakes use what is
/// in them within two seconds; connections that are open stay.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// A PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// A PEM file with the private key.
    pub key: PathBuf,
    /// A PEM file of authorities. With it a client must present a certificate that leads to one of them, at every handshake:
    /// no session is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// Where operators and probes connect. Never share this address with applications.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// `IP:PORT`.
    #[serde(deserialize_with = "ip_and_port")]
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// What must stand behind `Authorization: Bearer` in every request that changes something: at least 16 characters, meant for
    /// `${VAR}` or `${file:path}`. Without it nothing can be changed over an address that other machines can reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretText>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)), token: None }
    }
}

/// As serde would, in words of ours.
fn ip_and_port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| de::Error::custom(format!("`{text}` is not an address; write `IP:PORT`, such as `127.0.0.1:8081`")))
}

/// How much of request bodies is held in memory so that a request can be read and sent again.
///
/// A body beyond these bounds still passes: it is streamed through and sent once.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Body {
    /// The most that is held for one request.
    pub buffer: Size,
    /// The most that is held for all requests together.
    pub buffer_total: Size,
    /// Refuse larger requests with 413; without it no size is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Size>,
    /// The time a client has to send the next part of a body that is held; over the whole body, 8 KiB a second more.
    pub read_timeout: Period,
}

impl Default for Body {
    fn default() -> Self {
        Self { buffer: Size::mib(16), buffer_total: Size::mib(64), max: None, read_timeout: Period::secs(30) }
    }
}
