//! A scripted name server over UDP and TCP, byte by byte after RFC 1035 §4.1.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::AbortHandle,
};

/// What the server says of a name.
#[derive(Clone, Debug)]
pub(crate) enum Says {
    /// These addresses, for as many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// An alias for another name, for as many seconds.
    Alias(&'static str, u32),
    /// The same as [`Self::Addresses`], but only over TCP.
    OverTcp(Vec<IpAddr>, u32),
    /// The IPv4 ones of these; not a word about IPv6.
    DeafToIpv6(Vec<IpAddr>, u32),
    /// The name is there, and has no address.
    Nothing,
    /// It can't tell (SERVFAIL).
    Failure,
    /// Not a word.
    Silence,
}

/// Knows the names that it was told, and no others. Dropping it ends it.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    running: [AbortHandle; 2],
}

#[derive(Default)]
struct Shared {
    zone: Mutex<HashMap<String, Says>>,
    /// Each question as `name kind`.
    asked: Mutex<Vec<String>>,
}

impl NameServer {
    pub(crate) async fn start() -> Self {
        // Both of one number: a client takes the port of the one for the other.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("a bound socket has an address")).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let datagrams = tokio::spawn(over_udp(udp, Arc::clone(&shared))).abort_handle();
        let streams = tokio::spawn(over_tcp(tcp, Arc::clone(&shared))).abort_handle();
        Self { address, shared, running: [datagrams, streams] }
    }

    /// From now on it says this of `name`, in small letters and without a dot at its end.
    pub(crate) fn say(&self, name: &str, says: Says) {
        self.shared.zone.lock().expect("nobody panics while holding it").insert(name.to_owned(), says);
    }

    /// How often it was asked for an IPv4 address of `name`.
    pub(crate) fn asked(&self, name: &str) -> usize {
        let question = format!("{name} {A}");
        self.shared.asked.lock().expect("nobody panics while holding it").iter().filter(|asked| **asked == question).count()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.running.iter().for_each(AbortHandle::abort);
    }
}

async fn over_udp(socket: UdpSocket, shared: Arc<Shared>) {
    let mut question = [0; 4_096];
    while let Ok((length, from)) = socket.recv_from(&mut question).await {
        if let Some(answer) = shared.answer(&question[..length], false) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn over_tcp(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok(length) = stream.read_u16().await {
                let mut question = vec![0; length.into()];
                if stream.read_exact(&mut question).await.is_err() {
                    return;
                }
                if let Some(answer) = shared.answer(&question, true) {
                    let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
                    let _ = stream.write_all(&framed).await;
                }
            }
        });
    }
}

/// Kinds of records.
const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// Flags: it is an answer, recursion was wanted and is there; and codes.
const ANSWER: u16 = 0x8180;
const TRUNCATED: u16 = 0x0200;
const SERVFAIL: u16 = 2;
const NXDOMAIN: u16 = 3;

impl Shared {
    /// The answer to a question with one name; `None` for silence.
    fn answer(&self, question: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let (name, end) = name_at(question, 12)?;
        let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
        self.asked.lock().expect("nobody panics while holding it").push(format!("{name} {kind}"));
        let mut records = Vec::new();
        let flags = match self.says(&name) {
            None => ANSWER | NXDOMAIN,
            Some(Says::DeafToIpv6(..)) if kind == AAAA => return None,
            Some(Says::Silence) => return None,
            Some(Says::Failure) => ANSWER | SERVFAIL,
            Some(Says::Nothing) => ANSWER,
            Some(Says::OverTcp(..)) if !tcp => ANSWER | TRUNCATED,
            Some(Says::Addresses(ips, ttl) | Says::OverTcp(ips, ttl) | Says::DeafToIpv6(ips, ttl)) => {
                records.extend(addresses(&[0xc0, 12], kind, &ips, ttl));
                ANSWER
            }
            Some(Says::Alias(other, ttl)) => {
                let target = written(other);
                records.push(record(&[0xc0, 12], CNAME, ttl, &target));
                if let Some(Says::Addresses(ips, ttl)) = self.says(other) {
                    records.extend(addresses(&target, kind, &ips, ttl));
                }
                ANSWER
            }
        };
        let mut answer = question[..2].to_vec();
        for number in [flags, 1, records.len() as u16, 0, 0] {
            answer.extend(number.to_be_bytes());
        }
        answer.extend(&question[12..end + 4]);
        answer.extend(records.concat());
        Some(answer)
    }

    fn says(&self, name: &str) -> Option<Says> {
        self.zone.lock().expect("nobody panics while holding it").get(name).cloned()
    }
}

fn addresses(owner: &[u8], kind: u16, ips: &[IpAddr], ttl: u32) -> Vec<Vec<u8>> {
    let of_kind = ips.iter().filter_map(|ip| match (ip, kind) {
        (IpAddr::V4(ip), A) => Some(ip.octets().to_vec()),
        (IpAddr::V6(ip), AAAA) => Some(ip.octets().to_vec()),
        _ => None,
    });
    of_kind.map(|octets| record(owner, kind, ttl, &octets)).collect()
}

fn record(owner: &[u8], kind: u16, ttl: u32, content: &[u8]) -> Vec<u8> {
    let class_in = 1_u16;
    [owner, &kind.to_be_bytes(), &class_in.to_be_bytes(), &ttl.to_be_bytes(), &(content.len() as u16).to_be_bytes(), content].concat()
}

fn written(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8][..], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

/// The name that begins at `at`, in small letters, and where it ends.
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        let label = message.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(label).to_lowercase());
    }
}
