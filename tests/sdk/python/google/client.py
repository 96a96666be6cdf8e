"""Google's own SDK, for the Gemini API."""

from functools import cache
from typing import Any

from google import genai
from google.genai import errors, types

from both import DIRECT, H2, PLAIN, TLS, Way

WAYS = [PLAIN, TLS, H2]
ERRORS = errors.APIError


@cache
def connect(way: Way, attempts: int = 1) -> genai.Client:
    """A client that keeps its connections from test to test. No second try, unless the scenario is about that."""
    # At Sidegate the bare path is OpenAI's.
    path = "" if way.origin == DIRECT.origin else "/gemini"
    more = {"http2": True} if way.http2 else {}
    retries = types.HttpRetryOptions(attempts=attempts, initial_delay=0.1, max_delay=0.2)
    options = types.HttpOptions(base_url=way.url(path), timeout=10_000, retry_options=retries, client_args=more, async_client_args=more)
    return genai.Client(api_key="AIza-anything", http_options=options)


def failure(error: Exception) -> dict[str, Any]:
    """Everything that a program can tell about an error."""
    return {"error": type(error).__name__} | {name: getattr(error, name, None) for name in ("code", "status", "message", "details")}
