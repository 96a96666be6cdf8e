//! Tokens that hold, of every kind, and tokens that must not.

use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use super::{ask, ask_with, claims, clients, outcome, refused, written};
use crate::support::{Client, Provider, Script, Sidegate, Signer, signer::unix_now};

const SECRET: &str = "of-the-issuer-0123456789-0123456789-0123456789-0123456789-0123456789";

#[tokio::test]
async fn a_token_of_every_kind_says_who_calls_and_goes_no_further() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let rsa = Signer::rsa("r");
    let others = ["P-256", "P-384", "P-521"].map(|curve| Signer::ecdsa(curve, curve));
    let (edwards, secret) = (Signer::edwards("e"), Signer::secret(SECRET));
    let public: Vec<_> = [&rsa, &edwards].into_iter().chain(&others).collect();
    let section = format!(", secret: {{ value: {SECRET} }}, tier_claim: realm.tier");
    let sidegate = Sidegate::with(&written(&public, &section), provider.address).await;
    let mut tokens = Vec::new();
    let said = claims(json!({ "realm": { "tier": "gold" } }));
    tokens.extend(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"].map(|algorithm| rsa.token_by(algorithm, &said)));
    tokens.extend(["HS256", "HS384", "HS512"].map(|algorithm| secret.token_by(algorithm, &said)));
    tokens.extend(others.iter().map(|signer| signer.token(&said)));
    tokens.extend(["EdDSA", "Ed25519"].map(|algorithm| edwards.token_by(algorithm, &said)));
    for (n, token) in tokens.iter().enumerate() {
        // The second time it is remembered.
        for again in 0..2 {
            let reply = ask(&sidegate, token).await;
            assert_eq!(reply.text(), "served", "{token}");
            let line = sidegate.log(2 * n + again + 1).await.pop().unwrap();
            assert_eq!((line["client"].as_str(), line["tier"].as_str()), (Some("anna"), Some("gold")));
            let seen = provider.request().await.bytes();
            assert!(memchr::memmem::find(&seen, token.as_bytes()).is_none(), "the provider sees the token");
        }
    }
}

#[tokio::test]
async fn a_token_counts_in_whichever_form_it_comes_and_what_has_no_such_form_is_a_strangers() {
    let provider = Provider::always(Script::ok("served")).await;
    let signer = Signer::edwards("e");
    let sidegate = Sidegate::with(&written(&[&signer], ""), provider.address).await;
    let token = signer.token(&claims(json!({})));
    for (n, (fields, client)) in [
        (format!("Authorization: bearer {token}\r\n"), Some("anna")),
        (format!("x-api-key: {token}\r\n"), Some("anna")),
        (format!("Authorization: Bearer sk-placeholder\r\nx-api-key: {token}\r\n"), Some("anna")),
        ("Authorization: Bearer sk-a.b.c\r\n".to_owned(), None),
        ("Authorization: Bearer eyJub3QiOiJhbGcifQ.e30.c2ln\r\n".to_owned(), None),
        ("Authorization: Bearer a.b.c.d.e\r\n".to_owned(), None),
        (String::new(), None),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(ask_with(&sidegate, &fields).await.status(), 200, "{fields}");
        let line = sidegate.log(n + 1).await.pop().unwrap();
        assert_eq!(line["client"].as_str(), client, "{fields}");
        assert_eq!(line["tier"], "free", "{fields}");
    }
}

/// A provider whose clients bring its keys, beside a token of ours.
#[tokio::test]
async fn a_token_of_ours_is_no_providers_business_either() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let signer = Signer::edwards("e");
    let config = format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers: {{ scripted: {{ base_url: "http://$UPSTREAM/v1" }} }}
routes: [{{ path: /v1, targets: [scripted], credentials: client }}]
{}"#,
        written(&[&signer], "")
    );
    let sidegate = Sidegate::start(&config, provider.address).await;
    let token = signer.token(&claims(json!({})));
    assert_eq!(ask(&sidegate, &token).await.status(), 200);
    assert!(memchr::memmem::find(&provider.request().await.bytes(), token.as_bytes()).is_none());
}

