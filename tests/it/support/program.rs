//! Sidegate as a process of its own, with all that it says.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use serde_json::Value;

use super::{Client, client::Reply, eventually};

/// The program at work; dropping it ends it.
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    child: Child,
    /// Standard error and standard output.
    errors: Heard,
    output: Heard,
    listeners: Vec<JoinHandle<()>>,
}

/// What came out of one end so far.
type Heard = Arc<Mutex<Vec<u8>>>;

impl Program {
    /// Serves `proxy.yaml` of `folder`, which is its working directory, with these variables and no limit on a core dump. What
    /// it says first must be a line of JSON that names its addresses.
    pub(crate) async fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", "ulimit -c unlimited; exec \"$0\"", env!("CARGO_BIN_EXE_sidegate")])
            .current_dir(folder)
            .env_clear()
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (errors, output) = (Heard::default(), Heard::default());
        let listeners =
            vec![listen(child.stderr.take().unwrap(), Arc::clone(&errors)), listen(child.stdout.take().unwrap(), Arc::clone(&output))];
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { address: nowhere, admin: nowhere, child, errors, output, listeners };
        let first = process.message("listening").await;
        let address = |name: &str| first[name].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {name}: {first}"));
        (process.address, process.admin) = (address("address"), address("admin"));
        process
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> i32 {
        self.child.id() as i32
    }

    /// Its own messages so far.
    pub(crate) fn errors(&self) -> String {
        text(&self.errors)
    }

    /// The lines of its access log so far.
    pub(crate) fn output(&self) -> String {
        text(&self.output)
    }

    /// The first of its own messages of this text, once it is there.
    pub(crate) async fn message(&mut self, message: &str) -> Value {
        self.messages(message, 1).await.remove(0)
    }

    /// All of its own messages of this text, once there are so many.
    pub(crate) async fn messages(&mut self, message: &str, count: usize) -> Vec<Value> {
        let errors = Arc::clone(&self.errors);
        let found = move || -> Vec<Value> {
            let lines = text(&errors);
            lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|line| line["message"] == message).collect()
        };
        eventually(message, found, |found| found.len() >= count).await
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
    pub(crate) fn end(mut self) -> (ExitStatus, String, String) {
        let status = self.child.wait().unwrap();
        self.listeners.drain(..).for_each(|listener| listener.join().unwrap());
        (status, self.errors(), self.output())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let errors = self.errors();
            let last: Vec<&str> = errors.lines().rev().take(40).collect();
            eprintln!("the program had said:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
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
