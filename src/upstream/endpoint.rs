//! Where a provider is reached and within which bounds: what one pool of connections is about.

use std::{
    fmt,
    ops::Deref,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, uri::Scheme};
use rustls::pki_types::ServerName;

use super::{addresses::Experience, tls::EndpointTls};
use crate::config::{BaseUrl, Connections, HttpVersion, Proxy, Timeouts, UpstreamTls};

/// Hears what happens to an endpoint's connections. All calls are quick and come from any worker.
pub trait Observer: Send + Sync {
    /// A connection is open.
    fn connected(&self);
    /// An open connection has ended.
    fn disconnected(&self);
    /// A connection could not be made.
    fn failed(&self);
    /// A request that the provider did not answer was sent again: it did not process it, or that makes no difference.
    fn resent(&self);
}

/// One open connection, for as long as this lives.
pub(super) struct Open(Arc<dyn Observer>);

impl Open {
    pub(super) fn count(observer: &Arc<dyn Observer>) -> Self {
        observer.connected();
        Self(Arc::clone(observer))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.disconnected();
    }
}

/// Tells endpoints apart for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointId(u64);

impl EndpointId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Where a connection to an endpoint begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door<'e> {
    /// At a host and port.
    Tcp(&'e str, u16),
    /// At the file of a Unix socket.
    Unix(&'e Path),
}

/// All that is said of a host, apart from its certificates.
#[derive(Clone, Debug, PartialEq)]
pub struct How {
    /// Scheme, host, port and path prefix. Nothing a client sends can change them.
    pub url: BaseUrl,
    /// The egress proxy on the way.
    pub proxy: Option<Proxy>,
    /// The protocol to speak.
    pub version: HttpVersion,
    /// How long each phase may take.
    pub timeouts: Timeouts,
    /// Bounds on its connections, for the whole process.
    pub bounds: Connections,
    /// Whether the case of a reply's field names is kept, over HTTP/1.1.
    pub keep_case: bool,
}

/// One host of one provider. It lives through generations of the config as long as nothing about it changes, and with it its
/// connections.
pub struct Endpoint {
    /// Which pool its connections are in.
    pub id: EndpointId,
    how: How,
    /// The value of `Host`.
    pub host: HeaderValue,
    /// Present for `https`, with the name that the certificate must bear.
    pub tls: Option<(EndpointTls, ServerName<'static>)>,
    /// Hears of connections made and lost.
    pub observer: Arc<dyn Observer>,
    /// Which of its addresses were trouble lately.
    pub(super) experience: Experience,
    retired: AtomicBool,
}

impl Deref for Endpoint {
    type Target = How;

    fn deref(&self) -> &How {
        &self.how
    }
}

impl Endpoint {
    /// An endpoint with a pool of its own. `None` if the URL's host is fit for neither `Host` nor a certificate.
    #[must_use]
    pub fn new(how: How, tls: Option<EndpointTls>, observer: Arc<dyn Observer>) -> Option<Self> {
        let host = HeaderValue::from_str(how.url.authority().as_str()).ok()?;
        let tls = match tls {
            Some(tls) => Some((tls, ServerName::try_from(how.url.host().to_owned()).ok()?)),
            None => None,
        };
        let (id, experience, retired) = (EndpointId::next(), Experience::default(), AtomicBool::new(false));
        Some(Self { id, how, host, tls, observer, experience, retired })
    }

    /// Whether one that is made so would be the same.
    #[must_use]
    pub fn is_like(&self, how: &How, tls: &UpstreamTls) -> bool {
        self.how == *how && self.tls.as_ref().is_none_or(|(own, _)| own.is_like(tls))
    }

    /// Whether it is the same place: what may be sent to one of them may be sent to the other. How long to wait there, and over
    /// how many connections, may differ.
    #[must_use]
    pub fn leads_where(&self, other: &Self) -> bool {
        let identity = |endpoint: &Self| endpoint.tls.as_ref().map(|(tls, _)| tls.how().clone());
        (&self.how.url, &self.how.proxy) == (&other.how.url, &other.how.proxy) && identity(self) == identity(other)
    }

    /// No config names it any more: its connections end with what they carry.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Whom to connect to first: the proxy, the socket, or the provider itself.
    pub(super) fn door(&self) -> Door<'_> {
        match (&self.proxy, self.url.socket()) {
            (_, Some(socket)) => Door::Unix(socket),
            (Some(proxy), None) => Door::Tcp(proxy.host(), proxy.port()),
            (None, None) => Door::Tcp(self.url.host(), self.url.port()),
        }
    }

    /// Its TLS, where some of that comes from files that may change.
    #[must_use]
    pub fn certified(&self) -> Option<&EndpointTls> {
        self.tls.as_ref().map(|(tls, _)| tls).filter(|tls| tls.has_files())
    }

    /// How often its TLS has changed.
    pub(super) fn renewals(&self) -> u64 {
        self.tls.as_ref().map_or(0, |(tls, _)| tls.renewals())
    }

    /// The scheme, as `:scheme` wants it.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.url.scheme()
    }

    /// The time that name look-up, TCP, TLS and the SETTINGS of HTTP/2 have together.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.timeouts.connect.0
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.url)
    }
}
