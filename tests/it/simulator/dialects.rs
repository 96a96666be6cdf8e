//! The simulator in Azure's, Anthropic's and Gemini's formats: replies, streams, errors, and where a key stands.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use sidegate::{simulator::Options, types::Dialect};

use super::{
    caller::{Protocol, Simulated, body, call, frames, request},
    quick,
};

/// A request with these fields and no other credential.
fn with(method: &str, path: &str, fields: &[(&'static str, &str)], json: Option<&Value>) -> Request<Full<Bytes>> {
    let mut request = request(method, path, json);
    request.headers_mut().remove("authorization");
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

const ANTHROPIC: [(&str, &str); 2] = [("x-api-key", "sk-ant-1"), ("anthropic-version", "2023-06-01")];

fn message(json: &Value) -> Request<Full<Bytes>> {
    with("POST", "/v1/messages", &ANTHROPIC, Some(json))
}

fn gemini(method: &str, json: &Value) -> Request<Full<Bytes>> {
    with("POST", &format!("/v1beta/models/{method}"), &[("x-goog-api-key", "AIza-1")], Some(json))
}

async fn told(provider: &Simulated, request: Request<Full<Bytes>>) -> (u16, Value) {
    let reply = call(provider, Protocol::Http1, request).await;
    (reply.status().as_u16(), serde_json::from_slice(&body(reply).await).unwrap())
}

/// The name and the JSON of each frame.
async fn named(provider: &Simulated, request: Request<Full<Bytes>>) -> Vec<(String, Value)> {
    let frames = frames(call(provider, Protocol::Http2, request).await).await;
    let named = frames.iter().map(|frame| {
        let (name, json) = frame.trim_end().strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        (name.to_owned(), serde_json::from_str(json).unwrap())
    });
    named.collect()
}

#[tokio::test]
async fn a_message_says_the_same_plain_and_streamed() {
    let provider = Simulated::start(quick());
    let ask = |stream: bool| json!({ "model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [{ "role": "user", "content": "Hi" }], "stream": stream });
    let (_, plain) = told(&provider, message(&ask(false))).await;
    assert_eq!(
        (&plain["type"], &plain["stop_reason"], &plain["usage"]["output_tokens"]),
        (&json!("message"), &json!("end_turn"), &json!(12))
    );

    let events = named(&provider, message(&ask(true))).await;
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    assert!(events.iter().all(|(name, json)| json["type"] == *name));
    let text: String = events.iter().filter_map(|(_, json)| json["delta"]["text"].as_str()).collect();
    assert_eq!(plain["content"][0]["text"], text);
}

#[tokio::test]
async fn a_message_may_call_a_tool_whose_pieces_make_its_input() {
    let provider = Simulated::start(quick());
    let tool = json!({ "name": "weather", "input_schema": { "type": "object", "properties": { "city": { "type": "string" } } } });
    let ask = |stream: bool| json!({ "model": "claude-sonnet-4-5", "max_tokens": 100, "messages": [], "tools": [tool], "stream": stream });
    let (_, plain) = told(&provider, message(&ask(false))).await;
    assert_eq!((&plain["stop_reason"], &plain["content"][0]["name"]), (&json!("tool_use"), &json!("weather")));
    let events = named(&provider, message(&ask(true))).await;
    let input: String = events.iter().filter_map(|(_, json)| json["delta"]["partial_json"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), plain["content"][0]["input"]);
    let result = json!([{ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "toolu_1", "content": "18 °C" }] }]);
    let ask = json!({ "model": "claude-sonnet-4-5", "max_tokens": 9, "messages": result, "tools": [tool] });
    assert_eq!(told(&provider, message(&ask)).await.1["stop_reason"], "max_tokens", "words after the result");
}

#[tokio::test]
async fn anthropic_wants_its_fields_and_words_its_errors() {
    let provider = Simulated::start(quick());
    let ask = |model: &str| json!({ "model": model, "max_tokens": 5, "messages": [] });
    let cases = [
        (with("POST", "/v1/messages", &[("anthropic-version", "2023-06-01")], Some(&ask("c"))), 401, "authentication_error"),
        (with("POST", "/v1/messages", &[("x-api-key", "k")], Some(&ask("c"))), 400, "invalid_request_error"),
        (message(&json!({ "model": "c", "messages": [] })), 400, "invalid_request_error"),
        (with("GET", "/v1/nothing", &ANTHROPIC, None), 404, "not_found_error"),
        (message(&ask("fault-401")), 401, "authentication_error"),
        (message(&ask("fault-403")), 403, "permission_error"),
        (message(&ask("fault-429")), 429, "rate_limit_error"),
        (message(&ask("fault-500")), 500, "api_error"),
        (message(&ask("fault-503")), 529, "overloaded_error"),
        (with("POST", "/v1/messages", &[("x-api-key", "sk-dead-1"), ANTHROPIC[1]], Some(&ask("c"))), 400, "invalid_request_error"),
    ];
    for (request, status, kind) in cases {
        let what = format!("{} {status} {kind}", request.uri());
        let reply = call(&provider, Protocol::Http1, request).await;
        let id = reply.headers()["request-id"].clone();
        let (seen, error): (u16, Value) = (reply.status().as_u16(), serde_json::from_slice(&body(reply).await).unwrap());
        assert_eq!((seen, &error["type"], &error["error"]["type"]), (status, &json!("error"), &json!(kind)), "{what}");
        assert_eq!(error["request_id"], id.to_str().unwrap(), "{what}");
    }
}

#[tokio::test]
async fn anthropic_counts_tokens_and_lists_models_in_its_own_way() {
    let provider = Simulated::start(quick());
    let ask = json!({ "model": "c", "messages": [{ "role": "user", "content": "Hello" }] });
    let (status, counted) = told(&provider, with("POST", "/v1/messages/count_tokens", &ANTHROPIC, Some(&ask))).await;
    assert_eq!((status, counted["input_tokens"].is_u64()), (200, true));
    let (_, models) = told(&provider, with("GET", "/v1/models", &ANTHROPIC, None)).await;
    assert_eq!((&models["data"][0]["type"], &models["first_id"]), (&json!("model"), &models["data"][0]["id"]));
}

#[tokio::test]
async fn gemini_says_the_same_plain_and_in_both_kinds_of_stream() {
    let provider = Simulated::start(quick());
    let ask = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Hi" }] }] });
    let (_, plain) = told(&provider, gemini("gemini-2.5-flash:generateContent", &ask)).await;
    assert_eq!((&plain["candidates"][0]["finishReason"], &plain["usageMetadata"]["candidatesTokenCount"]), (&json!("STOP"), &json!(12)));
    let text = |chunks: &[Value]| -> String {
        chunks.iter().filter_map(|chunk| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect()
    };
    let whole = text(std::slice::from_ref(&plain));

    let reply = call(&provider, Protocol::Http2, gemini("gemini-2.5-flash:streamGenerateContent?alt=sse", &ask)).await;
    assert_eq!(reply.headers()["content-type"], "text/event-stream; charset=utf-8");
    let chunks: Vec<Value> =
        frames(reply).await.iter().map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap()).collect();
    assert_eq!((text(&chunks), chunks.len()), (whole.clone(), 12));
    assert_eq!(chunks.last().unwrap()["candidates"][0]["finishReason"], "STOP");

    let (_, list) = told(&provider, gemini("gemini-2.5-flash:streamGenerateContent", &ask)).await;
    assert_eq!(text(list.as_array().unwrap()), whole);
}

#[tokio::test]
async fn gemini_calls_functions_counts_and_embeds() {
    let provider = Simulated::start(quick());
    let schema = json!({ "type": "OBJECT", "properties": { "city": { "type": "STRING" } } });
    let ask = json!({ "contents": [], "tools": [{ "functionDeclarations": [{ "name": "weather", "parameters": schema }] }] });
    let (_, reply) = told(&provider, gemini("gemini-2.5-flash:generateContent", &ask)).await;
    let call = &reply["candidates"][0]["content"]["parts"][0]["functionCall"];
    assert_eq!((&call["name"], call["args"]["city"].is_string()), (&json!("weather"), true));

    let (_, counted) = told(&provider, gemini("gemini-2.5-flash:countTokens", &json!({ "contents": [] }))).await;
    assert!(counted["totalTokens"].is_u64());
    let content = json!({ "parts": [{ "text": "river" }] });
    let (_, one) = told(&provider, gemini("e:embedContent", &json!({ "content": content, "outputDimensionality": 8 }))).await;
    assert_eq!(one["embedding"]["values"].as_array().unwrap().len(), 8);
    let (_, several) = told(&provider, gemini("e:batchEmbedContents", &json!({ "requests": [{ "content": content }] }))).await;
    assert_eq!(several["embeddings"].as_array().unwrap().len(), 1);
    let (status, _) = told(&provider, gemini("e:batchEmbedContents", &json!({ "requests": vec![json!({}); 101] }))).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn gemini_words_its_errors_in_googles_envelope() {
    let provider = Simulated::start(quick());
    let ask = json!({ "contents": [] });
    let path = "/v1beta/models/g:generateContent";
    let invalid = with("POST", path, &[("x-goog-api-key", "sk-invalid-1")], Some(&ask));
    let cases = [
        (invalid, 400, "INVALID_ARGUMENT"),
        (gemini("g:generateContent", &json!({})), 400, "INVALID_ARGUMENT"),
        (gemini("g:unheardOf", &ask), 404, "NOT_FOUND"),
        (gemini("fault-403:generateContent", &ask), 403, "PERMISSION_DENIED"),
        (gemini("fault-429:generateContent", &ask), 429, "RESOURCE_EXHAUSTED"),
        (gemini("fault-500:generateContent", &ask), 500, "INTERNAL"),
        (gemini("fault-503:generateContent", &ask), 503, "UNAVAILABLE"),
    ];
    for (request, status, word) in cases {
        let reply = call(&provider, Protocol::Http1, request).await;
        assert!(reply.headers().get("retry-after").is_none(), "{word}");
        let (seen, error): (u16, Value) = (reply.status().as_u16(), serde_json::from_slice(&body(reply).await).unwrap());
        assert_eq!((seen, &error["error"]["code"], &error["error"]["status"]), (status, &json!(status), &json!(word)));
        let details = error["error"]["details"].to_string();
        assert_eq!(details.contains("retryDelay\":\"0.25s"), matches!(status, 429 | 503), "{details}");
    }
    let dead = with("POST", path, &[("x-goog-api-key", "sk-dead-1")], Some(&ask));
    let (status, error) = told(&provider, dead).await;
    let details = error["error"]["details"].to_string();
    assert!(status == 429 && details.contains("PerDay") && !details.contains("retryDelay"), "waiting does not help: {error}");
    let by_query = with("POST", &format!("{path}?key=AIza-1"), &[], Some(&ask));
    assert_eq!(told(&provider, by_query).await.0, 200);
    let none = with("POST", path, &[], Some(&ask));
    assert_eq!(told(&provider, none).await.1["error"]["details"][0]["reason"], "API_KEY_INVALID");
}

#[tokio::test]
async fn geminis_compatible_path_takes_openais_format_and_wraps_its_errors_in_a_list() {
    let provider = Simulated::start(quick());
    let path = "/v1beta/openai/chat/completions";
    let ask = |model: &str| request("POST", path, Some(&json!({ "model": model, "messages": [] })));
    assert_eq!(told(&provider, ask("gemini-2.5-flash")).await.1["object"], "chat.completion");
    assert_eq!(told(&provider, ask("fault-429")).await.1[0]["error"]["status"], "RESOURCE_EXHAUSTED");
}

#[tokio::test]
async fn azure_writes_its_resets_in_seconds_and_its_limits_without_a_type() {
    let provider = Simulated::start(quick());
    let ask = |model: &str, key: &str| {
        with(
            "POST",
            "/openai/v1/chat/completions?api-version=preview",
            &[("api-key", key)],
            Some(&json!({ "model": model, "messages": [] })),
        )
    };
    let reply = call(&provider, Protocol::Http1, ask("gpt-4o", "k")).await;
    assert_eq!((reply.status().as_u16(), &reply.headers()["x-ratelimit-reset-tokens"]), (200, &"1".parse().unwrap()));
    let reply = call(&provider, Protocol::Http1, ask("fault-429", "k")).await;
    assert_eq!((&reply.headers()["retry-after-ms"], &reply.headers()["retry-after"]), (&"250".parse().unwrap(), &"1".parse().unwrap()));
    let error: Value = serde_json::from_slice(&body(reply).await).unwrap();
    assert_eq!((&error["error"]["code"], error["error"].get("type")), (&json!("429"), None));
    assert_eq!(
        told(&provider, ask("gpt-4o", "sk-invalid-1")).await,
        (401, json!({ "error": { "code": "401", "message": "This API key is not valid." } }))
    );
}

#[tokio::test]
async fn a_flag_settles_the_dialect() {
    let provider = Simulated::start(Options { dialect: Some(Dialect::Azure), ..quick() });
    let reply = call(&provider, Protocol::Http1, request("GET", "/v1/models", None)).await;
    assert_eq!((reply.status().as_u16(), &reply.headers()["x-ms-region"]), (200, &"Simulated".parse().unwrap()));
}
