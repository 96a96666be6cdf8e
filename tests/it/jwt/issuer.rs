//! Keys that an issuer publishes: fetched at the start, when they change, and never because somebody makes tokens up.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Instant};

use serde_json::json;
use sidegate::{
    config::{Jwt, JwtKey, Listen, Trust},
    pipeline::{
        admit::admit,
        fields::Present,
        identify::{identify, jwt::identify_later},
    },
    policy::jwt::{Rules, Verifier, issuer::Issuer},
    runtime::{JwtIdentity, Regions, snapshot::Clients},
};

use super::{ask, ask_with, claims, clients, key_set, outcome, refused};
use crate::support::{Client, Gate, Provider, Script, Sidegate, Signer, eventually, provider::Request, tls, within};

/// An issuer that publishes these keys.
async fn publishing(signers: &[&Signer]) -> Provider {
    Provider::always(Script::ok(&key_set(signers))).await
}

fn at(issuer: SocketAddr, more: &str) -> String {
    clients(&format!("jwks: \"http://{issuer}/keys\"{more}"))
}

fn failing() -> Script {
    Script::reply("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
}

/// Waits until the issuer was asked so often.
async fn asked(issuer: &Provider, times: usize) {
    eventually("the issuer is asked", || issuer.asked(), |asked| *asked >= times).await;
}

#[tokio::test]
async fn the_keys_are_there_for_the_first_token_and_fetched_once() {
    let provider = Provider::always(Script::ok("served")).await;
    let signer = Signer::edwards("one");
    let mut issuer = publishing(&[&signer]).await;
    let section = clients(&format!("jwks: \"http://{}/a/keys/?policy=b2c&x=%20\"", issuer.address));
    let sidegate = Sidegate::with(&section, provider.address).await;
    for _ in 0..5 {
        assert_eq!(ask(&sidegate, &signer.token(&claims(json!({})))).await.text(), "served");
    }
    let Request { head, body } = issuer.request().await;
    assert_eq!(head.line, b"GET /a/keys/?policy=b2c&x=%20 HTTP/1.1");
    assert_eq!((head.get("host"), body.bytes.len()), (Some(issuer.address.to_string()), 0));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_key_that_the_issuer_has_just_begun_to_use_costs_nobody_an_error() {
    let provider = Provider::always(Script::ok("served")).await;
    let (old, new) = (Signer::edwards("old"), Signer::ecdsa("new", "P-256"));
    let issuer = publishing(&[&old]).await;
    let sidegate = Sidegate::with(&at(issuer.address, ""), provider.address).await;
    let (before, after) = (old.token(&claims(json!({}))), new.token(&claims(json!({}))));
    assert_eq!(ask(&sidegate, &before).await.status(), 200);
    issuer.otherwise(Script::ok(&key_set(&[&old, &new])));
    // Many at once, as after a rotation: all of them wait for the one fetch.
    let asks = (0..20).map(|_| ask(&sidegate, &after));
    for reply in futures_util::future::join_all(asks).await {
        assert_eq!(reply.status(), 200);
    }
    assert_eq!(ask(&sidegate, &before).await.status(), 200);
    assert_eq!(issuer.asked(), 2);
}

/// The fetch of one worker's token ends between another worker's look at the keys and its asking for a fetch.
#[tokio::test]
async fn a_key_that_comes_right_behind_the_look_at_its_token_counts() {
    let signer = Signer::edwards("new");
    let key = JwtKey::of(&serde_json::from_value(signer.jwk()).unwrap()).unwrap();
    let issuer = Arc::new(Issuer::new(Arc::default()));
    let section: Jwt = serde_json::from_value(json!({ "audience": "sidegate" })).unwrap();
    let verifier = Verifier::new(Rules::from(&section), Vec::new(), Some(Arc::clone(&issuer)));
    let clients = Clients { jwt: Some(JwtIdentity { verifier: Arc::new(verifier), source: None, tier: None }), ..Clients::default() };
    let bearer = format!("Bearer {}", signer.token(&claims(json!({}))));
    let head = http::Request::get("/v1/models").header("host", "a").header("authorization", bearer).body(()).unwrap().into_parts().0;
    let present = Present::read(&head.headers);
    let (trust, regions) = (Trust::default(), Regions::default());
    let request = admit(Box::new(head), present, None, &Listen::default(), &trust).unwrap();
    issuer.end(Some(Vec::new()));

    let unproven = identify(&request, None, &clients, (&trust, &regions)).unwrap_err();
    assert!(issuer.want(Instant::now()).is_some(), "the other worker's");
    issuer.end(Some(vec![key]));
    let client = identify_later(&request, None, &clients, (&trust, &regions), unproven).await.unwrap();
    assert!(client.name.is_some());
}

#[tokio::test]
async fn a_key_that_is_gone_takes_what_was_verified_with_it() {
    let provider = Provider::always(Script::ok("served")).await;
    let (old, new) = (Signer::edwards("old"), Signer::edwards("new"));
    let issuer = publishing(&[&old]).await;
    let sidegate = Sidegate::with(&at(issuer.address, ""), provider.address).await;
    let token = old.token(&claims(json!({})));
    assert_eq!(ask(&sidegate, &token).await.status(), 200);
    assert_eq!(ask(&sidegate, &token).await.status(), 200);
    issuer.otherwise(Script::ok(&key_set(&[&new])));
    assert_eq!(ask(&sidegate, &new.token(&claims(json!({})))).await.status(), 200);
    assert_eq!(outcome(&sidegate, &token).await, refused("jwt_unknown_key"));
}

#[tokio::test]
async fn a_flood_of_tokens_with_unknown_keys_is_one_fetch() {
    let provider = Provider::always(Script::ok("served")).await;
    let (signer, stranger) = (Signer::edwards("one"), Signer::edwards("two"));
    let issuer = publishing(&[&signer]).await;
    let sidegate = Sidegate::with(&at(issuer.address, ""), provider.address).await;
    asked(&issuer, 1).await;
    let said = claims(json!({}));
    let flood = (0..50).map(|connection| {
        let (said, stranger, address) = (&said, &stranger, sidegate.address);
        async move {
            let mut client = Client::connect(address).await;
            for n in 0..20 {
                let header = json!({ "alg": "EdDSA", "kid": format!("{connection}-{n}") }).to_string();
                let token = stranger.sign("EdDSA", &header, &said.to_string());
                client.get_with("/v1/models", &format!("Authorization: Bearer {token}\r\n")).await;
                assert_eq!(client.reply("GET").await.status(), 401);
            }
        }
    });
    futures_util::future::join_all(flood).await;
    assert_eq!(sidegate.log(1_000).await.len(), 1_000);
    assert!(issuer.asked() <= 2, "{} fetches", issuer.asked());
    assert_eq!(ask(&sidegate, &signer.token(&said)).await.status(), 200);
}

#[tokio::test]
async fn without_any_keys_a_token_may_come_again_later_and_others_are_not_held_up() {
    let provider = Provider::always(Script::ok("served")).await;
    let signer = Signer::edwards("one");
    let issuer = Provider::always(failing()).await;
    let sidegate = Sidegate::with(&at(issuer.address, ""), provider.address).await;
    asked(&issuer, 1).await;
    let token = signer.token(&claims(json!({})));
    let reply = ask(&sidegate, &token).await;
    assert_eq!((reply.status(), reply.head.get("retry-after").as_deref()), (503, Some("2")));
    assert_eq!(reply.json()["error"]["code"], "jwt_keys_unavailable");
    assert_eq!(reply.head.get("x-should-retry"), None);
    assert_eq!(ask_with(&sidegate, "").await.status(), 200);
    issuer.otherwise(Script::ok(&key_set(&[&signer])));
    let served = async {
        while ask(&sidegate, &token).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    within("the issuer is asked again by itself", served).await;
}

#[tokio::test]
async fn a_token_waits_for_the_fetch_that_is_on_its_way_but_not_for_ever() {
    let provider = Provider::always(Script::ok("served")).await;
    let signer = Signer::edwards("one");
    let issuer = Provider::start().await;
    let (reached, gate) = (Gate::new(), Gate::new());
    let set = key_set(&[&signer]);
    let slow = Script::on_request().tell(&reached).wait(&gate);
    issuer.script(slow.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{set}", set.len())));
    let sidegate = Sidegate::with(&at(issuer.address, ""), provider.address).await;
    reached.reached("the first fetch").await;
    let token = signer.token(&claims(json!({})));
    assert_eq!(ask(&sidegate, &token).await.status(), 503, "it has waited for long enough");
    let mut client = Client::connect(sidegate.address).await;
    client.get_with("/v1/models", &format!("Authorization: Bearer {token}\r\n")).await;
    gate.open();
    assert_eq!(client.reply("GET").await.status(), 200);
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn what_the_issuer_can_not_mean_changes_nothing() {
    let provider = Provider::always(Script::ok("served")).await;
    let signer = Signer::edwards("one");
    let rsa = Signer::rsa("two");
    for nonsense in [
        failing(),
        Script::ok("<html>Welcome!</html>"),
        Script::ok(r#"{"keys":[]}"#),
        Script::ok(r#"{"keys":[{"kty":"oct","kid":"one","k":"AAAA"}]}"#),
        Script::reply("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
        Script::on_request().write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{").close(),
        Script::on_request().write("HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n").flood(vec![b' '; 64 << 10]),
        Script::on_request().reset(),
    ] {
        let issuer = publishing(&[&signer]).await;
        let sidegate = Sidegate::with(&at(issuer.address, ""), provider.address).await;
        let token = signer.token(&claims(json!({})));
        assert_eq!(ask(&sidegate, &token).await.status(), 200);
        issuer.otherwise(nonsense);
        assert_eq!(outcome(&sidegate, &rsa.token(&claims(json!({})))).await, refused("jwt_unknown_key"));
        asked(&issuer, 2).await;
        assert_eq!(ask(&sidegate, &token).await.status(), 200);
    }
}

#[tokio::test]
async fn a_key_that_can_not_be_used_does_not_lose_the_others() {
    let provider = Provider::always(Script::ok("served")).await;
    let signer = Signer::edwards("one");
    let short = json!({ "kty": "RSA", "kid": "short", "n": data_encoding::BASE64URL_NOPAD.encode(&[0xff; 128]), "e": "AQAB" });
    let mut odd = signer.jwk();
    odd["kid"] = json!(7);
    let mut encrypting = Signer::rsa("enc").jwk();
    encrypting["use"] = "enc".into();
    let set = json!({ "keys": [short, odd, encrypting, { "kty": "XYZ" }, signer.jwk()] }).to_string();
    let issuer = Provider::always(Script::ok(&set)).await;
    let sidegate = Sidegate::with(&at(issuer.address, ""), provider.address).await;
    assert_eq!(ask(&sidegate, &signer.token(&claims(json!({})))).await.status(), 200);
}

#[tokio::test]
async fn an_issuer_is_reached_over_tls_with_the_roots_that_are_named() {
    let provider = Provider::always(Script::ok("served")).await;
    let signer = Signer::edwards("one");
    let issuer = publishing(&[&signer]).await;
    let authority = tls::Authority::new();
    let front = tls::TlsFront::before(issuer.address, authority.server("localhost", &["http/1.1"])).await;
    let url = format!("jwks: \"https://localhost:{}/keys\"", front.address.port());
    let token = signer.token(&claims(json!({})));

    let section = clients(&format!("{url}, roots: \"{}\"", authority.roots().display()));
    let sidegate = Sidegate::with(&section, provider.address).await;
    assert_eq!(ask(&sidegate, &token).await.status(), 200);

    let sidegate = Sidegate::with(&clients(&url), provider.address).await;
    assert_eq!(ask(&sidegate, &token).await.status(), 503, "nobody trusts this authority");
    assert_eq!(issuer.asked(), 1);
}

fn write(path: &Path, provider: SocketAddr, clients: &str) {
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers: {{ scripted: {{ base_url: "http://{provider}/v1", keys: [{{ value: sk-of-the-pool-0123456789 }}] }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
{clients}"#
    );
    std::fs::write(path, config).unwrap();
}

#[tokio::test]
async fn a_reload_keeps_the_keys_and_follows_the_issuer_to_another_place() {
    let provider = Provider::always(Script::ok("served")).await;
    let (one, two) = (Signer::edwards("one"), Signer::edwards("two"));
    let (first, second) = (publishing(&[&one]).await, publishing(&[&two]).await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.yaml");
    write(&path, provider.address, &at(first.address, ""));
    let sidegate = Sidegate::from_file(&path, false);
    let (of_one, of_two) = (one.token(&claims(json!({ "plan": "gold" }))), two.token(&claims(json!({}))));
    assert_eq!(ask(&sidegate, &of_one).await.status(), 200);

    // Other rules: the token is read anew, with the keys that are there.
    first.otherwise(failing());
    write(&path, provider.address, &at(first.address, ", tier_claim: plan"));
    assert_eq!(sidegate.reload().outcome.name(), "applied");
    assert_eq!(ask(&sidegate, &of_one).await.status(), 200);
    assert_eq!(sidegate.log(2).await.pop().unwrap()["tier"], "gold");
    assert_eq!(first.asked(), 1);

    write(&path, provider.address, &at(second.address, ""));
    assert_eq!(sidegate.reload().outcome.name(), "applied");
    assert_eq!(ask(&sidegate, &of_two).await.status(), 200);
    assert_eq!(ask(&sidegate, &of_one).await.status(), 401);

    // And back within the time: nothing has to be fetched.
    write(&path, provider.address, &at(first.address, ""));
    assert_eq!(sidegate.reload().outcome.name(), "applied");
    assert_eq!(ask(&sidegate, &of_one).await.status(), 200);

    write(&path, provider.address, "");
    assert_eq!(sidegate.reload().outcome.name(), "applied");
    assert_eq!(ask(&sidegate, &of_two).await.status(), 200, "where tokens don't count, one is a stranger's credential");
}
