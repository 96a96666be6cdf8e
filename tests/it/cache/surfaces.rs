//! Every operation whose answer is an answer alone, of every provider, whole and streamed, plain and compressed.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::*;

const ALL: &str = r#"
listen: { address: "127.0.0.1:0", workers: 1 }
admin: { address: "127.0.0.1:0" }
retry: { attempts: 1 }
providers:
  openai: { base_url: "http://$UPSTREAM/v1", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
  anthropic: { dialect: anthropic, base_url: "http://$UPSTREAM/v1", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
  gemini: { dialect: gemini, base_url: "http://$UPSTREAM/v1beta", http_version: "1.1", keys: [{ name: pool, value: "$KEY" }] }
routes:
  - { path: /anthropic, targets: [anthropic] }
  - { path: /v1beta, targets: [gemini] }
  - { path: /v1, targets: [openai] }
cache: { ttl: 10m }
"#;

const EMBEDDING: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25,-0.5]}],"model":"e","usage":{"prompt_tokens":1,"total_tokens":1}}"#;
const MODERATION: &str =
    r#"{"id":"modr-1","model":"omni","results":[{"flagged":false,"categories":{"hate":false},"category_scores":{"hate":0.01}}]}"#;
const COMPLETION: &str = r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"g","choices":[{"text":"x","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
const RESPONSE: &str = r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","error":null,"incomplete_details":null,"model":"g","output":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"x","annotations":[]}]}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}"#;
const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}"#;
const CONTENT: &str = r#"{"candidates":[{"content":{"parts":[{"text":"x"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2},"modelVersion":"g"}"#;
const CONTENT_EMBEDDING: &str = r#"{"embedding":{"values":[0.25,-0.5]}}"#;

const RESPONSE_EVENTS: &[&str] = &[
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\"}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"x\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"error\":null,\"incomplete_details\":null,\"output\":[{\"type\":\"message\",\"role\":\"assistant\",\"status\":\"completed\",\"content\":[{\"type\":\"output_text\",\"text\":\"x\"}]}],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n",
];
const MESSAGE_EVENTS: &[&str] = &[
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"claude\",\"stop_reason\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"x\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":1}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];
const CONTENT_EVENTS: &[&str] = &[
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"x\"}],\"role\": \"model\"},\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 1}}\r\n\r\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"\"}],\"role\": \"model\"},\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 1,\"candidatesTokenCount\": 1}}\r\n\r\n",
];
const COMPLETION_EVENTS: &[&str] = &[
    "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"choices\":[{\"text\":\"x\",\"index\":0,\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"stop\"}]}\n\n",
    "data: [DONE]\n\n",
];

const ASKS: [(&str, &str, &str); 7] = [
    ("/v1/chat/completions", ASK, ""),
    ("/v1/embeddings", r#"{"model":"e","input":["hi","ho"]}"#, EMBEDDING),
    ("/v1/moderations", r#"{"input":"hi"}"#, MODERATION),
    ("/v1/completions", r#"{"model":"g","prompt":"hi"}"#, COMPLETION),
    ("/v1/responses", r#"{"model":"g","input":"hi","store":false}"#, RESPONSE),
    ("/anthropic/messages", r#"{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#, MESSAGE),
    ("/v1beta/models/g:generateContent", r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#, CONTENT),
];

/// Asks twice; the provider is asked once, and both replies are the same.
async fn once(target: &str, body: &str, script: Script) {
    let mut provider = Provider::start().await;
    let sidegate = Sidegate::start(ALL, provider.address).await;
    provider.script(script);
    let first = ask_at(&sidegate, target, "anthropic-version: 2023-06-01\r\n", body).await;
    assert_eq!((first.status(), cached(&first).as_str()), (200, "miss"), "{target} {}", first.text());
    stored(&sidegate, 1).await;
    let second = ask_at(&sidegate, target, "anthropic-version: 2023-06-01\r\n", body).await;
    assert_eq!(cached(&second), "hit", "{target}");
    assert_same(&first, &second);
    assert_eq!(provider.new_requests().len(), 1, "{target}");
}

#[tokio::test]
async fn whole_replies_of_every_operation_are_kept() {
    for (target, body, told) in ASKS {
        let told = if told.is_empty() { answer("one") } else { told.to_owned() };
        once(target, body, Script::json("200 OK", &told)).await;
    }
    let body = r#"{"content":{"parts":[{"text":"hi"}]}}"#;
    once("/v1beta/models/g:embedContent", body, Script::json("200 OK", CONTENT_EMBEDDING)).await;
}

#[tokio::test]
async fn streams_of_every_operation_are_kept() {
    for (target, body, events) in [
        ("/v1/completions", r#"{"model":"g","prompt":"hi","stream":true}"#, COMPLETION_EVENTS),
        ("/v1/responses", r#"{"model":"g","input":"hi","store":false,"stream":true}"#, RESPONSE_EVENTS),
        (
            "/anthropic/messages",
            r#"{"model":"claude","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":true}"#,
            MESSAGE_EVENTS,
        ),
        ("/v1beta/models/g:streamGenerateContent?alt=sse", r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#, CONTENT_EVENTS),
    ] {
        once(target, body, Script::events(events)).await;
    }
}

#[tokio::test]
async fn models_that_stand_in_the_path_make_a_difference() {
    let mut provider = Provider::always(Script::json("200 OK", CONTENT)).await;
    let sidegate = Sidegate::start(ALL, provider.address).await;
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    for (n, target) in ["models/g:generateContent", "models/h:generateContent", "models/g:generateContent?x=1"].into_iter().enumerate() {
        let got = ask_at(&sidegate, &format!("/v1beta/{target}"), "", body).await;
        assert_eq!(cached(&got), "miss", "{target}");
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
    }
    assert_eq!(provider.new_requests().len(), 3);
}

/// What may differ by a beta or a version is another question.
#[tokio::test]
async fn versions_and_betas_of_anthropic_make_a_difference() {
    let mut provider = Provider::always(Script::json("200 OK", MESSAGE)).await;
    let sidegate = Sidegate::start(ALL, provider.address).await;
    let (target, body, _) = ASKS[5];
    for (n, fields) in [
        "anthropic-version: 2023-06-01\r\n",
        "anthropic-version: 2023-01-01\r\n",
        "anthropic-version: 2023-06-01\r\nanthropic-beta: a\r\n",
        "anthropic-version: 2023-06-01\r\nanthropic-beta: b\r\n",
        "anthropic-version: 2023-06-01\r\nanthropic-beta: a\r\nanthropic-beta: b\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(cached(&ask_at(&sidegate, target, fields, body).await), "miss", "{fields}");
        stored(&sidegate, u32::try_from(n + 1).unwrap()).await;
        assert_eq!(cached(&ask_at(&sidegate, target, fields, body).await), "hit", "{fields}");
    }
    assert_eq!(provider.new_requests().len(), 5);
}

/// A compressed reply is kept as it is, and served only to who asked in the same words for what is compressed.
#[tokio::test]
async fn a_compressed_reply_is_kept_with_its_coding() {
    let zipped = |plain: &str| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    for (body, plain, media) in [(ASK, answer("one"), "application/json"), (STREAMED, events("one").concat(), "text/event-stream")] {
        let (mut provider, sidegate) = house("").await;
        let bytes = zipped(&plain);
        let length = bytes.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Encoding: gzip\r\nContent-Length: {length}\r\n\r\n");
        provider.script(Script::reply([head.as_bytes(), &bytes].concat()));
        let gzip = "Accept-Encoding: gzip\r\n";
        let first = ask_with(&sidegate, gzip, body).await;
        assert_eq!((cached(&first).as_str(), &first.body.bytes), ("miss", &bytes));
        stored(&sidegate, 1).await;
        let second = ask_with(&sidegate, gzip, body).await;
        assert_eq!((cached(&second).as_str(), second.head.get("content-encoding").as_deref()), ("hit", Some("gzip")));
        assert_same(&first, &second);
        for (n, other) in
            ["", "Accept-Encoding: identity\r\n", "Accept-Encoding: gzip;q=0\r\n", "Accept-Encoding: br, gzip\r\n"].into_iter().enumerate()
        {
            provider.script(if body == ASK { reply("plain") } else { stream("plain") });
            let got = ask_with(&sidegate, other, body).await;
            assert_eq!((cached(&got).as_str(), got.head.get("content-encoding")), ("miss", None), "{other}");
            stored(&sidegate, u32::try_from(n + 2).unwrap()).await;
        }
        assert_eq!(provider.new_requests().len(), 5);
    }
}

/// What can't be read can't be judged.
#[tokio::test]
async fn a_reply_whose_coding_does_not_hold_is_passed_on_and_not_kept() {
    let (mut provider, sidegate) = house("").await;
    for (coding, bytes) in [("gzip", "not at all"), ("x-unheard-of", r#"{"choices":[]}"#)] {
        for _ in 0..2 {
            let length = bytes.len();
            provider.script(Script::reply(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n{bytes}"
            )));
            let got = ask_with(&sidegate, "Accept-Encoding: gzip\r\n", ASK).await;
            assert_eq!((got.text().as_str(), got.head.get("content-encoding").as_deref()), (bytes, Some(coding)));
            settled(&sidegate, provider.asked()).await;
        }
    }
    assert_eq!((provider.new_requests().len(), sidegate.metric(STORED).await), (4, 0.0));
}
