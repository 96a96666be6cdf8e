//! A provider's `base_url`: the only place where a scheme, a host or a port can come from.

use std::{borrow::Cow, fmt, str::FromStr};

use http::{
    Uri,
    uri::{Authority, Scheme},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// `https://host[:port][/path]`. No user, no query, no fragment; the path has no slash at its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    tls: bool,
    authority: Authority,
    path: Box<str>,
}

impl BaseUrl {
    /// Whether it is `https`.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// Host and, where one was written, port: the value of `Host` and `:authority`.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The host without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// The scheme, as `:scheme` wants it.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        if self.tls { Scheme::HTTPS } else { Scheme::HTTP }
    }

    /// The path prefix: empty, or `/` and segments without a slash at the end.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri =
            text.parse().map_err(|_| format!("`{text}` is not a URL; write `https://host/path`, such as `https://api.openai.com/v1`"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("`{text}` has no scheme that is known here; begin with `https://` or `http://`")),
        };
        let authority = uri
            .authority()
            .filter(|authority| !authority.host().is_empty())
            .ok_or_else(|| format!("`{text}` has no host; write `https://host/path`"))?;
        if authority.as_str().contains('@') {
            return Err("a URL must not carry a user or password; remove it: keys go into `keys:`".to_owned());
        }
        if authority.port_u16().is_none() && authority.as_str().trim_end_matches(']').len() > authority.host().trim_end_matches(']').len() {
            return Err(format!("`{text}` has a port that is no number from 1 to 65535; correct or remove the port"));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err("a base URL has no query and no fragment; remove what stands from `?` or `#` on".to_owned());
        }
        Ok(Self { tls, authority: authority.clone(), path: uri.path().trim_end_matches('/').into() })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.path)
    }
}

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for BaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for BaseUrl {
    fn schema_name() -> Cow<'static, str> {
        "BaseUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^https?://", "examples": ["https://api.openai.com/v1"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_gives_host_port_and_a_path_without_a_last_slash() {
        for (text, host, port, path) in [
            ("https://api.openai.com/v1", "api.openai.com", 443, "/v1"),
            ("http://127.0.0.1:9000/", "127.0.0.1", 9000, ""),
            ("http://[::1]:9000/a/b/", "::1", 9000, "/a/b"),
            ("http://[::1]", "::1", 80, ""),
        ] {
            let url: BaseUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port(), url.path()), (host, port, path), "{text}");
        }
    }

    #[test]
    fn what_could_send_a_key_elsewhere_is_refused() {
        for text in [
            "",
            "api.openai.com",
            "ftp://x",
            "https://",
            "https://u:p@h/",
            "https://h:99999/",
            "https://h:/",
            "https://h/?q",
            "https://h/#f",
            "//h/v1",
        ] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
    }
}
