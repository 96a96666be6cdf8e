//! Connections to a site.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream, lookup_host},
};
use tokio_rustls::TlsConnector;

use super::site::{Place, Site};

/// A connection that carries one request after another.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket for S {}

/// Opens connections to one site.
pub(super) enum Dialer {
    Tcp {
        /// As the name was resolved at the start: the load meets the same machines all the time.
        addresses: Vec<SocketAddr>,
        tls: Option<(TlsConnector, ServerName<'static>)>,
    },
    Unix(PathBuf),
}

impl Dialer {
    /// Resolves the site's name, and reads the roots if it is reached over TLS.
    ///
    /// # Errors
    /// The name has no address, or `roots` is no file of certificates.
    pub(super) async fn of(site: &Site, roots: Option<&Path>) -> io::Result<Self> {
        let (host, port, tls) = match &site.place {
            Place::Unix(path) => return Ok(Self::Unix(path.clone())),
            Place::Tcp { host, port, tls } => (host.as_str(), *port, *tls),
        };
        let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
        if addresses.is_empty() {
            return Err(io::Error::new(ErrorKind::NotFound, "the name has no address"));
        }
        let tls = if tls {
            let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
            Some((TlsConnector::from(client_config(roots)?), name))
        } else {
            None
        };
        Ok(Self::Tcp { addresses, tls })
    }

    /// Opens one connection, over TLS if the site says so.
    ///
    /// # Errors
    /// The last address's error, or that of the TLS handshake.
    pub(super) async fn connect(&self) -> io::Result<Box<dyn Socket>> {
        let (addresses, tls) = match self {
            Self::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Tcp { addresses, tls } => (addresses, tls),
        };
        let stream = TcpStream::connect(addresses.as_slice()).await?;
        stream.set_nodelay(true)?;
        match tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => Ok(Box::new(connector.connect(name.clone(), stream).await?)),
        }
    }
}

/// The roots of the file, else those of Mozilla's programme that the binary brings along.
fn client_config(roots: Option<&Path>) -> io::Result<Arc<ClientConfig>> {
    let mut store = RootCertStore::empty();
    match roots {
        None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(path) => {
            let unusable = |why: &dyn std::fmt::Display| io::Error::new(ErrorKind::InvalidData, format!("{}: {why}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))? {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                store.add(certificate).map_err(|error| unusable(&error))?;
            }
            if store.is_empty() {
                return Err(unusable(&"no certificate found"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let mut config = builder.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
