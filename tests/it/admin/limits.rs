//! Limits as operators see them: what they count, who is near their end, and what they would say to a request.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json as value};

use super::{
    ask,
    description::{document, flaws, operation},
    json,
};
use crate::support::{Client, Program, Provider, Script, Sidegate, eventually};

const ASK: &str = r#"{"model":"gpt-4o","messages":[]}"#;

const SECTIONS: &str = "
trust: { proxies: [loopback] }
limits:
  - { name: per-address, per: ip, requests: 4/h }
  - { name: premium, when: { tier: premium }, per: client, requests: 100/min }
  - { name: big-model, when: { model: 'gpt-4*' }, per: [model, ip], requests: 3/h, shadow: true }
";

/// Asks so many times from this address; the last status.
async fn ask_from(sidegate: &Sidegate, ip: &str, times: usize) -> u16 {
    let mut status = 0;
    for _ in 0..times {
        let mut client = Client::connect(sidegate.address).await;
        client.post_with("/v1/chat/completions", &format!("X-Forwarded-For: {ip}\r\n"), ASK).await;
        status = client.reply("POST").await.status();
    }
    status
}

/// The limit of this name.
async fn limit(sidegate: &Sidegate, name: &str) -> Value {
    let limits = json(sidegate, "/limits").await;
    limits["limits"].as_array().unwrap().iter().find(|limit| limit["name"] == name).unwrap_or_else(|| panic!("no {name}: {limits}")).clone()
}

fn labels(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap_or("?")).collect()
}

