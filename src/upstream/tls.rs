//! TLS towards providers. A provider's key is sent only over a connection whose certificate was verified.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::config::{HttpVersion, Roots};

/// A client config for these roots and this protocol. Make one for each endpoint and share it among its
/// connections: the sessions that it resumes are remembered in it.
///
/// # Errors
///
/// If the roots can't be read or none of them is usable.
pub fn client_config(roots: &Roots, version: HttpVersion) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let mut config = builder.with_root_certificates(load_roots(roots)?).with_no_client_auth();
    config.alpn_protocols = match version {
        HttpVersion::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![b"h2".to_vec()],
    };
    Ok(Arc::new(config))
}

fn load_roots(roots: &Roots) -> io::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Bundled => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            // A machine's store may hold a few that are malformed; the rest still counts.
            store.add_parsable_certificates(found.certs);
        }
        Roots::File(path) => {
            for certificate in CertificateDer::pem_file_iter(path).map_err(io::Error::other)? {
                store.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
            }
        }
    }
    if store.is_empty() { Err(io::Error::new(io::ErrorKind::InvalidData, "no root certificate found")) } else { Ok(store) }
}
