//! Whoever asks something else, by whichever trick, neither gets nor leaves an answer for those who ask plainly.

use super::*;
use crate::support::provider::Request;

/// What a plain question is at the provider.
const PLAIN: &str = "POST /v1/chat/completions HTTP/1.1";

/// Whatever decides about an answer of what the provider was sent.
fn sent(request: &Request) -> (String, Vec<u8>) {
    (String::from_utf8_lossy(&request.head.line).into_owned(), request.body.bytes.clone())
}

/// Sends these bytes, then asks plainly. They share an answer only if the provider would be sent the same.
async fn tricked(name: &str, bytes: &[u8]) {
    let (mut provider, sidegate) = house("").await;
    provider.otherwise(reply("for the trick"));
    let mut client = Client::connect(sidegate.address).await;
    client.send(bytes).await;
    let _ = client.answer("POST").await;
    drop(client);
    // A call that goes on would be joined, and one that is done is stored.
    sidegate.holds_nothing().await;
    let before: Vec<_> = provider.new_requests().iter().map(sent).collect();
    let is_plain = |sent: &(String, Vec<u8>)| *sent == (PLAIN.to_owned(), ASK.as_bytes().to_vec());
    let asked_plainly = before.iter().any(is_plain);
    provider.otherwise(reply("plain"));
    let plain = ask(&sidegate, ASK).await;
    // What stood behind the trick on its connection may come to the provider now.
    if !provider.new_requests().iter().map(sent).any(|sent| is_plain(&sent)) {
        assert!(asked_plainly, "what was answered to {name} is told to who asks plainly: {before:?}");
        assert_eq!(cached(&plain), "hit", "{name}");
    } else {
        assert_eq!((plain.status(), plain.text(), cached(&plain).as_str()), (200, answer("plain"), "miss"), "{name}");
    }
    // And the other way round: who asks so is not told what was for those who ask plainly.
    provider.otherwise(reply("for the trick"));
    let mut client = Client::connect(sidegate.address).await;
    client.send(bytes).await;
    let told_plainly = client.answer("POST").await.is_ok_and(|again| cached(&again) == "hit" && again.text() == answer("plain"));
    assert!(!told_plainly || asked_plainly, "{name} is told what was for those who ask plainly");
}

/// A request with this target and these fields before its body.
fn request(target: &str, fields: &str) -> Vec<u8> {
    let length = ASK.len();
    format!("POST {target} HTTP/1.1\r\n{fields}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{ASK}").into_bytes()
}

#[tokio::test]
async fn a_path_that_is_written_otherwise_is_another_question() {
    for target in [
        "/v1//chat/completions",
        "//v1/chat/completions",
        "/v1/./chat/completions",
        "/v1/%2e/chat/completions",
        "/v1/x/../chat/completions",
        "/v1/x/%2e%2e/chat/completions",
        "/v1/chat%2Fcompletions",
        "/v1/chat%2fcompletions",
        "/v1/chat/completions/",
        "/v1/chat/completions;v=1",
        "/v1/chat;x/completions",
        "/v1/Chat/Completions",
        "/V1/chat/completions",
        "/v1/chat/completion%73",
        "/v1/chat/completions%00",
        "/v1/chat/completions%20",
        "/v1/chat\\completions",
        "/v1/chat/completions#x",
        "/v1/chat/completions.json",
    ] {
        tricked(target, &request(target, "Host: sidegate.test\r\n")).await;
    }
}

#[tokio::test]
async fn a_query_is_part_of_the_question() {
    for query in
        ["?", "?a=1", "?a=1&a=2", "?a=2&a=1", "?A=1", "?a=%31", "?a=1&", "?stream=true", "?model=gpt-4.1", "?utm_source=x", "?key=sk-x"]
    {
        tricked(query, &request(&format!("{CHAT}{query}"), "Host: sidegate.test\r\n")).await;
    }
}

