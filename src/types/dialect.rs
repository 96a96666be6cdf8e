//! A provider's dialect: how it wants its key, and which request format it speaks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A provider's wire format for authentication, errors, rate headers and usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI, and every provider that copies its API: `authorization: Bearer …`.
    #[default]
    Openai,
    /// Azure OpenAI's `/openai/v1` surface: `api-key: …`.
    Azure,
    /// Anthropic: `x-api-key: …`.
    Anthropic,
    /// Google's Gemini API: `x-goog-api-key: …`.
    Gemini,
    /// Groq: OpenAI's API, with requests counted by the day.
    Groq,
    /// DeepSeek: OpenAI's API, with blank lines while a request waits in its queue.
    Deepseek,
    /// Mistral: OpenAI's API, with errors of another shape.
    Mistral,
    /// OpenRouter: OpenAI's API before many providers, with their errors inside replies that are 200.
    Openrouter,
    /// vLLM's server, and others that serve models of one's own by OpenAI's API.
    Vllm,
}

/// The format of request bodies. Sidegate never translates, so all targets of a route share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFormat {
    /// OpenAI's, spoken by OpenAI, Azure and their many followers.
    Openai,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's generateContent.
    Gemini,
}

impl Dialect {
    /// Every dialect, for tests and docs that must not forget one.
    pub const ALL: [Self; 9] =
        [Self::Openai, Self::Azure, Self::Anthropic, Self::Gemini, Self::Groq, Self::Deepseek, Self::Mistral, Self::Openrouter, Self::Vllm];

    /// The word for it in the config, logs and docs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Azure => "azure",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Groq => "groq",
            Self::Deepseek => "deepseek",
            Self::Mistral => "mistral",
            Self::Openrouter => "openrouter",
            Self::Vllm => "vllm",
        }
    }

    /// The format in which it takes requests.
    #[must_use]
    pub fn request_format(self) -> RequestFormat {
        match self {
            Self::Openai | Self::Azure | Self::Groq | Self::Deepseek | Self::Mistral | Self::Openrouter | Self::Vllm => {
                RequestFormat::Openai
            }
            Self::Anthropic => RequestFormat::Anthropic,
            Self::Gemini => RequestFormat::Gemini,
        }
    }

    /// Where the provider of that name lives, by its documentation as of 2026-11. Azure has a host per resource and vLLM one
    /// of one's own, and therefore none.
    #[must_use]
    pub fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::Openai => Some("https://api.openai.com/v1"),
            Self::Azure | Self::Vllm => None,
            Self::Anthropic => Some("https://api.anthropic.com/v1"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com/v1beta"),
            Self::Groq => Some("https://api.groq.com/openai/v1"),
            Self::Deepseek => Some("https://api.deepseek.com/v1"),
            Self::Mistral => Some("https://api.mistral.ai/v1"),
            Self::Openrouter => Some("https://openrouter.ai/api/v1"),
        }
    }
}
