//! How requests were decided, as operators see it.

use serde_json::Value;
use sidegate::runtime::reload::Outcome;

use super::{THREE_KEYS, ask, code, json, json_becomes, key, settled};
use crate::support::{Client, Provider, Script, Sidegate};

/// Asks under this id.
async fn chat(sidegate: &Sidegate, id: &str) -> u16 {
    let mut client = Client::connect(sidegate.address).await;
    client.post_with("/v1/chat/completions", &format!("X-Request-Id: {id}\r\n"), r#"{"model":"gpt-4o","messages":[]}"#).await;
    client.reply("POST").await.status()
}

fn too_many() -> Script {
    Script::reply("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
}

#[tokio::test]
async fn each_step_of_a_request_is_told_by_its_id() {
    let provider = Provider::start().await;
    let sidegate = Sidegate::start(THREE_KEYS, provider.address).await;
    provider.script(too_many());
    provider.otherwise(Script::json("200 OK", "{}"));
    assert_eq!(chat(&sidegate, "mine/1").await, 200);
    settled(&sidegate, 1).await;
    let told = json(&sidegate, "/decisions/mine%2F1").await;
    let decision = &told["decisions"][0];
    assert_eq!((&told["kept"], told["decisions"].as_array().unwrap().len()), (&1_000.into(), 1));
    let of = |name: &str| decision[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(["request_id", "route", "model", "end"].map(of), ["mine/1", "/v1", "gpt-4o", "complete"]);
    assert_eq!((&decision["status"], &decision["error"], &decision["untold"]), (&200.into(), &Value::Null, &0.into()));
    let steps = decision["tried"].as_array().unwrap();
    let words = |name: &str| steps.iter().map(|step| step[name].clone()).collect::<Vec<_>>();
    assert_eq!(words("provider"), ["scripted", "scripted"]);
    assert_eq!(words("key_name"), ["first", "second"]);
    assert_eq!(words("key"), [key(&sidegate, "first").await["fingerprint"].clone(), key(&sidegate, "second").await["fingerprint"].clone()]);
    assert_eq!(words("status"), [429, 200]);
    assert_eq!(words("blame"), ["account", "nobody"]);
    assert_eq!(words("sent"), ["answered", "answered"]);
    assert_eq!(words("then")[1], "pass");
    assert!(words("why").iter().all(Value::is_string), "{decision}");
    assert!(words("after_ms")[0].as_f64() <= words("after_ms")[1].as_f64(), "{decision}");
}

#[tokio::test]
async fn the_last_are_told_latest_first_and_one_id_may_have_many() {
    let provider = Provider::always(Script::json("200 OK", "{}")).await;
    let sidegate = Sidegate::start(THREE_KEYS, provider.address).await;
    for id in ["one", "same", "three", "same"] {
        assert_eq!(chat(&sidegate, id).await, 200);
    }
    settled(&sidegate, 4).await;
    let ids = |told: Value| told["decisions"].as_array().unwrap().iter().map(|one| one["request_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(json(&sidegate, "/decisions").await), ["same", "three", "same", "one"]);
    assert_eq!(ids(json(&sidegate, "/decisions?last=2").await), ["same", "three"]);
    assert_eq!(ids(json(&sidegate, "/decisions/same").await), ["same", "same"]);
    for query in ["last=1001", "last=-1", "last=", "first=1"] {
        let reply = ask(sidegate.admin, "GET", &format!("/decisions?{query}"), "").await;
        assert_eq!((reply.status(), code(&reply).as_str()), (400, "query_wrong"), "{query}");
    }
    for id in ["sam", "%ff", &"x".repeat(5_000)] {
        let reply = ask(sidegate.admin, "GET", &format!("/decisions/{id}"), "").await;
        assert_eq!((reply.status(), code(&reply).as_str()), (404, "decision_not_found"), "{id}");
    }
}

#[tokio::test]
async fn none_are_kept_where_none_are_wanted_and_a_reload_changes_that() {
    let provider = Provider::always(Script::json("200 OK", "{}")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("proxy.yaml");
    let write = |kept: u32| {
        let text = format!("log: {{ decisions: {kept} }}\n{}", THREE_KEYS.replace("$UPSTREAM", &provider.address.to_string()));
        std::fs::write(&path, text).unwrap();
    };
    write(0);
    let sidegate = Sidegate::from_file(&path, false);
    assert_eq!(chat(&sidegate, "lost").await, 200);
    settled(&sidegate, 1).await;
    assert_eq!(json(&sidegate, "/decisions").await, serde_json::json!({ "kept": 0, "decisions": [] }));
    write(2);
    assert!(matches!(sidegate.reload().outcome, Outcome::Applied { .. }));
    for id in ["a", "b", "c"] {
        assert_eq!(chat(&sidegate, id).await, 200);
    }
    let told = json_becomes(&sidegate, "/decisions", |told| told["decisions"][0]["request_id"] == "c").await;
    assert_eq!((&told["kept"], told["decisions"].as_array().unwrap().len()), (&2.into(), 2));
}
