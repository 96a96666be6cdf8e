//! What a request holds belongs to no generation: it outlives the one that it was taken in, and is given back.

use super::*;

#[tokio::test]
async fn a_request_whose_keys_are_replaced_while_it_uploads_is_served_with_the_new_ones() {
    let mut provider = Provider::always(Script::ok("served")).await;
    let house = House::with(&with_key("sk-one"), provider.address);
    let sidegate = house.open();
    let mut client = Client::connect(sidegate.address).await;
    client.send(format!("POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{{", ASK.len())).await;
    // The head has begun its way when a second request over another connection is served.
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-one");
    house.write(&with_key("sk-two"));
    assert_eq!(sidegate.reload().generation, 2);
    client.send(&ASK[1..]).await;
    assert_eq!(client.reply("POST").await.text(), "served");
    assert_eq!(key_of(&provider.request().await), "sk-two");
}

#[tokio::test]
async fn a_key_that_is_renamed_or_weighed_anew_is_the_same_key() {
    let mut provider = Provider::start().await;
    let go_on = Gate::new();
    provider.script(Script::on_request().wait(&go_on).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    provider.otherwise(Script::ok("served"));
    let two =
        |weight: &str, name: &str| config(&format!("{{ name: {name}, value: sk-a, weight: {weight} }}, {{ name: b, value: sk-b }}"), "");
    let house = House::with(&two("1", "a"), provider.address);
    let sidegate = house.open();
    let mut busy = Client::connect(sidegate.address).await;
    busy.post("/v1/chat/completions", ASK).await;
    let (held, other) = match key_of(&provider.request().await).as_str() {
        "sk-a" => ("sk-a", "sk-b"),
        _ => ("sk-b", "sk-a"),
    };
    house.write(&two("1.1", "renamed"));
    assert_eq!(sidegate.reload().generation, 2);
    for _ in 0..4 {
        assert_eq!(key_in_use(&sidegate, &mut provider).await, other, "{held} still carries a request");
    }
    go_on.open();
    assert_eq!(busy.reply("POST").await.status(), 200);
    let used = [key_in_use(&sidegate, &mut provider).await, key_in_use(&sidegate, &mut provider).await];
    assert!(used.contains(&held.to_owned()), "it was given back: {used:?}");
}

#[tokio::test]
async fn a_request_that_waits_for_a_connection_goes_out_with_no_key_that_was_taken_back() {
    let mut provider = Provider::start().await;
    let go_on = Gate::new();
    provider.script(Script::on_request().wait(&go_on).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    provider.otherwise(Script::ok("served"));
    let single = |keys: &str| config(keys, "").replace("    keys:", "    connections: { max: 1 }\n    keys:");
    let house = House::with(&single("{ value: sk-one, organization: one }"), provider.address);
    let sidegate = house.open();
    let mut busy = Client::connect(sidegate.address).await;
    busy.post("/v1/chat/completions", ASK).await;
    assert_eq!(key_of(&provider.request().await), "sk-one");
    let mut waiting = Client::connect(sidegate.address).await;
    waiting.post("/v1/chat/completions", ASK).await;
    sidegate.metric_becomes(r#"sidegate_requests_in_flight{route="/v1",provider="scripted"}"#, 2.0).await;
    house.write(&single("{ value: sk-two }"));
    assert_eq!(sidegate.reload().generation, 2);
    go_on.open();
    assert_eq!(busy.reply("POST").await.status(), 200);
    assert_eq!(waiting.reply("POST").await.status(), 200);
    let second = provider.request().await;
    assert_eq!(key_of(&second), "sk-two");
    assert!(second.head.all("openai-organization").is_empty(), "nothing is left of the first");
}

#[tokio::test]
async fn a_request_that_waits_for_a_connection_is_refused_where_no_key_is_left() {
    let mut provider = Provider::start().await;
    let go_on = Gate::new();
    provider.script(Script::on_request().wait(&go_on).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    provider.otherwise(Script::ok("served"));
    let house = House::with(&config("{ file: key }", "").replace("    keys:", "    connections: { max: 1 }\n    keys:"), provider.address);
    house.put("key", "sk-one");
    let sidegate = house.open();
    let mut busy = Client::connect(sidegate.address).await;
    busy.post("/v1/chat/completions", ASK).await;
    provider.request().await;
    let mut waiting = Client::connect(sidegate.address).await;
    waiting.post("/v1/chat/completions", ASK).await;
    sidegate.metric_becomes(r#"sidegate_requests_in_flight{route="/v1",provider="scripted"}"#, 2.0).await;
    fs::remove_file(house.path("key")).unwrap();
    assert!(matches!(sidegate.reload().outcome, Outcome::Refused(_)));
    go_on.open();
    assert_eq!(busy.reply("POST").await.status(), 200);
    assert_eq!(waiting.reply("POST").await.status(), 503);
    // Its connection is whole, and serves the next.
    house.put("key", "sk-one");
    assert_eq!(sidegate.reload().outcome, Outcome::Unchanged);
    assert_eq!(key_in_use(&sidegate, &mut provider).await, "sk-one");
    assert_eq!(provider.connections(), 1);
}

#[tokio::test]
async fn a_new_key_goes_where_its_own_config_says_and_nowhere_else() {
    for moved in [false, true] {
        let mut provider = Provider::start().await;
        let go_on = Gate::new();
        provider.script(Script::on_request().wait(&go_on).write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
        provider.otherwise(Script::ok("served"));
        let single = |key: &str, max| config(key, "").replace("    keys:", &format!("    connections: {{ max: {max} }}\n    keys:"));
        let house = House::with(&single("{ value: sk-one }", 1), provider.address);
        let sidegate = house.open();
        let mut busy = Client::connect(sidegate.address).await;
        busy.post("/v1/chat/completions", ASK).await;
        provider.request().await;
        let mut waiting = Client::connect(sidegate.address).await;
        waiting.post("/v1/chat/completions", ASK).await;
        sidegate.metric_becomes(r#"sidegate_requests_in_flight{route="/v1",provider="scripted"}"#, 2.0).await;
        // Other bounds make another endpoint at the same place; another path is another place.
        let next = single("{ value: sk-two }", 2);
        house.write(&if moved { next.replace("$UPSTREAM/v1", "$UPSTREAM/elsewhere") } else { next });
        assert_eq!(sidegate.reload().generation, 2);
        go_on.open();
        assert_eq!(busy.reply("POST").await.status(), 200);
        assert_eq!(waiting.reply("POST").await.status(), 200);
        let request = provider.request().await;
        let place = if moved { "POST /elsewhere/chat/completions HTTP/1.1" } else { "POST /v1/chat/completions HTTP/1.1" };
        assert_eq!((String::from_utf8_lossy(&request.head.line).as_ref(), key_of(&request).as_str()), (place, "sk-two"));
        assert_eq!(provider.asked(), 2, "nothing went to the old place with the new key");
    }
}
