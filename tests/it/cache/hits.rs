//! What is the same question, and what the second who asks it gets.

use super::*;
use crate::support::{H2Client, h2_client};

#[tokio::test]
async fn the_same_question_is_asked_once_and_answered_with_the_same_bytes() {
    for (body, script) in [(ASK, reply("one")), (STREAMED, stream("one"))] {
        let (mut provider, sidegate) = house("").await;
        provider.script(script);
        let first = ask(&sidegate, body).await;
        assert_eq!((first.status(), cached(&first).as_str(), first.head.get("age")), (200, "miss", None), "{}", first.text());
        stored(&sidegate, 1).await;
        for _ in 0..3 {
            let next = ask(&sidegate, body).await;
            assert_same(&first, &next);
            assert_eq!(cached(&next), "hit");
            let age: u64 = next.head.get("age").expect("a hit says how old it is").parse().unwrap();
            assert!(age < 600, "{age}");
            assert_ne!(first.head.get("x-request-id").unwrap(), next.head.get("x-request-id").unwrap());
        }
        assert_eq!(provider.new_requests().len(), 1);
        let lines = sidegate.log(4).await;
        let words: Vec<_> = lines.iter().map(|line| line["cache"].as_str().unwrap_or_default()).collect();
        assert_eq!(words, ["miss", "hit", "hit", "hit"]);
        assert!(lines[1..].iter().all(|line| line["tokens_in"].as_u64().unwrap_or(0) == 0 && line["end"] == "complete"), "{lines:#?}");
        sidegate.holds_nothing().await;
    }
}

#[tokio::test]
async fn one_connection_gets_hits_between_other_requests() {
    let (provider, sidegate) = house("").await;
    let mut client = Client::connect(sidegate.address).await;
    for says in ["one", "two"] {
        provider.script(reply(says));
    }
    let mut words = Vec::new();
    for (n, body) in [ASK, OTHER, ASK, OTHER, ASK].into_iter().enumerate() {
        client.post_with(CHAT, "Content-Type: application/json\r\n", body).await;
        let got = client.reply("POST").await;
        assert_eq!(got.text(), answer(["one", "two"][n % 2]));
        words.push(cached(&got));
        stored(&sidegate, if n == 0 { 1 } else { 2 }).await;
    }
    assert_eq!(words, ["miss", "miss", "hit", "hit", "hit"]);
}

#[tokio::test]
async fn both_versions_of_http_share_the_answer() {
    let (provider, sidegate) = house("").await;
    provider.script(stream("one"));
    let first = ask(&sidegate, STREAMED).await;
    stored(&sidegate, 1).await;
    let client = H2Client::connect(sidegate.address).await;
    let second = client.ask(h2_client::post(CHAT, STREAMED)).await;
    assert_eq!((second.status.as_u16(), second.end, second.body), (200, Ok(()), first.body.bytes));
    assert_eq!(second.headers["x-sidegate-cache"], "hit");
    assert_eq!(second.headers["content-type"], "text/event-stream");
}

#[tokio::test]
async fn how_the_same_question_is_written_makes_no_difference() {
    let (mut provider, sidegate) = house("").await;
    provider.script(reply("one"));
    let first = ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    for written in [
        "{ \"model\" : \"gpt-4o\" ,\r\n\t\"messages\" : [ { \"role\" : \"user\" , \"content\" : \"hi\" } ] }\n",
        r#"{"messages":[{"role":"user","content":"hi"}],"model":"gpt-4o"}"#,
        r#"{"model":"gpt-4o","messages":[{"content":"hi","role":"user"}]}"#,
        r#"{"mode\u006c":"gpt-4o","messages":[{"role":"user","content":"\u0068i"}]}"#,
    ] {
        let next = ask(&sidegate, written).await;
        assert_eq!(cached(&next), "hit", "{written}");
        assert_same(&first, &next);
    }
    assert_eq!(provider.new_requests().len(), 1);
}

