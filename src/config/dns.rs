//! `dns:`: who is asked for the addresses of providers, and for how long an answer counts.

use std::{fmt, net::SocketAddr, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::types::{Period, as_text};

/// How the names of providers and of egress proxies become addresses.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Who resolves: `builtin` asks the name servers of `/etc/resolv.conf` itself, after `/etc/hosts`, and keeps to the time to
    /// live of each answer; `system` asks the C library, which knows more sources (`nsswitch.conf`) and tells no time to live.
    pub resolver: NameResolution,
    /// Name servers that are asked instead of those of `/etc/resolv.conf`, each as `IP` or `IP:PORT`.
    pub servers: Vec<NameServer>,
    /// An answer counts for at least this long, however short its time to live: no name is asked for more often. An answer of
    /// `system` counts for 30 s within these bounds.
    pub min_ttl: Period,
    /// An answer counts for at most this long, however long its time to live.
    pub max_ttl: Period,
    /// Whether connections to addresses that are no longer in the answer take no further request. Set it to `false` for names that
    /// answer with another part of many addresses each time.
    pub drain: bool,
}

impl Default for Dns {
    fn default() -> Self {
        Self { resolver: NameResolution::default(), servers: Vec::new(), min_ttl: Period::secs(5), max_ttl: Period::secs(300), drain: true }
    }
}

/// Who resolves names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NameResolution {
    /// Sidegate itself; the C library where `/etc/resolv.conf` names no server.
    #[default]
    Builtin,
    /// The C library.
    System,
}

/// The address of a name server; the port is 53 where none is written (RFC 1035 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

impl NameServer {
    const PORT: u16 = 53;
}

impl FromStr for NameServer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse().or_else(|_| text.trim_matches(['[', ']']).parse().map(|ip| SocketAddr::new(ip, Self::PORT)));
        match address {
            Ok(address) if address.port() != 0 => Ok(Self(address)),
            _ => {
                Err(format!("`{text}` is not the address of a name server; write `IP` or `IP:PORT`, such as `10.0.0.2` or `[fd00::2]:53`"))
            }
        }
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

as_text!(NameServer, "NameServer", { "examples": ["10.0.0.2", "10.0.0.2:53", "[fd00::2]:53"] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_server_is_an_address_with_or_without_a_port() {
        for (text, address) in
            [("10.0.0.2", "10.0.0.2:53"), ("10.0.0.2:5353", "10.0.0.2:5353"), ("fd00::2", "[fd00::2]:53"), ("[fd00::2]:54", "[fd00::2]:54")]
        {
            assert_eq!(text.parse::<NameServer>().unwrap().to_string(), address);
        }
        for text in ["", "dns.example.com", "10.0.0.2:0", "10.0.0.2:x", "10.0.0.0/8"] {
            assert!(text.parse::<NameServer>().is_err(), "{text}");
        }
    }
}
