//! `sidegate load` before `sidegate demo`, each as its own process and as shipped: a thousand users, and then a rate that
//! half of them hold against the proxy and half against the provider behind it.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::figures::Table;

/// Requests a second at both sites together: 850 through the proxy are 51,000 a minute.
const RATE: &str = "1700/s";

pub(crate) fn prove(table: &mut Table) {
    let demo = Demo::start();
    thousand_users(table, &load(&[&demo.proxy, "--users", "1000", "--for", "60s"]));
    let flags = ["--compare", &demo.provider, "--rate", RATE, "--users", "1000", "--for", "60s"];
    added(table, &load(&[&[demo.proxy.as_str()][..], &flags].concat()));
}

fn thousand_users(table: &mut Table, report: &Value) {
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let (rate, success, p95) = (number("/requests/per_s"), number("/requests/success_percent"), number("/latency_ms/p95"));
    table.tell("1,000 users, requests in all", number("/requests/total"));
    table.hold("1,000 users, requests a second", format!("{rate:.0}"), "≥ 999", rate >= 999.0);
    table.hold("1,000 users, succeeded", format!("{success:.3} %"), "≥ 99.9 %", success >= 99.9);
    table.tell("1,000 users, latency at p50", format!("{:.1} ms", number("/latency_ms/p50")));
    table.hold("1,000 users, latency at p95", format!("{p95:.1} ms"), "< 487 ms", p95 < 487.0);
    table.tell("1,000 users, first token at p95", format!("{:.1} ms", number("/first_token_ms/p95")));
    table.tell("1,000 users, tokens a second", format!("{:.0}", number("/tokens/output_per_s")));
}

fn added(table: &mut Table, report: &Value) {
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let (total, success) = (number("/requests/succeeded"), number("/requests/success_percent"));
    table.hold("at 850/s, succeeded through the proxy in a minute", total, "≥ 50,000", total >= 50_000.0);
    table.tell("at 850/s, succeeded", format!("{success:.3} %"));
    table.tell("at 850/s, latency at p50, direct", format!("{:.2} ms", number("/compare/latency_ms/p50")));
    for (what, path) in [("latency", "/added_ms/latency"), ("first token", "/added_ms/first_token")] {
        let (p50, p95) = (number(&format!("{path}/p50")), number(&format!("{path}/p95")));
        table.hold(format!("at 850/s, {what}, added at p50"), format!("{p50:+.2} ms"), "< 2 ms", p50 < 2.0);
        table.tell(format!("at 850/s, {what}, added at p95"), format!("{p95:+.2} ms"));
    }
}

/// Runs the load and reads its report; whether enough succeeded is judged here.
fn load(flags: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_sidegate")).arg("load").args(flags).args(["--json", "--key", "anything"]).output();
    let output = output.expect("the binary starts");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The demo; dropping it ends it.
struct Demo {
    process: Child,
    proxy: String,
    provider: String,
}

impl Demo {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
        let mut process = command.args(["demo", "--quiet", "--port", "0"]).stdout(Stdio::piped()).spawn().expect("the binary starts");
        let output = process.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let mut url = |name: &str| {
            let line = lines.find(|line| line.trim_start().starts_with(name)).expect("the demo says where it is");
            line.split_whitespace().nth(1).expect("an address behind its name").to_owned()
        };
        let (proxy, provider) = (url("proxy "), url("provider "));
        // It goes on printing for a while, and must find a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, proxy, provider }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
