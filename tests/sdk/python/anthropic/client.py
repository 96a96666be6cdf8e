"""Anthropic's own SDK."""

import re
from functools import cache
from typing import Any

import anthropic
from anthropic import Anthropic, AsyncAnthropic, DefaultAsyncHttpxClient, DefaultHttpxClient

from both import DIRECT, H2, PLAIN, TLS, Way

WAYS = [PLAIN, TLS, H2]
ERRORS = anthropic.AnthropicError
REQUEST_ID = re.compile(r"\breq_[0-9A-Za-z]+")


def settings(way: Way, **options: Any) -> dict[str, Any]:
    """The SDK puts `/v1` behind the base URL; at Sidegate `/v1` alone is OpenAI's."""
    path = "" if way.origin == DIRECT.origin else "/anthropic"
    return {"base_url": way.url(path), "api_key": "sk-ant-anything", "max_retries": 0, "timeout": 10.0, **options}


@cache
def connect(way: Way, **options: Any) -> Anthropic:
    """A client that keeps its connections from test to test. No second try, unless the scenario is about that."""
    return Anthropic(http_client=DefaultHttpxClient(http2=way.http2), **settings(way, **options))


def connect_async(way: Way, **options: Any) -> AsyncAnthropic:
    """A client for one event loop."""
    return AsyncAnthropic(http_client=DefaultAsyncHttpxClient(http2=way.http2), **settings(way, **options))


def failure(error: Exception) -> dict[str, Any]:
    """Everything that a program can tell about an error."""
    seen: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, anthropic.APIError):
        seen |= {"message": REQUEST_ID.sub("req", error.message), "body": error.body}
    if isinstance(error, anthropic.APIStatusError) and isinstance(error.body, dict):
        # It is made anew for each request.
        seen["body"] = {**error.body, "request_id": error.body.get("request_id") == error.request_id}
    if isinstance(error, anthropic.APIStatusError):
        headers = error.response.headers
        seen |= {"status": error.status_code, "retry-after": headers.get("retry-after"), "request-id": bool(error.request_id)}
    return seen
