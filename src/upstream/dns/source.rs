//! Who knows the addresses of a name: `/etc/hosts`, name servers, or the C library.

use std::{
    cell::{Cell, RefCell},
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    rc::Rc,
    time::{Duration, SystemTime},
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf::read_system_conf,
};

use crate::config::{self, NameResolution};

/// How long an answer counts that comes without a time to live: from the C library, or from `/etc/hosts`.
const UNTOLD: Duration = Duration::from_secs(30);

/// How long the addresses of one family wait for those of the other. RFC 8305 §3 has 50 ms; nobody but the first to ask
/// waits here, and a family left out is missed until the next look-up.
const FAMILY_DELAY: Duration = Duration::from_millis(250);

/// The longest that one server has for one question; five seconds, as in resolv.conf(5), is longer than a connection may take.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

/// The most addresses of each family that are kept.
const MAX_ADDRESSES: usize = 64;

/// What the system says of names, and where.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

/// A kind of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn holds(self, ip: IpAddr) -> bool {
        (self == Self::V4) == ip.is_ipv4()
    }
}

/// What a look-up found.
#[derive(Debug)]
pub(super) struct Found {
    /// All addresses; none where the name has none.
    pub(super) addresses: Vec<IpAddr>,
    /// How long they count.
    pub(super) ttl: Duration,
    /// The family that nothing was heard of.
    pub(super) lacks: Option<Family>,
}

impl Found {
    fn untold(addresses: Vec<IpAddr>) -> Self {
        Self { addresses, ttl: UNTOLD, lacks: None }
    }
}

/// Addresses of one family and how long they count, or why they are not known.
type Part = Result<(Vec<IpAddr>, Duration), NetError>;

/// Whom the config says to ask.
pub(super) struct Source {
    settings: config::Dns,
    /// Made anew when a file of [`FILES`] has changed; `None` is the C library.
    stub: RefCell<Option<Rc<Stub>>>,
    read: Cell<[Option<SystemTime>; 2]>,
}

impl Source {
    pub(super) fn new(settings: &config::Dns) -> Self {
        let source = Self { settings: settings.clone(), stub: RefCell::default(), read: Cell::default() };
        source.read.set(changed_at());
        source.read();
        source
    }

    fn read(&self) {
        let stub = match self.settings.resolver {
            NameResolution::System => None,
            NameResolution::Builtin => Stub::new(&self.settings).map(Rc::new).map_or_else(
                |error| {
                    tracing::warn!(%error, "names are looked up by the C library: there is no name server to ask");
                    None
                },
                Some,
            ),
        };
        *self.stub.borrow_mut() = stub;
    }

    /// The addresses of `host`.
    pub(super) async fn look_up(&self, host: &str) -> io::Result<Found> {
        let now = changed_at();
        if self.settings.resolver == NameResolution::Builtin && self.read.replace(now) != now {
            self.read();
        }
        let stub = self.stub.borrow().clone();
        match stub {
            Some(stub) => stub.look_up(host).await,
            None => {
                let found = tokio::net::lookup_host((host, 0)).await?;
                let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
                addresses.dedup();
                Ok(Found::untold(bounded(addresses)))
            }
        }
    }
}

fn changed_at() -> [Option<SystemTime>; 2] {
    FILES.map(|file| fs::metadata(file).and_then(|file| file.modified()).ok())
}

/// Asks name servers.
struct Stub {
    resolver: TokioResolver,
    search: Vec<Name>,
    hosts: Hosts,
}

