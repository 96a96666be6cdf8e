//! Sidegate's own log: slow requests with their course, an id on every line about a request, a level that changes while it runs.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sidegate::types::Secret;

use crate::support::{Client, Gate, Program, Provider, Script, program, proxy::POOL_KEY, within};

const ASK: &str = r#"{"model":"gpt-4o","stream":true}"#;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The folder of a config before `provider`, with these sections.
fn folder(provider: &Provider, sections: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, provider, sections);
    folder
}

fn write(folder: &tempfile::TempDir, provider: &Provider, sections: &str) {
    let new = folder.path().join("new.yaml");
    fs::write(&new, program::config(provider.address, sections)).unwrap();
    fs::rename(new, folder.path().join("proxy.yaml")).unwrap();
}

/// Longer than [`SLOW`].
const PAUSE: Duration = Duration::from_millis(300);
const SLOW: &str = "log: { slow: 200ms }";

/// Waits at the provider until so much time has gone by: what makes a request slow.
async fn dawdle(at: &Gate, gate: &Gate) {
    at.reached("the provider").await;
    tokio::time::sleep(PAUSE).await;
    gate.open();
}

#[tokio::test]
async fn a_slow_request_is_told_of_once_with_its_course() {
    let (at, gate) = (Gate::new(), Gate::new());
    let provider = Provider::start().await;
    let folder = folder(&provider, SLOW);
    let sidegate = Program::within(folder.path(), &[]).await;
    let mut client = Client::connect(sidegate.address).await;
    // Quick.
    provider.script(Script::ok("served"));
    client.get("/v1/models").await;
    client.reply("GET").await;
    // Slow until its end.
    provider.script(Script::reply("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo").tell(&at).wait(&gate).write("dy"));
    client
        .post_with(
            "/v1/chat/completions",
            &format!("X-Request-Id: mine\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n"),
            r#"{"model":"gpt-4o"}"#,
        )
        .await;
    tokio::join!(client.reply("POST"), dawdle(&at, &gate));

    let mut line = sidegate.message("a slow request").await;
    for (name, from, to) in [
        ("counted_ms", 200.0, 9_000.0),
        ("duration_ms", 200.0, 9_000.0),
        ("head_after_ms", 0.0, 9_000.0),
        ("sent_after_ms", 0.0, 9_000.0),
        ("waited_for_body_ms", 0.0, 9_000.0),
        ("overhead_ms", 0.0, 9_000.0),
    ] {
        let time = line.as_object_mut().unwrap().remove(name).and_then(|time| time.as_f64()).unwrap_or_else(|| panic!("{name}: {line}"));
        assert!((from..to).contains(&time), "{name} is {time}");
    }
    line.as_object_mut().unwrap().remove("timestamp").unwrap();
    let expected = json!({
        "level": "WARN", "message": "a slow request", "request_id": "mine", "trace_id": TRACE, "method": "POST", "path": "/v1/chat/completions",
        "status": 200, "route": "/v1", "provider": "scripted", "key": Secret::new(POOL_KEY.to_owned()).fingerprint().to_string(),
        "model": "gpt-4o", "stream": false, "attempts": 1, "bytes_in": 18, "bytes_out": 4, "end": "complete",
    });
    assert_eq!(line, expected);
    assert_eq!(sidegate.messages("a slow request", 1).await.len(), 1);
}

