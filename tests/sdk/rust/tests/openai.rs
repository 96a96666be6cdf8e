//! async-openai: every scenario runs straight to the simulated provider and through Sidegate; all outcomes must be the same.

use std::env;

use async_openai::{Client, config::OpenAIConfig, error::OpenAIError};
use futures::{StreamExt, future::join_all};
use serde_json::{Value, json};

/// The base URLs by name, the straight one first.
fn ways() -> Vec<(&'static str, String)> {
    let origin = |name| env::var(name).ok();
    let direct = origin("DIRECT_URL").expect("scripts/sdk-tests sets it");
    let ways = [("direct", Some(direct)), ("sidegate", origin("SIDEGATE_URL")), ("sidegate-h2", origin("SIDEGATE_TLS_URL"))];
    ways.into_iter().filter_map(|(name, origin)| Some((name, format!("{}/v1", origin?)))).collect()
}

fn client(base_url: &str) -> Client<OpenAIConfig> {
    Client::with_config(OpenAIConfig::new().with_api_base(base_url).with_api_key("sk-anything"))
}

/// Everything that a program can tell about an error.
fn failure(error: &OpenAIError) -> Value {
    match error {
        OpenAIError::ApiError(api) => json!({ "api": format!("{api:?}") }),
        // Its words hold the address, which differs by the way.
        OpenAIError::Reqwest(_) => json!("connection"),
        other => json!(format!("{other:?}")),
    }
}

/// Runs a scenario in all ways, compares, and returns the outcome for a closer look.
async fn same(scenario: impl AsyncFn(Client<OpenAIConfig>) -> Result<Value, OpenAIError>) -> Value {
    let mut outcomes = Vec::new();
    for (name, base_url) in ways() {
        let outcome = scenario(client(&base_url)).await.unwrap_or_else(|error| failure(&error));
        outcomes.push((name, outcome));
    }
    let (_, direct) = outcomes.swap_remove(0);
    for (name, outcome) in outcomes {
        assert_eq!(outcome, direct, "by the way {name}");
    }
    direct
}

/// A request as the crate knows it.
fn read<T: serde::de::DeserializeOwned>(asked: Value) -> T {
    serde_json::from_value(asked).expect("a request that the crate knows")
}

/// A reply as data that can be compared.
fn written(reply: impl serde::Serialize) -> Value {
    serde_json::to_value(reply).expect("a reply that can be written down")
}

fn chat(model: &str, content: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": content }] })
}

async fn create(client: &Client<OpenAIConfig>, asked: Value) -> Result<Value, OpenAIError> {
    let reply = client.chat().create(read(asked)).await?;
    Ok(written(reply))
}

async fn stream(client: &Client<OpenAIConfig>, asked: Value) -> Result<Value, OpenAIError> {
    let mut chunks = client.chat().create_stream(read(asked)).await?;
    let mut seen = Vec::new();
    while let Some(chunk) = chunks.next().await {
        seen.push(written(chunk?));
    }
    Ok(Value::Array(seen))
}

fn text(chunks: &Value) -> String {
    let deltas = chunks.as_array().expect("a stream").iter();
    deltas.filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

#[tokio::test]
async fn a_stream_says_what_the_whole_reply_says() {
    let whole = same(async |client| create(&client, chat("gpt-4o", "Größe → 東京 🚂")).await).await;
    let chunks = same(async |client| stream(&client, chat("gpt-4o", "Größe → 東京 🚂")).await).await;
    assert!(text(&chunks).len() > 20);
    assert_eq!(text(&chunks), whole["choices"][0]["message"]["content"]);
}

#[tokio::test]
async fn many_streams_at_once() {
    let replies = same(async |client| {
        let asked = (0..20).map(|n| stream(&client, chat("gpt-4o", &format!("Number {n}"))));
        join_all(asked.collect::<Vec<_>>()).await.into_iter().collect()
    });
    assert_eq!(replies.await.as_array().map(Vec::len), Some(20));
}

#[tokio::test]
async fn responses() {
    let reply = same(async |client| {
        let asked = json!({ "model": "gpt-5", "input": "What do you see?" });
        let reply = client.responses().create(read::<async_openai::types::responses::CreateResponse>(asked)).await?;
        Ok(written(reply))
    });
    assert_eq!(reply.await["status"], "completed");
}

#[tokio::test]
async fn embeddings_and_models() {
    let reply = same(async |client| {
        let asked = json!({ "model": "text-embedding-3-small", "input": ["river", "bridge"], "dimensions": 8 });
        Ok(written(client.embeddings().create(read(asked)).await?))
    });
    assert_eq!(reply.await["data"].as_array().map(Vec::len), Some(2));
    let models = same(async |client| Ok(written(client.models().list().await?))).await;
    assert!(models["data"].as_array().is_some_and(|models| models.len() > 1));
}

#[tokio::test]
async fn errors_arrive_as_the_provider_words_them() {
    // What it does not take for worth another try; the others it repeats for minutes.
    for (model, code) in [("fault-400", "context_length_exceeded"), ("fault-401", "invalid_api_key"), ("fault-404", "model_not_found")] {
        for streamed in [false, true] {
            let asked = async |client: Client<_>| {
                if streamed { stream(&client, chat(model, "Hello")).await } else { create(&client, chat(model, "Hello")).await }
            };
            let failed = same(asked).await;
            assert!(failed.to_string().contains(code), "{failed}");
        }
    }
}
