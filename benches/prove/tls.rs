//! The listener's certificate is renewed while clients come at a steady pace: none may fail, and soon all see the new one.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    figures::{Spread, Table},
    provider::Provider,
    sidegate::Sidegate,
};

/// How often the certificate is renewed, and how much time lies between two.
const RENEWALS: usize = 10;
const PAUSE: Duration = Duration::from_secs(2);
/// Clients, and how often each comes anew.
const CLIENTS: usize = 8;
const PACE: Duration = Duration::from_millis(40);
/// Connections that stay for the whole time.
const RUNNING: usize = 20;
/// How long one handshake and one request may take.
const PATIENCE: Duration = Duration::from_secs(5);
const BAR: Duration = Duration::from_secs(2);

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// One client's coming: when, and the certificate that it saw, unless it failed.
type Visit = (Instant, io::Result<CertificateDer<'static>>);

pub(crate) async fn prove(table: &mut Table) {
    let provider = Provider::h1().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let issuer = authority();
    let first = generation(&issuer, folder.path(), 0);
    for name in ["certificate.pem", "key.pem"] {
        symlink(format!("..data/{name}"), folder.path().join(name)).expect("a link");
    }
    let sidegate = Sidegate::with_tls_before(provider.address, folder.path()).await;
    let client = Arc::new(client(&issuer));
    let mut running = Vec::new();
    for _ in 0..RUNNING {
        running.push(connect(&client, sidegate.address).await.expect("a connection that stays"));
    }
    let visits: Arc<Mutex<Vec<Visit>>> = Arc::default();
    let mut visitors = JoinSet::new();
    for _ in 0..CLIENTS {
        visitors.spawn(come_and_go(Arc::clone(&client), sidegate.address, Arc::clone(&visits)));
    }
    let mut shown = vec![(Instant::now(), first)];
    let mut broken = 0;
    for n in 1..=RENEWALS {
        sleep(PAUSE).await;
        let certificate = renew(&issuer, folder.path(), n);
        shown.push((Instant::now(), certificate));
        for connection in &mut running {
            broken += usize::from(!matches!(timeout(PATIENCE, ask(connection)).await, Ok(Ok(()))));
        }
    }
    sleep(PAUSE).await;
    visitors.shutdown().await;
    let visits = std::mem::take(&mut *visits.lock().expect("no visitor panics"));
    tell(table, &visits, &shown, broken);
}

fn tell(table: &mut Table, visits: &[Visit], shown: &[(Instant, CertificateDer<'static>)], broken: usize) {
    let failures: Vec<_> = visits.iter().filter_map(|(_, seen)| seen.as_ref().err()).collect();
    let delays = shown.windows(2).map(|pair| {
        let ((_, old), (renewed, new)) = (&pair[0], &pair[1]);
        // Until the last who was shown the old one, or the first who was shown the new one, whichever is later.
        let (last, first) = (seen(visits, old, *renewed).max(), seen(visits, new, *renewed).min());
        last.unwrap_or_default().max(first.unwrap_or(Duration::MAX))
    });
    table.tell(format!("full handshakes, each with a request, by {CLIENTS} clients in turn"), visits.len());
    table.hold(format!("of them failed, over {RENEWALS} renewals"), failures.len(), "0", failures.is_empty());
    failures.iter().take(3).for_each(|error| table.tell("a failure", error));
    let delays = Spread::of(delays.collect());
    table.hold("until all see the new certificate", &delays, "max ≤ 2 s", delays.max() <= BAR);
    let asked = RUNNING * RENEWALS;
    table.hold(format!("requests lost on {RUNNING} running connections, of {asked}"), broken, "0", broken == 0);
}

/// How long after its renewal each of those came who were shown this certificate.
fn seen<'v>(visits: &'v [Visit], which: &'v CertificateDer<'static>, renewed: Instant) -> impl Iterator<Item = Duration> {
    let shown = move |visit: &&Visit| visit.1.as_ref().is_ok_and(|seen| seen == which);
    visits.iter().filter(shown).map(move |(at, _)| at.saturating_duration_since(renewed))
}

async fn come_and_go(client: Arc<ClientConfig>, to: SocketAddr, visits: Arc<Mutex<Vec<Visit>>>) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let begun = Instant::now();
        let visit = async {
            let mut connection = connect(&client, to).await?;
            ask(&mut connection).await?;
            let seen = connection.get_ref().1.peer_certificates().and_then(|chain| chain.first());
            seen.map(|seen| seen.clone().into_owned()).ok_or_else(|| io::Error::other("no certificate"))
        };
        let seen = timeout(PATIENCE, visit).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        visits.lock().expect("no visitor panics").push((begun, seen));
    }
}

/// The three ways in which files come to be others, in turn.
fn renew(issuer: &Issuer, folder: &Path, n: usize) -> CertificateDer<'static> {
    let current = folder.join("..data");
    match n % 3 {
        0 => generation(issuer, folder, n),
        1 => write(issuer, &current),
        _ => {
            let aside = folder.join("aside");
            fs::create_dir_all(&aside).expect("a directory");
            let certificate = write(issuer, &aside);
            for name in ["certificate.pem", "key.pem"] {
                fs::rename(aside.join(name), current.join(name)).expect("a rename");
            }
            certificate
        }
    }
}

/// As a mounted Secret changes: a folder of its own, and one link that comes to point there.
fn generation(issuer: &Issuer, folder: &Path, n: usize) -> CertificateDer<'static> {
    let name = format!("..{n}");
    fs::create_dir(folder.join(&name)).expect("a directory");
    let certificate = write(issuer, &folder.join(&name));
    symlink(&name, folder.join("..tmp")).expect("a link");
    fs::rename(folder.join("..tmp"), folder.join("..data")).expect("a rename");
    certificate
}

fn write(issuer: &Issuer, folder: &Path) -> CertificateDer<'static> {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    fs::write(folder.join("certificate.pem"), certificate.pem()).expect("a file");
    fs::write(folder.join("key.pem"), key.serialize_pem()).expect("a file");
    certificate.der().clone()
}

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// Trusts the authority, and makes a full handshake each time.
fn client(issuer: &Issuer) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).expect("a root");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

async fn connect(config: &Arc<ClientConfig>, to: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(to).await?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::clone(config)).connect(name, socket).await
}

/// One request on this connection, which must be answered with 200.
async fn ask(connection: &mut TlsStream<TcpStream>) -> io::Result<()> {
    connection.write_all(b"GET /v1/ok HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\nok") {
        if connection.read_buf(&mut reply).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if reply.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err(io::Error::other(String::from_utf8_lossy(&reply).into_owned())) }
}
