//! `clients.jwt` as an operator writes it: keys in files, secrets that show nowhere, and a reload that follows both.

use serde_json::json;
use sidegate::{
    config::{self, Environment, MasterKey},
    types::Secret,
};

use super::{ask, ask_with, claims, key_set, line_of};
use crate::support::{Provider, Script, Sidegate, Signer};

const SECRET: &str = "canary-of-the-issuer-0123456789-0123456789";

const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn text(section: &str) -> String {
    format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers: {{ scripted: {{ base_url: "http://$UPSTREAM/v1", keys: [{{ value: sk-of-the-pool-0123456789 }}] }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
clients: {{ jwt: {{ audience: [sidegate, other], {section} }} }}
"#
    )
}

#[tokio::test]
async fn keys_in_a_file_are_followed_when_it_changes() {
    let provider = Provider::always(Script::ok("served")).await;
    let (one, two) = (Signer::edwards("one"), Signer::edwards("two"));
    let folder = tempfile::tempdir().unwrap();
    let (path, keys) = (folder.path().join("proxy.yaml"), folder.path().join("keys.json"));
    std::fs::write(&keys, key_set(&[&one])).unwrap();
    std::fs::write(&path, text("jwks: \"file:keys.json\"").replace("$UPSTREAM", &provider.address.to_string())).unwrap();
    let sidegate = Sidegate::from_file(&path, false);
    let (of_one, of_two) = (one.token(&claims(json!({}))), two.token(&claims(json!({}))));
    assert_eq!((ask(&sidegate, &of_one).await.status(), ask(&sidegate, &of_two).await.status()), (200, 401));
    std::fs::write(&keys, key_set(&[&two])).unwrap();
    let report = sidegate.reload();
    assert_eq!(format!("{:?}", report.outcome), r#"Applied { changed: ["clients.jwt"] }"#);
    assert_eq!((ask(&sidegate, &of_one).await.status(), ask(&sidegate, &of_two).await.status()), (401, 200));
    std::fs::write(&keys, "nothing").unwrap();
    assert_eq!(sidegate.reload().outcome.name(), "refused");
    assert_eq!(ask(&sidegate, &of_two).await.status(), 200);
}

#[tokio::test]
async fn a_secret_comes_from_a_variable_a_file_or_the_config_and_shows_nowhere() {
    let provider = Provider::always(Script::ok("served")).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let master = MasterKey::from_text(MASTER).unwrap();
    let sealed = master.seal(&"one".parse().unwrap(), &Secret::new(SECRET.to_owned())).unwrap();
    let variables = [("ISSUER_SECRET", SECRET), ("SEALED", &sealed), ("MASTER", MASTER)];
    let environment: Environment = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let token = Signer::secret(SECRET).token(&claims(json!({})));
    for secret in [
        "env: ISSUER_SECRET".to_owned(),
        format!("file: \"{}\"", file.display()),
        "value: \"${ISSUER_SECRET}\"".to_owned(),
        format!("value: \"{sealed}\""),
        "env: SEALED".to_owned(),
    ] {
        let text = text(&format!("secret: {{ {secret} }}")).replace("$UPSTREAM", &provider.address.to_string());
        let text = format!("{text}sealing: {{ keys: [{{ id: one, env: MASTER }}] }}\n");
        let loaded = config::from_text("proxy.yaml", &text, &environment).unwrap();
        assert!(!format!("{loaded:?}").contains("canary"), "{secret}");
        let sidegate = Sidegate::start_in(&text, &environment);
        assert_eq!(ask(&sidegate, &token).await.status(), 200, "{secret}");
        assert!(!sidegate.ask_admin("/config").await.text().contains("canary"), "{secret}");
    }
}

#[tokio::test]
async fn the_tier_and_region_of_a_claim_count_before_every_other_word() {
    let provider = Provider::always(Script::ok("served")).await;
    let signer = Signer::edwards("one");
    let section = format!("keys: [{}], tier_claim: plan, region_claim: place, tier: basic", signer.jwk());
    let more = "trust: { proxies: [loopback] }\nregions: { default: us }\n";
    let sidegate = Sidegate::start(&(text(&section) + more), provider.address).await;
    let trusted = "x-api-tier: said\r\nx-region: said\r\n";
    for (said, fields, expected) in [
        (json!({ "plan": "gold", "place": "eu" }), trusted, ("gold", "eu")),
        (json!({ "plan": "gold", "place": "eu" }), "", ("gold", "eu")),
        (json!({ "plan": "no tier", "place": 7 }), trusted, ("said", "said")),
        (json!({}), "", ("basic", "us")),
    ] {
        let token = signer.token(&claims(said));
        let reply = ask_with(&sidegate, &format!("Authorization: Bearer {token}\r\n{fields}")).await;
        assert_eq!(reply.status(), 200, "{}", reply.text());
        let line = line_of(&sidegate, &reply).await;
        assert_eq!((line["tier"].as_str().unwrap(), line["region"].as_str().unwrap()), expected, "{fields}");
    }
}

#[test]
fn a_private_key_in_the_place_of_a_public_one_is_refused_and_not_shown() {
    let mut jwk = Signer::ecdsa("one", "P-256").jwk();
    jwk["d"] = "canary-0123456789".into();
    let text = text(&format!("keys: [{jwk}]")).replace("$UPSTREAM", "127.0.0.1:1");
    let problems = config::from_text("proxy.yaml", &text, &Environment::default()).unwrap_err().to_string();
    assert!(problems.contains("this is a secret, not a part of a public key"), "{problems}");
    assert!(!problems.contains("canary"), "{problems}");
}