impl Stub {
    /// Reads what the system says of names.
    fn new(settings: &config::Dns) -> Result<Self, NetError> {
        let (system, options) = match read_system_conf() {
            Err(_) if !settings.servers.is_empty() => (ResolverConfig::from_name_servers(Vec::new()), ResolverOpts::default()),
            read => read?,
        };
        let (_, search, mut servers) = system.into_parts();
        if !settings.servers.is_empty() {
            servers = settings.servers.iter().map(|server| name_server(server.0.ip(), server.0.port())).collect();
        }
        let mut builder = TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), TokioRuntimeProvider::default());
        let options_here = builder.options_mut();
        *options_here = options;
        options_here.timeout = options_here.timeout.min(SERVER_TIMEOUT);
        // What is remembered, and for how long, is decided here and not there.
        options_here.cache_size = 0;
        options_here.use_hosts_file = ResolveHosts::Never;
        let resolver = builder.build()?;
        Ok(Self { resolver, search, hosts: Hosts::from_system().unwrap_or_default() })
    }

    async fn look_up(&self, host: &str) -> io::Result<Found> {
        let name = Name::from_str_relaxed(host).map_err(io::Error::other)?;
        if let Some(addresses) = self.without_asking(&name) {
            return Ok(Found::untold(addresses));
        }
        let is_short = is_short(&name);
        let mut nothing = Ok(Found::untold(Vec::new()));
        for candidate in candidates(name, &self.search) {
            match self.both_families(candidate).await {
                Ok(found) if !found.addresses.is_empty() => return Ok(found),
                Ok(_) => {}
                // Some search domain always fails. But a name that is whole must not become another while its server is away.
                Err(error) if is_short => nothing = Err(error),
                Err(error) => return Err(error),
            }
        }
        nothing
    }

    /// What `/etc/hosts` says, and what `localhost` means wherever it is asked (RFC 6761 §6.3).
    fn without_asking(&self, name: &Name) -> Option<Vec<IpAddr>> {
        let written = [RecordType::AAAA, RecordType::A]
            .into_iter()
            .filter_map(|kind| self.hosts.lookup_static_host(&Query::query(name.to_lowercase(), kind)));
        let written: Vec<IpAddr> =
            written.flat_map(|found| found.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>()).collect();
        if !written.is_empty() {
            return Some(bounded(written));
        }
        name.is_localhost().then(|| vec![IpAddr::V6(Ipv6Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::LOCALHOST)])
    }

    /// Asks for both families at once. Once one has an answer, the other has [`FAMILY_DELAY`] left: a server that never answers
    /// for a family is no reason to wait for it.
    async fn both_families(&self, name: Name) -> io::Result<Found> {
        let mut v6 = std::pin::pin!(self.family(name.clone(), RecordType::AAAA));
        let mut v4 = std::pin::pin!(self.family(name, RecordType::A));
        let late = || Err(NetError::Timeout);
        let (v6, v4) = tokio::select! {
            first = &mut v6 => {
                let patience = patience(&first);
                (first, tokio::time::timeout(patience, v4).await.unwrap_or_else(|_| late()))
            }
            first = &mut v4 => {
                let patience = patience(&first);
                (tokio::time::timeout(patience, v6).await.unwrap_or_else(|_| late()), first)
            }
        };
        match (v6, v4) {
            (Ok((v6, ttl6)), Ok((v4, ttl4))) => {
                let ttl = if v6.is_empty() {
                    ttl4
                } else if v4.is_empty() {
                    ttl6
                } else {
                    ttl6.min(ttl4)
                };
                Ok(Found { addresses: [v6, v4].concat(), ttl, lacks: None })
            }
            (Ok((addresses, ttl)), Err(error)) => one_family(addresses, ttl, Family::V4, error),
            (Err(error), Ok((addresses, ttl))) => one_family(addresses, ttl, Family::V6, error),
            (Err(error), Err(_)) => Err(io::Error::other(error)),
        }
    }

    async fn family(&self, name: Name, kind: RecordType) -> Part {
        match self.resolver.lookup(name, kind).await {
            Ok(found) => {
                let addresses = found.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
                // Of an alias and what it stands for, the shorter counts.
                let ttl = found.answers().iter().map(|record| record.ttl).min().unwrap_or(0);
                Ok((bounded(addresses), Duration::from_secs(ttl.into())))
            }
            // The name does not exist, or has no such address.
            Err(error) if error.is_no_records_found() => Ok((Vec::new(), UNTOLD)),
            Err(error) => Err(error),
        }
    }
}

