//! The key swap: the provider sees the pool's key where its dialect looks for it and nothing of the client's, or the
//! client's own where the config says so; and whichever key was taken is given back.

use std::collections::BTreeMap;

use http::HeaderMap;

use crate::support::{Client, Gate, H2Client, H2Provider, H2Script, Provider, Script, Sidegate, proxy::POOL_KEY, within};

const ASK: &str = r#"{"model":"gpt-4o"}"#;
const IN_FLIGHT: &str = r#"sidegate_requests_in_flight{route="/v1",provider="scripted"}"#;

/// What must be in no byte that the provider sees.
const CANARY: &str = "canary";

/// Every form in which a client may send a credential: what stands behind the path, and its fields.
const FORMS: [(&str, &str); 23] = [
    ("", "Authorization: Bearer sk-canary\r\n"),
    ("", "AUTHORIZATION: sk-canary\r\nauthorization: Basic canary\r\n"),
    ("", "X-Api-Key: sk-canary\r\n"),
    ("", "api-key: sk-canary\r\n"),
    ("", "X-Goog-Api-Key: canary\r\n"),
    ("", "Cookie: session=canary\r\nCookie: b=canary\r\n"),
    ("", "Proxy-Authorization: Bearer canary\r\n"),
    ("", "OpenAI-Organization: org-canary\r\n"),
    ("", "OpenAI-Project: proj-canary\r\n"),
    ("", "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-canary\r\n"),
    ("", "Sec-WebSocket-Protocol: openai-insecure-api-key.sk-canary\r\n"),
    ("", "x_api_key: sk-canary\r\n"),
    ("", "Api_Key: sk-canary\r\n"),
    ("", "X_Goog-Api_Key: canary\r\n"),
    ("", "Proxy_Authorization: Bearer canary\r\n"),
    ("", "openai_organization: canary\r\nopenai_project: canary\r\n"),
    ("", "sec_websocket_protocol: openai-insecure-api-key.sk-canary\r\n"),
    ("?key=canary", ""),
    ("?alt=sse&KEY=canary&x=1", ""),
    ("?%6b%65y=canary&key=canary", ""),
    ("?api-version=preview&api-key=canary", ""),
    ("?access_token=canary", ""),
    ("?a=1", "Connection: x-api-key\r\nX-Api-Key: canary\r\n"),
];

/// One provider of this dialect, with more lines of its own, and a route to it that ends with `route`.
fn config(dialect: &str, provider: &str, route: &str) -> String {
    format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted:
    dialect: {dialect}
    base_url: http://$UPSTREAM/v1
    {provider}
routes: [{{ path: /v1, targets: [scripted]{route} }}]
"#
    )
}

const ONE_KEY: &str = r#"keys: [{ name: pool, value: "$KEY" }]"#;

fn count(bytes: &[u8], what: &str) -> usize {
    memchr::memmem::find_iter(&bytes.to_ascii_lowercase(), what.to_ascii_lowercase().as_bytes()).count()
}

#[tokio::test]
async fn each_dialect_gets_the_pools_key_and_nothing_of_the_clients() {
    for (dialect, name, value) in [
        ("openai", "authorization", format!("Bearer {POOL_KEY}")),
        ("azure", "api-key", POOL_KEY.to_owned()),
        ("anthropic", "x-api-key", POOL_KEY.to_owned()),
        ("gemini", "x-goog-api-key", POOL_KEY.to_owned()),
    ] {
        let mut provider = Provider::always(Script::ok("served")).await;
        let sidegate = Sidegate::start(&config(dialect, ONE_KEY, ""), provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        for (behind, fields) in FORMS {
            client.get_with(&format!("/v1/models{behind}"), fields).await;
            let reply = client.reply("GET").await;
            assert_eq!(reply.status(), 200, "{dialect} {behind} {fields}");
            let request = provider.request().await;
            assert_eq!(request.head.all(name), [value.as_bytes()], "{dialect} {behind} {fields}");
            let bytes = request.bytes();
            assert_eq!((count(&bytes, CANARY), count(&bytes, POOL_KEY)), (0, 1), "{dialect} {}", bytes.escape_ascii());
        }
    }
}

#[tokio::test]
async fn a_key_among_other_things_goes_and_the_others_stay() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    let fields = "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-canary, openai-beta.realtime-v1\r\nX-Keys: mine\r\n";
    client.get_with("/v1/models?alt=sse&key=canary&b=%2f&monkey=1", fields).await;
    client.reply("GET").await;
    let head = provider.request().await.head;
    assert_eq!(head.line, b"GET /v1/models?alt=sse&b=%2f&monkey=1 HTTP/1.1");
    assert_eq!(head.get("sec-websocket-protocol").as_deref(), Some("realtime, openai-beta.realtime-v1"));
    assert_eq!(head.get("x-keys").as_deref(), Some("mine"));
}

