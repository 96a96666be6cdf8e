//! Certificates made on the spot, clients that check them, and TLS in front of a scripted provider.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::net::{TcpListener, TcpStream};
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
        let (certificate, key) = self.issue(name);
        (self.write("certificate.pem", &certificate.pem()), self.write("key.pem", &key.serialize_pem()))
    }

    /// What a server for `name` needs; it offers `protocols` by ALPN.
    pub(crate) fn server(&self, name: &str, protocols: &[&str]) -> ServerConfig {
        let (certificate, key) = self.issue(name);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }

    /// Connects to `localhost` at this address, trusting this authority alone.
    pub(crate) async fn connect(&self, to: SocketAddr, protocols: &[&str]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let socket = within("a connection", TcpStream::connect(to)).await.expect("somebody listens");
        let name = ServerName::try_from("localhost").unwrap();
        within("a TLS handshake", TlsConnector::from(Arc::new(config)).connect(name, socket)).await.expect("TLS is agreed on")
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        path
    }
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
        let seen = Arc::clone(&handshakes);
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(pass(socket, (h2, h1), acceptor.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, handshakes, accepting: accepting.abort_handle() }
    }

    /// Every handshake so far.
    pub(crate) fn handshakes(&self) -> Vec<Handshake> {
        self.handshakes.lock().unwrap().clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn pass(socket: TcpStream, (h2, h1): (SocketAddr, SocketAddr), acceptor: TlsAcceptor, seen: Arc<Mutex<Vec<Handshake>>>) {
    let Ok(mut secure) = acceptor.accept(socket).await else { return seen.lock().unwrap().push(Handshake::Failed) };
    let session = secure.get_ref().1;
    let protocol = session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned());
    let provider = if protocol.as_deref() == Some("h2") { h2 } else { h1 };
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    seen.lock().unwrap().push(Handshake::Agreed { protocol, resumed });
    if let Ok(mut plain) = TcpStream::connect(provider).await {
        // Either side may leave as it likes.
        let _ = tokio::io::copy_bidirectional(&mut secure, &mut plain).await;
    }
}
