//! The egress proxy that a provider is reached through: its own, or that of the environment.

use std::{borrow::Cow, fmt, net::IpAddr, str::FromStr};

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{BaseUrl, Environment, Sealed, SecretText};
use crate::types::Secret;

/// How a provider is reached: `environment`, `none`, or the URL of an HTTP proxy.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ProxyChoice {
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say.
    #[default]
    Environment,
    /// Straight.
    None,
    /// Through this one.
    Through(Proxy),
    /// Through the one whose URL was sealed; `Through` as soon as it is opened.
    Sealed(SecretText),
}

/// An HTTP proxy that opens tunnels (RFC 9110 §9.3.6). `Debug`, `Display` and the admin page show no credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxy {
    host: Box<str>,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Its host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of `Proxy-Authorization`: a secret.
    #[must_use]
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    fn of(intercept: &Intercept) -> Result<Self, String> {
        let uri = intercept.uri();
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err("a proxy that is itself reached by TLS is not supported; write `http://host:port`".to_owned()),
            _ => {
                return Err(
                    "a SOCKS proxy is not supported; write the URL of an HTTP proxy, such as `http://proxy.internal:3128`".to_owned()
                );
            }
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("the proxy has no host; write `http://host:port`".to_owned());
        }
        Ok(Self { host: host.into(), port: uri.port_u16().unwrap_or(80), authorization: intercept.basic_auth().cloned() })
    }
}

impl FromStr for Proxy {
    type Err = String;

    /// `http://[user[:password]@]host[:port]`; user and password percent-encoded. No error repeats the text: it may hold a password.
    fn from_str(text: &str) -> Result<Self, String> {
        // A matcher takes what it can't read for no proxy at all; here that is an error.
        let wrong = || {
            "this is not the URL of a proxy; write `http://host:port`; user and password go before the host, percent-encoded: `user:password@`".to_owned()
        };
        let any = Uri::from_static("https://provider.invalid");
        let intercept = Matcher::builder().all(text).build().intercept(&any).ok_or_else(wrong)?;
        Self::of(&intercept)
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = if self.authorization.is_some() { "[secret]@" } else { "" };
        match self.host.contains(':') {
            true => write!(f, "http://{credentials}[{}]:{}", self.host, self.port),
            false => write!(f, "http://{credentials}{}:{}", self.host, self.port),
        }
    }
}

impl<'de> Deserialize<'de> for ProxyChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "environment" => Ok(Self::Environment),
            "none" => Ok(Self::None),
            text if Sealed::is_sealed(text) => Ok(Self::Sealed(SecretText(Secret::new(text.to_owned())))),
            // A word is more likely a slip than the name of a proxy.
            text if !text.contains([':', '.']) => {
                Err(de::Error::custom("this is no proxy; write `environment`, `none`, or a URL such as `http://proxy.internal:3128`"))
            }
            text => text.parse().map(Self::Through).map_err(de::Error::custom),
        }
    }
}

impl Serialize for ProxyChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Environment => serializer.serialize_str("environment"),
            Self::None => serializer.serialize_str("none"),
            Self::Through(proxy) => serializer.collect_str(proxy),
            Self::Sealed(url) => url.serialize(serializer),
        }
    }
}

impl JsonSchema for ProxyChoice {
    fn schema_name() -> Cow<'static, str> {
        "Proxy".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["environment", "none", "http://proxy.internal:3128"] })
    }
}

/// A variable of the environment that can't be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfitVariable {
    /// Its name.
    pub name: &'static str,
    /// What is wrong and what to do, without its value.
    pub problem: String,
}

/// The proxy that the environment wants for `url`, as curl and most SDKs read it: `HTTPS_PROXY` or `HTTP_PROXY` by the
/// scheme, else `ALL_PROXY`, unless `NO_PROXY` names the host; each in capitals first, then in small letters.
///
/// This machine, and addresses that mean another place on each machine, are never behind a proxy.
///
/// # Errors
///
/// [`UnfitVariable`] if the one that counts here names no proxy that can be used.
pub fn from_environment(environment: &Environment, url: &BaseUrl) -> Result<Option<Proxy>, UnfitVariable> {
    if url.socket().is_some() || stays_near(url.host()) {
        return Ok(None);
    }
    let first = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| Some((name, environment.get(name)?.trim()))).filter(|(_, value)| !value.is_empty())
    };
    let by_scheme = if url.tls() { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let Some((name, value)) = first(by_scheme).or_else(|| first(["ALL_PROXY", "all_proxy"])) else { return Ok(None) };
    if first(["NO_PROXY", "no_proxy"]).is_some_and(|(_, list)| is_exempt(list, url)) {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|problem| UnfitVariable { name, problem })
}

/// Whether a list such as `localhost,10.0.0.0/8,.internal,host:8000` names the host of `url`.
fn is_exempt(list: &str, url: &BaseUrl) -> bool {
    let port = url.port().to_string();
    // The matcher knows names, networks and a single `*`. Ports, and a star before a domain, are written too.
    let entries = list.split([',', ' ']).filter(|entry| !entry.is_empty()).filter_map(|entry| {
        let entry = entry.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(entry);
        match entry.rsplit_once(':') {
            Some((host, only)) if entry.parse::<IpAddr>().is_err() && entry.parse::<IpNet>().is_err() => {
                (only == port).then(|| host.trim_start_matches('[').trim_end_matches(']'))
            }
            _ => Some(entry),
        }
    });
    let list = entries.collect::<Vec<_>>().join(",").to_ascii_lowercase();
    let host = url.host().to_ascii_lowercase();
    let host = if host.contains(':') { format!("https://[{host}]") } else { format!("https://{host}") };
    let Ok(asked) = host.parse::<Uri>() else { return false };
    Matcher::builder().all("http://proxy.invalid").no(list).build().intercept(&asked).is_none()
}

/// Loopback, link-local and the metadata services of clouds.
fn stays_near(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    match name.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
        Ok(IpAddr::V6(ip)) => {
            // The addresses at which AWS answers for an instance's metadata over IPv6.
            let metadata = ip.segments()[..3] == [0xfd00, 0xec2, 0];
            ip.is_loopback() || ip.is_unspecified() || ip.is_unicast_link_local() || metadata
        }
        Err(_) => name == "localhost" || name.ends_with(".localhost") || name == "metadata.google.internal",
    }
}

#[cfg(test)]
mod tests;
