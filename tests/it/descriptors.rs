//! Out of file descriptors: no connection that is there suffers, no processor is burnt, and what waited is served.

use std::{process::Command, time::Duration};

use crate::support::{Client, Program};

/// A clock tick of `/proc/PID/stat` (proc(5)): a hundredth of a second on every Linux there is.
const TICKS_OF_A_SECOND: u64 = 100;

const CONFIG: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1, header_timeout: 5m }
admin: { address: "127.0.0.1:0" }
providers: { nobody: { base_url: "http://127.0.0.1:9", keys: [{ value: unused }] } }
routes: [{ path: /v1, targets: [nobody] }]
"#;

/// The program with so few file descriptors.
async fn with_descriptors(descriptors: u32) -> Program {
    Program::with(CONFIG, |file| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" --config \"$1\""), env!("CARGO_BIN_EXE_sidegate")]).arg(file);
        command
    })
    .await
}

/// Processor time so far, in ticks: `utime` and `stime`, the 14th and 15th field of proc(5).
fn ticks(program: &Program) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", program.id())).unwrap();
    let behind_the_name = stat.rsplit_once(')').unwrap().1;
    behind_the_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

/// Asks for what the proxy answers by itself, with no descriptor more.
async fn is_served(client: &mut Client) {
    client.get("/nowhere").await;
    assert_eq!(client.reply("GET").await.status(), 404);
}

#[tokio::test]
async fn running_out_of_descriptors_is_survived_at_rest() {
    let program = with_descriptors(64).await;
    let mut first = Client::connect(program.address).await;
    is_served(&mut first).await;
    // More than there are descriptors; the kernel takes them all.
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(Client::connect(program.address).await);
    }
    // The first of the crowd are served, and then there is no descriptor left.
    is_served(&mut crowd[0]).await;
    let before = ticks(&program);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let used = ticks(&program) - before;
    assert!(used < TICKS_OF_A_SECOND / 5, "{used} ticks of processor time in a second of waiting");
    is_served(&mut first).await;
    is_served(&mut crowd[1]).await;

    // Whoever waited last is served when others leave.
    let mut last = crowd.pop().unwrap();
    drop(crowd);
    is_served(&mut last).await;
    is_served(&mut first).await;
    let page = program.ask_admin("GET", "/metrics").await.text();
    let refused = r#"sidegate_downstream_connections_refused_total{reason="accept"} "#;
    let refused: u64 = page.lines().find_map(|line| line.strip_prefix(refused)?.parse().ok()).unwrap();
    assert!((1..1_000).contains(&refused), "accepting failed {refused} times");
}
