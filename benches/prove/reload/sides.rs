//! Who is reloaded beside Sidegate, and how each is told to: as many workers as processors, kept-alive connections on both sides,
//! streams passed on at once, old processes that may take as long as their streams do.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::files::{Files, Way};
use crate::{
    admin::Admin,
    client::H1,
    process::{Process, Signal},
    sidegate::{self, free_port},
    traffic::Goal,
};

/// A column of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Sidegate,
    Nginx,
    Haproxy,
    /// Told to keep idle connections until their next request.
    HaproxyKeepingIdle,
    /// Sidegate, killed and started anew instead: the clients must see it.
    Restarted,
}

impl Side {
    pub(super) const ALL: [Self; 5] = [Self::Sidegate, Self::Nginx, Self::Haproxy, Self::HaproxyKeepingIdle, Self::Restarted];

    pub(super) fn name(self) -> String {
        match self {
            Self::Sidegate => "Sidegate".to_owned(),
            Self::Nginx => format!("nginx {}", version("nginx", "-v")),
            Self::Haproxy => format!("HAProxy {}", version("haproxy", "-v")),
            Self::HaproxyKeepingIdle => "HAProxy, `idle-close-on-response`".to_owned(),
            Self::Restarted => "Sidegate, killed and started anew".to_owned(),
        }
    }
}

/// One side that runs.
pub(super) struct Running {
    side: Side,
    pub(super) process: Process,
    pub(super) goal: Goal,
    files: Option<Files>,
    admin: Admin,
    config: PathBuf,
    folder: PathBuf,
    provider: SocketAddr,
    change: u64,
}

impl Running {
    pub(super) async fn start(side: Side, folder: &Path, providers: [SocketAddr; 2]) -> Self {
        let (listen, h2, admin) = (free_port(), free_port(), free_port());
        let own = matches!(side, Side::Sidegate | Side::Restarted);
        let files = own.then(|| Files::below(folder, listen, admin, providers));
        let config = files.as_ref().map_or_else(|| folder.join("config"), Files::config);
        let words = match side {
            Side::Sidegate | Side::Restarted => vec![sidegate::program(), "--config".to_owned(), path(&config)],
            Side::Nginx => vec![program("nginx"), "-p".to_owned(), path(folder), "-c".to_owned(), path(&config)],
            Side::Haproxy | Side::HaproxyKeepingIdle => {
                vec![program("haproxy"), "-W".to_owned(), "-db".to_owned(), "-f".to_owned(), path(&config)]
            }
        };
        let goal =
            if own { Goal { h1: listen, h2: listen, prefixes: &["/v1", "/v2"] } } else { Goal { h1: listen, h2, prefixes: &["/v1"] } };
        let write = Self::text(side, &goal, folder, providers[0], 0);
        if let Some(text) = write {
            fs::write(&config, text).expect("a config");
        }
        let process = Process::start(&words, folder, false);
        let (admin, folder) = (Admin::at(admin), folder.to_owned());
        let mut running = Self { side, process, goal, files, admin, config, folder, provider: providers[0], change: 0 };
        running.process.listens_at(listen).await;
        running
    }

    /// Changes the config and has it reloaded; how long until the new one was live.
    pub(super) async fn reload(&mut self) -> Duration {
        self.change += 1;
        self.master_is_up().await;
        let begun = Instant::now();
        match (self.side, &mut self.files) {
            (Side::Sidegate, Some(files)) => {
                files.write(self.change, Way::Rename);
                let (status, said) = self.admin.ask("POST", "/reload").await.expect("the admin listener answers");
                assert!(status == 200, "a reload was refused: {status} {said}");
            }
            (Side::Restarted, Some(files)) => {
                files.write(self.change, Way::Rename);
                self.process.start_anew();
                self.process.listens_at(self.goal.h1).await;
            }
            _ => {
                let text = Self::text(self.side, &self.goal, &self.folder, self.provider, self.change);
                fs::write(&self.config, text.expect("a peer has a text")).expect("a config");
                self.signal_until_live(begun).await;
            }
        }
        begun.elapsed()
    }

