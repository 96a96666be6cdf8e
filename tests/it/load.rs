//! `sidegate load` before the simulated provider, and before a server that does what no provider should.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sidegate::simulator::{Options, Running, load, start};

use crate::support::{
    PATIENCE,
    tls::{Authority, TlsFront},
};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    args: load::Args,
}

/// Runs a load; whether enough succeeded, and what it printed.
fn run(flags: &[&str]) -> (Result<bool, load::Error>, String) {
    let args = Flags::parse_from(["load", "--quiet"].iter().chain(flags)).args;
    let mut out = Vec::new();
    let ended = load::run(&args, &mut out);
    (ended, String::from_utf8(out).unwrap())
}

/// The report of a load, and whether enough succeeded.
fn report(url: &str, flags: &[&str]) -> (bool, Value) {
    let (ended, out) = run(&[&[url, "--json", "--key", "sk-of-the-load"], flags].concat());
    (ended.unwrap(), serde_json::from_str(&out).unwrap())
}

/// A provider that has no pauses.
fn quick() -> Running {
    start(Options { first_token: Duration::ZERO, tokens_per_second: f64::INFINITY, ..Options::default() }).unwrap()
}

#[test]
fn every_request_is_sent_once_and_counted_once() {
    let provider = quick();
    let (enough, report) = report(&provider.base_url(), &["--requests", "60", "--users", "7"]);
    assert!(enough, "{report}");
    assert_eq!((provider.counters().requests(), provider.counters().completed()), (60, 60));
    let requests = &report["requests"];
    assert_eq!((&requests["total"], &requests["succeeded"], &requests["failed"]), (&json!(60), &json!(60), &json!(0)));
    assert_eq!((&requests["unfinished"], &requests["success_percent"], &report["ended"]), (&json!(0), &json!(100.0), &json!("complete")));
    assert_eq!((&report["tokens"]["output"], &report["tokens"]["replies_without_usage"]), (&json!(60 * 8), &json!(0)));
    assert!(report["tokens"]["input"].as_u64() > Some(60));
    for name in ["latency_ms", "first_token_ms"] {
        let at: Vec<f64> = ["p50", "p95", "p99", "max"].iter().map(|at| report[name][at].as_f64().unwrap()).collect();
        assert!(at[0] > 0.0 && at.is_sorted(), "{name}: {at:?}");
    }
    let (input, output) = (report["tokens"]["input"].as_f64().unwrap(), 480.0);
    let cost = report["cost_usd"].as_f64().unwrap();
    assert!((cost - (input * 0.15 + output * 0.60) / 1e6).abs() < 1e-9, "{cost}");
}

#[test]
fn whole_replies_have_no_first_token_and_an_unknown_model_has_no_cost() {
    let provider = quick();
    let (enough, report) = report(&provider.base_url(), &["--small", "--no-stream", "--model", "mine"]);
    assert!(enough && report["stream"] == false, "{report}");
    assert_eq!((&report["requests"]["total"], &report["tokens"]["output"]), (&json!(50), &json!(50 * 8)));
    assert_eq!((&report["first_token_ms"], &report["cost_usd"]), (&Value::Null, &Value::Null));
    let (_, out) = run(&[&provider.base_url(), "--requests", "2", "--key", "x", "--model", "mine"]);
    assert!(out.contains("unknown: no price for mine") && !out.contains('$'), "{out}");
}

#[test]
fn failures_are_told_apart() {
    let provider = quick();
    for (model, kind, said) in [
        ("fault-429", "429", "The limit on requests a minute is reached"),
        ("fault-500", "500", "The server had an error"),
        ("fault-truncated", "truncated", "truncated"),
        ("fault-reset", "truncated", "truncated"),
        ("fault-unfinished", "truncated", "no last event"),
        ("fault-hang", "timeout", "timeout"),
    ] {
        let (enough, report) = report(&provider.base_url(), &["--model", model, "--requests", "4", "--users", "2", "--timeout", "2s"]);
        assert!(!enough, "{model}");
        assert_eq!((&report["failures"], &report["requests"]["success_percent"]), (&json!({ kind: 4 }), &json!(0.0)), "{model}");
        assert!(report["first_failure"].as_str().unwrap().contains(said), "{report}");
        assert_eq!((&report["latency_ms"], &report["cost_usd"]), (&Value::Null, &Value::Null), "{model}");
    }
}

#[test]
fn the_share_that_must_succeed_decides() {
    let provider = quick();
    for (least, enough) in [("50", true), ("51", false)] {
        let flags = ["--model", "fault-flaky", "--requests", "20", "--users", "1", "--min-success", least];
        let (ended, report) = report(&provider.base_url(), &flags);
        assert_eq!((ended, &report["failures"]), (enough, &json!({ "503": 10 })), "{least} %");
    }
}

