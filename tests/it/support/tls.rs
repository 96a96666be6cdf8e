//! Certificates made on the spot, clients that check them, and TLS in front of a scripted provider.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    server::WebPkiClientVerifier,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use super::within;

/// An authority, and the folder that holds what it has written down.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer, folder: tempfile::tempdir().unwrap() }
    }

    /// Its own certificate as a PEM file.
    pub(crate) fn roots(&self) -> PathBuf {
        self.write("roots.pem", &self.issuer.pem())
    }

    /// A certificate for `name` and its key, as PEM files.
    pub(crate) fn files(&self, name: &str) -> (PathBuf, PathBuf) {
        let identity = self.issue(name);
        (self.write("certificate.pem", &identity.certificate.pem()), self.write("key.pem", &identity.key.serialize_pem()))
    }

    /// What a server for `name` needs; it offers `protocols` by ALPN.
    pub(crate) fn server(&self, name: &str, protocols: &[&str]) -> ServerConfig {
        server(&self.issue(name), protocols)
    }

    /// What a server needs whose certificate has these properties.
    pub(crate) fn server_with(&self, params: &CertificateParams) -> ServerConfig {
        server(&self.issue_as(params), &["http/1.1"])
    }

    /// What a server for `localhost` needs that asks its clients for a certificate of this authority.
    pub(crate) fn server_for_certified(&self) -> ServerConfig {
        let Identity { certificate, key } = self.issue("localhost");
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.store()), Arc::clone(&crypto)).build().unwrap();
        let builder = ServerConfig::builder_with_provider(crypto).with_safe_default_protocol_versions().unwrap();
        builder.with_client_cert_verifier(verifier).with_single_cert(vec![certificate.der().clone()], private(&key)).unwrap()
    }

    /// Connects to `localhost` at this address, trusting this authority alone.
    pub(crate) async fn connect(&self, to: SocketAddr, protocols: &[&str]) -> TlsStream<TcpStream> {
        connect_with(Arc::new(self.client(None, protocols)), within("a connection", TcpStream::connect(to)).await.unwrap()).await
    }

    /// A client that trusts this authority alone and may show a certificate.
    pub(crate) fn client(&self, identity: Option<&Identity>, protocols: &[&str]) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(self.store());
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => builder.with_client_auth_cert(vec![certificate.der().clone()], private(key)).unwrap(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }

    fn store(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }

    /// A certificate for `name` and its key.
    pub(crate) fn issue(&self, name: &str) -> Identity {
        self.issue_as(&CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    /// A certificate with these properties and its key.
    pub(crate) fn issue_as(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    /// Its own certificate as PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate: rcgen::Certificate,
    pub(crate) key: KeyPair,
}

/// What a server needs that shows this.
pub(crate) fn server(identity: &Identity, protocols: &[&str]) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(vec![identity.certificate.der().clone()], private(&identity.key)).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

/// Agrees on TLS for `localhost` over this socket.
pub(crate) async fn connect_with<S: AsyncRead + AsyncWrite + Unpin>(config: Arc<ClientConfig>, socket: S) -> TlsStream<S> {
    let name = ServerName::try_from("localhost").unwrap();
    within("a TLS handshake", TlsConnector::from(config).connect(name, socket)).await.expect("TLS is agreed on")
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()))
}

/// How one handshake with a [`TlsFront`] went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    Failed,
    Agreed { protocol: Option<String>, resumed: bool },
}

/// Ends TLS and passes the bytes on to a provider in plain text.
pub(crate) struct TlsFront {
    pub(crate) address: SocketAddr,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
    /// The certificates that clients showed.
    shown: Arc<Mutex<Vec<CertificateDer<'static>>>>,
    accepting: tokio::task::AbortHandle,
}

impl TlsFront {
    pub(crate) async fn before(provider: SocketAddr, config: ServerConfig) -> Self {
        Self::before_both(provider, provider, config).await
    }

    /// Before one provider for who speaks HTTP/2, and another for who does not.
    pub(crate) async fn before_both(h2: SocketAddr, h1: SocketAddr, config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let handshakes: Arc<Mutex<Vec<Handshake>>> = Arc::default();
        let shown: Arc<Mutex<Vec<CertificateDer<'static>>>> = Arc::default();
        let (seen, certificates) = (Arc::clone(&handshakes), Arc::clone(&shown));
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let seen = (Arc::clone(&seen), Arc::clone(&certificates));
                tokio::spawn(pass(socket, (h2, h1), acceptor.clone(), seen));
            }
        });
        Self { address, handshakes, shown, accepting: accepting.abort_handle() }
    }

    /// Every handshake so far.
    pub(crate) fn handshakes(&self) -> Vec<Handshake> {
        self.handshakes.lock().unwrap().clone()
    }

    /// The certificate that each client showed, of those that did.
    pub(crate) fn shown(&self) -> Vec<CertificateDer<'static>> {
        self.shown.lock().unwrap().clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

type Seen = (Arc<Mutex<Vec<Handshake>>>, Arc<Mutex<Vec<CertificateDer<'static>>>>);

async fn pass(socket: TcpStream, (h2, h1): (SocketAddr, SocketAddr), acceptor: TlsAcceptor, (seen, shown): Seen) {
    let Ok(mut secure) = acceptor.accept(socket).await else { return seen.lock().unwrap().push(Handshake::Failed) };
    let session = secure.get_ref().1;
    shown.lock().unwrap().extend(session.peer_certificates().and_then(|chain| chain.first()).map(|first| first.clone().into_owned()));
    let protocol = session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned());
    let provider = if protocol.as_deref() == Some("h2") { h2 } else { h1 };
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    seen.lock().unwrap().push(Handshake::Agreed { protocol, resumed });
    if let Ok(mut plain) = TcpStream::connect(provider).await {
        // Either side may leave as it likes.
        let _ = tokio::io::copy_bidirectional(&mut secure, &mut plain).await;
    }
}