/// How long the other family has.
fn patience(first: &Part) -> Duration {
    let is_answer = first.as_ref().is_ok_and(|(addresses, _)| !addresses.is_empty());
    if is_answer { FAMILY_DELAY } else { Duration::MAX }
}

/// Without an address of the one and without a word of the other nothing is known.
fn one_family(addresses: Vec<IpAddr>, ttl: Duration, lacks: Family, error: NetError) -> io::Result<Found> {
    if addresses.is_empty() { Err(io::Error::other(error)) } else { Ok(Found { addresses, ttl, lacks: Some(lacks) }) }
}

/// The names that may be meant, the likeliest first. A name with a dot is first taken as it is written, whatever `ndots` says: in
/// Kubernetes, where that is 5, each public name would else be asked for below each search domain before.
fn candidates(name: Name, search: &[Name]) -> Vec<Name> {
    let mut whole = name.clone();
    whole.set_fqdn(true);
    if name.is_fqdn() {
        return vec![whole];
    }
    let mut candidates: Vec<Name> = search.iter().filter_map(|domain| name.clone().append_domain(domain).ok()).collect();
    candidates.insert(if is_short(&name) { candidates.len() } else { 0 }, whole);
    candidates
}

/// Whether it has no dot.
fn is_short(name: &Name) -> bool {
    name.num_labels() < 2 && !name.is_fqdn()
}

fn name_server(ip: IpAddr, port: u16) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = port;
        connection
    });
    NameServerConfig::new(ip, true, connections.into())
}

/// At most [`MAX_ADDRESSES`], the same of the same whatever their order.
fn bounded(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    if addresses.len() > MAX_ADDRESSES {
        addresses.sort_unstable();
        addresses.truncate(MAX_ADDRESSES);
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_hosts_file_goes_before_every_server_and_localhost_needs_neither() {
        // Nobody answers there: whoever is asked, the look-up fails.
        let settings = config::Dns { servers: vec!["127.0.0.1:9".parse().unwrap()], ..config::Dns::default() };
        let mut stub = Stub::new(&settings).unwrap();
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf(&b"10.1.2.3 Ollama vllm.internal # ours\nfd00::3 ollama\n"[..]).unwrap();
        stub.hosts = hosts;
        for (host, expected) in [
            ("ollama", vec!["fd00::3", "10.1.2.3"]),
            ("OLLAMA", vec!["fd00::3", "10.1.2.3"]),
            ("VLLM.internal", vec!["10.1.2.3"]),
            ("localhost", vec!["::1", "127.0.0.1"]),
            ("a.localhost", vec!["::1", "127.0.0.1"]),
        ] {
            let expected: Vec<IpAddr> = expected.iter().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(stub.look_up(host).await.unwrap().addresses, expected, "{host}");
        }
    }

    fn name(text: &str) -> Name {
        Name::from_str_relaxed(text).unwrap()
    }

    #[test]
    fn a_name_with_a_dot_is_first_taken_as_it_is_and_a_short_one_searched_for() {
        let search = [name("models.svc.cluster.local."), name("cluster.local.")];
        for (host, expected) in [
            ("api.openai.com", vec!["api.openai.com.", "api.openai.com.models.svc.cluster.local.", "api.openai.com.cluster.local."]),
            ("ollama", vec!["ollama.models.svc.cluster.local.", "ollama.cluster.local.", "ollama."]),
            ("ollama.", vec!["ollama."]),
        ] {
            let candidates: Vec<String> = candidates(name(host), &search).iter().map(Name::to_string).collect();
            assert_eq!(candidates, expected);
        }
    }

    #[test]
    fn an_answer_of_many_addresses_is_cut_to_the_same_ones_in_any_order() {
        let mut addresses: Vec<IpAddr> = (0..=255).map(|n| IpAddr::V4(Ipv4Addr::new(10, 0, 0, n))).collect();
        let kept = bounded(addresses.clone());
        addresses.reverse();
        assert_eq!((kept.len(), bounded(addresses)), (MAX_ADDRESSES, kept));
    }
}
