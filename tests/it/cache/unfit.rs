//! What is never kept: replies that are not whole and good, and questions whose answer is more than an answer.

use super::*;
use crate::support::{Gate, Setup};

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Asks twice, in the same words; the provider is asked twice and nothing is kept.
async fn never_kept(name: &str, body: &str, script: Script) {
    let (mut provider, sidegate) = house("").await;
    provider.otherwise(script);
    for n in 1..=2 {
        let mut client = Client::connect(sidegate.address).await;
        client.post_with(CHAT, "Content-Type: application/json\r\n", body).await;
        let got = client.reply("POST").await;
        assert!(!matches!(cached(&got).as_str(), "hit" | "stale" | "collapsed"), "{name}: {}", cached(&got));
        settled(&sidegate, n).await;
    }
    assert_eq!(provider.new_requests().len(), 2, "{name}");
    // What went to the store late would be there now.
    assert_eq!(sidegate.metric(STORED).await, 0.0, "{name}");
    assert_eq!(sidegate.metric("sidegate_cache_entries").await, 0.0, "{name}");
    sidegate.holds_nothing().await;
}

/// A stream of these events that ends in order.
fn ends(events: &[&str]) -> Script {
    Script::events(events)
}

#[tokio::test]
async fn streams_that_are_not_whole_and_good_are_never_kept() {
    let [role, word, stop, done] = events("one");
    let [role, word, stop, done] = [&role, &word, &stop, &done].map(String::as_str);
    let filtered = stop.replace("\"stop\"", "\"content_filter\"");
    let strange = stop.replace("\"stop\"", "\"not_yet_invented\"");
    let error = "data: {\"error\":{\"message\":\"The server had an error.\",\"type\":\"server_error\"}}\n\n";
    let named = "event: error\ndata: {\"message\":\"no\"}\n\n";
    let refusal = word.replace("\"content\":\"one\"", "\"refusal\":\"I can't.\"");
    let head_and = |bytes: &str| Script::on_request().write(EVENTS).chunk(bytes);
    for (name, script) in [
        ("cut before the end of the chunks", head_and(role).chunk(word).chunk(stop).chunk(done).close()),
        ("cut in the middle", head_and(role).chunk(word).close()),
        ("reset in the middle", head_and(role).chunk(word).reset()),
        ("cut in the middle of an event", head_and(role).chunk("data: {\"cho").end()),
        ("broken chunks", head_and(role).chunk(word).chunk(stop).chunk(done).write("zz\r\n").close()),
        ("without [DONE]", ends(&[role, word, stop])),
        ("without a reason to finish", ends(&[role, word, done])),
        ("without an event", ends(&[])),
        ("[DONE] alone", ends(&[done])),
        ("an error and [DONE]", ends(&[role, word, error, done])),
        ("an error at first", ends(&[error])),
        ("an error behind the end", ends(&[role, word, stop, error, done])),
        ("an error by its name", ends(&[role, word, named, stop, done])),
        ("cut by a filter", ends(&[role, word, &filtered, done])),
        ("finished for a reason nobody knows", ends(&[role, word, &strange, done])),
        ("a refusal", ends(&[role, &refusal, stop, done])),
        ("something behind [DONE]", ends(&[role, word, stop, done, word])),
        ("an event that is no JSON", ends(&[role, "data: {\"choices\":[\n\n", stop, done])),
    ] {
        never_kept(name, STREAMED, script).await;
    }
}

