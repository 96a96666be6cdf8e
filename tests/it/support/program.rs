//! Sidegate as a process of its own, with all that it says: for stories of signals, exit codes and what is passed to it.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Client, client::Reply, eventually, proxy::POOL_KEY, within};

/// One worker before one provider.
const BEFORE: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers: { scripted: { base_url: "http://$UPSTREAM/v1", keys: [{ name: pool, value: "$KEY" }] } }
routes: [{ path: /v1, targets: [scripted] }]
"#;

/// The text of a config before this provider, with more sections.
pub(crate) fn config(provider: SocketAddr, sections: &str) -> String {
    BEFORE.replace("$UPSTREAM", &provider.to_string()).replace("$KEY", POOL_KEY) + sections
}

/// The program at work; dropping it ends it.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Child,
    /// Standard error and standard output.
    errors: Heard,
    output: Heard,
    listeners: Vec<JoinHandle<()>>,
    _folder: Option<tempfile::TempDir>,
}

/// What came out of one end so far.
type Heard = Arc<Mutex<Vec<u8>>>;

/// What came of it.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// All of its own messages, and of its access log.
    pub(crate) errors: String,
    pub(crate) output: String,
}

impl Ended {
    /// Its own messages with these words.
    pub(crate) fn messages(&self, words: &str) -> Vec<Value> {
        messages(&self.errors, words)
    }

    /// The lines of the access log.
    pub(crate) fn access_log(&self) -> Vec<Value> {
        self.output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

impl Program {
    /// Before a provider, with more sections of the config.
    pub(crate) async fn before(provider: SocketAddr, sections: &str) -> Self {
        Self::with(&config(provider, sections), |file| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
            command.arg("--config").arg(file);
            command
        })
        .await
    }

    /// With this config, started by a command that is given its path.
    pub(crate) async fn with(config: &str, command: impl FnOnce(&Path) -> Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.yaml");
        std::fs::write(&file, config).unwrap();
        let mut command = command(&file);
        Self::run(command.env_remove("SIDEGATE_LOG"), Some(folder)).await
    }

    /// Serves `proxy.yaml` of `folder`, which is its working directory, with these variables and no limit on a core dump.
    pub(crate) async fn within(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -c unlimited; exec \"$0\"", env!("CARGO_BIN_EXE_sidegate")]).current_dir(folder);
        Self::run(command.env_clear().envs(variables.iter().copied()), None).await
    }

    /// What it says of listening must be a line of JSON that names its addresses.
    async fn run(command: &mut Command, folder: Option<tempfile::TempDir>) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (errors, output) = (Heard::default(), Heard::default());
        let listeners =
            vec![listen(child.stderr.take().unwrap(), Arc::clone(&errors)), listen(child.stdout.take().unwrap(), Arc::clone(&output))];
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut program = Self { address: nowhere, admin: nowhere, child, errors, output, listeners, _folder: folder };
        let first = program.message("listening").await;
        let address = |name: &str| first[name].as_str().unwrap_or_else(|| panic!("no {name}: {first}"));
        // A Unix socket has no such address; then the story knows where it is.
        program.address = address("address").parse().unwrap_or(nowhere);
        program.admin = address("admin").parse().unwrap();
        program
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its own messages so far.
    pub(crate) fn errors(&self) -> String {
        text(&self.errors)
    }

    /// The lines of its access log so far.
    pub(crate) fn output(&self) -> String {
        text(&self.output)
    }

    /// The first of its own messages with these words, once it is there.
    pub(crate) async fn message(&self, words: &str) -> Value {
        self.messages(words, 1).await.remove(0)
    }

    /// All of its own messages with these words, once there are so many.
    pub(crate) async fn messages(&self, words: &str, count: usize) -> Vec<Value> {
        eventually(words, || messages(&self.errors(), words), |found| found.len() >= count).await
    }

    /// Asks the admin listener.
    pub(crate) async fn ask_admin(&self, method: &str, path: &str) -> Reply {
        let mut client = Client::connect(self.admin).await;
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", self.admin)).await;
        client.reply(method).await
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end, which somebody has asked for; everything that it said is there then.
    pub(crate) async fn end(mut self) -> Ended {
        let status = within("the end of the process", async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        // Its outputs end with it.
        self.listeners.drain(..).for_each(|listener| listener.join().unwrap());
        Ended { status, errors: self.errors(), output: self.output() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for (end, said) in [("standard error", self.errors()), ("standard output", self.output())] {
                let last: Vec<&str> = said.lines().rev().take(40).collect();
                eprintln!("the last on {end}:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
            }
        }
    }
}

/// Reads to the end, or the program would wait for us.
fn listen(end: impl Read + Send + 'static, heard: Heard) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut end = BufReader::new(end);
        let mut line = Vec::new();
        while end.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            heard.lock().unwrap().append(&mut line);
        }
    })
}

fn text(heard: &Heard) -> String {
    String::from_utf8_lossy(&heard.lock().unwrap()).into_owned()
}

fn messages(lines: &str, words: &str) -> Vec<Value> {
    let parsed = lines.lines().filter(|line| line.contains(words)).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(|line| line["message"] == words).collect()
}