/// RFC 9110 §6.5.1: a trailer is no place for a credential, and a reader might merge it with the head all the same.
#[tokio::test]
async fn no_credential_and_no_claim_reaches_the_provider_in_a_trailer() {
    let trailers = "x-api-key: canary\r\nX-Api_Key: canary\r\nopenai-organization: canary\r\nx-api-tier: canary\r\nx-checksum: kept\r\n";
    let mut provider = Provider::always(Script::ok("served")).await;
    let mut h2_provider = H2Provider::always(h2::server::Builder::new(), H2Script::ok("served")).await;
    let (h1, h2) = (Sidegate::before(provider.address).await, Sidegate::before_h2(h2_provider.address).await);
    for target in ["/v1/files", "/v1/chat/completions"] {
        for sidegate in [&h1, &h2] {
            let mut client = Client::connect(sidegate.address).await;
            let names = "x-api-key, X-Api_Key, openai-organization, x-api-tier, x-checksum";
            client.send(format!("POST {target} HTTP/1.1\r\nHost: a\r\nTrailer: {names}\r\nTransfer-Encoding: chunked\r\n\r\n")).await;
            client.send(format!("{:x}\r\n{ASK}\r\n0\r\n{trailers}\r\n", ASK.len())).await;
            assert_eq!(client.reply("POST").await.status(), 200, "{target}");
        }
        let request = provider.request().await;
        assert_eq!(count(&request.bytes(), CANARY), 0, "{}", request.bytes().escape_ascii());
        let request = h2_provider.request().await;
        assert_eq!(request.trailers.unwrap(), HeaderMap::from_iter([("x-checksum".parse().unwrap(), "kept".parse().unwrap())]));
    }
}

