//! Every reply to which a limit applied tells how its caller stands, and nothing of the pool's accounts.

use super::{ask, fields, limits, texts};
use crate::support::{Client, H2Client, Provider, Script, Sidegate, h2_client, wire::Head};

const TWO: &str = "{ name: free, per: all, requests: 2/15min }";

/// What a provider tells of its account, and what it asks for beside.
const TOLD: &str = "x-ratelimit-limit-requests: 9000\r\nX-RateLimit-Remaining-Requests: 8999\r\nx-ratelimit-reset-requests: 7ms\r\n\
    x-ratelimit-limit-project-tokens: 60000\r\nanthropic-ratelimit-input-tokens-remaining: 1\r\nratelimit: \"default\";r=5\r\n\
    retry-after: 3\r\nretry-after-ms: 2500\r\n";

const OWN: [&str; 3] = ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];

fn telling(status: &str) -> Script {
    Script::reply(format!("HTTP/1.1 {status}\r\n{TOLD}Content-Length: 0\r\n\r\n"))
}

/// The names of all fields about rates.
fn about_rates(head: &Head) -> Vec<String> {
    let name = |(name, _): &(Vec<u8>, Vec<u8>)| String::from_utf8(name.clone()).unwrap().to_ascii_lowercase();
    head.fields.iter().map(name).filter(|name| name.contains("ratelimit") || name.starts_with("retry-after")).collect()
}

#[tokio::test]
async fn the_callers_own_stand_in_the_place_of_the_providers() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::with(&limits(TWO), provider.address).await;
    for (status, remaining) in [("200 OK", "1"), ("429 Too Many Requests", "0")] {
        provider.script(telling(status));
        let reply = ask(&sidegate, "/v1/models").await;
        assert_eq!(fields(&reply.head, OWN), texts(["2", remaining, "15m0s"]), "{status}");
        // What the provider asks for is about this reply, and passes.
        assert_eq!(fields(&reply.head, ["retry-after", "retry-after-ms"]), texts(["3", "2500"]), "{status}");
        assert_eq!(about_rates(&reply.head).len(), 5, "{status}: {:?}", about_rates(&reply.head));
    }
}

#[tokio::test]
async fn without_limits_the_providers_pass_as_they_are() {
    let provider = Provider::start().await;
    for sections in
        ["", &limits("{ name: guests, per: all, concurrent: 5 }"), &limits("{ name: trial, per: all, requests: 5/min, shadow: true }")]
    {
        provider.script(telling("200 OK"));
        let sidegate = Sidegate::with(sections, provider.address).await;
        let reply = ask(&sidegate, "/v1/models").await;
        assert_eq!(fields(&reply.head, OWN), texts(["9000", "8999", "7ms"]), "{sections}");
        assert_eq!(about_rates(&reply.head).len(), 8, "{sections}");
    }
}

/// A shadow may be tighter than what holds: callers would slow down for something that refuses nobody.
#[tokio::test]
async fn of_a_shadow_nobody_is_told() {
    let provider = Provider::always(Script::ok("served")).await;
    let both = limits(&format!("{{ name: trial, per: all, requests: 1/min, shadow: true }}, {TWO}"));
    let sections = format!("{both}annotate: {{ ietf_rate_limits: true }}\n");
    let sidegate = Sidegate::with(&sections, provider.address).await;
    for left in ["1", "0"] {
        let reply = ask(&sidegate, "/v1/models").await;
        assert_eq!(fields(&reply.head, OWN), texts(["2", left, "15m0s"]));
        assert!(!reply.head.get("ratelimit").unwrap().contains("trial"));
    }
}

#[tokio::test]
async fn an_operator_chooses_whose_are_told() {
    let provider = Provider::start().await;
    for (choice, told, limit) in [("provider", 8, Some("9000")), ("off", 2, None)] {
        provider.script(telling("200 OK"));
        let sections = format!("{}annotate: {{ rate_limits: {choice} }}\n", limits(TWO));
        let sidegate = Sidegate::with(&sections, provider.address).await;
        let reply = ask(&sidegate, "/v1/models").await;
        assert_eq!((about_rates(&reply.head).len(), reply.head.get(OWN[0]).as_deref()), (told, limit), "{choice}");
    }
}

