//! Out of file descriptors: no connection that is there suffers, no processor is burnt, and what waited is served.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{Client, within};

/// A clock tick of `/proc/PID/stat` (proc(5)): a hundredth of a second on every Linux there is.
const TICKS_OF_A_SECOND: u64 = 100;

/// The program with so few file descriptors; dropping it ends it.
struct Program {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    /// What the program said, shown when the test fails.
    said: Arc<Mutex<String>>,
    _folder: tempfile::TempDir,
}

impl Program {
    fn start(descriptors: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("proxy.yaml");
        let config = r#"
listen: { address: "127.0.0.1:0", workers: 1, header_timeout: 5m }
admin: { address: "127.0.0.1:0" }
providers: { nobody: { base_url: "http://127.0.0.1:9", keys: [{ value: unused }] } }
routes: [{ path: /v1, targets: [nobody] }]
"#;
        std::fs::write(&file, config).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" --config \"$1\""), env!("CARGO_BIN_EXE_sidegate")])
            .arg(&file)
            .env_remove("RUST_LOG")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut messages = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        messages.read_line(&mut first).unwrap();
        let message: serde_json::Value = serde_json::from_str(&first).unwrap_or_else(|error| panic!("{error}: {first}"));
        let said = Arc::<Mutex<String>>::default();
        let heard = Arc::clone(&said);
        // Read on, or the program would wait for us.
        std::thread::spawn(move || messages.lines().map_while(Result::ok).for_each(|line| *heard.lock().unwrap() += &(line + "\n")));
        let address =
            |name: &str| message[name].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {name}: {first}"));
        Self { address: address("address"), admin: address("admin"), child, said, _folder: folder }
    }

    /// Processor time so far, in ticks: `utime` and `stime`, the 14th and 15th field of proc(5).
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let behind_the_name = stat.rsplit_once(')').unwrap().1;
        behind_the_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        let ended = self.child.wait().unwrap();
        if std::thread::panicking() {
            eprintln!("the program ended with {ended} and had said:\n{}", self.said.lock().unwrap());
        }
    }
}

/// Asks for what the proxy answers by itself, with no descriptor more.
async fn is_served(client: &mut Client) {
    client.get("/nowhere").await;
    assert_eq!(client.reply("GET").await.status(), 404);
}

#[tokio::test]
async fn running_out_of_descriptors_is_survived_at_rest() {
    let program = Program::start(64);
    let mut first = Client::connect(program.address).await;
    is_served(&mut first).await;
    // More than there are descriptors; the kernel takes them all.
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(Client::connect(program.address).await);
    }
    // The first of the crowd are served, and then there is no descriptor left.
    is_served(&mut crowd[0]).await;
    let before = program.ticks();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = program.ticks() - before;
    assert!(used < TICKS_OF_A_SECOND / 5, "{used} ticks of processor time in a second of waiting");
    is_served(&mut first).await;
    is_served(&mut crowd[1]).await;

    // Whoever waited last is served when others leave.
    let mut last = crowd.pop().unwrap();
    drop(crowd);
    is_served(&mut last).await;
    is_served(&mut first).await;
    let mut admin = Client::connect(program.admin).await;
    admin.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let page = within("the metrics", admin.reply("GET")).await.text();
    let refused = r#"sidegate_downstream_connections_refused_total{reason="accept"} "#;
    let refused: u64 = page.lines().find_map(|line| line.strip_prefix(refused)?.parse().ok()).unwrap();
    assert!((1..1_000).contains(&refused), "accepting failed {refused} times");
}