#[tokio::test]
async fn what_a_token_says_is_held_against_the_config() {
    let provider = Provider::start().await;
    let signer = Signer::edwards("e");
    let section = r#", issuer: ["https://a.example", "https://b.example"], leeway: 5s"#;
    let sidegate = Sidegate::with(&written(&[&signer], section), provider.address).await;
    let said = |changes: serde_json::Value| {
        let mut said = claims(changes);
        let names_one = said.get("iss").is_some();
        if !names_one {
            said["iss"] = "https://a.example".into();
        }
        said
    };
    let now = unix_now();
    for (changes, why) in [
        (json!({ "exp": now - 60 }), "jwt_expired"),
        (json!({ "exp": null }), "jwt_without_exp"),
        (json!({ "nbf": now + 60 }), "jwt_not_yet_valid"),
        (json!({ "aud": "another" }), "jwt_audience"),
        (json!({ "aud": ["another", "sidegate.example"] }), "jwt_audience"),
        (json!({ "aud": null }), "jwt_audience"),
        (json!({ "iss": "https://c.example" }), "jwt_issuer"),
        (json!({ "sub": null }), "jwt_client"),
        (json!({ "sub": ["anna"] }), "jwt_client"),
        (json!({ "exp": "never" }), "jwt_malformed"),
    ] {
        assert_eq!(outcome(&sidegate, &signer.token(&said(changes.clone()))).await, refused(why), "{changes}");
    }
    provider.script(Script::ok("served"));
    assert_eq!(outcome(&sidegate, &signer.token(&said(json!({})))).await, (200, None, None));
    assert_eq!(sidegate.log_lines().last().unwrap().matches("anna@https://a.example").count(), 1);
}

