"""LlamaIndex's models for OpenAI and for what is like it."""

from typing import Any

import httpx
import openai
from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI
from llama_index.llms.openai_like import OpenAILike

from both import H2, PLAIN, TLS, Way

WAYS = [PLAIN, TLS, H2]
ERRORS = openai.OpenAIError
MESSAGES = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="What do you see? Größe → 東京 🚂")]


def settings(way: Way, **options: Any) -> dict[str, Any]:
    """No second try, unless the scenario is about that."""
    clients = {"http_client": httpx.Client(http2=way.http2), "async_http_client": httpx.AsyncClient(http2=way.http2)}
    return {"api_base": way.url("/v1"), "api_key": "sk-anything", "max_retries": 0, "timeout": 10.0, **clients, **options}


def connect(way: Way, **options: Any) -> OpenAI:
    """A model that the library knows."""
    return OpenAI(**{"model": "gpt-4o", **settings(way, **options)})


def connect_like(way: Way, **options: Any) -> OpenAILike:
    """A model of any name: chats, calls functions, and holds as much as it is told to."""
    known = {"is_chat_model": True, "is_function_calling_model": True, "context_window": 8192}
    return OpenAILike(**{"model": "my-own-model", **known, **settings(way, **options)})


def failure(error: Exception) -> dict[str, Any]:
    """Everything that a program can tell about an error."""
    return {"error": type(error).__name__} | {name: getattr(error, name, None) for name in ("message", "status_code", "code", "type", "param", "body")}
