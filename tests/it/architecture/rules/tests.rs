//! Each rule is shown a file that breaks it and one that does not: a rule that cannot fail guards nothing.

use super::*;

/// What `rule` finds in a file of this path and text, one line each, without the path.
fn findings(rule: Rule, path: &str, text: &str) -> Vec<String> {
    let found = rule(&SourceFile::new(path, text));
    found.iter().map(|finding| finding.strip_prefix(&format!("src/{path}")).unwrap().trim_start_matches(": ").to_owned()).collect()
}

#[test]
fn an_import_goes_downward_only() {
    for (path, text, forbidden) in [
        ("types/units.rs", "use crate::config::Config;", "config"),
        ("policy/limits/mod.rs", "use crate::provider::sse;", "provider"),
        ("provider/openai.rs", "fn f() { crate::telemetry::count(); }", "telemetry"),
        ("upstream/pool.rs", "use crate::{\n    config::Provider,\n    policy::{key_pool, key_pool::Lease},\n};", "policy"),
        ("runtime/compile.rs", "use super::super::pipeline::Trail;", "pipeline"),
        ("runtime/mod.rs", "use super::{pipeline::Trail, types};", "pipeline"),
        ("simulator/mod.rs", "use sidegate::server;", "server"),
        ("server/mod.rs", "use crate::simulator::Mock;", "simulator"),
        ("pipeline/mod.rs", "use crate::cli::Flags;", "cli"),
    ] {
        let layer = path.split('/').next().unwrap();
        assert_eq!(findings(layers, path, text), [format!("`{layer}` must not import `{forbidden}`")], "{path}");
    }
    assert_eq!(findings(layers, "shared/mod.rs", "").len(), 1, "a folder that is no layer");

    for (path, text) in [
        ("pipeline/admit.rs", "use crate::{config::Body, runtime::Snapshot, types::{Address, units}};\nuse super::Inbound;"),
        ("policy/key_pool/mod.rs", "use super::verdict;\nuse crate::policy::key_pool::Lease;"),
        ("types/mod.rs", "//! See `crate::server`.\npub use address::Address;"),
        ("types/units.rs", "#[cfg(test)]\nmod tests {\n    use crate::config::Config;\n}"),
        ("main.rs", "use sidegate::{server, simulator};"),
    ] {
        assert_eq!(findings(layers, path, text), [""; 0], "{path}");
    }
}

#[test]
fn a_file_ends_before_it_holds_two_concepts() {
    let line = "fn f() {}\n";
    assert_eq!(findings(size, "policy/x.rs", &line.repeat(LONGEST_FILE + 1)), ["351 production lines; at most 350"]);
    let with_tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", line.repeat(LONGEST_FILE), format!("    {line}").repeat(500));
    assert_eq!(findings(size, "policy/x.rs", &with_tests), [""; 0]);
}

#[test]
fn a_policy_touches_nothing_but_its_arguments() {
    for (text, what) in [
        ("let now = Instant::now();", "Instant::now"),
        ("let now = std::time::SystemTime::now();", "SystemTime::now"),
        ("let age = taken.elapsed();", ".elapsed()"),
        ("use http::StatusCode;", "http"),
        ("use hyper::body::Body;", "hyper"),
        ("tracing::debug!(\"x\");", "tracing"),
        ("metrics::counter!(\"x\");", "metrics"),
        ("use tokio::{sync::Notify, time::sleep};", "tokio::time"),
        ("tokio::spawn(f());", "tokio::spawn"),
        ("use std::{fs, sync::Arc};", "std::fs"),
    ] {
        assert_eq!(findings(pure_policy, "policy/limits/mod.rs", text), [format!("a policy must not use `{what}`")]);
        assert_eq!(findings(pure_policy, "pipeline/mod.rs", text), [""; 0], "elsewhere it may");
    }
    let fine = "use std::{net::IpAddr, time::Instant};\nuse tokio::sync::Notify;\nfn f(now: Instant, http_status: u16) {}";
    assert_eq!(findings(pure_policy, "policy/limits/mod.rs", fine), [""; 0]);
}

#[test]
fn a_line_that_may_panic_says_why_it_does_not() {
    for call in ["x.unwrap();", "x.expect(\"y\");", "panic!(\"y\");", "unreachable!()"] {
        assert_eq!(findings(no_surprise_panic, "server/mod.rs", call).len(), 1, "{call}");
        assert_eq!(findings(no_surprise_panic, "server/mod.rs", &format!("{call} // invariant: y")), [""; 0]);
        assert_eq!(findings(no_surprise_panic, "server/mod.rs", &format!("#[cfg(test)]\nmod tests {{\n    {call}\n}}")), [""; 0]);
    }
    assert_eq!(findings(no_surprise_panic, "server/mod.rs", "let one = const { NonZeroU8::new(1).unwrap() };\nx.unwrap_or(1);"), [""; 0]);
}

#[test]
fn only_commands_print() {
    for call in ["println!(\"x\");", "eprintln!(\"x\");", "print!(\"x\");", "dbg!(x);"] {
        assert_eq!(findings(no_print, "server/mod.rs", call).len(), 1, "{call}");
        assert_eq!(findings(no_print, "simulator/demo.rs", call), [""; 0], "{call}");
    }
    assert_eq!(findings(no_print, "server/mod.rs", "writeln!(out, \"println!(\"); // println!("), [""; 0]);
}

#[test]
fn a_name_says_what_it_names() {
    for path in ["server/utils.rs", "common/mod.rs", "server/request_handler.rs"] {
        assert_eq!(findings(telling_file_names, path, "").len(), 1, "{path}");
    }
    assert_eq!(findings(telling_file_names, "server/listener.rs", ""), [""; 0]);

    for text in ["pub struct RequestInfo {", "enum DataKind {", "pub(crate) trait Handler<T> {", "mod helper;", "type Backend = u8;"] {
        assert_eq!(findings(telling_type_names, "server/mod.rs", text).len(), 1, "{text}");
    }
    assert_eq!(
        findings(
            telling_type_names,
            "server/mod.rs",
            "struct Database;\n    type Data = Bytes;\nlet info: Info = data();\nenum Utility {}"
        ),
        [""; 0]
    );
}

#[test]
fn what_is_left_for_later_is_found() {
    for text in ["// TODO: more", "#[allow(dead_code)]", "#![allow(unused_imports)]"] {
        assert_eq!(findings(finished, "server/mod.rs", text).len(), 1, "{text}");
    }
    assert_eq!(findings(finished, "server/mod.rs", "#[expect(dead_code, reason = \"read by the tests of Windows\")]"), [""; 0]);
}