    /// HAProxy's master starts itself anew and hears no signal meanwhile; its worker may be live before.
    async fn master_is_up(&self) {
        if matches!(self.side, Side::Haproxy | Side::HaproxyKeepingIdle) {
            let deadline = Instant::now() + Duration::from_secs(2);
            while (self.process.written("stderr").matches("Loading success").count() as u64) < self.change && Instant::now() < deadline {
                sleep(Duration::from_millis(5)).await;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn signal_until_live(&self, begun: Instant) {
        let mut again = begun;
        while self.said().await != Some(self.change) {
            assert!(begun.elapsed() < Duration::from_secs(20), "not live: {}", self.process.written("stderr"));
            if Instant::now() >= again {
                if again > begun {
                    eprintln!("{}: signalled again", self.side.name());
                }
                again = Instant::now() + Duration::from_secs(1);
                self.process.signal(if self.side == Side::Nginx { Signal::HUP } else { Signal::USR2 });
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// The number of the config that a peer answers with.
    async fn said(&self) -> Option<u64> {
        let mut connection = H1::open(self.goal.h1).await.ok()?;
        connection.ask("GET", "/number", "").await.ok()?;
        let reply = connection.reply().await.ok()?;
        let body = connection.body(&reply).await.ok()?;
        std::str::from_utf8(&body).ok()?.trim().parse().ok()
    }

    fn text(side: Side, goal: &Goal, folder: &Path, provider: SocketAddr, number: u64) -> Option<String> {
        match side {
            Side::Sidegate | Side::Restarted => None,
            Side::Nginx => Some(nginx(goal, folder, provider, number)),
            Side::Haproxy => Some(haproxy(goal, folder, provider, number, "")),
            Side::HaproxyKeepingIdle => Some(haproxy(goal, folder, provider, number, "  option idle-close-on-response\n")),
        }
    }
}

fn nginx(goal: &Goal, folder: &Path, provider: SocketAddr, number: u64) -> String {
    let (folder, h1, h2) = (folder.display(), goal.h1, goal.h2);
    let locations = format!(
        "location = /number {{ return 200 {number}; }}\n    location / {{\n      proxy_pass http://provider; proxy_http_version 1.1;\n      \
         proxy_set_header Connection \"\"; proxy_buffering off; proxy_read_timeout {}s;\n    }}",
        600 + number
    );
    format!(
        "daemon off; worker_processes auto;\npid {folder}/pid; error_log {folder}/error.log;\n\
         events {{ worker_connections 8192; multi_accept on; }}\n\
         http {{\n  access_log off; tcp_nodelay on; keepalive_timeout 600s; keepalive_requests 1000000000;\n  \
         client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;\n  \
         uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n  \
         upstream provider {{ server {provider}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s; }}\n  \
         server {{\n    listen {h1} backlog=4096;\n    {locations}\n  }}\n  \
         server {{\n    listen {h2} http2 backlog=4096;\n    {locations}\n  }}\n}}\n"
    )
}

fn haproxy(goal: &Goal, folder: &Path, provider: SocketAddr, number: u64, more: &str) -> String {
    let (folder, h1, h2) = (folder.display(), goal.h1, goal.h2);
    format!(
        "global\n  maxconn 6000\n  stats socket {folder}/socket mode 600 level admin expose-fd listeners\n\
         defaults\n  mode http\n  option http-keep-alive\n  option http-no-delay\n{more}  http-reuse always\n  retries 0\n  \
         timeout connect 5s\n  timeout client {0}s\n  timeout server {0}s\n  timeout http-keep-alive 600s\n\
         frontend clients\n  bind {h1} backlog 4096\n  bind {h2} proto h2 backlog 4096\n  \
         http-request return status 200 content-type text/plain string {number} if {{ path /number }}\n  default_backend provider\n\
         backend provider\n  server simulated {provider} pool-max-conn -1 pool-purge-delay 600s\n",
        600 + number
    )
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
fn version(name: &str, flag: &str) -> String {
    let output = Command::new(program(name)).arg(flag).output().unwrap_or_else(|error| panic!("{name}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let version = text.split([' ', '/', '\n', '-']).find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    version.unwrap_or_default().to_owned()
}
