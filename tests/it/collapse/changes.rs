//! The config changes, or the process ends, while a call is followed: who follows sees nothing of it.

use std::{fs, path::PathBuf};

use sidegate::server::drain::Phase;

use super::*;

/// `proxy.yaml` in a folder, with these targets of the only route and these sections.
struct Files {
    folder: tempfile::TempDir,
    provider: std::net::SocketAddr,
}

impl Files {
    fn new(provider: std::net::SocketAddr) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), provider }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("proxy.yaml")
    }

    fn write(&self, sections: &str) {
        let text = Setup::of(self.provider, "breaker: off").section("retry: { attempts: 1 }").section(sections).text();
        fs::write(self.path(), text).unwrap();
    }

    fn open(&self) -> Sidegate {
        Sidegate::from_file(&self.path(), false)
    }
}

#[tokio::test]
async fn a_reload_disturbs_nobody_who_follows() {
    for after in ["cache: { ttl: 5m }", "cache: { ttl: 10m, collapse: false }", "cache: { ttl: 10m, max_entry: 1KiB }", ""] {
        let mut provider = Provider::start().await;
        let files = Files::new(provider.address);
        files.write(CACHED);
        let sidegate = files.open();
        let held = Held::saying("one");
        provider.script(held.script());
        let mut clients = vec![following(&sidegate, held.first()).await, following(&sidegate, held.first()).await];
        files.write(after);
        assert_eq!(sidegate.reload().generation, 2, "{after}");
        held.go.open_for_all();
        for client in &mut clients {
            let got = client.reply("POST").await;
            assert_eq!((got.text(), got.is_complete()), (held.whole(), true), "{after}");
        }
        assert_eq!(provider.new_requests().len(), 1, "{after}");
        sidegate.holds_nothing().await;
    }
}

#[tokio::test]
async fn who_comes_after_a_reload_that_changes_nothing_of_the_question_joins_still() {
    let mut provider = Provider::start().await;
    let files = Files::new(provider.address);
    files.write(CACHED);
    let sidegate = files.open();
    let held = Held::saying("one");
    provider.script(held.script());
    let mut clients = vec![following(&sidegate, held.first()).await];
    files.write("cache: { ttl: 20m }");
    assert_eq!(sidegate.reload().generation, 2);
    clients.push(following(&sidegate, held.first()).await);
    held.go.open_for_all();
    for client in &mut clients {
        assert_eq!(client.reply("POST").await.text(), held.whole());
    }
    assert_eq!(provider.new_requests().len(), 1);
    stored(&sidegate, 1).await;
    assert_eq!(cached(&ask(&sidegate, STREAMED).await), "hit");
}

#[tokio::test]
async fn after_a_reload_without_a_cache_nobody_joins_and_nothing_is_served_from_it() {
    let mut provider = Provider::start().await;
    let files = Files::new(provider.address);
    files.write(CACHED);
    let sidegate = files.open();
    provider.script(stream("kept"));
    ask(&sidegate, STREAMED).await;
    stored(&sidegate, 1).await;
    let other = STREAMED.replace("hi", "ho");
    let held = Held::saying("one");
    provider.script(held.script());
    let mut follower = asking_with(&sidegate, "", &other).await;
    sees(&mut follower, held.first()).await;
    files.write("");
    assert_eq!(sidegate.reload().generation, 2);
    for body in [STREAMED, &other] {
        provider.script(stream("two"));
        let got = ask(&sidegate, body).await;
        assert_eq!((got.text(), cached(&got).as_str()), (events("two").concat(), ""));
    }
    held.go.open_for_all();
    assert_eq!(follower.reply("POST").await.text(), held.whole());
    assert_eq!(provider.new_requests().len(), 4);
    sidegate.holds_nothing().await;
}