#[tokio::test]
async fn an_h2_client_and_an_h2_provider_change_nothing_about_it() {
    let mut provider = H2Provider::always(h2::server::Builder::new(), H2Script::ok("served")).await;
    let sidegate = Sidegate::before_h2(provider.address).await;
    let client = H2Client::connect(sidegate.address).await;
    let mut request = http::Request::get("http://sidegate.test/v1/models?key=canary");
    for name in
        ["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "openai-organization", "proxy-authorization", "x_api_key"]
    {
        request = request.header(name, "canary").header(name, "Bearer canary");
    }
    assert_eq!(client.ask(request.body("").unwrap()).await.status, 200);
    let head = provider.request().await.head;
    assert_eq!(head.headers["authorization"], format!("Bearer {POOL_KEY}"));
    let text = format!("{} {:?}", head.uri, head.headers);
    assert_eq!(count(text.as_bytes(), CANARY), 0, "{text}");
}

#[tokio::test]
async fn a_clients_own_credentials_pass_where_the_route_says_so_and_never_one_of_ours() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let hash = sidegate::config::KeyHash::of(b"sg-ours-0123456789");
    let clients = format!("clients: {{ anonymous: free, keys: [{{ name: web, sha256: {hash}, tier: premium }}] }}\n");
    let sidegate = Sidegate::start(&(config("openai", ONE_KEY, ", credentials: client") + &clients), provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    for (behind, fields) in [
        ("", "Authorization: Bearer sk-own\r\n"),
        ("", "x-api-key: sk-own\r\nOpenAI-Organization: org-own\r\nCookie: own=1\r\n"),
        ("?key=sk-own", ""),
        ("", "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-own\r\n"),
    ] {
        client.get_with(&format!("/v1/models{behind}"), fields).await;
        let reply = client.reply("GET").await;
        assert_eq!((reply.status(), reply.head.get("x-sidegate-key")), (200, None));
        let head = provider.request().await.head;
        assert!(head.line.starts_with(format!("GET /v1/models{behind} ").as_bytes()));
        for (name, value) in fields.lines().filter_map(|line| line.split_once(": ")) {
            assert_eq!(head.all(name), [value.as_bytes()]);
        }
    }
    for (behind, fields) in [
        ("", "Authorization: Bearer sg-ours-0123456789\r\n"),
        ("", "Authorization: Bearer sk-own\r\nx-api-key: sg-ours-0123456789\r\n"),
        ("", "Authorization: Bearer sk-own\r\nAuthorization: Bearer sg-ours-0123456789\r\n"),
        ("?key=sg-ours-0123456789", "Authorization: Bearer sk-own\r\n"),
        ("?KEY=sg-ours-0123456789", ""),
        ("", "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sg-ours-0123456789\r\n"),
    ] {
        client.get_with(&format!("/v1/models{behind}"), fields).await;
        assert_eq!(client.reply("GET").await.status(), 200, "{fields}");
        let bytes = provider.request().await.bytes();
        assert_eq!((count(&bytes, "sg-ours"), count(&bytes, POOL_KEY)), (0, 0), "{}", bytes.escape_ascii());
    }
}

/// Asks over a connection of its own; the key that the provider saw.
async fn key_of_next(sidegate: &Sidegate, provider: &mut Provider, held: &mut Vec<Client>) -> String {
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    held.push(client);
    let head = provider.request().await.head;
    head.get("authorization").unwrap().trim_start_matches("Bearer ").to_owned()
}

const TWO_KEYS: &str = "keys: [{ value: sk-one }, { value: sk-two }]";

#[tokio::test]
async fn keys_carry_requests_by_their_weight() {
    let mut provider = Provider::always(Script::hang()).await;
    let keys = "keys: [{ value: sk-light }, { value: sk-heavy, weight: 3 }, { value: sk-out, weight: 0 }]";
    let sidegate = Sidegate::start(&config("openai", keys, ""), provider.address).await;
    let (mut held, mut seen) = (Vec::new(), BTreeMap::new());
    for _ in 0..12 {
        *seen.entry(key_of_next(&sidegate, &mut provider, &mut held).await).or_insert(0) += 1;
    }
    assert_eq!(seen, BTreeMap::from([("sk-light".to_owned(), 3), ("sk-heavy".to_owned(), 9)]));
}

#[tokio::test]
async fn the_key_with_the_least_in_flight_is_taken_and_each_in_its_turn() {
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::start(&config("openai", TWO_KEYS, ""), provider.address).await;
    let mut held = Vec::new();
    provider.script(Script::hang());
    let busy = key_of_next(&sidegate, &mut provider, &mut held).await;
    for _ in 0..5 {
        provider.script(Script::ok("served"));
        assert_ne!(key_of_next(&sidegate, &mut provider, &mut held).await, busy);
        assert_eq!(held.last_mut().unwrap().reply("GET").await.text(), "served");
    }
    // Whoever leaves gives the key back, and then both are equal.
    held.clear();
    provider.departure().await;
    sidegate.metric_becomes(IN_FLIGHT, 0.0).await;
    let mut seen = BTreeMap::new();
    for _ in 0..4 {
        provider.script(Script::ok("served"));
        *seen.entry(key_of_next(&sidegate, &mut provider, &mut held).await).or_insert(0) += 1;
        held.last_mut().unwrap().reply("GET").await;
    }
    assert_eq!(seen.into_values().collect::<Vec<_>>(), [2, 2]);
}

#[tokio::test]
async fn an_organization_travels_with_its_key_alone() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let keys = "keys: [{ value: sk-one, organization: org-one, project: proj-one }, { value: sk-two }]";
    let sidegate = Sidegate::start(&config("openai", keys, ""), provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    let mut seen = BTreeMap::new();
    for _ in 0..4 {
        client.get_with("/v1/models", "OpenAI-Organization: org-canary\r\nOpenAI-Project: proj-canary\r\n").await;
        client.reply("GET").await;
        let head = provider.request().await.head;
        seen.insert(head.get("authorization").unwrap(), (head.get("openai-organization"), head.get("openai-project")));
    }
    let one = (Some("org-one".to_owned()), Some("proj-one".to_owned()));
    assert_eq!(seen, BTreeMap::from([("Bearer sk-one".to_owned(), one), ("Bearer sk-two".to_owned(), (None, None))]));
}

#[tokio::test]
async fn a_key_is_given_back_however_the_request_ends() {
    let begun = Gate::new();
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome";
    for (how, script, leaves) in [
        ("complete", Script::ok("served").tell(&begun), false),
        ("an error of the provider's", Script::reply("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").tell(&begun), false),
        ("the client leaves before the head", Script::on_request().tell(&begun).until_left(), true),
        ("the client leaves in the body", Script::reply(head).tell(&begun).until_left(), true),
        ("closed before the head", Script::on_request().tell(&begun).close(), false),
        ("reset in the body", Script::reply(head).tell(&begun).reset(), false),
    ] {
        let provider = Provider::always(script).await;
        let sidegate = Sidegate::before(provider.address).await;
        let mut client = Client::connect(sidegate.address).await;
        client.post("/v1/chat/completions", ASK).await;
        begun.reached(how).await;
        if !leaves {
            let head = client.head().await;
            within(how, client.wire.body(head.reply_framing("POST"))).await;
        }
        drop(client);
        sidegate.metric_becomes(IN_FLIGHT, 0.0).await;
        sidegate.log(1).await;
    }
}

/// What may not stand in a reply's head is no better behind its body.
#[tokio::test]
async fn no_provider_passes_a_field_of_ours_off_in_a_trailer() {
    let fields = "Transfer-Encoding: chunked\r\nTrailer: x-checksum, x-sidegate-key, connection\r\n";
    let trailers = "x-checksum: kept\r\nX-Sidegate-Key: forged\r\nconnection: close\r\n";
    let provider = Provider::always(Script::reply(format!("HTTP/1.1 200 OK\r\n{fields}\r\n2\r\nok\r\n0\r\n{trailers}\r\n"))).await;
    let sidegate = Sidegate::before(provider.address).await;
    let mut client = Client::connect(sidegate.address).await;
    client.get_with("/v1/models", "TE: trailers\r\nConnection: te\r\n").await;
    let reply = client.reply("GET").await;
    assert_eq!((reply.text().as_str(), reply.is_complete()), ("ok", true));
    assert_eq!(reply.body.trailers, [(b"x-checksum".to_vec(), b"kept".to_vec())]);
}
