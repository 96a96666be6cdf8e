//! TLS towards clients.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs::Ticketer,
    server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier},
};
use tokio_rustls::TlsAcceptor;

use crate::config::{ListenTls, Renewal, certificates};

/// The listener's TLS: what handshakes from now on use, and the files that it comes from.
///
/// The whole config is exchanged, so that certificate, key and authorities are always of one kind. One ticketer outlives
/// them all: a client that comes back after a change resumes its session. Not so where clients present certificates. A
/// resumed session is not verified again, so it would outlive its certificate and an authority that was taken out; there
/// are no tickets then, and no sessions kept.
pub struct ListenerTls {
    current: ArcSwap<Current>,
    how: ListenTls,
    ticketer: Arc<dyn ProducesTickets>,
    files: Mutex<Renewal>,
}

struct Current {
    config: Arc<ServerConfig>,
    not_after: Option<u64>,
}

impl ListenerTls {
    /// Reads the certificate and its key, and makes sure that they belong together.
    ///
    /// # Errors
    ///
    /// If one of them can't be read, or the key is not the certificate's.
    pub fn new(how: ListenTls) -> Result<Self, String> {
        let paths = [&how.certificate, &how.key].into_iter().chain(&how.client_ca);
        let (files, contents) = Renewal::open(paths.cloned().collect())?;
        let ticketer = Ticketer::new().map_err(|error| error.to_string())?;
        let current = ArcSwap::from_pointee(make(&how, &ticketer, contents)?);
        Ok(Self { current, how, ticketer, files: Mutex::new(files) })
    }

    /// What the next handshake uses.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.load().config).into()
    }

    /// When the certificate ends, in seconds of Unix time; `None` if it doesn't say.
    #[must_use]
    pub fn not_after(&self) -> Option<u64> {
        self.current.load().not_after
    }

    /// Looks at the files, which may block. `Some` if their content changed: it is in force now, or why it can't be.
    pub fn look(&self, now: SystemTime) -> Option<Result<(), String>> {
        // The lock guards marks of what was seen: after a panic elsewhere they are at worst old.
        let found = self.files.lock().unwrap_or_else(PoisonError::into_inner).look(now)?;
        Some(found.and_then(|contents| make(&self.how, &self.ticketer, contents)).map(|made| self.current.store(Arc::new(made))))
    }
}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListenerTls")
    }
}

/// `contents` are those of the certificate, the key and, where there is one, the file of authorities.
fn make(how: &ListenTls, ticketer: &Arc<dyn ProducesTickets>, contents: Vec<Vec<u8>>) -> Result<Current, String> {
    let mut contents = contents.into_iter();
    let mut next = || contents.next().unwrap_or_default();
    let chain = certificates::chain(&next()).map_err(|why| unusable(&how.certificate, &why))?;
    let key = certificates::key(&next()).map_err(|why| unusable(&how.key, &why))?;
    certificates::paired(&chain, &key).map_err(|why| unusable(&how.key, &why))?;
    let not_after = chain.first().and_then(certificates::not_after);
    let crypto = certificates::crypto();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&crypto));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let mut config = match &how.client_ca {
        None => builder.with_no_client_auth().with_single_cert(chain, key),
        Some(path) => {
            let roots = certificates::roots(&next()).map_err(|why| unusable(path, &why))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crypto).build();
            let verifier = verifier.map_err(|error| unusable(path, &error.to_string()))?;
            builder.with_client_cert_verifier(verifier).with_single_cert(chain, key)
        }
    }
    .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if how.client_ca.is_none() {
        config.ticketer = Arc::clone(ticketer);
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Current { config: Arc::new(config), not_after })
}

fn unusable(path: &Path, why: &str) -> String {
    format!("the file `{}` can't be used: {why}", path.display())
}