#[test]
fn a_site_that_refuses_the_key_is_not_asked_600_times() {
    let provider = quick();
    let (ended, out) = run(&[&provider.base_url(), "--model", "fault-401", "--users", "2", "--key", "sk-unknown"]);
    assert!(!ended.unwrap());
    assert!(provider.counters().requests() < 20, "{} requests", provider.counters().requests());
    assert_eq!(out.matches("--key").count(), 1, "{out}");
}

#[test]
fn a_load_is_bounded_by_time() {
    let provider = quick();
    let start = Instant::now();
    let (enough, report) = report(&provider.base_url(), &["--for", "300ms", "--users", "3"]);
    assert!(enough && report["requests"]["total"].as_u64() > Some(0), "{report}");
    assert!((Duration::from_millis(300)..PATIENCE).contains(&start.elapsed()));
}

/// One user can't keep the rate: what waits for it waits in the figures as well.
#[test]
fn at_a_rate_latency_counts_from_when_a_request_was_due() {
    let provider =
        start(Options { first_token: Duration::from_millis(100), tokens_per_second: f64::INFINITY, ..Options::default() }).unwrap();
    let (_, report) = report(&provider.base_url(), &["--rate", "100/s", "--requests", "6", "--users", "1"]);
    // The last is due at 50 ms and done after 600 ms.
    assert!(report["latency_ms"]["max"].as_f64() >= Some(549.0), "{report}");
    assert!(report["first_token_ms"]["max"].as_f64() >= Some(549.0), "{report}");
}

#[test]
fn two_sites_share_the_load_and_the_difference_is_told() {
    let [slow, fast] = [200, 0].map(|ms| {
        start(Options { first_token: Duration::from_millis(ms), tokens_per_second: f64::INFINITY, ..Options::default() }).unwrap()
    });
    let flags = ["--compare", &fast.base_url(), "--requests", "21", "--users", "4"];
    let (_, report) = report(&slow.base_url(), &flags);
    assert_eq!((slow.counters().requests(), fast.counters().requests()), (11, 10));
    assert_eq!((&report["requests"]["total"], &report["compare"]["requests"]["total"]), (&json!(11), &json!(10)));
    let at = |site: &Value| site["latency_ms"]["p50"].as_f64().unwrap();
    let added = report["added_ms"]["latency"]["p50"].as_f64().unwrap();
    assert!((added - (at(&report) - at(&report["compare"]))).abs() < 0.01 && at(&report) >= 200.0, "{report}");
}

/// A server that answers so many requests over each connection and closes it then, without a word about that.
struct Abrupt {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Abrupt {
    fn start(each: usize, reply: fn(&str) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for socket in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || serve(socket.unwrap(), each, reply));
            }
        });
        Self { address, connections }
    }
}

fn serve(socket: impl Read + Write, each: usize, reply: fn(&str) -> String) {
    let mut reader = BufReader::new(socket);
    for _ in 0..each {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length: usize = head.split_once("content-length: ").unwrap().1.split_once('\r').unwrap().0.parse().unwrap();
        reader.read_exact(&mut vec![0; length]).unwrap();
        if reader.get_mut().write_all(reply(&head).as_bytes()).is_err() {
            return;
        }
    }
}

fn fine(_: &str) -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned()
}

/// Without a pause, thousands of refused connections would be counted.
#[test]
fn a_site_that_goes_away_is_not_stormed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let gone = thread::spawn(move || drop(listener.accept().unwrap()));
    let (enough, report) = report(&url, &["--for", "400ms", "--users", "2"]);
    gone.join().unwrap();
    let refused = report["failures"]["connect"].as_u64().unwrap();
    assert!(!enough && (1..50).contains(&refused), "{report}");
}

#[test]
fn a_unix_socket_is_loaded_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            thread::spawn(move || serve(socket.unwrap(), usize::MAX, fine));
        }
    });
    let (enough, report) = report(&format!("unix:{}", path.display()), &["--no-stream", "--requests", "8"]);
    assert!(enough && report["requests"]["succeeded"] == 8, "{report}");
}

