"""OpenAI's own SDK."""

from functools import cache
from typing import Any

import openai
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from both import H2, PLAIN, TLS, Way

WAYS = [PLAIN, TLS, H2]
ERRORS = openai.OpenAIError


def settings(way: Way, path: str = "/v1", **options: Any) -> dict[str, Any]:
    """No second try, unless the scenario is about that."""
    return {"base_url": way.url(path), "api_key": "sk-anything", "max_retries": 0, "timeout": 10.0, **options}


@cache
def connect(way: Way, **options: Any) -> OpenAI:
    """A client that keeps its connections from test to test."""
    return OpenAI(http_client=DefaultHttpxClient(http2=way.http2), **settings(way, **options))


def connect_async(way: Way, **options: Any) -> AsyncOpenAI:
    """A client for one event loop."""
    return AsyncOpenAI(http_client=DefaultAsyncHttpxClient(http2=way.http2), **settings(way, **options))


def failure(error: Exception) -> dict[str, Any]:
    """Everything that a program can tell about an error."""
    seen: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, openai.APIError):
        seen |= {"message": error.message, "type": error.type, "param": error.param, "code": error.code, "body": error.body}
    if isinstance(error, openai.APIStatusError):
        headers = error.response.headers
        seen |= {"status": error.status_code, "retry-after": headers.get("retry-after"), "request-id": bool(error.request_id)}
    return seen
