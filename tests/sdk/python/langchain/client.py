"""LangChain's chat models and embeddings, with the SDKs of OpenAI and Anthropic inside."""

import re
from typing import Any

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from both import DIRECT, H2, PLAIN, TLS, Way

WAYS = [PLAIN, TLS, H2]
ERRORS = (openai.OpenAIError, anthropic.AnthropicError)
REQUEST_ID = re.compile(r"\breq_[0-9A-Za-z]+")


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


def connect_anthropic(way: Way, **options: Any) -> ChatAnthropic:
    """A chat model of Anthropic's. It makes its own connections, and HTTP/2 is not among what it offers."""
    # At Sidegate `/v1` alone is OpenAI's.
    known = {"base_url": way.url("" if way.origin == DIRECT.origin else "/anthropic"), "api_key": "sk-ant-anything"}
    return ChatAnthropic(**{"model": "claude-opus-4-5", "max_tokens": 64, "max_retries": 0, "timeout": 10, **known, **options})


def failure(error: Exception) -> dict[str, Any]:
    """Everything that a program can tell about an error."""
    seen = {name: getattr(error, name, None) for name in ("status_code", "code", "type", "param", "body")}
    # Anthropic's id, made anew for each request, stands in the message and in the body.
    seen["message"] = REQUEST_ID.sub("req", str(getattr(error, "message", None)))
    if isinstance(seen["body"], dict) and "request_id" in seen["body"]:
        seen["body"] = {**seen["body"], "request_id": seen["body"]["request_id"] == getattr(error, "request_id", None)}
    return {"error": type(error).__name__, "failed": isinstance(error, (openai.APIError, anthropic.APIError)), **seen}
