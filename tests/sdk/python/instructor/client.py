"""instructor, around OpenAI's SDK: typed replies, asked for again where they don't fit."""

from typing import Any

import instructor
import openai
from instructor.core.exceptions import InstructorError
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

from both import H2, PLAIN, TLS, Way

WAYS = [PLAIN, TLS, H2]
ERRORS = (openai.OpenAIError, InstructorError)


def settings(way: Way, **options: Any) -> dict[str, Any]:
    """No second try of the SDK's, unless the scenario is about that."""
    return {"base_url": way.url("/v1"), "api_key": "sk-anything", "max_retries": 0, "timeout": 10.0, **options}


def connect(way: Way, mode: str = "TOOLS", **options: Any) -> instructor.Instructor:
    """A client that makes its replies fit a type in one of instructor's modes."""
    sdk = openai.OpenAI(http_client=DefaultHttpxClient(http2=way.http2), **settings(way, **options))
    return instructor.from_openai(sdk, mode=instructor.Mode[mode])


def connect_async(way: Way, **options: Any) -> instructor.AsyncInstructor:
    """The same for one event loop."""
    sdk = openai.AsyncOpenAI(http_client=DefaultAsyncHttpxClient(http2=way.http2), **settings(way, **options))
    return instructor.from_openai(sdk, mode=instructor.Mode.TOOLS)


def failure(error: Exception) -> dict[str, Any]:
    """Everything that a program can tell about an error, and about the one behind it."""
    seen = {name: getattr(error, name, None) for name in ("status_code", "code", "type", "param", "body", "n_attempts", "total_usage")}
    cause = error.__cause__
    return {"error": type(error).__name__, "said": str(error), **seen, "cause": cause and failure(cause)}
