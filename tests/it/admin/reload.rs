//! `POST /reload` and what `/config` says of it; and what a reload leaves alone.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    THREE_KEYS, ask, description,
    description::{document, operation},
    json, key, one, settled,
};
use crate::support::{Provider, Script, Sidegate};

/// A config file, and the proxy that was started with it.
struct Filed {
    folder: TempDir,
    provider: Provider,
    sidegate: Sidegate,
}

impl Filed {
    async fn start() -> Self {
        let (folder, provider) = (tempfile::tempdir().unwrap(), Provider::always(Script::ok("served")).await);
        let path = folder.path().join("proxy.yaml");
        fs::write(&path, THREE_KEYS.replace("$UPSTREAM", &provider.address.to_string())).unwrap();
        let sidegate = Sidegate::from_file(&path, false);
        Self { folder, provider, sidegate }
    }

    /// Writes the config with a change and asks for a reload; status and answer, which is as described.
    async fn reload(&self, from: &str, to: &str) -> (u16, Value) {
        let config = THREE_KEYS.replace("$UPSTREAM", &self.provider.address.to_string()).replace(from, to);
        fs::write(self.folder.path().join("proxy.yaml"), config).unwrap();
        let reply = ask(self.sidegate.admin, "POST", "/reload", "").await;
        let (document, answer) = (document(), reply.json());
        let described = &operation(&document, "/reload", "POST")["responses"][reply.status().to_string()];
        assert_eq!(description::flaws(&document, &described["content"]["application/json"]["schema"], &answer, "/reload"), [""; 0]);
        let shown = json(&self.sidegate, "/config").await;
        assert_eq!(description::flaws(&document, &document["components"]["schemas"]["Config"], &shown, "/config"), [""; 0]);
        let last = &shown["reload"]["last"];
        assert_eq!((&last["result"], &last["trigger"], &shown["generation"]), (&answer["result"], &"admin".into(), &answer["generation"]));
        (reply.status(), answer)
    }
}

#[tokio::test]
async fn the_answer_and_the_config_say_what_became_of_it() {
    let filed = Filed::start().await;
    let before = json(&filed.sidegate, "/config").await;
    assert_eq!(before["reload"], json!({ "last": null, "applied": 0, "refused": 0 }));
    assert!(before["source"].as_str().unwrap().ends_with("proxy.yaml"), "{before}");

    assert_eq!(filed.reload("", "").await, (200, json!({ "result": "unchanged", "generation": 1 })));
    let (status, applied) = filed.reload("name: second", "name: second, weight: 2").await;
    assert_eq!((status, applied), (200, json!({ "result": "applied", "generation": 2, "changed": ["providers.scripted.keys"] })));
    assert_eq!(key(&filed.sidegate, "second").await["weight"], 2.0);

    let (status, refused) = filed.reload("base_url", "bass_url").await;
    assert_eq!((status, &refused["generation"]), (422, &2.into()));
    let problem = &refused["problems"][0];
    assert_eq!((&problem["field"], &problem["line"], &problem["column"]), (&"providers.scripted.bass_url".into(), &6.into(), &5.into()));
    assert!(problem["fix"].as_str().unwrap().contains("base_url"), "{problem}");
    assert!(refused["text"].as_str().unwrap().contains("^^^^^^^^"), "{refused}");
    let shown = json(&filed.sidegate, "/config").await;
    assert_eq!((&shown["reload"]["last"]["problems"][0], &shown["reload"]["refused"]), (problem, &1.into()));
    assert_eq!(filed.sidegate.ask_admin("/readyz").await.status(), 200);

    let (status, restart) = filed.reload("workers: 1", "workers: 2").await;
    assert_eq!((status, restart), (409, json!({ "result": "restart_required", "generation": 2, "fields": ["listen.workers"] })));
    assert_eq!(one(&filed.sidegate, "/v1/models").await, 200);
}

#[tokio::test]
async fn a_reload_forgets_neither_what_was_counted_nor_what_was_disabled() {
    let filed = Filed::start().await;
    let id = key(&filed.sidegate, "second").await["id"].as_str().unwrap().to_owned();
    ask(filed.sidegate.admin, "POST", &format!("/keys/{id}/disable"), "").await;
    for _ in 0..3 {
        one(&filed.sidegate, "/v1/models").await;
    }
    settled(&filed.sidegate, 3).await;
    // A name and a weight are not what makes it that key.
    assert_eq!(filed.reload("name: second", "name: other, weight: 3").await.0, 200);
    assert_eq!(key(&filed.sidegate, "other").await["state"], "disabled");
    assert_eq!(key(&filed.sidegate, "first").await["requests"], 3);
    assert_eq!(json(&filed.sidegate, "/stats").await["totals"]["requests"], 3);
    assert_eq!(json(&filed.sidegate, "/health").await["providers"][0]["error_rate"], 0.0);
}

#[tokio::test]
async fn a_token_that_a_reload_brings_holds_at_once() {
    let filed = Filed::start().await;
    let with = |token: &str| format!("admin: {{ address: \"127.0.0.1:0\", token: {token} }}");
    let without = "admin: { address: \"127.0.0.1:0\" }";
    let (status, answer) = filed.reload(without, &with("canary-token-0123456789")).await;
    assert_eq!((status, &answer["changed"]), (200, &json!(["admin.token"])));
    assert_eq!(ask(filed.sidegate.admin, "POST", "/reload", "").await.status(), 401);
    let other = THREE_KEYS.replace("$UPSTREAM", &filed.provider.address.to_string()).replace(without, &with("another-token-0123456789"));
    fs::write(filed.folder.path().join("proxy.yaml"), other).unwrap();
    let reloaded = ask(filed.sidegate.admin, "POST", "/reload", "Authorization: Bearer canary-token-0123456789\r\n").await;
    assert_eq!(reloaded.json()["changed"], json!(["admin.token"]));
    assert_eq!(ask(filed.sidegate.admin, "POST", "/reload", "Authorization: Bearer canary-token-0123456789\r\n").await.status(), 401);
    assert_eq!(ask(filed.sidegate.admin, "POST", "/reload", "Authorization: Bearer another-token-0123456789\r\n").await.status(), 200);
}