/// Says back what it was sent, its credential included.
fn telltale(head: &str) -> String {
    let body = json!({ "error": { "message": format!("not this key: {head}") } }).to_string();
    format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn a_connection_is_kept_and_one_that_was_closed_is_replaced() {
    for (each, fewest, most) in [(usize::MAX, 2, 3), (5, 5, 20)] {
        let server = Abrupt::start(each, fine);
        let (enough, report) = report(&format!("http://{}", server.address), &["--no-stream", "--requests", "20", "--users", "2"]);
        assert!(enough && report["requests"]["succeeded"] == 20, "{report}");
        // The first one looks whether anybody is there; of the users one may have asked for everything before the other came.
        let connections = server.connections.load(Ordering::SeqCst);
        assert!((fewest..=most).contains(&connections), "{connections} connections of {each} requests");
    }
}

#[tokio::test]
async fn https_is_spoken_with_those_alone_whom_the_roots_vouch_for() {
    let (ours, others) = (Authority::new(), Authority::new());
    let provider = quick();
    let front = TlsFront::before(provider.address(), ours.server("localhost", &["http/1.1"])).await;
    let url = format!("https://localhost:{}/v1", front.address.port());
    let (trusted, strange) = (ours.roots(), others.roots());
    let ended = tokio::task::spawn_blocking(move || {
        let flags = |roots: &std::path::Path| run(&[&url, "--requests", "6", "--key", "x", "--roots", roots.to_str().unwrap()]).0;
        (flags(&trusted), flags(&strange))
    });
    let (trusted, strange) = ended.await.unwrap();
    assert!(trusted.unwrap());
    assert!(strange.unwrap_err().to_string().contains("certificate"));
    assert_eq!(provider.counters().requests(), 6);
}

fn program(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
    command.arg("load").args(flags).env_remove("OPENAI_API_KEY");
    command
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned()).concat()
}

#[test]
fn the_exit_code_says_what_came_of_it() {
    let provider = quick();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (url, gone) = (provider.base_url(), format!("http://{nobody}/v1"));
    for (flags, code, text) in [
        (&[url.as_str(), "--small", "--key", "x"][..], 0, "succeeded     50 (100.00 %)"),
        (&[url.as_str(), "--small", "--key", "x", "--model", "fault-500"], 1, "500 × 50"),
        (&[gone.as_str()], 1, "can't connect to http://127.0.0.1"),
        (&["localhost:8080"], 64, "base URL"),
        (&[url.as_str(), "--rate", "fast"], 64, "not a rate"),
        (&[url.as_str(), "--prices", "no-such-file"], 64, "no-such-file"),
        (&[url.as_str(), "--users", "20000", "--prompt-tokens", "1000000"], 64, "memory"),
        (&[], 64, "<URL>"),
    ] {
        let output = program(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {}", said(&output));
        assert!(said(&output).contains(text), "{flags:?}: {}", said(&output));
    }
    assert_eq!(program(&["--help"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn the_key_is_never_printed() {
    let server = Abrupt::start(usize::MAX, telltale);
    let url = format!("http://{}", server.address);
    let key = "sk-very-hidden";
    let with_variable = |flags: &[&str]| program(flags).env("OPENAI_API_KEY", key).output().unwrap();
    let outputs = [
        with_variable(&[&url, "--small"]),
        with_variable(&[&url, "--small", "--json"]),
        with_variable(&["--help"]),
        with_variable(&["nonsense"]),
        program(&[&url, "--key", &format!("{key}\r\nx: y")]).output().unwrap(),
        program(&["http://127.0.0.1:9/v1", "--key", key]).output().unwrap(),
        program(&[&url, "--small", "--compare", &url, "--compare-key", key]).output().unwrap(),
    ];
    for output in &outputs {
        assert!(!said(output).contains(key), "{}", said(output));
    }
    assert!(said(&outputs[0]).contains("not this key") && said(&outputs[0]).contains("[key]"), "{}", said(&outputs[0]));
}

#[test]
fn a_signal_ends_it_at_once_and_what_was_measured_is_printed() {
    let provider = quick();
    let flags = [&provider.base_url(), "--for", "1h", "--users", "2", "--json", "--key", "x"];
    let load = program(&flags).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while provider.counters().completed() < 20 {
        assert!(Instant::now() < deadline, "no load comes");
        thread::yield_now();
    }
    kill_process(Pid::from_child(&load), Signal::INT).unwrap();
    let interrupted = Instant::now();
    let output = load.wait_with_output().unwrap();
    assert!(interrupted.elapsed() < PATIENCE);
    assert!(output.status.success(), "{}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["ended"], "interrupted");
    assert!(report["requests"]["total"].as_u64() >= Some(18) && report["requests"]["unfinished"].as_u64() <= Some(2), "{report}");
}

/// What `docs/load.md` promises to those who read the report with a program.
#[test]
fn every_field_of_the_report_has_its_row_on_the_page() {
    let provider = quick();
    let (_, report) = report(&provider.base_url(), &["--requests", "2", "--compare", &provider.base_url()]);
    let page = include_str!("../../docs/load.md");
    let table = page.split_once("## As JSON").unwrap().1;
    let named = |name: &str| table.contains(&format!("`{name}`"));
    let fields = report.as_object().unwrap();
    let nested = ["requests", "tokens", "latency_ms", "added_ms"].iter().flat_map(|name| fields[*name].as_object().unwrap().keys());
    let missing: Vec<_> = fields.keys().chain(nested).filter(|name| !named(name)).collect();
    assert_eq!(missing, [""; 0]);
}