#[tokio::test]
async fn whole_replies_that_are_not_good_are_never_kept() {
    let good = answer("one");
    let length = good.len();
    let cut = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{good}", length + 1);
    let html = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{good}");
    let empty = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n";
    let until_closed = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}", &good[..length - 1]);
    let json = |body: &str| Script::json("200 OK", body);
    for (name, script) in [
        ("cut", Script::reply(cut).close()),
        ("a page", Script::reply(html)),
        ("nothing", Script::reply(empty)),
        ("half of it, until the connection is closed", Script::reply(until_closed).close()),
        ("an error", json(r#"{"error":{"message":"The server had an error.","type":"server_error"}}"#)),
        ("an error beside choices", json(&good.replace("\"usage\"", "\"error\":{\"message\":\"no\"},\"usage\""))),
        ("no choices", json(r#"{"id":"c","object":"chat.completion","choices":[]}"#)),
        ("no object", json("[]")),
        ("no JSON", json(&good[..length - 2])),
        ("two of them", json(&format!("{good}{good}"))),
        ("cut by a filter", json(&good.replace("\"stop\"", "\"content_filter\""))),
        ("not finished", json(&good.replace("\"stop\"", "null"))),
        ("a refusal", json(&good.replace("\"content\":\"one\"", "\"content\":null,\"refusal\":\"I can't.\""))),
    ] {
        never_kept(name, ASK, script).await;
    }
}

#[tokio::test]
async fn other_statuses_are_never_kept() {
    for status in [
        "201 Created",
        "202 Accepted",
        "203 Non-Authoritative Information",
        "206 Partial Content",
        "207 Multi-Status",
        "301 Moved Permanently",
        "302 Found",
    ] {
        never_kept(status, ASK, Script::json_with(status, "Location: /elsewhere\r\n", &answer("one"))).await;
    }
    never_kept("204", ASK, Script::reply("HTTP/1.1 204 No Content\r\n\r\n")).await;
    never_kept("304", ASK, Script::reply("HTTP/1.1 304 Not Modified\r\n\r\n")).await;
}

#[tokio::test]
async fn parts_of_a_reply_are_never_kept_and_no_part_is_cut_from_what_is() {
    let (mut provider, sidegate) = house("").await;
    provider.script(Script::json_with("206 Partial Content", "Content-Range: bytes 0-3/400\r\n", "{\"id"));
    let range = "Range: bytes=0-3\r\n";
    assert_eq!(ask_with(&sidegate, range, ASK).await.status(), 206);
    provider.script(reply("one"));
    let whole = ask(&sidegate, ASK).await;
    assert_eq!((whole.text(), cached(&whole).as_str()), (answer("one"), "miss"));
    stored(&sidegate, 1).await;
    provider.script(Script::json_with("206 Partial Content", "Content-Range: bytes 0-3/400\r\n", "{\"id"));
    let part = ask_with(&sidegate, range, ASK).await;
    assert_eq!((part.status(), cached(&part).as_str()), (206, "bypass"));
    // A range that the provider does not know is still not a plain question.
    provider.script(reply("two"));
    assert_eq!(ask_with(&sidegate, range, ASK).await.text(), answer("two"));
    assert_eq!(ask(&sidegate, ASK).await.text(), answer("one"));
    assert_eq!((provider.new_requests().len(), sidegate.metric(STORED).await), (4, 1.0));
}

#[tokio::test]
async fn what_is_too_large_is_passed_on_whole_and_not_kept() {
    let long = "long ".repeat(1000);
    for (body, script, expected) in [(ASK, reply(&long), answer(&long)), (STREAMED, stream(&long), events(&long).concat())] {
        let (mut provider, sidegate) = house("cache: { ttl: 10m, max_entry: 4KiB }\n").await;
        provider.otherwise(script);
        for n in 1..=2 {
            let got = ask(&sidegate, body).await;
            assert!(got.is_complete() && got.text() == expected && cached(&got) == "miss");
            settled(&sidegate, n).await;
        }
        assert_eq!((provider.new_requests().len(), sidegate.metric(STORED).await), (2, 0.0));
        sidegate.holds_nothing().await;
    }
}

#[tokio::test]
async fn questions_whose_answer_is_more_than_an_answer_are_asked_each_time() {
    let with = |member: &str| format!("{},{member}}}", ASK.strip_suffix('}').unwrap());
    let responses = |member: &str| format!(r#"{{"model":"g","input":"hi"{member}}}"#);
    let image = |url: &str| {
        format!(r#"{{"model":"g","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#)
    };
    let (mut provider, sidegate) = house("").await;
    provider.otherwise(reply("one"));
    for (target, body) in [
        (CHAT, with(r#""store":true"#)),
        (CHAT, with(r#""tools":[{"type":"web_search"}]"#)),
        (CHAT, with(r#""web_search_options":{}"#)),
        (CHAT, with(r#""modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"}"#)),
        (CHAT, image("https://example.com/a.png")),
        (CHAT, image("http://169.254.169.254/latest")),
        (CHAT, image("HTTPS://example.com/a.png")),
        ("/v1/responses", responses("")),
        ("/v1/responses", responses(r#","store":true"#)),
        ("/v1/responses", responses(r#","store":null"#)),
        ("/v1/responses", responses(r#","store":false,"previous_response_id":"resp_1""#)),
        ("/v1/responses", responses(r#","store":false,"conversation":"conv_1""#)),
        ("/v1/responses", responses(r#","store":false,"background":true"#)),
        ("/v1/responses", responses(r#","store":false,"tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]"#)),
        ("/v1/responses", responses(r#","store":false,"tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#)),
        ("/v1/responses", responses(r#","store":false,"tools":[{"type":"mcp","server_url":"https://example.com"}]"#)),
        ("/v1/responses", responses(r#","store":false,"tools":[{"type":"image_generation"}]"#)),
        ("/v1/responses", responses(r#","store":false,"tools":[{"type":"not_yet_invented"}]"#)),
        // Which of the two the provider reads, nobody knows.
        (CHAT, r#"{"model":"gpt-4o","messages":[],"seed":1,"seed":2}"#.to_owned()),
        (CHAT, r#"{"model":"gpt-4o","messages":[{"role":"user","role":"system","content":"hi"}]}"#.to_owned()),
        (CHAT, r#"{"model":"gpt-4o","messages":[],"se\u0065d":1,"seed":2}"#.to_owned()),
        (CHAT, r#"{"model":"gpt-4o","messages":[{"role":"user","content":"\ud800"}]}"#.to_owned()),
        (CHAT, format!(r#"{{"model":"gpt-4o","messages":{}{}}}"#, "[".repeat(100), "]".repeat(100))),
        (CHAT, r#"{"model":"gpt-4o","messages":[]}{"model":"gpt-4o"}"#.to_owned()),
        (CHAT, r#"{"model":"gpt-4o","messages":[],"seed":NaN}"#.to_owned()),
        (CHAT, r#"{"model":"gpt-4o","messages":[],}"#.to_owned()),
        (CHAT, "{\"model\":\"gpt-4o\",\"messages\":[],\"user\":\"\u{1}\"}".to_owned()),
        (CHAT, r#"{"model":"gpt-4o","messages":[],"seed":01}"#.to_owned()),
        (CHAT, String::new()),
        (CHAT, "[]".to_owned()),
    ] {
        for _ in 0..2 {
            let got = ask_at(&sidegate, target, "", &body).await;
            assert!(got.status() == 400 || cached(&got) == "bypass", "{target} {body}: {} {}", got.status(), cached(&got));
        }
        // What is refused by us never gets there.
        assert!(matches!(provider.new_requests().len(), 0 | 2), "{target} {body}");
    }
    assert_eq!(sidegate.metric(STORED).await, 0.0);
}

/// A body that is signed, encoded or not all there is not read.
#[tokio::test]
async fn bodies_that_are_not_read_are_asked_each_time() {
    for fields in [
        "Content-Encoding: gzip\r\n",
        "Content-Encoding: br\r\n",
        "Content-Digest: sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:\r\n",
        "Digest: sha-256=X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=\r\n",
        "Signature: sig1=:YQ==:\r\nSignature-Input: sig1=(\"@method\")\r\n",
        "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n",
    ] {
        let (mut provider, sidegate) = house("").await;
        provider.otherwise(reply("one"));
        for _ in 0..2 {
            assert_eq!(cached(&ask_with(&sidegate, fields, ASK).await), "bypass", "{fields}");
        }
        assert_eq!(provider.new_requests().len(), 2, "{fields}");
    }
}

/// Another model's answer is served while the first can't; the next who asks may have the first's.
#[tokio::test]
async fn the_answer_of_a_model_that_stands_in_is_not_kept() {
    let down = r#"{"error":{"message":"The server is overloaded.","type":"server_error","param":null,"code":null}}"#;
    for (stands_in, is_kept) in [("{ provider: second, model: gpt-4o-mini }", false), ("second", true)] {
        let (mut first, mut second) = (Provider::start().await, Provider::always(reply("stood in")).await);
        let setup = Setup::of(first.address, "breaker: off").provider("second", second.address, "breaker: off").target(stands_in);
        let sidegate = setup.route("models: [\"gpt-4o\"]").section(CACHED).section("retry: { attempts: 2 }").start().await;
        first.script(Script::json("503 Service Unavailable", down));
        let got = ask(&sidegate, ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer("stood in"), "miss"));
        settled(&sidegate, 1).await;
        if !is_kept {
            first.script(reply("its own"));
        }
        let (says, word) = if is_kept { ("stood in", "hit") } else { ("its own", "miss") };
        let got = ask(&sidegate, ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(says), word));
        stored(&sidegate, 1).await;
        assert_eq!(ask(&sidegate, ASK).await.text(), answer(says));
        assert_eq!((first.new_requests().len(), second.new_requests().len()), (if is_kept { 1 } else { 2 }, 1));
    }
}

/// A call that nobody reads is not paid for to its end, and what came of it is no answer.
#[tokio::test]
async fn what_a_client_left_behind_is_not_kept() {
    let [role, _, _, _] = events("one");
    for before_the_head in [true, false] {
        let (mut provider, sidegate) = house("").await;
        let begun = Gate::new();
        let script = Script::on_request();
        let script = if before_the_head { script } else { script.write(EVENTS).chunk(&role) };
        provider.script(script.tell(&begun).until_left());
        let mut client = Client::connect(sidegate.address).await;
        client.post(CHAT, STREAMED).await;
        begun.reached("the call").await;
        if !before_the_head {
            client.until("assistant").await;
        }
        drop(client);
        provider.departure().await;
        assert_eq!(sidegate.log(1).await[0]["end"], "left");
        provider.script(stream("two"));
        let got = ask(&sidegate, STREAMED).await;
        assert_eq!((got.text(), cached(&got).as_str()), (events("two").concat(), "miss"));
        stored(&sidegate, 1).await;
        sidegate.holds_nothing().await;
    }
}
