//! Where the load goes: a base URL as an SDK takes it.

use std::{fmt, path::PathBuf, str::FromStr};

use http::Uri;

/// A base URL, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub(super) place: Place,
    /// What the `Host` field says.
    pub(super) authority: String,
    /// The path of the requests, that of the API included.
    pub(super) path: String,
    text: String,
}

/// How a site is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

/// What a base URL is completed with.
const API: &str = "/chat/completions";

impl FromStr for Site {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let place = Place::Unix(path.into());
            let wrong = "`unix:` has no path behind it; write `unix:/path`";
            return if path.is_empty() {
                Err(wrong.to_owned())
            } else {
                Ok(Self { place, authority: "localhost".to_owned(), path: format!("/v1{API}"), text: text.to_owned() })
            };
        }
        // The text is not repeated: it may hold a password.
        let wrong = |why: &str| format!("{why}; write a base URL, such as `http://127.0.0.1:8080/v1`");
        let uri: Uri = text.parse().map_err(|error| wrong(&format!("this is not a URL ({error})")))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(wrong("only http, https and unix are known")),
            None => return Err(wrong("it does not begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("it holds a user or a password; the key comes by --key or OPENAI_API_KEY"));
        }
        if uri.query().is_some() {
            return Err(wrong("it has a query"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("it names no host"));
        }
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str() == authority.host() => [80, 443][usize::from(tls)],
            None => return Err(wrong("its port is none")),
        };
        let base = uri.path().trim_end_matches('/');
        let path = if base.ends_with(API) { base.to_owned() } else { format!("{base}{API}") };
        Ok(Self { place: Place::Tcp { host, port, tls }, authority: authority.to_string(), path, text: text.to_owned() })
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_completed_as_an_sdk_does_it() {
        for (url, authority, path) in [
            ("http://127.0.0.1:8080/v1", "127.0.0.1:8080", "/v1/chat/completions"),
            ("http://127.0.0.1:8080/v1/", "127.0.0.1:8080", "/v1/chat/completions"),
            ("https://api.example/a/chat/completions", "api.example", "/a/chat/completions"),
            ("http://[::1]:80", "[::1]:80", "/chat/completions"),
            ("unix:/run/sidegate.sock", "localhost", "/v1/chat/completions"),
        ] {
            let site: Site = url.parse().unwrap();
            assert_eq!((site.authority.as_str(), site.path.as_str(), site.to_string().as_str()), (authority, path, url));
        }
    }

    #[test]
    fn the_port_follows_from_the_scheme_and_an_address_of_ipv6_loses_its_brackets() {
        for (url, host, port, tls) in
            [("http://a/v1", "a", 80, false), ("https://a/v1", "a", 443, true), ("https://[::1]:8443", "::1", 8443, true)]
        {
            assert_eq!(url.parse::<Site>().unwrap().place, Place::Tcp { host: host.to_owned(), port, tls }, "{url}");
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused_and_no_password_is_repeated() {
        for url in [
            "",
            "localhost",
            "localhost:8080/v1",
            "/v1",
            "ftp://a/",
            "http://",
            "http://a:99999/",
            "http://a/?key=hidden",
            "unix:",
            "http://a b/",
        ] {
            assert!(url.parse::<Site>().is_err(), "{url}");
        }
        let error = "http://user:hidden@a/v1".parse::<Site>().unwrap_err();
        assert!(error.contains("--key") && !error.contains("hidden"), "{error}");
    }
}