#[tokio::test]
async fn no_host_and_no_absolute_target_leaves_an_answer_from_elsewhere() {
    for (target, host) in [
        (CHAT, "evil.test"),
        (CHAT, "sidegate.test:81"),
        (CHAT, "SIDEGATE.TEST"),
        ("http://sidegate.test/v1/chat/completions", "sidegate.test"),
        ("http://evil.test/v1/chat/completions", "sidegate.test"),
        ("http://evil.test/v1/chat/completions", "evil.test"),
        ("https://sidegate.test:443/v1/chat/completions", "sidegate.test:443"),
        ("http://sidegate.test/v1//chat/completions", "sidegate.test"),
        ("http://user@sidegate.test/v1/chat/completions", "sidegate.test"),
    ] {
        tricked(&format!("{target} at {host}"), &request(target, &format!("Host: {host}\r\n"))).await;
    }
}

#[tokio::test]
async fn fields_that_mean_another_request_elsewhere_mean_nothing_here() {
    for field in [
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-Scheme: http",
        "X-Forwarded-Proto: http",
        "X-Original-URL: /v1/models",
        "X-Rewrite-URL: /v1/models",
        "X-HTTP-Method-Override: GET",
        "X-Host: evil.test",
        "Forwarded: host=evil.test",
        "X_Sidegate_Cache: hit",
        "X-Sidegate-Cache: hit",
        "Age: 1",
        "Connection: content-type",
        "Connection: accept-encoding\r\nAccept-Encoding: gzip",
        "Cache-Control: s-maxage=10000, public",
        "If-None-Match: *",
        "If-Modified-Since: Sun, 22 Nov 2026 00:00:00 GMT",
        "Accept_Encoding: gzip",
        "OpenAI_Beta: assistants=v2",
        "Transfer-Encoding: identity",
    ] {
        tricked(field, &request(CHAT, &format!("Host: sidegate.test\r\n{field}\r\n"))).await;
    }
}

