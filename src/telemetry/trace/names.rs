//! The names of what a span says, once. The `gen_ai` ones are OpenTelemetry's conventions for generative AI, which are still in
//! development: when they move, they move here. `docs/logging.md` lists them.

use crate::types::Dialect;

/// What is asked of the model, such as `chat`.
pub const OPERATION: &str = "gen_ai.operation.name";
/// Whose API is spoken.
pub const PROVIDER: &str = "gen_ai.provider.name";
/// The model that was asked for.
pub const MODEL: &str = "gen_ai.request.model";
/// Whether a stream was asked for.
pub const STREAM: &str = "gen_ai.request.stream";
/// Tokens of the prompt, as the provider told them.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens of the reply, as the provider told them.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// The provider's host.
pub const ADDRESS: &str = "server.address";
/// The provider's port.
pub const PORT: &str = "server.port";
/// The request's method.
pub const METHOD: &str = "http.request.method";
/// The status that went down.
pub const STATUS: &str = "http.response.status_code";
/// What went wrong: the code of our own error, why the provider gave no reply, or a status from 400 on.
pub const ERROR: &str = "error.type";
/// `x-request-id` as the client sees it.
pub const REQUEST_ID: &str = "sidegate.request.id";
/// The route's path prefix.
pub const ROUTE: &str = "sidegate.route";
/// The provider's name in the config.
pub const TARGET: &str = "sidegate.provider";
/// The client's name in the config.
pub const CLIENT: &str = "sidegate.client";
/// The fingerprint of the pool's key.
pub const KEY: &str = "sidegate.key";
/// What the cache had to do with the request.
pub const CACHE: &str = "sidegate.cache";
/// How often the request was sent.
pub const ATTEMPTS: &str = "sidegate.attempts";
/// How it ended.
pub const END: &str = "sidegate.end";
/// Bytes of the request's body that were sent up.
pub const BYTES_IN: &str = "sidegate.bytes_in";
/// Bytes of the reply's body that were handed down.
pub const BYTES_OUT: &str = "sidegate.bytes_out";
/// From sending to the reply's head, seconds.
pub const FIRST_BYTE: &str = "sidegate.first_byte";
/// What Sidegate itself added, seconds.
pub const OVERHEAD: &str = "sidegate.overhead";

/// Every name, in the order of the docs.
pub const ALL: &[&str] = &[
    OPERATION,
    PROVIDER,
    MODEL,
    STREAM,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    ADDRESS,
    PORT,
    METHOD,
    STATUS,
    ERROR,
    REQUEST_ID,
    ROUTE,
    TARGET,
    CLIENT,
    KEY,
    CACHE,
    ATTEMPTS,
    END,
    BYTES_IN,
    BYTES_OUT,
    FIRST_BYTE,
    OVERHEAD,
];

/// The operation that a path asks for, where the conventions have a word for it.
#[must_use]
pub fn operation(path: &str) -> Option<&'static str> {
    let path = path.trim_end_matches('/');
    let segment = path.rsplit('/').next().unwrap_or_default();
    Some(match segment.rsplit(':').next().unwrap_or_default() {
        "completions" if path.ends_with("/chat/completions") => "chat",
        "messages" | "responses" => "chat",
        "completions" | "complete" => "text_completion",
        "embeddings" | "embedContent" | "batchEmbedContents" => "embeddings",
        "generateContent" | "streamGenerateContent" => "generate_content",
        _ => return None,
    })
}

/// The conventions' word for who speaks this dialect.
#[must_use]
pub fn provider(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Openai => "openai",
        Dialect::Azure => "azure.ai.openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gcp.gemini",
        Dialect::Groq => "groq",
        Dialect::Deepseek => "deepseek",
        Dialect::Mistral => "mistral_ai",
        // The conventions have no word for these; others than theirs are allowed.
        Dialect::Openrouter => "openrouter",
        Dialect::Vllm => "vllm",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_operation() {
        for (path, named) in [
            ("/v1/chat/completions", Some("chat")),
            ("/v1/completions", Some("text_completion")),
            ("/v1/messages", Some("chat")),
            ("/v1/responses/", Some("chat")),
            ("/v1/embeddings", Some("embeddings")),
            ("/v1beta/models/gemini-pro:streamGenerateContent", Some("generate_content")),
            ("/v1/files", None),
            ("/", None),
        ] {
            assert_eq!(operation(path), named, "{path}");
        }
    }
}
