//! What is compared, and how each is told to do the same: one worker, kept-alive connections on both sides, streams passed on at once.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

/// The sides of the comparison, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Proxy {
    /// With key swap and access log.
    Sidegate,
    /// hyper and nothing else.
    Bare,
    /// Without an access log.
    Nginx,
    /// Without a log.
    Haproxy,
}

impl Proxy {
    pub(crate) const ALL: [Self; 4] = [Self::Sidegate, Self::Bare, Self::Nginx, Self::Haproxy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sidegate => "Sidegate",
            Self::Bare => "bare hyper",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
        }
    }
}

/// Where our own two programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) sidegate: PathBuf,
    pub(crate) bare: PathBuf,
    /// Whether Sidegate has its cache switched on.
    pub(crate) cached: bool,
}

/// The words that start `proxy` at `listen` before `provider`. Its files go below `folder`.
pub(crate) fn command(
    proxy: Proxy,
    programs: &Programs,
    listen: SocketAddr,
    provider: SocketAddr,
    folder: &Path,
) -> io::Result<Vec<String>> {
    let file = folder.join("config");
    let (text, words) = match proxy {
        Proxy::Bare => return Ok(vec![path(&programs.bare), listen.to_string(), provider.to_string()]),
        Proxy::Sidegate => (sidegate(listen, provider, programs.cached), vec![path(&programs.sidegate), "--config".into(), path(&file)]),
        Proxy::Nginx => (nginx(listen, provider, folder), vec![program("nginx"), "-p".into(), path(folder), "-c".into(), path(&file)]),
        Proxy::Haproxy => (haproxy(listen, provider), vec![program("haproxy"), "-db".into(), "-f".into(), path(&file)]),
    };
    fs::write(&file, text)?;
    Ok(words)
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Debian keeps servers out of an ordinary user's PATH.
fn program(name: &str) -> String {
    let found = ["/usr/sbin", "/usr/local/sbin"].into_iter().map(|folder| Path::new(folder).join(name)).find(|file| file.exists());
    found.map_or_else(|| name.to_owned(), |file| path(&file))
}

/// The version that a peer says it has.
pub(crate) fn version(proxy: Proxy) -> Option<String> {
    let (name, flag) = match proxy {
        Proxy::Nginx => ("nginx", "-v"),
        Proxy::Haproxy => ("haproxy", "-v"),
        Proxy::Sidegate | Proxy::Bare => return None,
    };
    let output = Command::new(program(name)).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let version = text.split([' ', '/', '\n']).find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    Some(version.to_owned())
}

fn sidegate(listen: SocketAddr, provider: SocketAddr, cached: bool) -> String {
    // Nothing in it ends in the middle of a run.
    let cache = if cached { "cache: { ttl: 1h }\n" } else { "" };
    format!(
        "{cache}listen: {{ address: \"{listen}\", workers: 1 }}\n\
         admin: {{ address: \"127.0.0.1:0\" }}\n\
         drain: {{ delay: 0s }}\n\
         providers:\n  simulated:\n    base_url: http://{provider}/v1\n    connections: {{ max: 10000 }}\n    \
         keys: [{{ value: sk-of-the-pool, name: only }}]\n\
         routes:\n  - {{ path: /v1, targets: [simulated] }}\n"
    )
}

/// In one process, without a master: what is counted is the one that works.
fn nginx(listen: SocketAddr, provider: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; worker_processes 1;\n\
         pid {folder}/pid; error_log /dev/null;\n\
         events {{ worker_connections 8192; multi_accept on; }}\n\
         http {{\n  access_log off; tcp_nodelay on; keepalive_timeout 600s; keepalive_requests 1000000000;\n  \
         client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;\n  \
         uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n  \
         upstream provider {{ server {provider}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }}\n  \
         server {{\n    listen {listen} backlog=4096;\n    location / {{\n      proxy_pass http://provider; proxy_http_version 1.1;\n      \
         proxy_set_header Connection \"\"; proxy_buffering off; proxy_read_timeout 600s;\n    }}\n  }}\n}}\n"
    )
}

fn haproxy(listen: SocketAddr, provider: SocketAddr) -> String {
    format!(
        "global\n  nbthread 1\n  maxconn 6000\n\
         defaults\n  mode http\n  option http-keep-alive\n  option http-no-delay\n  http-reuse always\n  retries 0\n  \
         timeout connect 5s\n  timeout client 600s\n  timeout server 600s\n  timeout http-keep-alive 600s\n\
         frontend clients\n  bind {listen} backlog 4096\n  default_backend provider\n\
         backend provider\n  server simulated {provider} pool-max-conn -1 pool-purge-delay 600s\n"
    )
}