#[tokio::test]
async fn each_limit_tells_what_it_counts_and_who_is_near_its_end() {
    let provider = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::with(SECTIONS, provider.address).await;
    let untouched = limit(&sidegate, "per-address").await;
    assert_eq!(
        (&untouched["rate"], &untouched["per"], &untouched["window_seconds"], &untouched["burst"]),
        (&value!("4/h"), &value!(["ip"]), &value!(3600.0), &Value::Null)
    );
    assert_eq!((&untouched["subjects"], &untouched["top"], &untouched["most_refused"]), (&value!(0), &value!([]), &value!([])));

    assert_eq!(ask_from(&sidegate, "203.0.113.7", 6).await, 429);
    assert_eq!(ask_from(&sidegate, "203.0.113.8", 3).await, 200);
    assert_eq!(ask_from(&sidegate, "203.0.113.9", 1).await, 200);
    let limit_now = limit(&sidegate, "per-address").await;
    assert_eq!(limit_now["checks"], value!({ "allowed": 8, "refused": 2, "shadowed": 0 }));
    assert_eq!(limit_now["subjects"], 3);
    assert!(limit_now["memory_bytes"].as_u64().unwrap() > untouched["memory_bytes"].as_u64().unwrap());
    // Who has used little has no name here.
    assert_eq!(labels(&limit_now["top"]), ["203.0.113.7", "203.0.113.8", "?"]);
    let first = &limit_now["top"][0];
    assert_eq!((&first["used"], &first["limit"], &first["remaining"]), (&value!(4), &value!(4), &value!(0)));
    assert!(first["reset_seconds"].as_f64().unwrap() > 3_000.0, "{first}");
    assert_eq!(labels(&limit_now["most_refused"]), ["203.0.113.7"]);
    assert_eq!(limit_now["most_refused"][0]["times"], 2);

    let shadow = limit(&sidegate, "big-model").await;
    assert_eq!((&shadow["checks"]["shadowed"], &shadow["when"]), (&value!(1), &value!({ "model": "gpt-4*" })));
    assert_eq!(labels(&shadow["most_refused"]), ["gpt-4o, 203.0.113.7"], "a shadow tells whom it would refuse");
    assert_eq!(json(&sidegate, "/limits?top=1").await["limits"][0]["top"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_network_around_an_address_is_a_consumer_of_its_own() {
    let provider = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::with(SECTIONS, provider.address).await;
    for subnet in 0..4 {
        ask_from(&sidegate, &format!("2001:db8:1:{subnet}::7"), 4).await;
    }
    let limit = limit(&sidegate, "per-address").await;
    let named = labels(&limit["top"]);
    assert!(named.contains(&"2001:db8:1::/56") && named.contains(&"2001:db8:1:3::/64"), "{named:?}");
}

#[tokio::test]
async fn callers_are_never_in_the_metrics_and_limits_that_left_are_gone_from_them() {
    let provider = Provider::always(Script::ok("{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("proxy.yaml");
    let write = |limits: &str| {
        let start = format!(
            "listen: {{ address: \"127.0.0.1:0\", workers: 1 }}\nadmin: {{ address: \"127.0.0.1:0\" }}\nproviders: {{ openai: {{ base_url: \"http://{}/v1\", keys: [{{ value: sk-1 }}] }} }}\nroutes: [{{ path: /v1, targets: [openai] }}]\n",
            provider.address
        );
        std::fs::write(&file, start + limits).unwrap();
    };
    write(SECTIONS);
    let sidegate = Sidegate::from_file(&file, false);
    ask_from(&sidegate, "203.0.113.7", 6).await;
    let labels = r#"{limit="per-address",unit="requests"}"#;
    assert_eq!(sidegate.metric(&format!("sidegate_limit_subjects{labels}")).await, 1.0);
    assert!(sidegate.metric(&format!("sidegate_limit_memory_bytes{labels}")).await > 1_000.0);
    assert_eq!(sidegate.metric(&format!("sidegate_limit_shared_total{labels}")).await, 0.0);
    assert_eq!(sidegate.metric(r#"sidegate_limit_checks_total{limit="per-address",unit="requests",outcome="refused"}"#).await, 2.0);
    assert!(!sidegate.ask_admin("/metrics").await.text().contains("203.0.113"));

    // Fewer are allowed, and what was counted and noted stays.
    write("limits: [{ name: per-address, per: ip, requests: 2/h }]\n");
    sidegate.reload();
    let limits = json(&sidegate, "/limits").await;
    assert_eq!((limits["limits"].as_array().unwrap().len(), labels_of(&limits)), (1, vec!["203.0.113.7".to_owned()]));
    assert_eq!(limits["limits"][0]["checks"]["refused"], 2);
    write("");
    sidegate.reload();
    assert_eq!(json(&sidegate, "/limits").await, value!({ "limits": [] }));
    assert!(!sidegate.ask_admin("/metrics").await.text().contains("sidegate_limit_"));
}

fn labels_of(limits: &Value) -> Vec<String> {
    labels(&limits["limits"][0]["most_refused"]).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_access_log_names_the_limit_that_refused() {
    let provider = Provider::always(Script::ok("{}")).await;
    let sidegate = Sidegate::with(SECTIONS, provider.address).await;
    ask_from(&sidegate, "203.0.113.7", 5).await;
    let lines = eventually("the access log", || sidegate.log_lines(), |lines| lines.len() == 5).await;
    let limits: Vec<_> = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()["limit"].clone()).collect();
    assert_eq!(limits, [Value::Null, Value::Null, Value::Null, Value::Null, "per-address".into()]);
}

#[tokio::test]
async fn a_check_tells_what_would_become_of_a_request_and_charges_nothing() {
    let provider = Provider::always(Script::ok("{}")).await;
    // An issuer may call a client whatever it likes.
    let clients = format!("clients: {{ anonymous: free, jwt: {{ audience: me, secret: {{ value: {} }} }} }}\n", "s".repeat(32));
    let sidegate = Sidegate::with(&(clients + SECTIONS), provider.address).await;
    let check = "/limits/check?ip=203.0.113.7&tier=free&model=gpt-4o";
    ask_from(&sidegate, "203.0.113.7", 3).await;
    for _ in 0..9 {
        let answer = json(&sidegate, check).await;
        assert_eq!((&answer["passes"], &answer["limits"][0]["remaining"]), (&value!(true), &value!(1)), "{answer}");
    }
    assert_eq!(ask_from(&sidegate, "203.0.113.7", 1).await, 200);
    let answer = json(&sidegate, check).await;
    assert_eq!((&answer["passes"], &answer["limits"][0]["passes"]), (&value!(false), &value!(false)));
    assert!(answer["limits"][0]["wait_seconds"].as_f64().unwrap() > 3_000.0);
    assert_eq!(answer["limits"][1]["why_not"], "the tier is free, not premium");
    assert_eq!((&answer["limits"][2]["shadow"], &answer["limits"][2]["passes"]), (&value!(true), &value!(false)));
    assert_eq!(limit(&sidegate, "per-address").await["checks"]["allowed"], 4, "a check is none of the limit's own");

    let others = json(&sidegate, "/limits/check?tier=premium&client=Web%20Shop&path=/v1/models").await;
    assert_eq!(others["caller"], value!({ "client": "Web Shop", "ip": null, "tier": "premium", "region": null }));
    assert_eq!(others["limits"][0]["why_not"], "the request has no address");
    assert_eq!((&others["limits"][1]["subject"], &others["limits"][1]["remaining"]), (&value!("Web Shop"), &value!(100)));
    assert_eq!(others["limits"][2]["why_not"], "the operation has no model");
    assert_eq!(json(&sidegate, "/limits/check?path=/nowhere").await["error"]["code"], "route_not_found");

    for wrong in ["ip=nobody", "tokens=-1", "tier=a%20b", "client=%ff", "key=sg-1", "colour=red", "path=v1", "session=x"] {
        let reply = ask(sidegate.admin, "GET", &format!("/limits/check?{wrong}"), "").await;
        assert_eq!((reply.status(), super::code(&reply).as_str()), (400, "query_wrong"), "{wrong}");
    }
    for wrong in ["top=21", "top=many", "to=3"] {
        assert_eq!(ask(sidegate.admin, "GET", &format!("/limits?{wrong}"), "").await.status(), 400, "{wrong}");
    }
}

#[tokio::test]
async fn answers_about_limits_are_as_described() {
    let (document, provider) = (document(), Provider::always(Script::ok("{}")).await);
    let sections = format!(
        "{SECTIONS}  - {{ name: money, per: all, cost: 0.5 USD/day }}\n  - {{ name: even, per: client, requests: 1/s, burst: 5 }}\n  - {{ name: wide, per: all, concurrent: 9 }}\n  - {{ name: guessing, per: ip, failed_auth: 5/15min }}\n"
    );
    let sidegate = Sidegate::with(&sections, provider.address).await;
    ask_from(&sidegate, "203.0.113.7", 6).await;
    for (path, query) in [("/limits", "?top=20"), ("/limits/check", "?ip=203.0.113.7&model=gpt-4o"), ("/limits/check", "?path=/nowhere")] {
        let schema = &operation(&document, path, "GET")["responses"]["200"]["content"]["application/json"]["schema"];
        assert_eq!(flaws(&document, schema, &json(&sidegate, &format!("{path}{query}")).await, path), [""; 0]);
    }
    assert_eq!(limit(&sidegate, "money").await["amount"], 0.5);
    assert_eq!(limit(&sidegate, "even").await["burst"], 5);
}

/// What `sidegate limits test` answers with this on its standard input.
fn tested(config: &std::path::Path, arguments: &[&str], input: &str) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
    command.args(["limits", "test", "--config"]).arg(config).args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that reads nothing of it may have ended already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

/// A file with this config, for whose providers nobody asks, and whose admin listener is not there.
fn file(sections: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.yaml");
    std::fs::write(&path, crate::support::program::config(([127, 0, 0, 1], 9).into(), sections)).unwrap();
    (folder, path)
}

#[test]
fn the_command_says_who_the_caller_would_be_and_which_limits_apply() {
    let hash = sidegate::config::KeyHash::of(b"sg-right");
    let clients = format!(
        "clients: {{ anonymous: free, keys: [{{ name: shop, sha256: {hash}, tier: premium }}], session: {{ header: x-session-id }} }}\n"
    );
    let (_folder, config) = file(&format!(
        "{clients}{SECTIONS}  - {{ name: talk, per: session, tokens: 500/min }}\n  - {{ name: guessing, per: ip, failed_auth: 5/15min }}\n"
    ));
    let (code, text) = tested(&config, &["--key", "-", "--model", "gpt-4o", "--ip", "203.0.113.7"], "sg-right\n");
    assert_eq!(code, 0, "{text}");
    for part in [
        "client shop, tier premium, from 203.0.113.7",
        "per-address",
        "4/h",
        "premium",
        "100 left",
        "talk",
        "does not apply: the request has no session",
        "does not apply: it counts credentials that do not hold",
        "gpt-4o, 203.0.113.7",
        "It would pass.",
        "No process was asked",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(!text.contains("sg-right"));

    let (code, text) = tested(&config, &["--model", "o3"], "");
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("no client that is known, tier free") && text.contains("the tier is free, not premium"), "{text}");
    assert!(text.contains("the model is o3, not gpt-4*"), "{text}");

    // More than there ever is, a key that does not hold, a path without a route.
    let refused = [
        (&["--session", "s", "--tokens", "501"][..], "", "The limit talk never has as much as that."),
        (&["--key", "-"], "sg-wrong", "This client key is not known."),
        (&["--path", "/nowhere"], "", "No route"),
    ];
    for (arguments, input, why) in refused {
        let (code, text) = tested(&config, arguments, input);
        assert!(code == 1 && text.contains("It would be refused.") && text.contains(why), "{code} {text}");
    }
    let (code, text) = tested(&config, &["--client", "shop", "--json"], "");
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &answer["fresh"]["caller"]["tier"], &answer["running"]), (0, &value!("premium"), &Value::Null));
}

#[test]
fn what_makes_no_sense_to_the_command_is_64() {
    let (_folder, config) = file(SECTIONS);
    let broken = file("limits: [{ name: nothing, per: ip }]\n");
    for (file, arguments, part) in [
        (&config, &["--ip", "nobody"][..], "nobody"),
        (&config, &["--client", "a", "--key", "-"], "--key"),
        (&config, &["--client", "ghost"], "No client of this config is called `ghost`"),
        (&config, &["--session", "x"], "clients.session"),
        (&config, &["--key", "-"], "one key"),
        (&config, &["--admin", "http://127.0.0.1:9"], "can't be asked"),
        (&config, &["--admin", "https://127.0.0.1:9"], "plain HTTP"),
        (&broken.1, &[], "limits nothing"),
    ] {
        let (code, text) = tested(file, arguments, "");
        assert!(code == 64 && text.contains(part), "{arguments:?}: {code} {text}");
    }
}

#[tokio::test]
async fn the_command_asks_the_running_process_what_remains_now() {
    let provider = Provider::always(Script::ok("{}")).await;
    let program = Program::before(provider.address, SECTIONS).await;
    for _ in 0..4 {
        let mut client = Client::connect(program.address).await;
        client.post_with("/v1/chat/completions", "X-Forwarded-For: 203.0.113.7\r\n", ASK).await;
        assert_eq!(client.reply("POST").await.status(), 200);
    }
    let (_folder, config) = file(SECTIONS);
    let url = format!("http://{}", program.admin);
    let run = move |ip: &'static str| {
        let (config, url) = (config.clone(), url.clone());
        tokio::task::spawn_blocking(move || tested(&config, &["--ip", ip, "--admin", &url], ""))
    };
    let (code, text) = run("203.0.113.7").await.unwrap();
    assert!(
        code == 1 && text.contains("0 of 4 left, wait ") && text.contains("The limit per-address has not enough left."),
        "{code} {text}"
    );
    let (code, text) = run("203.0.113.8").await.unwrap();
    assert!(
        code == 0 && text.contains("4 of 4 left") && text.contains("It would pass. It was asked of the running process"),
        "{code} {text}"
    );
}
