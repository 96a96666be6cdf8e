//! Where a listener stands: a TCP address or a Unix socket.

use std::{borrow::Cow, fmt, net::SocketAddr, path::PathBuf, str::FromStr};

use super::as_text;

/// The most bytes of a Unix socket's path: what fits into `sun_path` beside its closing zero; unix(7).
pub const MAX_SOCKET_PATH: usize = 107;

/// `127.0.0.1:8080`, `[::]:8080`, `localhost:8080` or `unix:/run/sidegate.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Whether only this machine can reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err("`unix:` has no path behind it; write `unix:/path`".to_owned())
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        let text = text.strip_prefix("localhost:").map_or(Cow::Borrowed(text), |port| format!("127.0.0.1:{port}").into());
        text.parse()
            .map(Self::Tcp)
            .map_err(|_| format!("`{text}` is not an address; write `IP:PORT`, such as `127.0.0.1:8080`, or `unix:/path`"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

as_text!(Address, "Address", { "examples": ["127.0.0.1:8080", "unix:/run/sidegate.sock"] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_print() {
        for (text, local) in [
            ("127.0.0.1:8080", true),
            ("[::1]:80", true),
            ("0.0.0.0:80", false),
            ("[::ffff:127.0.0.1]:1", true),
            ("unix:/run/a.sock", true),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.is_local()), (text, local));
        }
        for text in ["", "8080", ":8080", "127.0.0.1", "unix:", "example.com:80", "127.0.0.1:70000"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