/// What was answered by one provider under one name is no answer of another's.
#[tokio::test]
async fn after_a_reload_to_another_target_what_the_old_one_said_is_not_told() {
    let (mut old, mut new) = (Provider::start().await, Provider::start().await);
    let files = Files::new(old.address);
    let renamed = |address| Setup::default().provider("scripted", address, "breaker: off").route("models: [\"gpt-4o\"]").section(CACHED);
    let targets = [
        (renamed(old.address).target("scripted"), 0),
        (renamed(old.address).target("{ provider: scripted, model: gpt-4.1 }"), 0),
        (renamed(new.address).target("scripted"), 1),
    ];
    fs::write(files.path(), targets[0].0.text()).unwrap();
    let sidegate = files.open();
    for (n, (setup, at)) in targets.iter().enumerate() {
        fs::write(files.path(), setup.text()).unwrap();
        sidegate.reload();
        [&old, &new][*at].script(stream(&n.to_string()));
        let got = ask(&sidegate, STREAMED).await;
        assert_eq!((got.text(), cached(&got).as_str()), (events(&n.to_string()).concat(), "miss"), "{n}");
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
        assert_eq!(cached(&ask(&sidegate, STREAMED).await), "hit", "{n}");
    }
    assert_eq!((old.new_requests().len(), new.new_requests().len()), (2, 1));
    // Whoever goes back finds what was kept then.
    fs::write(files.path(), targets[0].0.text()).unwrap();
    sidegate.reload();
    let got = ask(&sidegate, STREAMED).await;
    assert_eq!((got.text(), cached(&got).as_str()), (events("0").concat(), "hit"));
}

#[tokio::test]
async fn what_was_kept_outlives_a_reload_and_a_shorter_time_holds_at_once() {
    let mut provider = Provider::start().await;
    let files = Files::new(provider.address);
    files.write(CACHED);
    let sidegate = files.open();
    provider.script(stream("one"));
    ask(&sidegate, STREAMED).await;
    stored(&sidegate, 1).await;
    files.write("cache: { ttl: 9m }");
    assert_eq!(sidegate.reload().generation, 2);
    assert_eq!(cached(&ask(&sidegate, STREAMED).await), "hit");
    files.write("cache: { ttl: 1s }");
    assert_eq!(sidegate.reload().generation, 3);
    let only = "Cache-Control: only-if-cached\r\n";
    let aging = async { while asking_with(&sidegate, only, STREAMED).await.reply("POST").await.status() != 504 {} };
    within("what was kept for ten minutes is too old after one second", aging).await;
    assert_eq!(provider.new_requests().len(), 1);
}

#[tokio::test]
async fn a_drain_lets_all_who_follow_read_to_the_end() {
    for workers in [1, 3] {
        let (mut provider, sidegate) = house(workers, "drain: { delay: 10m, timeout: 20m }\n").await;
        let held = Held::saying("one");
        provider.script(held.script());
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(following(&sidegate, held.first()).await);
        }
        sidegate.drain().begin_without_delay();
        sidegate.reaches(Phase::Closing).await;
        held.go.open_for_all();
        for client in &mut clients {
            let got = client.reply("POST").await;
            assert_eq!((got.text(), got.is_complete()), (held.whole(), true));
        }
        sidegate.reaches(Phase::Over).await;
        assert_eq!((provider.new_requests().len(), sidegate.drain().cut()), (1, 0));
    }
}

#[tokio::test]
async fn what_is_cut_at_the_end_of_a_drain_is_seen_to_be_cut_by_all() {
    let (mut provider, sidegate) = house(1, "drain: { delay: 10m, timeout: 20m }\n").await;
    let held = Held::saying("one");
    provider.script(Script::sse().chunk(held.first()).until_left());
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(following(&sidegate, held.first()).await);
    }
    sidegate.drain().begin_without_delay();
    sidegate.drain().end_now();
    for client in &mut clients {
        let got = client.reply("POST").await;
        assert_eq!((got.text().as_str(), got.is_complete()), (held.first(), false));
    }
    provider.departure().await;
    assert_eq!(provider.new_requests().len(), 1);
}
