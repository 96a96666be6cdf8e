//! Sidegate as a process of its own, for stories of signals, exit codes and what is passed to it.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Client, client::Reply, eventually, proxy::POOL_KEY, within};

/// One worker before one provider.
const BEFORE: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers: { scripted: { base_url: "http://$UPSTREAM/v1", keys: [{ value: "$KEY" }] } }
routes: [{ path: /v1, targets: [scripted] }]
"#;

/// The program; dropping it ends it.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Child,
    messages: Lines,
    access_log: Lines,
    _folder: tempfile::TempDir,
}

/// What came of it.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) access_log: Vec<Value>,
    pub(crate) messages: Vec<Value>,
}

impl Ended {
    /// The message with these words, if it was said.
    pub(crate) fn said(&self, words: &str) -> Option<&Value> {
        self.messages.iter().find(|message| message["message"] == words)
    }
}

/// Lines as they come.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn of(output: impl Read + Send + 'static) -> (Self, std::thread::JoinHandle<()>) {
        let lines = Self::default();
        let heard = lines.clone();
        let reading = std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| heard.0.lock().unwrap().push(line));
        });
        (lines, reading)
    }

    fn parsed(&self) -> Vec<Value> {
        let lines = self.0.lock().unwrap();
        lines.iter().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

impl Process {
    /// Before a provider, with more sections of the config.
    pub(crate) async fn before(provider: SocketAddr, sections: &str) -> Self {
        Self::start(provider, sections, |file| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
            command.arg("--config").arg(file);
            command
        })
        .await
    }

    /// The same, started by a command that is given the config's path.
    pub(crate) async fn start(provider: SocketAddr, sections: &str, command: impl FnOnce(&std::path::Path) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.yaml");
        let config = BEFORE.replace("$UPSTREAM", &provider.to_string()).replace("$KEY", POOL_KEY) + sections;
        std::fs::write(&file, config).unwrap();
        let mut command = command(&file);
        let mut child = command.env_remove("SIDEGATE_LOG").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (access_log, _) = Lines::of(child.stdout.take().unwrap());
        let (messages, _) = Lines::of(child.stderr.take().unwrap());
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { address: any, admin: any, child, messages, access_log, _folder: folder };
        let first = process.said("listening").await;
        // A Unix socket has no such address; then the story knows where it is.
        process.address = first["address"].as_str().unwrap().parse().unwrap_or(any);
        process.admin = first["admin"].as_str().unwrap().parse().unwrap();
        process
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The message with these words, once it is there.
    pub(crate) async fn said(&self, words: &str) -> Value {
        let find = || self.messages.0.lock().unwrap().iter().find(|line| line.contains(&format!("\"message\":\"{words}\""))).cloned();
        let line = eventually(words, find, Option::is_some).await.unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Asks the admin listener.
    pub(crate) async fn ask_admin(&self, method: &str, path: &str) -> Reply {
        let mut client = Client::connect(self.admin).await;
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")).await;
        client.reply(method).await
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let code = within("the end of the process", async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status.code();
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        // Its outputs end with it; the readers have then read all of it.
        let read = |lines: &Lines| Arc::strong_count(&lines.0);
        eventually("the end of what it says", || (read(&self.access_log), read(&self.messages)), |readers| *readers == (1, 1)).await;
        Ended { code, access_log: self.access_log.parsed(), messages: self.messages.parsed() }
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.messages.0.lock().unwrap().iter().for_each(|line| eprintln!("it said: {line}"));
            self.access_log.0.lock().unwrap().iter().for_each(|line| eprintln!("the access log: {line}"));
        }
    }
}
