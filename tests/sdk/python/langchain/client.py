"""LangChain's chat models and embeddings, with the SDKs of OpenAI and Anthropic inside."""

from typing import Any

import anthropic
import openai
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from both import H2, PLAIN, TLS, Way

WAYS = [PLAIN, TLS, H2]
ERRORS = (openai.OpenAIError, anthropic.AnthropicError)


def settings(way: Way, **options: Any) -> dict[str, Any]:
    """No second try, unless the scenario is about that."""
    clients = {
        "http_client": openai.DefaultHttpxClient(http2=way.http2),
        "http_async_client": openai.DefaultAsyncHttpxClient(http2=way.http2),
    }
    return {"base_url": way.url("/v1"), "api_key": "sk-anything", "max_retries": 0, "timeout": 10, **clients, **options}


def connect(way: Way, **options: Any) -> ChatOpenAI:
    """A chat model."""
    return ChatOpenAI(**{"model": "gpt-4o", **settings(way, **options)})


def connect_embeddings(way: Way, **options: Any) -> OpenAIEmbeddings:
    """A model of embeddings. It cuts texts by itself, unless told not to: the vocabulary would be fetched for that."""
    return OpenAIEmbeddings(**{"model": "text-embedding-3-small", "check_embedding_ctx_length": False, **settings(way, **options)})


def failure(error: Exception) -> dict[str, Any]:
    """Everything that a program can tell about an error."""
    seen = {name: getattr(error, name, None) for name in ("message", "status_code", "code", "type", "param", "body")}
    return {"error": type(error).__name__, "failed": isinstance(error, openai.APIError), **seen}