#[tokio::test]
async fn bodies_of_two_readings_leave_nothing() {
    let length = ASK.len();
    let start = "POST /v1/chat/completions HTTP/1.1\r\nHost: sidegate.test\r\nContent-Type: application/json\r\n";
    let chunked = format!("{length:x}\r\n{ASK}\r\n0\r\n\r\n");
    for (name, rest) in [
        ("two lengths", format!("Content-Length: {length}\r\nContent-Length: 2\r\n\r\n{ASK}")),
        ("a list of lengths", format!("Content-Length: {length}, {length}\r\n\r\n{ASK}")),
        ("a length and chunks", format!("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")),
        ("chunks by another name", format!("Transfer-Encoding: xchunked\r\n\r\n{chunked}")),
        ("chunks", format!("Transfer-Encoding: chunked\r\n\r\n{chunked}")),
        ("chunks and trailers", format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{ASK}\r\n0\r\nOpenAI-Beta: x\r\n\r\n")),
        ("a byte too few", format!("Content-Length: {}\r\n\r\n{ASK}", length - 1)),
        ("more behind it", format!("Content-Length: {length}\r\n\r\n{ASK}GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("a folded line", format!("X-A: b\r\n Content-Length: 2\r\nContent-Length: {length}\r\n\r\n{ASK}")),
        ("a mark before it", format!("Content-Length: {}\r\n\r\n\u{feff}{ASK}", length + 3)),
    ] {
        tricked(name, format!("{start}{rest}").as_bytes()).await;
    }
}

#[tokio::test]
async fn bodies_that_nearly_say_the_same_are_different_questions() {
    let (mut provider, sidegate) = house("").await;
    let content = |text: &str| ASK.replace("\"hi\"", text);
    let with = |member: &str| format!("{},{member}}}", ASK.strip_suffix('}').unwrap());
    let asks = [
        ASK.to_owned(),
        content("\"hi \""),
        content("\"Hi\""),
        content("\"h\u{ed}\""),
        // The same to the eye, composed of two.
        content("\"hi\u{301}\""),
        content("\"h\\u0000i\""),
        content("[{\"type\":\"text\",\"text\":\"hi\"}]"),
        content("null"),
        content("\"null\""),
        with(r#""seed":9007199254740992"#),
        with(r#""seed":9007199254740993"#),
        with(r#""seed":-9007199254740993"#),
        with(r#""seed":null"#),
        with(r#""seed":0"#),
        with(r#""seed":"0""#),
        with(r#""seed":false"#),
        with(r#""seed":[]"#),
        with(r#""seed":{}"#),
        with(r#""Seed":0"#),
        with(r#""":0"#),
        with(r#""temperature":0.1"#),
        with(r#""temperature":0.10000000000000001e1"#),
        with(r#""stop":["a","b"]"#),
        with(r#""stop":["b","a"]"#),
        with(r#""stop":["a,b"]"#),
        with(r#""stop":["a","b",null]"#),
        with(r#""logit_bias":{"1":2}"#),
        with(r#""logit_bias":{"12":0}"#),
    ];
    for (n, body) in asks.iter().enumerate() {
        provider.script(reply(&n.to_string()));
        let got = ask(&sidegate, body).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(&n.to_string()), "miss"), "{body}");
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
    }
    for (n, body) in asks.iter().enumerate() {
        assert_eq!(ask(&sidegate, body).await.text(), answer(&n.to_string()), "{body}");
    }
    assert_eq!(provider.new_requests().len(), asks.len());
}

/// One route's answer is not another's: they may ask other providers, under other names of the model.
#[tokio::test]
async fn routes_do_not_answer_for_each_other() {
    let config = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
retry: { attempts: 1 }
providers:
  one: { base_url: "http://$UPSTREAM/one/v1", http_version: "1.1", keys: [{ value: "$KEY" }] }
  two: { base_url: "http://$UPSTREAM/two/v1", http_version: "1.1", keys: [{ value: "$KEY" }] }
routes:
  - { path: /one, targets: [one] }
  - { path: /two, targets: [two] }
  - { path: /renamed, targets: [{ provider: one, model: gpt-4.1 }], models: ["gpt-4o"] }
cache: { ttl: 10m }
"#;
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::start(config, provider.address).await;
    let paths = ["/one", "/two", "/renamed"];
    for (n, path) in paths.into_iter().enumerate() {
        provider.script(reply(path));
        let got = ask_at(&sidegate, &format!("{path}/chat/completions"), "", ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(path), "miss"));
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
    }
    for path in paths {
        let got = ask_at(&sidegate, &format!("{path}/chat/completions"), "", ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(path), "hit"));
    }
    assert_eq!(provider.new_requests().len(), 3);
}

#[tokio::test]
async fn a_field_that_goes_no_further_makes_no_other_question_of_it() {
    let (provider, sidegate) = house("").await;
    // The provider never sees it: its answer is that to who sends none.
    provider.script(reply("without"));
    ask_with(&sidegate, "OpenAI-Beta: b\r\nConnection: openai-beta\r\n", ASK).await;
    stored(&sidegate, 1).await;
    provider.script(reply("with"));
    let got = ask_with(&sidegate, "OpenAI-Beta: b\r\n", ASK).await;
    assert_eq!((got.text(), cached(&got).as_str()), (answer("with"), "miss"));
    assert_eq!(ask(&sidegate, ASK).await.text(), answer("without"));
}

#[tokio::test]
async fn a_reply_that_was_cut_to_some_fields_answers_those_alone_who_asked_for_them() {
    let (provider, sidegate) = house("").await;
    for (n, fields) in
        ["X-Goog-FieldMask: candidates\r\n", "X-Policy-Id: strict\r\n", "X-HTTP-Method-Override: GET\r\n", ""].into_iter().enumerate()
    {
        provider.script(reply(&n.to_string()));
        let got = ask_with(&sidegate, fields, ASK).await;
        assert_eq!((got.text(), cached(&got).as_str()), (answer(&n.to_string()), "miss"), "{fields}");
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
    }
    provider.script(reply("underscored"));
    assert_eq!(cached(&ask_with(&sidegate, "openai_beta: b\r\n", ASK).await), "bypass");
}