#[tokio::test]
async fn no_token_chooses_how_it_is_verified() {
    let provider = Provider::start().await;
    let (rsa, mine) = (Signer::rsa("r"), Signer::rsa("r"));
    let sidegate = Sidegate::with(&written(&[&rsa], &format!(", secret: {{ value: {SECRET} }}")), provider.address).await;
    let said = claims(json!({})).to_string();
    let part = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let mut attacks = Vec::new();
    // No signature at all.
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({ "alg": none, "kid": "r" }).to_string();
        for signature in ["", "AA"] {
            attacks.push((format!("{}.{}.{signature}", part(&header), part(&said)), "jwt_algorithm"));
        }
    }
    // The public key, which everybody has, as the secret.
    for bytes in rsa.public_bytes() {
        let signer = Signer::secret(bytes);
        for header in [json!({ "alg": "HS256", "kid": "r" }), json!({ "alg": "HS256" })] {
            attacks.push((signer.sign("HS256", &header.to_string(), &said), "jwt_signature"));
        }
    }
    // A key that the token brings along, or says where to find.
    for header in [
        json!({ "alg": "RS256", "kid": "r", "jwk": mine.jwk() }),
        json!({ "alg": "RS256", "kid": "r", "jku": format!("http://{}/jwks.json", provider.address) }),
        json!({ "alg": "RS256", "kid": "r", "x5u": format!("http://{}/chain.pem", provider.address) }),
        json!({ "alg": "RS256", "kid": "r", "x5c": ["MIIB"] }),
        json!({ "alg": "RS256", "jwk": mine.jwk() }),
    ] {
        attacks.push((mine.sign("RS256", &header.to_string(), &said), "jwt_signature"));
    }
    // Signed as it says, and not as the key is for; or not signed as it says.
    attacks.push((rsa.sign("RS256", &json!({ "alg": "PS256", "kid": "r" }).to_string(), &said), "jwt_signature"));
    attacks.push((rsa.sign("RS256", &json!({ "alg": "ES256", "kid": "r" }).to_string(), &said), "jwt_algorithm"));
    attacks.push((rsa.sign("RS256", &json!({ "alg": "RS1", "kid": "r" }).to_string(), &said), "jwt_algorithm"));
    // What has to be understood and is not; what has two readings.
    attacks.push((
        rsa.sign("RS256", &json!({ "alg": "RS256", "kid": "r", "crit": ["b64"], "b64": false }).to_string(), &said),
        "jwt_critical",
    ));
    attacks.push((rsa.sign("RS256", &json!({ "alg": "RS256", "kid": "r", "crit": [] }).to_string(), &said), "jwt_critical"));
    attacks.push((rsa.sign("RS256", r#"{"alg":"none","alg":"RS256","kid":"r"}"#, &said), "jwt_malformed"));
    attacks.push((rsa.sign("RS256", r#"{"alg":"RS256","kid":"r","kid":"q"}"#, &said), "jwt_malformed"));
    attacks.push((rsa.sign("RS256", r#"{"alg":"RS256","kid":["r"]}"#, &said), "jwt_malformed"));
    attacks.push((rsa.sign("RS256", r#"{"alg":["RS256"],"kid":"r"}"#, &said), "jwt_malformed"));
    let twice = said.replacen('{', r#"{"sub":"admin","#, 1);
    attacks.push((rsa.sign("RS256", r#"{"alg":"RS256","kid":"r"}"#, &twice), "jwt_malformed"));
    attacks.push((rsa.sign("RS256", r#"{"alg":"RS256","kid":"r"}"#, "[]"), "jwt_malformed"));
    attacks.push((rsa.sign("RS256", r#"{"alg":"RS256","kid":"r"}"#, "not JSON"), "jwt_malformed"));
    attacks.push((rsa.sign("RS256", r#"{"alg":"RS256","kid":"other"}"#, &said), "jwt_unknown_key"));
    let long = claims(json!({ "padding": "x".repeat(8 << 10) }));
    attacks.push((rsa.token(&long), "jwt_too_long"));
    for (token, why) in &attacks {
        assert_eq!(outcome(&sidegate, token).await, refused(why), "{token}");
    }
    assert_eq!((provider.asked(), provider.connections()), (0, 0), "nothing that a token names is ever asked");
}

#[tokio::test]
async fn a_config_that_names_algorithms_takes_no_other() {
    let provider = Provider::start().await;
    let rsa = Signer::rsa("r");
    let mut only = rsa.jwk();
    only["alg"] = "PS384".into();
    let keys = format!("keys: [{only}], algorithms: [RS256, PS384]");
    let sidegate = Sidegate::with(&clients(&keys), provider.address).await;
    let said = claims(json!({}));
    assert_eq!(outcome(&sidegate, &rsa.token_by("RS256", &said)).await, refused("jwt_algorithm"), "the key is for another");
    assert_eq!(outcome(&sidegate, &rsa.token_by("PS256", &said)).await, refused("jwt_algorithm"), "the config has others");
    provider.script(Script::ok("served"));
    assert_eq!(outcome(&sidegate, &rsa.token_by("PS384", &said)).await.0, 200);
}

#[tokio::test]
async fn who_has_several_keys_is_asked_which_and_a_client_key_is_believed_before_a_token() {
    let provider = Provider::always(Script::ok("served")).await;
    let (one, other) = (Signer::edwards("one"), Signer::edwards("other"));
    let hash = sidegate::config::KeyHash::of(b"sg-web-0123456789");
    let section = written(&[&one, &other], "")
        .replace("anonymous: free", &format!("anonymous: free, keys: [{{ name: web, sha256: {hash}, tier: premium }}]"));
    let sidegate = Sidegate::with(&section, provider.address).await;
    let nameless = one.named(None).token(&claims(json!({})));
    assert_eq!(outcome(&sidegate, &nameless).await, refused("jwt_without_kid"));

    let mut client = Client::connect(sidegate.address).await;
    let token = other.token(&claims(json!({})));
    client.get_with("/v1/models", &format!("Authorization: Bearer {token}\r\nx-api-key: sg-web-0123456789\r\n")).await;
    assert_eq!(client.reply("GET").await.status(), 200);
    let line = sidegate.log(2).await.pop().unwrap();
    assert_eq!((line["client"].as_str(), line["tier"].as_str()), (Some("web"), Some("premium")));
    let wrong = format!("Authorization: Bearer {token}\r\nx-api-key: sg-wrong\r\n");
    assert_eq!(ask_with(&sidegate, &wrong).await.status(), 401);
}

#[tokio::test]
async fn a_bearer_is_told_why_and_nothing_else() {
    let provider = Provider::start().await;
    let signer = Signer::edwards("e");
    let sidegate = Sidegate::with(&written(&[&signer], ""), provider.address).await;
    let token = signer.token(&claims(json!({ "exp": 1 })));
    let reply = ask(&sidegate, &token).await;
    let error = &reply.json()["error"];
    assert_eq!(error["message"], "This token has expired.");
    assert_eq!((error["type"].as_str(), error["code"].as_str()), (Some("authentication_error"), Some("invalid_jwt")));
    assert_eq!(reply.head.get("x-should-retry").as_deref(), Some("false"));
}
