//! A provider's `base_url`: the only place where a scheme, a host or a port can come from.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

use crate::types::{address::MAX_SOCKET_PATH, as_text};

/// `https://host[:port][/path]`, or `unix:/run/some.sock[:/path]`. No user, no query, no fragment; the path has no slash at its
/// end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BaseUrl {
    tls: bool,
    authority: Authority,
    path: Box<str>,
    socket: Option<PathBuf>,
}

impl BaseUrl {
    /// Whether it is `https`.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls
    }

    /// The file of the Unix socket to connect to, instead of host and port.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    /// Host and, where one was written, port: the value of `Host` and `:authority`. `localhost` behind a Unix socket.
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
        if let Some(behind) = text.strip_prefix("unix:") {
            return Self::unix(behind);
        }
        if let Some(meant) = unix_elsewhere(text) {
            return Err(format!("a Unix socket has another form here; write `unix:{meant}`"));
        }
        let uri: Uri =
            text.parse().map_err(|_| format!("`{text}` is not a URL; write `https://host/path`, such as `https://api.openai.com/v1`"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("`{text}` has no scheme that is known here; begin with `https://`, `http://` or `unix:/`")),
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
        Ok(Self { tls, authority: authority.clone(), path: uri.path().trim_end_matches('/').into(), socket: None })
    }
}

impl BaseUrl {
    /// What stands behind `unix:`: the path of a socket, and a path prefix behind the first `:/`.
    fn unix(text: &str) -> Result<Self, String> {
        let (socket, path) = text.split_once(":/").map_or((text, ""), |(socket, path)| (socket, path));
        if !socket.starts_with('/') || socket.ends_with('/') {
            return Err(
                "`unix:` wants the whole path of a socket behind it; write `unix:/run/some.sock`, or `unix:/run/some.sock:/v1`".to_owned()
            );
        }
        if socket.len() > MAX_SOCKET_PATH {
            return Err(format!("the path of this socket is too long; write one of at most {MAX_SOCKET_PATH} bytes"));
        }
        if socket.contains(char::is_control) {
            return Err("the path of this socket holds a control character; correct it".to_owned());
        }
        let path: Uri = format!("/{path}")
            .parse()
            .map_err(|_| "what stands behind the socket is no path; write `unix:/run/some.sock:/v1`".to_owned())?;
        if path.query().is_some() || text.contains('#') {
            return Err("a base URL has no query and no fragment; remove what stands from `?` or `#` on".to_owned());
        }
        let path = path.path().trim_end_matches('/').into();
        Ok(Self { tls: false, authority: Authority::from_static("localhost"), path, socket: Some(socket.into()) })
    }
}

/// What the forms that other programs have for a Unix socket mean here: `http://unix:/a.sock:/v1` and `http+unix://%2Fa.sock/v1`.
fn unix_elsewhere(text: &str) -> Option<String> {
    if let Some(behind) = text.strip_prefix("http://unix:") {
        return Some(behind.to_owned());
    }
    let (socket, path) = text.strip_prefix("http+unix://").map(|behind| behind.split_once('/').unwrap_or((behind, "")))?;
    let socket = socket.replace("%2F", "/").replace("%2f", "/");
    Some(if path.is_empty() { socket } else { format!("{socket}:/{path}") })
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.socket, &*self.path) {
            (Some(socket), "") => write!(f, "unix:{}", socket.display()),
            (Some(socket), path) => write!(f, "unix:{}:{path}", socket.display()),
            (None, path) => write!(f, "{}://{}{path}", self.scheme(), self.authority),
        }
    }
}

as_text!(BaseUrl, "BaseUrl", { "pattern": "^(https?://|unix:/)", "examples": ["https://api.openai.com/v1", "unix:/run/vllm.sock:/v1"] });

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
    fn a_unix_socket_has_a_path_of_its_own_and_may_have_a_prefix() {
        for (text, socket, path) in [
            ("unix:/run/vllm.sock", "/run/vllm.sock", ""),
            ("unix:/run/vllm.sock:/v1", "/run/vllm.sock", "/v1"),
            ("unix:/run/vllm.sock:/v1/", "/run/vllm.sock", "/v1"),
            ("unix:/run/a:b.sock:/a/b", "/run/a:b.sock", "/a/b"),
        ] {
            let url: BaseUrl = text.parse().unwrap();
            assert_eq!((url.socket(), url.path(), url.authority().as_str()), (Some(Path::new(socket)), path, "localhost"), "{text}");
            assert_eq!(url.to_string(), text.trim_end_matches('/'));
        }
        let long = format!("unix:/{}", "x".repeat(107));
        for text in ["unix:", "unix:run.sock", "unix:/", "unix:/run/", "unix:/a.sock:/v1?q", "unix:/a.sock:/v 1", "unix:/a\nb", &long] {
            assert!(text.parse::<BaseUrl>().is_err(), "{text}");
        }
        assert!(long[..long.len() - 1].parse::<BaseUrl>().is_ok());
        for text in ["http+unix://%2Frun%2Fvllm.sock/v1", "http://unix:/run/vllm.sock:/v1"] {
            assert!(text.parse::<BaseUrl>().unwrap_err().ends_with("write `unix:/run/vllm.sock:/v1`"), "{text}");
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
