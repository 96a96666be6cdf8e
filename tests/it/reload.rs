//! Reloads: what operators do to the config and its files while requests run, and what requests must not notice.

mod files;
mod states;

use std::{fs, net::SocketAddr, path::PathBuf};

use sidegate::{config::Problems, runtime::reload::Outcome};
use tempfile::TempDir;

use crate::support::{Client, Gate, Provider, Script, Sidegate, eventually};

const ASK: &str = r#"{"model":"gpt-4o"}"#;

/// A directory with `proxy.yaml` and what it names, and the proxy that serves with it.
struct House {
    folder: TempDir,
    provider: SocketAddr,
}

impl House {
    /// With this config; `$UPSTREAM` is the provider.
    fn with(config: &str, provider: SocketAddr) -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap(), provider };
        house.write(config);
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    /// Writes `proxy.yaml`.
    fn write(&self, config: &str) {
        self.put("proxy.yaml", &config.replace("$UPSTREAM", &self.provider.to_string()));
    }

    /// A proxy that reloads when it is told to.
    fn open(&self) -> Sidegate {
        Sidegate::from_file(&self.path("proxy.yaml"), false)
    }

    /// One that watches its files.
    fn watched(&self) -> Sidegate {
        Sidegate::from_file(&self.path("proxy.yaml"), true)
    }
}

/// One key, of this name and secret, and what else is said.
fn config(key: &str, more: &str) -> String {
    format!(
        r#"
listen: {{ address: "127.0.0.1:0", workers: 1 }}
admin: {{ address: "127.0.0.1:0" }}
providers:
  scripted:
    base_url: http://$UPSTREAM/v1
    keys: [{key}]
routes: [{{ path: /v1, targets: [scripted] }}]
{more}
"#
    )
}

fn with_key(secret: &str) -> String {
    config(&format!("{{ name: only, value: {secret} }}"), "")
}

/// The key with which a request over a fresh connection reaches the provider.
async fn key_in_use(sidegate: &Sidegate, provider: &mut Provider) -> String {
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    assert_eq!(client.reply("POST").await.status(), 200);
    key_of(&provider.request().await)
}

fn key_of(request: &crate::support::provider::Request) -> String {
    let value = request.head.all("authorization").first().map(|value| value.to_vec()).unwrap_or_default();
    String::from_utf8(value).unwrap().trim_start_matches("Bearer ").to_owned()
}

