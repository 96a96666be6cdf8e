//! The program as a process: signals, exit codes, and the first process of a container.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::{CHUNKED, is_refused, stream};
use crate::support::{Client, Gate, Program, Provider, Script, eventually, program};

/// Long enough that no test waits for it by mistake.
const PATIENT: &str = "drain: { delay: 10m, timeout: 20m }";
const AT_ONCE: &str = "drain: { delay: 0s, timeout: 10m }";

/// Asks for a stream and reads its first part.
async fn streaming(program: &Program) -> Client {
    let mut client = Client::connect(program.address).await;
    client.get("/v1/models").await;
    client.until("first").await;
    client
}

fn endless() -> Script {
    Script::on_request().write(CHUNKED).chunk("first").until_left()
}

#[tokio::test]
async fn sigterm_lets_streams_finish_and_the_code_says_so() {
    let (provider, go) = (Provider::start().await, Gate::new());
    provider.script(stream(&go));
    let program = Program::before(provider.address, AT_ONCE).await;
    let mut client = streaming(&program).await;
    program.signal(Signal::TERM);
    is_refused(program.address).await;
    assert_eq!(program.ask_admin("GET", "/readyz").await.text(), "draining\n");
    go.open();
    client.until("last").await;
    client.until("0\r\n\r\n").await;
    let ended = program.end().await;
    assert_eq!((ended.status.code(), &ended.access_log()[0]["end"]), (Some(0), &"complete".into()));
    assert!(ended.messages("drained").len() == 1 && ended.messages("cut what was still running").is_empty());
}

#[tokio::test]
async fn sigterm_waits_for_load_balancers_and_sigint_does_not() {
    let provider = Provider::always(Script::ok("served")).await;
    let mut program = Program::before(provider.address, PATIENT).await;
    program.signal(Signal::TERM);
    program.message("draining").await;
    let mut client = Client::connect(program.address).await;
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.text(), "served");
    assert!(client.is_closed().await && !program.has_ended());
    drop(program);
    let program = Program::before(provider.address, PATIENT).await;
    program.signal(Signal::INT);
    assert_eq!(program.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_now() {
    for signals in [[Signal::TERM, Signal::TERM], [Signal::INT, Signal::TERM], [Signal::TERM, Signal::INT]] {
        let mut provider = Provider::always(endless()).await;
        let program = Program::before(provider.address, PATIENT).await;
        let mut client = streaming(&program).await;
        program.signal(signals[0]);
        program.message("asked to end").await;
        program.signal(signals[1]);
        let ended = program.end().await;
        assert_eq!((ended.status.code(), &ended.access_log()[0]["error"]), (Some(1), &"drained".into()), "{signals:?}");
        assert_eq!(ended.messages("cut what was still running")[0]["requests"], 1);
        assert_eq!(client.until("\r\n").await, "\r\n");
        assert!(client.is_closed().await);
        provider.departure().await;
    }
}

#[tokio::test]
async fn a_timeout_cuts_the_rest_and_the_code_says_so() {
    let mut provider = Provider::always(endless()).await;
    let program = Program::before(provider.address, "drain: { delay: 100ms, timeout: 500ms }").await;
    let _client = streaming(&program).await;
    program.signal(Signal::TERM);
    let ended = program.end().await;
    assert_eq!((ended.status.code(), &ended.access_log()[0]["end"]), (Some(1), &"truncated".into()));
    let warning = ended.messages("cut what was still running").remove(0);
    assert_eq!((&warning["level"], &warning["requests"]), (&"WARN".into(), &1.into()));
    provider.departure().await;
}

#[tokio::test]
async fn a_signal_goes_on_with_a_drain_that_was_asked_for_before() {
    let (provider, go) = (Provider::start().await, Gate::new());
    provider.script(stream(&go));
    let program = Program::before(provider.address, PATIENT).await;
    let mut client = streaming(&program).await;
    let reply = program.ask_admin("POST", "/drain").await;
    assert_eq!((reply.status(), reply.json()), (202, serde_json::json!({ "status": "draining" })));
    assert_eq!(program.ask_admin("POST", "/drain").await.status(), 202);
    assert_eq!(program.ask_admin("GET", "/readyz").await.status(), 503);
    program.signal(Signal::TERM);
    program.message("asked to end").await;
    // Neither begun anew nor ended: new connections are taken, and the stream goes on.
    let mut other = Client::connect(program.address).await;
    other.get("/nowhere").await;
    assert_eq!(other.reply("GET").await.status(), 404);
    go.open();
    client.until("0\r\n\r\n").await;
    // A second signal, with nothing under way.
    program.signal(Signal::INT);
    let ended = program.end().await;
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.messages("draining").len(), 1);
}

#[tokio::test]
async fn a_drain_without_a_signal_is_a_whole_graceful_stop() {
    let (provider, go) = (Provider::start().await, Gate::new());
    provider.script(stream(&go));
    let program = Program::before(provider.address, AT_ONCE).await;
    let mut client = streaming(&program).await;
    assert_eq!(program.ask_admin("POST", "/drain").await.status(), 202);
    is_refused(program.address).await;
    go.open();
    client.until("0\r\n\r\n").await;
    assert_eq!(program.end().await.status.code(), Some(0));
}

/// The kernel keeps signals that it has no words for from the first process of a container.
#[tokio::test]
async fn the_first_process_of_a_container_drains_too() {
    let may = Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).output();
    if !may.is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: `unshare --pid --fork --mount-proc` is not permitted here");
    }
    let (provider, go) = (Provider::start().await, Gate::new());
    provider.script(stream(&go));
    let program = Program::with(&program::config(provider.address, AT_ONCE), |file| {
        let mut command = Command::new("unshare");
        let first = ["--pid", "--fork", "--mount-proc", "--kill-child", env!("CARGO_BIN_EXE_sidegate"), "--config"];
        command.args(first).arg(file);
        command
    })
    .await;
    let mut client = streaming(&program).await;
    let outside = program.id();
    let children = || std::fs::read_to_string(format!("/proc/{outside}/task/{outside}/children")).unwrap_or_default();
    let child = eventually("the process", children, |children| !children.trim().is_empty()).await;
    let first: i32 = child.trim().parse().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{first}/status")).unwrap();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
    assert_eq!(ids.split_whitespace().last(), Some("1"));
    kill_process(Pid::from_raw(first).unwrap(), Signal::TERM).unwrap();
    is_refused(program.address).await;
    go.open();
    client.until("0\r\n\r\n").await;
    let ended = program.end().await;
    assert_eq!((ended.status.code(), &ended.access_log()[0]["end"]), (Some(0), &"complete".into()));
}