#[tokio::test]
async fn whatever_the_answer_may_depend_on_makes_a_difference() {
    let (mut provider, sidegate) = house("cache: { ttl: 10m, headers: [x-tenant] }\n").await;
    let tool = |order: &str| {
        format!(
            r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"hi"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{{"type":"object","properties":{{{order}}}}}}}}}]}}"#
        )
    };
    let with = |member: &str| format!("{},{member}}}", ASK.strip_suffix('}').unwrap());
    let a_b = tool(r#""a":{"type":"string"},"b":{"type":"string"}"#);
    let b_a = tool(r#""b":{"type":"string"},"a":{"type":"string"}"#);
    let model = ASK.replace("gpt-4o", "gpt-4.1");
    let members =
        ["\"temperature\":0", "\"temperature\":1", "\"seed\":9007199254740992", "\"seed\":9007199254740993", "\"n\":1", "\"stop\":null"]
            .map(with);
    let mut asks: Vec<(&str, &str)> = vec![("", ASK), ("", OTHER), ("", &model), ("", &a_b), ("", &b_a)];
    asks.extend(members.iter().map(|body| ("", body.as_str())));
    asks.extend(
        [
            "Accept-Encoding: gzip\r\n",
            "Accept-Encoding: br\r\n",
            "Accept: text/event-stream\r\n",
            "OpenAI-Beta: assistants=v2\r\n",
            "X-Tenant: a\r\n",
            "X-Tenant: b\r\n",
        ]
        .map(|fields| (fields, ASK)),
    );
    for (n, (fields, body)) in asks.iter().enumerate() {
        provider.script(reply(&n.to_string()));
        let got = ask_with(&sidegate, fields, body).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(&n.to_string()), "miss"), "{fields}{body}");
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
    }
    for (n, (fields, body)) in asks.iter().enumerate() {
        let got = ask_with(&sidegate, fields, body).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(&n.to_string()), "hit"), "{fields}{body}");
    }
    assert_eq!(provider.new_requests().len(), asks.len());
}

#[tokio::test]
async fn a_stream_and_a_whole_reply_are_answers_to_two_questions() {
    let (mut provider, sidegate) = house("").await;
    provider.script(stream("streamed"));
    provider.script(reply("whole"));
    let streamed = ask(&sidegate, STREAMED).await;
    let whole = ask(&sidegate, ASK).await;
    assert_eq!((cached(&streamed).as_str(), cached(&whole).as_str()), ("miss", "miss"));
    stored(&sidegate, 2).await;
    assert_same(&streamed, &ask(&sidegate, STREAMED).await);
    assert_same(&whole, &ask(&sidegate, ASK).await);
    assert_eq!(provider.new_requests().len(), 2);
}

