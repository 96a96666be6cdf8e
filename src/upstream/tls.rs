//! TLS towards providers. A provider's key is sent only over a connection whose certificate was verified.

use std::{
    fmt, io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::{CertificateError, ClientConfig, RootCertStore};

use super::{Reason, error::Flaw};
use crate::config::{HttpVersion, Renewal, Roots, UpstreamTls, certificates};

/// TLS for one endpoint: what connections made from now on use, and the files that it comes from.
///
/// The sessions that may be resumed are remembered in the config. So they end with it: nobody stays trusted through a
/// session that began under other roots.
pub struct EndpointTls {
    current: ArcSwap<Current>,
    how: UpstreamTls,
    version: HttpVersion,
    files: Mutex<Renewal>,
    renewals: AtomicU64,
}

struct Current {
    config: Arc<ClientConfig>,
    /// When our own certificate ends.
    not_after: Option<u64>,
}

impl EndpointTls {
    /// Reads what the config names.
    ///
    /// # Errors
    ///
    /// If a file can't be read, no root is usable, or our key is not our certificate's.
    pub fn new(how: UpstreamTls, version: HttpVersion) -> Result<Self, String> {
        let (files, contents) = Renewal::open(paths(&how).map(Path::to_owned).collect())?;
        let current = ArcSwap::from_pointee(make(&how, version, contents)?);
        Ok(Self { current, how, version, files: Mutex::new(files), renewals: AtomicU64::new(0) })
    }

    pub(super) fn how(&self) -> &UpstreamTls {
        &self.how
    }

    /// Whether it was made so.
    #[must_use]
    pub fn is_like(&self, how: &UpstreamTls) -> bool {
        self.how == *how
    }

    /// What a new connection uses.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// When our own certificate ends, in seconds of Unix time; `None` if we have none.
    #[must_use]
    pub fn not_after(&self) -> Option<u64> {
        self.current.load().not_after
    }

    /// Whether any of it comes from a file.
    #[must_use]
    pub fn has_files(&self) -> bool {
        paths(&self.how).next().is_some()
    }

    /// Looks at the files, which may block. `Some` if their content changed: it is in force now, or why it can't be.
    pub fn look(&self, now: SystemTime) -> Option<Result<(), String>> {
        // The lock guards marks of what was seen: after a panic elsewhere they are at worst old.
        let found = self.files.lock().unwrap_or_else(PoisonError::into_inner).look(now)?;
        let made = found.and_then(|contents| make(&self.how, self.version, contents));
        Some(made.map(|made| {
            self.current.store(Arc::new(made));
            self.renewals.fetch_add(1, Ordering::Release);
        }))
    }

    /// How often it has changed. What was connected before the last change ends with what it carries.
    pub(super) fn renewals(&self) -> u64 {
        self.renewals.load(Ordering::Acquire)
    }
}

impl fmt::Debug for EndpointTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EndpointTls")
    }
}

/// The files, in the order in which [`make`] takes their contents.
fn paths(how: &UpstreamTls) -> impl Iterator<Item = &Path> {
    let roots = if let Roots::File(path) = &how.roots { Some(path) } else { None };
    let identity = how.certificate.iter().zip(&how.key).flat_map(|(certificate, key)| [certificate, key]);
    roots.into_iter().chain(identity).map(AsRef::as_ref)
}

fn make(how: &UpstreamTls, version: HttpVersion, contents: Vec<Vec<u8>>) -> Result<Current, String> {
    let mut contents = contents.into_iter();
    let mut next = || contents.next().unwrap_or_default();
    let roots = match &how.roots {
        Roots::Bundled => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Roots::System => of_the_machine()?,
        Roots::File(path) => certificates::roots(&next()).map_err(|why| unusable(path, &why))?,
    };
    let builder = ClientConfig::builder_with_provider(certificates::crypto());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?.with_root_certificates(roots);
    let (mut config, not_after) = match (&how.certificate, &how.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates::chain(&next()).map_err(|why| unusable(certificate, &why))?;
            let private = certificates::key(&next()).map_err(|why| unusable(key, &why))?;
            certificates::paired(&chain, &private).map_err(|why| unusable(key, &why))?;
            let not_after = chain.first().and_then(certificates::not_after);
            (builder.with_client_auth_cert(chain, private).map_err(|error| unusable(key, &error.to_string()))?, not_after)
        }
        _ => (builder.with_no_client_auth(), None),
    };
    config.alpn_protocols = match version {
        HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![b"h2".to_vec()],
    };
    Ok(Current { config: Arc::new(config), not_after })
}

fn of_the_machine() -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    // A machine's store may hold a few that are malformed; the rest still counts.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() { Err("this machine has no root certificate".to_owned()) } else { Ok(store) }
}

fn unusable(path: &Path, why: &str) -> String {
    format!("the file `{}` can't be used: {why}", path.display())
}

/// What a failed handshake means.
pub(super) fn reason(error: &io::Error) -> Reason {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(error)) => Reason::Certificate(flaw(error)),
        Some(_) => Reason::Tls,
        None => Reason::Closed,
    }
}

fn flaw(error: &CertificateError) -> Flaw {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => Flaw::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => Flaw::NotYetValid,
        E::NotValidForName | E::NotValidForNameContext { .. } => Flaw::WrongName,
        E::UnknownIssuer | E::BadSignature => Flaw::Untrusted,
        _ => Flaw::Other,
    }
}
