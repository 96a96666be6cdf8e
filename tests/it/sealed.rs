//! Sealed keys: encrypted where they stand, open for the provider, and at home under two master keys while one takes over.

mod command;
mod rotation;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use proptest::prelude::*;
use serde_json::Value;
use sidegate::{
    config::{self, Environment, Loaded, MasterKey, Problems, Sealed},
    types::{MasterKeyId, Secret},
};

use crate::support::{Client, Provider, Script, Sidegate};

/// The secret that no output may hold.
const CANARY: &str = "sk-canary-0123456789";

/// The master key of these stories, and the variable that holds it.
const MASTER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn master() -> MasterKey {
    MasterKey::from_text(MASTER).unwrap()
}

fn id(text: &str) -> MasterKeyId {
    text.parse().unwrap()
}

fn sealed(secret: &str) -> String {
    master().seal(&id("a"), &Secret::new(secret.to_owned())).unwrap()
}

/// What a sealed text holds.
fn opened(text: &str, key: &str) -> String {
    let secret = Sealed::parse(text.trim_end()).unwrap().open(&MasterKey::from_text(key).unwrap()).unwrap();
    secret.expose().to_owned()
}

/// A config with these keys of one provider, and more fields of it.
fn config(keys: &str, provider: &str) -> String {
    format!(
        "listen: {{ address: '127.0.0.1:0', workers: 1 }}
admin: {{ address: '127.0.0.1:0' }}
sealing: {{ keys: [{{ id: a, env: MASTER }}] }}
providers: {{ scripted: {{ base_url: 'http://scripted.test/v1', keys: [{keys}] {provider} }} }}
routes: [{{ path: /v1, targets: [scripted] }}]
"
    )
}

fn load(keys: &str, environment: &[(&str, &str)]) -> Result<Loaded, Problems> {
    config::from_text("proxy.yaml", &config(keys, ""), &environment.iter().copied().chain([("MASTER", MASTER)]).collect())
}

/// The secrets of all keys.
fn secrets(loaded: &Loaded) -> Vec<&str> {
    loaded.keys.values().flatten().map(|key| key.secret.expose()).collect()
}

/// A file that only this user may open.
fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn the_provider_sees_the_key_that_was_sealed() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let text = config(&format!("{{ name: pool, value: {} }}", sealed(CANARY)), "").replace("scripted.test", &provider.address.to_string());
    let sidegate = Sidegate::start_in(&text, &Environment::from([("MASTER", MASTER)]));
    let mut client = Client::connect(sidegate.address).await;
    client.get("/v1/models").await;
    assert_eq!(client.reply("GET").await.status(), 200);
    assert_eq!(provider.request().await.head.get("authorization").unwrap(), format!("Bearer {CANARY}"));
}

#[test]
fn a_sealed_key_may_stand_wherever_a_key_may() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, file) = (folder.path().join("keys"), folder.path().join("one"));
    fs::create_dir(&dir).unwrap();
    fs::write(&file, sealed("of-a-file") + "\r\n").unwrap();
    fs::write(dir.join("first"), sealed("of-a-directory") + "\n").unwrap();
    fs::write(dir.join("second"), "never-sealed\n").unwrap();
    let keys = format!(
        "{{ value: {} }}, {{ env: K* }}, {{ file: '{file}' }}, {{ dir: '{}' }}, {{ value: '${{V}}' }}, {{ value: '${{file:{file}.too}}' }}",
        sealed("written"),
        dir.display(),
        file = file.display(),
    );
    fs::write(format!("{}.too", file.display()), sealed("put-in-from-a-file") + "\n").unwrap();
    let (k, k_2, v) = (sealed("of-a-variable"), "plain", sealed("put-in"));
    let loaded = load(&keys, &[("K", &k), ("K_2", k_2), ("V", &v)]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(
        secrets(&loaded),
        ["written", "of-a-variable", "plain", "of-a-file", "of-a-directory", "never-sealed", "put-in", "put-in-from-a-file"]
    );
}

#[test]
fn the_url_of_a_proxy_may_be_sealed_with_its_password() {
    let url = sealed("http://me:canary@proxy.internal:3128");
    let text = config("{ value: x }", &format!(", proxy: {url}"));
    let loaded = config::from_text("proxy.yaml", &text, &Environment::from([("MASTER", MASTER)])).unwrap();
    let proxy = loaded.proxies.values().next().unwrap();
    assert_eq!((proxy.host(), proxy.port(), proxy.authorization().is_some()), ("proxy.internal", 3128, true));
    let shown = format!("{loaded:?} {}", serde_json::to_string(&loaded.config).unwrap());
    assert!(!shown.contains("canary") && shown.contains("[secret]"), "{shown}");
}

#[test]
fn the_token_of_the_admin_listener_may_be_sealed() {
    let token = format!("admin: {{ token: '{}', address", sealed("canary-token-0123456789"));
    let text = config("{ value: x }", "").replace("admin: { address", &token);
    let loaded = config::from_text("proxy.yaml", &text, &Environment::from([("MASTER", MASTER)])).unwrap();
    assert_eq!(loaded.config.admin.token.as_ref().map(|token| token.0.expose()), Some("canary-token-0123456789"));
    assert!(!format!("{loaded:?}").contains("canary"));
}

