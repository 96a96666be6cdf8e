//! What comes by itself: files are watched, however they are replaced.

use std::os::unix::fs::symlink;

use super::*;
use crate::support::at_rest;

/// A directory of keys, each a file.
const DIRECTORY: &str = "{ dir: keys }";

async fn becomes(sidegate: &Sidegate, generation: u64) {
    sidegate.metric_becomes("sidegate_config_generation", generation as f64).await;
}

#[tokio::test]
async fn a_config_is_followed_however_its_file_is_replaced() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&with_key("sk-0"), provider.address);
    let text = |secret: &str| with_key(secret).replace("$UPSTREAM", &provider.address.to_string());
    // As the kubelet lays out a ConfigMap.
    house.put("..1/proxy.yaml", &text("sk-1"));
    fs::remove_file(house.path("proxy.yaml")).unwrap();
    symlink("..1", house.path("..data")).unwrap();
    symlink("..data/proxy.yaml", house.path("proxy.yaml")).unwrap();
    let sidegate = house.watched();
    house.put("..2/proxy.yaml", &text("sk-2"));
    symlink("..2", house.path("..tmp")).unwrap();
    fs::rename(house.path("..tmp"), house.path("..data")).unwrap();
    fs::remove_dir_all(house.path("..1")).unwrap();
    becomes(&sidegate, 2).await;
    fs::write(house.path("new"), text("sk-3")).unwrap();
    fs::rename(house.path("new"), house.path("proxy.yaml")).unwrap();
    becomes(&sidegate, 3).await;
    fs::write(house.path("proxy.yaml"), text("sk-4")).unwrap();
    becomes(&sidegate, 4).await;
    fs::remove_file(house.path("proxy.yaml")).unwrap();
    fs::write(house.path("proxy.yaml"), text("sk-5")).unwrap();
    becomes(&sidegate, 5).await;
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-5");
}

#[tokio::test]
async fn a_file_that_is_being_written_is_not_taken_half() {
    let provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&with_key("sk-one"), provider.address);
    let sidegate = house.watched();
    let text = with_key("sk-two").replace("$UPSTREAM", &provider.address.to_string());
    for end in (0..text.len()).step_by(20).chain([text.len()]) {
        fs::write(house.path("proxy.yaml"), &text[..end]).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    becomes(&sidegate, 2).await;
    // It is told of once it is in force.
    let status = eventually("it is told of", || sidegate.reloads(), |status| status.applied == 1).await;
    assert_eq!(status.refused, 0, "{status:?}");
}

#[tokio::test]
async fn a_file_that_stays_broken_is_told_of_once_and_taken_when_mended() {
    let provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&with_key("sk-one"), provider.address);
    let sidegate = house.watched();
    house.write("routes: [");
    eventually("it is refused", || sidegate.reloads().refused, |refused| *refused == 1).await;
    house.write(&with_key("sk-one"));
    sidegate.metric_becomes("sidegate_config_last_reload_success", 1.0).await;
    let status = sidegate.reloads();
    assert_eq!((status.applied, status.refused), (0, 1), "{status:?}");
}

#[tokio::test]
async fn a_new_file_is_a_new_key_and_a_removed_one_gets_no_request_while_its_streams_finish() {
    let mut provider = Provider::start().await;
    let go_on = Gate::new();
    let house = House::with(&config(DIRECTORY, ""), provider.address);
    house.put("keys/a", "sk-a\n");
    let sidegate = house.watched();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    provider.script(Script::reply(head).chunk("one").wait(&go_on).chunk("two").write("0\r\n\r\n"));
    provider.otherwise(Script::ok("served"));
    let mut streaming = Client::connect(sidegate.address).await;
    streaming.post("/v1/chat/completions", ASK).await;
    streaming.until("one").await;
    assert_eq!(key_of(&provider.request().await), "sk-a");
    house.put("keys/b", "sk-b\n");
    becomes(&sidegate, 2).await;
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-b", "the other one is busy");
    fs::remove_file(house.path("keys/a")).unwrap();
    becomes(&sidegate, 3).await;
    for _ in 0..10 {
        assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-b");
    }
    go_on.open();
    assert!(streaming.until("0\r\n\r\n").await.contains("two"));
}

#[tokio::test]
async fn keys_are_followed_also_while_the_config_is_broken() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&config(DIRECTORY, ""), provider.address);
    house.put("keys/a", "sk-a\n");
    let sidegate = house.watched();
    house.write("routes: [");
    eventually("it is refused", || sidegate.reloads().refused, |refused| *refused == 1).await;
    house.put("keys/b", "sk-b\n");
    fs::remove_file(house.path("keys/a")).unwrap();
    becomes(&sidegate, 2).await;
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-b");
    assert_eq!(sidegate.metric("sidegate_config_last_reload_success").await, 0.0, "the config is as broken as before");
    // The last one: nothing can be served, and the key is taken back all the same.
    fs::remove_file(house.path("keys/b")).unwrap();
    let unready = async {
        while sidegate.ask_admin("/readyz").await.status() == 200 {
            tokio::task::yield_now().await;
        }
    };
    crate::support::within("no key is in use", unready).await;
    let asked = provider.asked();
    let mut client = Client::connect(sidegate.address).await;
    client.post("/v1/chat/completions", ASK).await;
    assert_eq!(client.reply("POST").await.status(), 503);
    assert_eq!(at_rest("requests", || provider.asked() as u64).await, asked as u64);
    // The same key comes back, and is the same key.
    house.put("keys/b", "sk-b\n");
    let ready = async {
        while sidegate.ask_admin("/readyz").await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    crate::support::within("it is ready again", ready).await;
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-b");
}

#[tokio::test]
async fn a_directory_that_cannot_be_reached_takes_nothing_back() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&config(DIRECTORY, ""), provider.address);
    house.put("keys/a", "sk-a\n");
    let sidegate = house.watched();
    fs::rename(house.path("keys"), house.path("elsewhere")).unwrap();
    eventually("it is refused", || sidegate.reloads().refused, |refused| *refused == 1).await;
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-a");
}