#[tokio::test]
async fn a_stream_is_slow_by_its_head_and_not_by_its_length() {
    let (at, gate) = (Gate::new(), Gate::new());
    let provider = Provider::start().await;
    let folder = folder(&provider, SLOW);
    let sidegate = Program::within(folder.path(), &[]).await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nContent-Length: 4\r\n\r\n";
    // By what was asked for and by what came, a stream; then one whose head is late, and one that never comes.
    for (body, early, late) in [
        (ASK, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlo".to_owned(), "ng".to_owned()),
        (r#"{"model":"gpt-4o"}"#, format!("{head}lo"), "ng".to_owned()),
        (ASK, String::new(), format!("{head}late")),
        (ASK, String::new(), "no reply\r\n\r\n".to_owned()),
    ] {
        let script = Script::on_request();
        let script = if early.is_empty() { script } else { script.write(early) };
        provider.script(script.tell(&at).wait(&gate).offer(late));
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", body).await;
        tokio::join!(client.reply("POST"), dawdle(&at, &gate));
    }
    let told = sidegate.messages("a slow request", 2).await;
    let said: Vec<_> = told.iter().map(|line| (&line["status"], &line["end"], line.get("failure").cloned())).collect();
    assert_eq!(said, [(&json!(200), &json!("complete"), None), (&json!(502), &json!("rejected"), Some(json!("protocol")))]);
}

#[tokio::test]
async fn an_attempt_that_fails_is_told_of_under_the_requests_own_id() {
    let provider = Provider::start().await;
    let folder = folder(&provider, "");
    let sidegate = Program::within(folder.path(), &[]).await;
    provider.script(Script::on_request().close());
    let mut client = Client::connect(sidegate.address).await;
    client.post_with("/v1/chat/completions", &format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-00\r\n"), ASK).await;
    let id = client.reply("POST").await.head.get("x-request-id");
    let line = sidegate.message("an attempt failed").await;
    assert_eq!((line["request_id"].as_str(), &line["trace_id"]), (id.as_deref(), &json!(TRACE)));
}

/// Reloads with this level, and waits until that is in force.
async fn reload(sidegate: &Program, provider: &Provider, folder: &tempfile::TempDir, level: &str, generation: u64) {
    write(folder, provider, &format!("log: {{ level: {level} }}"));
    within("the reload", async {
        while !sidegate.ask_admin("GET", "/metrics").await.text().contains(&format!("sidegate_config_generation {generation}\n")) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Lets an attempt fail under this id. Failures are told of once a second at most, so it waits for the next.
async fn fail(sidegate: &Program, provider: &Provider, id: &str) {
    tokio::time::sleep(Duration::from_millis(1_050)).await;
    provider.script(Script::on_request().close());
    let mut client = Client::connect(sidegate.address).await;
    client.post_with("/v1/chat/completions", &format!("X-Request-Id: {id}\r\n"), ASK).await;
    assert_eq!(client.reply("POST").await.status(), 502);
}

#[tokio::test]
async fn another_level_is_in_force_with_the_config_that_says_it() {
    let provider = Provider::start().await;
    let folder = folder(&provider, "");
    let sidegate = Program::within(folder.path(), &[]).await;
    reload(&sidegate, &provider, &folder, "error", 2).await;
    fail(&sidegate, &provider, "unheard").await;
    reload(&sidegate, &provider, &folder, "\"off, sidegate::pipeline=warn\"", 3).await;
    fail(&sidegate, &provider, "heard").await;
    let told: Vec<Value> = sidegate.messages("an attempt failed", 1).await;
    assert_eq!(told.iter().map(|line| &line["request_id"]).collect::<Vec<_>>(), ["heard"]);
}

#[tokio::test]
async fn the_environment_goes_before_the_config_if_it_makes_sense() {
    let provider = Provider::start().await;
    let directory = folder(&provider, "log: { level: error }");
    let sidegate = Program::within(directory.path(), &[("SIDEGATE_LOG", "info")]).await;
    reload(&sidegate, &provider, &directory, "\"off\"", 2).await;
    fail(&sidegate, &provider, "heard").await;
    sidegate.message("an attempt failed").await;
    let directory = folder(&provider, "");
    let sidegate = Program::within(directory.path(), &[("SIDEGATE_LOG", "inof")]).await;
    let line = sidegate.message("SIDEGATE_LOG is not followed").await;
    assert!(line["problem"].as_str().unwrap().starts_with("`inof` is no level"), "{line}");
}

#[tokio::test]
async fn a_line_may_be_meant_for_people() {
    let provider = Provider::start().await;
    let folder = folder(&provider, "log: { format: human }");
    let mut child = Command::new(env!("CARGO_BIN_EXE_sidegate"))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut first).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.contains(" INFO listening address=127.0.0.1:") && !first.contains('\u{1b}'), "{first}");
}

#[tokio::test]
async fn nobody_waits_for_a_reader_of_the_log_who_has_stopped() {
    let provider = Provider::always(Script::ok("served")).await;
    let folder = folder(&provider, "drain: { delay: 0s }");
    let mut child = Command::new(env!("CARGO_BIN_EXE_sidegate"))
        .current_dir(folder.path())
        .env_remove("SIDEGATE_LOG")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    log.read_line(&mut first).unwrap();
    let first: Value = serde_json::from_str(&first).unwrap();
    let address = |name: &str| first[name].as_str().unwrap().parse().unwrap();
    let mut admin = Client::connect(address("admin")).await;
    // Each has a line, and a pipe holds 64 KiB.
    for _ in 0..1_000 {
        admin.send("POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(admin.reply("POST").await.status(), 200);
    }
    let mut client = Client::connect(address("address")).await;
    client.post("/v1/chat/completions", ASK).await;
    assert_eq!(client.reply("POST").await.status(), 200);
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    assert!(within("the end of the process", ended).await.unwrap().success());
}