/// They speak of the client's own account then, and ours are not mixed with them.
#[tokio::test]
async fn to_a_client_with_credentials_of_its_own_the_provider_speaks_itself() {
    let provider = Provider::start().await;
    let config = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers: { scripted: { base_url: "http://$UPSTREAM/v1", keys: [] } }
routes: [{ path: /v1, targets: [scripted], credentials: client }]
limits: [{ name: free, per: all, requests: 2/15min }]
"#;
    let sidegate = Sidegate::start(config, provider.address).await;
    provider.script(telling("200 OK"));
    let reply = ask(&sidegate, "/v1/models").await;
    assert_eq!(fields(&reply.head, OWN), texts(["9000", "8999", "7ms"]));
    provider.script(Script::ok("says nothing of rates"));
    assert_eq!(fields(&ask(&sidegate, "/v1/models").await.head, OWN), texts(["2", "0", "15m0s"]));
}

#[tokio::test]
async fn our_own_answers_tell_as_well_once_a_limit_has_applied() {
    let provider = Provider::always(Script::on_request().close()).await;
    let sidegate = Sidegate::with(&limits(TWO), provider.address).await;
    assert_eq!(about_rates(&ask(&sidegate, "/v2/models").await.head), Vec::<String>::new(), "no route, so no limit");
    let failed = ask(&sidegate, "/v1/models").await;
    assert_eq!(failed.status(), 502);
    assert_eq!(fields(&failed.head, OWN)[0].as_deref(), Some("2"));
}

#[tokio::test]
async fn over_http2_they_are_told_alike() {
    let provider = Provider::always(telling("200 OK")).await;
    let sidegate = Sidegate::with(&limits(TWO), provider.address).await;
    let client = H2Client::connect(sidegate.address).await;
    for (status, remaining) in [(200, "1"), (200, "0"), (429, "0")] {
        let reply = client.ask(h2_client::get("/v1/models")).await;
        assert_eq!((reply.status.as_u16(), reply.headers[OWN[0]].to_str().unwrap()), (status, "2"));
        assert_eq!(reply.headers[OWN[1]], remaining);
    }
}

#[tokio::test]
async fn a_websocket_is_told_when_it_begins() {
    let provider = Provider::start().await;
    let granted = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    provider.script(Script::on_head().write(format!("{granted}{TOLD}\r\n")).until_left());
    let sidegate = Sidegate::with(&limits(TWO), provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    let asking =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    client.get_with("/v1/realtime?model=gpt-realtime", asking).await;
    let head = client.head().await;
    assert_eq!((head.status(), fields(&head, OWN)), (101, texts(["2", "1", "15m0s"])));
    assert_eq!(about_rates(&head).len(), 5, "{:?}", about_rates(&head));
}

#[tokio::test]
async fn the_ietfs_fields_are_told_where_they_are_asked_for() {
    let provider = Provider::always(Script::ok("served")).await;
    let sections = format!("{}annotate: {{ ietf_rate_limits: true }}\n", limits(TWO));
    let sidegate = Sidegate::with(&sections, provider.address).await;
    let reply = ask(&sidegate, "/v1/models").await;
    assert_eq!(fields(&reply.head, ["ratelimit-policy", "ratelimit"]), texts([r#""free";q=2;w=900"#, r#""free";r=1;t=900"#]));
    assert_eq!(fields(&reply.head, OWN), texts(["2", "1", "15m0s"]));
    ask(&sidegate, "/v1/models").await;
    let refused = ask(&sidegate, "/v1/models").await;
    let [left, seconds] = fields(&refused.head, ["ratelimit", "retry-after"]).map(Option::unwrap);
    // It may not speak of a later time than `retry-after` does.
    assert_eq!(left, format!(r#""free";r=0;t={seconds}"#));
}
