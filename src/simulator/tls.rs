//! TLS towards clients, with a certificate and its key from files.

use std::{io, path::Path, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_rustls::TlsAcceptor;

/// Reads both files (PEM). ALPN offers HTTP/2 first.
///
/// # Errors
/// One can't be read, or the key is not the certificate's.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> io::Result<TlsAcceptor> {
    let told = |path: &Path| {
        let path = path.display().to_string();
        move |why: rustls::pki_types::pem::Error| io::Error::other(format!("{path}: {why}"))
    };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(told(certificate))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(told(key))?;
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?.with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