fn refusal(outcome: &Outcome) -> &Problems {
    match outcome {
        Outcome::Refused(problems) => problems,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn what_changed_is_in_force_at_an_operators_word_and_named() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&with_key("sk-one"), provider.address);
    let sidegate = house.open();
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-one");
    house.write(&with_key("sk-two"));
    let report = sidegate.reload();
    assert_eq!(report.outcome, Outcome::Applied { changed: vec!["providers.scripted.keys".to_owned()] });
    assert_eq!(report.generation, 2);
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-two");
    assert_eq!(sidegate.reload().outcome, Outcome::Unchanged, "the same once more is no generation");
    house.write(&(with_key("sk-two") + "# a remark\n"));
    assert_eq!(sidegate.reload().outcome, Outcome::Unchanged, "nor is a remark");
    assert_eq!(sidegate.metric("sidegate_config_generation").await, 2.0);
    assert_eq!(sidegate.metric(r#"sidegate_config_reloads_total{result="applied"}"#).await, 1.0);
    assert_eq!(sidegate.metric(r#"sidegate_config_reloads_total{result="unchanged"}"#).await, 2.0);
}

#[tokio::test]
async fn a_config_that_cannot_work_leaves_the_last_good_one_serving() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&with_key("sk-one"), provider.address);
    let sidegate = house.open();
    for (broken, line, field, fix) in [
        (with_key("sk-two").replace("routes:", "rotues:"), 8, "rotues", "routes"),
        (with_key("sk-two").replace("targets: [scripted]", "targets: [unknown]"), 8, "routes[0].targets[0]", ""),
        (with_key("sk-two").replace("keys: [", "keys: [["), 8, "", ""),
    ] {
        house.write(&broken);
        let report = sidegate.reload();
        let text = refusal(&report.outcome).to_string();
        let problem = refusal(&report.outcome).iter().next().unwrap();
        assert_eq!(report.generation, 1);
        assert!(problem.position().is_some_and(|(at, _)| at == line), "{text}");
        assert!(problem.field().contains(field) && problem.fix().contains(fix) && !problem.fix().is_empty(), "{text}");
        assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-one");
        assert_eq!(sidegate.ask_admin("/readyz").await.status(), 200);
        assert_eq!(sidegate.metric("sidegate_config_last_reload_success").await, 0.0);
    }
    fs::remove_file(house.path("proxy.yaml")).unwrap();
    assert!(refusal(&sidegate.reload().outcome).to_string().contains("there is no such file"));
    fs::create_dir(house.path("proxy.yaml")).unwrap();
    assert!(refusal(&sidegate.reload().outcome).to_string().contains("it is a directory"));
    fs::remove_dir(house.path("proxy.yaml")).unwrap();
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-one");
    house.write(&with_key("sk-two"));
    assert!(matches!(sidegate.reload().outcome, Outcome::Applied { .. }));
    assert_eq!(sidegate.metric("sidegate_config_last_reload_success").await, 1.0);
    assert_eq!(sidegate.metric(r#"sidegate_config_reloads_total{result="refused"}"#).await, 5.0);
}

#[tokio::test]
async fn what_needs_a_restart_is_refused_as_a_whole_and_named() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&with_key("sk-one"), provider.address);
    let sidegate = house.open();
    house.write(&with_key("sk-two").replace("workers: 1", "workers: 2"));
    let report = sidegate.reload();
    assert_eq!(report.outcome, Outcome::RestartRequired { fields: vec!["listen.workers".to_owned()] });
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-one", "nothing of it is in force");
    assert_eq!(sidegate.metric(r#"sidegate_config_reloads_total{result="refused"}"#).await, 1.0);
}

#[tokio::test]
async fn connections_and_streams_outlive_a_reload_on_both_sides() {
    let mut provider = Provider::start().await;
    let (go_on, head) = (Gate::new(), "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    provider.script(Script::reply(head).chunk("data: 1\n\n").wait(&go_on).chunk("data: 2\n\n").write("0\r\n\r\n"));
    provider.otherwise(Script::ok("served"));
    let house = House::with(&with_key("sk-one"), provider.address);
    let sidegate = house.open();
    let mut streaming = Client::connect(sidegate.address).await;
    streaming.post("/v1/chat/completions", r#"{"model":"gpt-4o","stream":true}"#).await;
    streaming.until("data: 1").await;
    let mut kept = Client::connect(sidegate.address).await;
    for generation in 2..22 {
        house.write(&with_key(&format!("sk-{generation}")));
        assert_eq!(sidegate.reload().generation, generation);
        kept.post("/v1/chat/completions", ASK).await;
        assert_eq!(kept.reply("POST").await.text(), "served");
    }
    go_on.open();
    assert!(streaming.until("0\r\n\r\n").await.contains("data: 2"), "the stream ends as the provider ends it");
    assert_eq!(provider.connections(), 2, "the second carried all requests of all generations");
    for _ in 0..21 {
        provider.request().await;
    }
    assert_eq!(sidegate.metric(r#"sidegate_request_ends_total{route="/v1",provider="scripted",end="truncated"}"#).await, 0.0);
}

#[tokio::test]
async fn a_provider_that_moved_gets_what_comes_next_and_the_old_place_is_left() {
    let (mut old, mut new) = (Provider::always(Script::ok("old")).await, Provider::always(Script::ok("new")).await);
    let house = House::with(&with_key("sk-one"), old.address);
    let sidegate = house.open();
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    assert_eq!(client.reply("POST").await.text(), "old");
    house.write(&with_key("sk-one").replace("$UPSTREAM", &new.address.to_string()));
    let report = sidegate.reload();
    assert_eq!(report.outcome, Outcome::Applied { changed: vec!["providers.scripted.base_url".to_owned()] });
    client.post("/v1/chat/completions", ASK).await;
    assert_eq!(client.reply("POST").await.text(), "new", "over the client's old connection");
    old.request().await;
    new.request().await;
    sidegate.metric_becomes(r#"sidegate_upstream_connections{provider="scripted"}"#, 1.0).await;
}

#[tokio::test]
async fn bounds_on_heads_hold_for_connections_that_come_after() {
    let provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&with_key("sk-one"), provider.address);
    let sidegate = house.open();
    let ask = |address| async move {
        let mut client = Client::connect(address).await;
        client.get_with("/v1/models", "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n").await;
        client.reply("GET").await.status()
    };
    assert_eq!(ask(sidegate.address).await, 200);
    house.write(&with_key("sk-one").replace("workers: 1", "workers: 1, max_headers: 3"));
    assert!(matches!(sidegate.reload().outcome, Outcome::Applied { .. }));
    assert_eq!(ask(sidegate.address).await, 431);
}