/// Comments, line ends and pieces of a character are the provider's; so is where a chunk ends, which nobody may rely on.
#[tokio::test]
async fn a_stream_is_played_again_byte_for_byte_however_it_was_cut() {
    let [role, word, end, done] = events("h\u{e9}llo");
    let odd = format!(": keep-alive\r\n\r\n{role}:\n\nevent: x\r\n{}retry: 10\n\n{end}{done}", word.replace('\n', "\r\n"));
    for size in [1, 7, 100, 100_000] {
        let (provider, sidegate) = house("").await;
        let mut body = Vec::new();
        for part in odd.as_bytes().chunks(size) {
            body.extend([format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat());
        }
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n";
        provider.script(Script::reply(head).write(body).end());
        let first = ask(&sidegate, STREAMED).await;
        assert_eq!(first.text(), odd);
        stored(&sidegate, 1).await;
        let second = ask(&sidegate, STREAMED).await;
        assert_eq!((second.text().as_str(), cached(&second).as_str()), (odd.as_str(), "hit"), "in parts of {size}");
        assert_same(&first, &second);
    }
}

#[tokio::test]
async fn a_stream_that_is_played_at_its_pace_has_the_same_bytes() {
    let (provider, sidegate) = house("cache: { ttl: 10m, replay: paced }\n").await;
    provider.script(stream("one"));
    let first = ask(&sidegate, STREAMED).await;
    stored(&sidegate, 1).await;
    let second = ask(&sidegate, STREAMED).await;
    assert_eq!(cached(&second), "hit");
    assert_same(&first, &second);
    sidegate.holds_nothing().await;
}

#[tokio::test]
async fn nothing_but_a_post_is_answered_from_what_is_stored() {
    let (mut provider, sidegate) = house("").await;
    provider.otherwise(reply("one"));
    ask(&sidegate, ASK).await;
    stored(&sidegate, 1).await;
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for _ in 0..2 {
            provider.otherwise(if method == "HEAD" { Script::reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") } else { reply("two") });
            provider.new_requests();
            let mut client = Client::connect(sidegate.address).await;
            let head = format!("{method} {CHAT} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n");
            client.send(format!("{head}Content-Length: {}\r\n\r\n{ASK}", ASK.len())).await;
            let got = client.reply(method).await;
            assert!(!matches!(cached(&got).as_str(), "hit" | "miss" | "collapsed"), "{method}: {}", cached(&got));
            assert_eq!((got.status(), provider.new_requests().len()), (200, 1), "{method}");
        }
    }
    assert_eq!(sidegate.metric(STORED).await, 1.0);
    assert_eq!(ask(&sidegate, ASK).await.text(), answer("one"));
}

#[tokio::test]
async fn other_endpoints_are_asked_each_time() {
    let (mut provider, sidegate) = house("").await;
    provider.otherwise(reply("one"));
    for target in ["/v1/files", "/v1/batches", "/v1/images/generations", "/v1/audio/speech", "/v1/assistants", "/v1/something/new"] {
        for _ in 0..2 {
            let got = ask_at(&sidegate, target, "", ASK).await;
            assert!(matches!(cached(&got).as_str(), "bypass" | ""), "{target}: {}", cached(&got));
        }
        assert_eq!(provider.new_requests().len(), 2, "{target}");
    }
}

#[tokio::test]
async fn without_a_cache_nothing_is_kept_and_nothing_is_said_of_it() {
    let off = "routes: [{ path: /v1, targets: [scripted], cache: off }]\ncache: { ttl: 10m }\n";
    let config = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers: { scripted: { base_url: "http://$UPSTREAM/v1", keys: [{ value: "$KEY" }] } }
"#;
    for sections in ["routes: [{ path: /v1, targets: [scripted] }]\n", off] {
        let mut provider = Provider::always(reply("one")).await;
        let sidegate = Sidegate::start(&format!("{config}{sections}"), provider.address).await;
        for _ in 0..2 {
            let got = ask(&sidegate, ASK).await;
            assert_eq!((got.status(), cached(&got).as_str(), got.head.get("age")), (200, "", None));
        }
        assert_eq!(provider.new_requests().len(), 2);
        assert!(sidegate.log(2).await.iter().all(|line| line["cache"].is_null()));
    }
}

#[tokio::test]
async fn a_route_may_have_its_own_word() {
    let config = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
providers: { scripted: { base_url: "http://$UPSTREAM/v1", keys: [{ value: "$KEY" }] } }
routes:
  - { path: /off, targets: [scripted], cache: off }
  - { path: /strict, targets: [scripted], cache: { determinism: strict } }
  - { path: /v1, targets: [scripted] }
cache: { ttl: 10m }
"#;
    let provider = Provider::always(reply("one")).await;
    let sidegate = Sidegate::start(config, provider.address).await;
    let certain = r#"{"model":"gpt-4o","messages":[],"temperature":0}"#;
    let mut kept = 0;
    for (path, body, words) in [
        ("/off", ASK, ["", ""]),
        ("/strict", ASK, ["bypass", "bypass"]),
        ("/strict", certain, ["miss", "hit"]),
        ("/v1", ASK, ["miss", "hit"]),
        ("/v1", certain, ["miss", "hit"]),
    ] {
        let target = format!("{path}/chat/completions");
        let first = ask_at(&sidegate, &target, "", body).await;
        kept += u32::from(words[1] == "hit");
        stored(&sidegate, kept).await;
        let second = ask_at(&sidegate, &target, "", body).await;
        assert_eq!([cached(&first), cached(&second)], words, "{path} {body}");
    }
}