#[test]
fn one_secret_is_one_key_whether_it_is_sealed_or_not() {
    let refused = load(&format!("{{ value: {} }}, {{ value: {CANARY} }}", sealed(CANARY)), &[]).unwrap_err().to_string();
    assert!(refused.contains("the key `key-2` is the same secret as `key-1`"), "{refused}");
    // Sealed anew it is another text and the same config: nothing has to be put in force for it.
    let [first, second] = [(); 2].map(|()| load(&format!("{{ value: {} }}", sealed(CANARY)), &[]).unwrap());
    assert!(first.says_the_same_as(&second));
}

#[test]
fn nothing_that_was_loaded_shows_what_was_sealed() {
    let text = sealed(CANARY);
    let loaded = load(&format!("{{ value: {text} }}, {{ env: K }}"), &[("K", &sealed("sk-other-canary"))]).unwrap();
    let shown = format!("{loaded:?} {loaded} {}", serde_json::to_string(&loaded.config).unwrap());
    for secret in ["canary", MASTER, text.as_str()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// Where one master key can't be used, that is the one thing to say: not each text that it would have opened.
#[test]
fn a_master_key_that_cannot_be_had_is_one_error() {
    let text = config(&format!("{{ value: {} }}, {{ env: K }}", sealed(CANARY)), "");
    let variables = [("K", sealed("sk-other")), ("MASTER", MASTER[2..].to_owned())];
    let refused = config::from_text("proxy.yaml", &text, &variables.into_iter().collect()).unwrap_err();
    assert_eq!(refused.iter().map(|problem| problem.field()).collect::<Vec<_>>(), ["sealing.keys[0].env"], "{refused}");
}

#[test]
fn a_master_key_file_is_watched_and_must_be_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let (file, master) = (folder.path().join("proxy.yaml"), folder.path().join("master"));
    let text = config(&format!("{{ value: {} }}", sealed(CANARY)), "").replace("env: MASTER", "file: master");
    fs::write(&file, text).unwrap();
    private(&master, &format!("{MASTER}\n"));
    let loaded = config::load(&file, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!((secrets(&loaded), &loaded.files), (vec![CANARY], &vec![file.clone(), master.clone()]));

    for mode in [0o644, 0o640, 0o604, 0o620, 0o601] {
        fs::set_permissions(&master, Permissions::from_mode(mode)).unwrap();
        let refused = config::load(&file, &Environment::default()).unwrap_err();
        assert_eq!(refused.iter().map(|problem| problem.field()).collect::<Vec<_>>(), ["sealing.keys[0].file"], "{refused}");
        let refused = refused.to_string();
        assert!(refused.contains("other users may open it") && refused.contains("chmod 600"), "{refused}");
    }
    fs::set_permissions(&master, Permissions::from_mode(0o400)).unwrap();
    assert!(config::load(&file, &Environment::default()).is_ok());
}

/// What the schema calls a secret text is what can be sealed: one more field of that kind must be opened too.
#[test]
fn every_secret_text_of_the_schema_can_be_sealed() {
    fn find(schema: &Value, at: &str, found: &mut Vec<String>) {
        match schema {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value.as_str() {
                Some("#/$defs/SecretText") => found.push(at.to_owned()),
                _ => find(value, if matches!(name.as_str(), "anyOf" | "properties" | "$defs") { at } else { name }, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| find(item, at, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    find(&config::schema(), "", &mut found);
    // The second `value` is that of `clients.jwt.secret`, whose story stands in `jwt/config.rs`.
    assert_eq!(
        found,
        ["token", "value", "value"],
        "open these in `secret_texts` of src/config/check/sealing.rs, and give each a story here"
    );
}

proptest! {
    #[test]
    fn any_key_comes_through_as_it_was(secret in "[!-~]{1,200}") {
        prop_assume!(!Sealed::is_sealed(&secret));
        let loaded = load(&format!("{{ value: {} }}", sealed(&secret)), &[]).unwrap();
        prop_assert_eq!(secrets(&loaded), [secret]);
    }

    #[test]
    fn a_text_that_was_changed_is_refused_and_shows_nothing(at in any::<prop::sample::Index>(), by in "[ -~]", cut in any::<bool>()) {
        let text = sealed(CANARY);
        let at = at.index(text.len());
        let changed = if cut { text[..at].to_owned() } else { format!("{}{by}{}", &text[..at], &text[at + 1..]) };
        // Without its beginning it is a key like any other.
        prop_assume!(changed != text && Sealed::is_sealed(&changed));
        let refused = load("{ env: K }", &[("K", &changed)]).unwrap_err().to_string();
        prop_assert!(refused.contains("sealed") || refused.contains("does not open"), "{}", refused);
        prop_assert!(!refused.contains("canary") && !refused.contains(MASTER));
    }
}
