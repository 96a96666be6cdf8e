//! What operators see: a line for each request, metrics that come back to rest, a config without secrets, probes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sidegate::{config::KeyHash, telemetry::names, types::Secret};

use crate::support::{Client, Gate, H2Client, Mmdb, Provider, Script, Sidegate, h2_client, proxy::POOL_KEY, tls::Authority, within};

const ASK: &str = r#"{"model":"gpt-4o","stream":true}"#;
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";

/// Asks for a stream and leaves when the script has opened `reached`, having read the head if there is one.
async fn leave(sidegate: &Sidegate, reached: &Gate, has_head: bool) {
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    reached.reached("the phase").await;
    if has_head {
        client.until("half").await;
    }
}

/// A field that says a time: there, not negative, and less than anything here takes.
fn take_time(line: &mut Value, name: &str) -> f64 {
    let time = line.as_object_mut().unwrap().remove(name).and_then(|value| value.as_f64()).unwrap_or_else(|| panic!("{name}: {line}"));
    assert!((0.0..10_000.0).contains(&time), "{name} is {time}");
    time
}

#[tokio::test]
async fn a_line_says_everything_that_is_known() {
    let provider =
        Provider::always(Script::reply("HTTP/1.1 201 Created\r\nx-request-id: of-the-provider\r\nContent-Length: 4\r\n\r\nbody")).await;
    let clients = format!("clients: {{ keys: [{{ name: web, sha256: {}, tier: premium }}] }}", KeyHash::of(b"sg-web"));
    let sidegate = Sidegate::with(&clients, provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.post_with("/v1/chat/completions?key=sg-web", "X-Request-Id: of-the-client\r\n", ASK).await;
    assert_eq!(client.reply("POST").await.status(), 201);

    let mut line = sidegate.log(1).await.pop().unwrap();
    let (whole, first) = (take_time(&mut line, "duration_ms"), take_time(&mut line, "first_byte_ms"));
    let overhead = take_time(&mut line, "overhead_ms");
    assert!(first <= whole && overhead <= whole, "{first} and {overhead} of {whole}");
    let time = line.as_object_mut().unwrap().remove("time").unwrap();
    let shape: String = time.as_str().unwrap().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    let expected = json!({
        "request_id": "of-the-provider", "method": "POST", "path": "/v1/chat/completions", "status": 201, "client": "web",
        "tier": "premium", "ip": "127.0.0.1", "route": "/v1", "provider": "scripted",
        "key": Secret::new(POOL_KEY.to_owned()).fingerprint().to_string(), "key_name": "pool", "model": "gpt-4o", "stream": true, "attempts": 1,
        "bytes_in": ASK.len(), "bytes_out": 4, "end": "complete",
    });
    assert_eq!(line, expected);
}

#[tokio::test]
async fn whoever_leaves_is_logged_with_what_had_happened() {
    let reached = Gate::new();
    let hang = Script::on_request().tell(&reached).until_left();
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    provider.script(hang.clone());
    leave(&sidegate, &reached, false).await;
    provider.departure().await;
    provider.script(Script::reply(HALF).tell(&reached).until_left());
    leave(&sidegate, &reached, true).await;
    provider.departure().await;
    provider.script(hang);
    let h2 = H2Client::connect(sidegate.address).await;
    let reply = h2.send(h2_client::post("/v1/chat/completions", ASK)).await;
    reached.reached("the request over HTTP/2").await;
    drop(reply);
    provider.departure().await;
    // In the middle of a body that is read: nothing was sent.
    let mut client = Client::connect(sidegate.address).await;
    client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{").await;
    sidegate.metric_becomes("sidegate_downstream_connections", 2.0).await;
    drop(client);

    let lines = sidegate.log(4).await;
    let told: Vec<_> = lines.iter().map(|line| (line["status"].as_u64(), line["attempts"].as_u64(), line["bytes_out"].as_u64())).collect();
    let before_the_head = (Some(499), Some(1), Some(0));
    assert_eq!(told[..3], [before_the_head, (Some(200), Some(1), Some(4)), before_the_head]);
    // Whether the body had begun to be read when the client left is not ours to know: either way nothing was sent.
    assert!(matches!(told[3], (Some(499 | 400), Some(0), Some(0))), "{:?}", told[3]);
    assert!(lines[..3].iter().all(|line| line["end"] == "left" && line.get("error").is_none()), "{lines:#?}");
    sidegate.metric_becomes(r#"sidegate_requests_in_flight{route="/v1",provider="scripted"}"#, 0.0).await;
    sidegate.metric_becomes(r#"sidegate_request_ends_total{route="/v1",provider="scripted",end="left"}"#, 1.0).await;
}

/// Everything that could be a secret, in every place where a client may put one, on the way to every kind of end.
#[tokio::test]
async fn no_secret_is_told_anywhere() {
    let provider = Provider::start().await;
    let clients = format!("clients: {{ anonymous: free, keys: [{{ name: web, sha256: {}, tier: premium }}] }}", KeyHash::of(b"sg-canary"));
    let sidegate = Sidegate::with(&clients, provider.address).await;
    let fields = "Authorization: Bearer sk-canary\r\nx-api-key: sg-canary\r\nCookie: a=canary\r\nX-Other: canary\r\n";
    let mut told = String::new();
    for (script, target, status) in [
        (Some(Script::ok("served")), "/v1/chat/completions?key=canary&q=canary", 200),
        (Some(Script::on_request().close()), "/v1/chat/completions?canary", 502),
        (Some(Script::reply("canary canary\r\n\r\n").close()), "/v1/files?canary", 502),
        (None, "/nowhere?canary#", 400),
        (None, "/nowhere?canary", 404),
        (None, "/v1/../x?canary", 400),
    ] {
        if let Some(script) = script {
            provider.script(script);
        }
        let mut client = Client::connect(sidegate.address).await;
        client.post_with(target, fields, r#"{"model":"gpt-4o","user":"canary"}"#).await;
        let reply = client.reply("POST").await;
        assert_eq!(reply.status(), status, "{target}");
        told += &format!(
            "{:?} {}",
            reply
                .head
                .fields
                .iter()
                .map(|(name, value)| [name, value].map(|text| String::from_utf8_lossy(text).into_owned()))
                .collect::<Vec<_>>(),
            reply.text()
        );
    }
    let mut client = Client::connect(sidegate.address).await;
    client.get_with("/v1/models", "Authorization: Bearer sg-canary-that-is-wrong\r\n").await;
    let reply = client.reply("GET").await;
    assert_eq!(reply.status(), 401);
    told += &reply.text();
    for path in ["/metrics", "/config", "/readyz", "/livez", "/nowhere?canary"] {
        told += &sidegate.ask_admin(path).await.text();
    }
    // What hyper itself refuses never becomes a request, and has no line.
    sidegate.log(6).await;
    told += &sidegate.stop().concat();
    for secret in ["canary", POOL_KEY, &POOL_KEY[3..], "of-the-pool"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

#[tokio::test]
async fn the_running_config_is_shown_without_its_secrets() {
    let provider = Provider::start().await;
    let hash = KeyHash::of(b"sg-web").to_string();
    let clients = format!("clients: {{ anonymous: free, keys: [{{ name: web, sha256: {hash}, tier: premium }}] }}");
    let sidegate = Sidegate::with(&clients, provider.address).await;
    let shown = sidegate.ask_admin("/config").await.json();
    assert_eq!(shown["generation"], 1);
    let scripted = &shown["config"]["providers"]["scripted"];
    assert_eq!(scripted["keys"], json!([{ "name": "pool", "value": "[secret]" }]));
    assert_eq!(scripted["base_url"], format!("http://{}/v1", provider.address));
    assert_eq!(shown["config"]["clients"]["keys"][0]["sha256"], hash[..12]);
    assert_eq!(shown["config"]["listen"]["keep_alive"], "90s".parse::<sidegate::types::Period>().unwrap().to_string());
}

#[tokio::test]
async fn operators_are_not_answered_under_a_name_that_anybody_may_own() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    for (hosts, status) in [
        ("Host: 127.0.0.1:8081\r\n", 200),
        ("Host: [::1]\r\n", 200),
        ("Host: localhost:8081\r\n", 200),
        ("Host: sidegate\r\n", 200),
        ("Host: rebound.example\r\n", 403),
        ("Host: 127.0.0.1.rebound.example:8081\r\n", 403),
        ("Host: 127.0.0.1\r\nHost: rebound.example\r\n", 403),
        ("Host: \r\n", 403),
    ] {
        let mut client = Client::connect(sidegate.admin).await;
        client.send(format!("GET /config HTTP/1.1\r\n{hosts}\r\n")).await;
        assert_eq!(client.reply("GET").await.status(), status, "{hosts}");
    }
}

#[tokio::test]
async fn probes_answer_and_nothing_else_is_there() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::before(provider.address).await;
    for (path, text) in [("/livez", "ok\n"), ("/readyz", "ready\n")] {
        let reply = sidegate.ask_admin(path).await;
        assert_eq!((reply.status(), reply.text().as_str()), (200, text), "{path}");
    }
    assert_eq!(sidegate.ask_admin("/v1/models").await.status(), 404);
    // The port of applications knows none of them.
    for path in ["/livez", "/readyz", "/metrics", "/config"] {
        let mut client = Client::connect(sidegate.address).await;
        client.get(path).await;
        assert_eq!(client.reply("GET").await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn every_metric_is_in_the_table_with_its_kind_and_labels() {
    let (provider, authority) = (Provider::always(Script::ok("served")).await, Authority::new());
    // With certificates on both sides, since what is said of them is said only where there are some.
    let (certificate, key) = authority.files("localhost");
    let identity = format!("certificate: {}, key: {}", certificate.display(), key.display());
    // So it is with the places of a GeoIP database.
    let places = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(places.path(), Mmdb::of_countries(&[("81.2.69.0/24", "DE", "EU")])).unwrap();
    let places = places.path().display();
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1, tls: {{ {identity} }} }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: "$KEY" }}], queue: {{ concurrent: 9, waiting: 9 }} }}
  certified: {{ base_url: "https://localhost/v1", keys: [{{ value: "$KEY" }}], tls: {{ {identity} }} }}
routes: [{{ path: /v1, targets: [scripted, certified] }}]
prices: {{}}
cache: {{}}
limits: [{{ name: all, per: all, requests: 100/min }}]
regions: {{ geoip: {{ database: {places}, continents: {{ eu: [EU] }} }} }}
"#
    );
    let sidegate = Sidegate::start(&config, provider.address).await;
    let mut client = Client::over(authority.connect(sidegate.address, &["http/1.1"]).await);
    for target in ["/v1/models", "/nowhere"] {
        client.get(target).await;
        client.reply("GET").await;
    }
    let page = sidegate.ask_admin("/metrics").await.text();
    let typed: BTreeMap<_, _> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let table: BTreeMap<_, _> = names::ALL.iter().map(|metric| (metric.name, format!("{:?}", metric.kind).to_lowercase())).collect();
    assert_eq!(typed, table.iter().map(|(name, kind)| (*name, kind.as_str())).collect());
    for sample in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, labels) = sample.split_once('{').map_or((sample.split(' ').next().unwrap(), ""), |(name, rest)| (name, rest));
        let of = |metric: &&names::Metric| {
            series == metric.name || ["_bucket", "_sum", "_count"].iter().any(|end| series == format!("{}{end}", metric.name))
        };
        let metric = names::ALL.iter().find(of).unwrap_or_else(|| panic!("{sample} is in no row"));
        let named = labels.split("\",").filter_map(|label| Some(label.split_once("=\"")?.0.trim())).filter(|name| *name != "le");
        assert_eq!(named.collect::<Vec<_>>(), metric.labels, "{sample}");
    }
}

#[tokio::test]
async fn after_a_storm_everything_has_been_given_back() {
    let reached = Gate::new();
    let provider = Provider::always(Script::reply(HALF).tell(&reached).until_left()).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        clients.push(client);
    }
    for n in 1..=100 {
        reached.reached(&format!("request {n} at the provider")).await;
    }
    let in_flight = r#"sidegate_requests_in_flight{route="/v1",provider="scripted"}"#;
    sidegate.metric_becomes(in_flight, 100.0).await;
    sidegate.metric_becomes("sidegate_downstream_connections", 100.0).await;
    sidegate.metric_becomes(r#"sidegate_upstream_connections{provider="scripted"}"#, 100.0).await;
    for client in &mut clients {
        within("a reply", client.until("half")).await;
    }
    drop(clients);
    for series in [
        in_flight,
        "sidegate_downstream_connections",
        r#"sidegate_upstream_connections{provider="scripted"}"#,
        "sidegate_body_buffered_bytes",
    ] {
        sidegate.metric_becomes(series, 0.0).await;
    }
    let lines = sidegate.log(100).await;
    assert!(lines.iter().all(|line| line["end"] == "left" && line["bytes_out"] == 4));
}
