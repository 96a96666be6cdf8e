"""LiteLLM's functions. They bring their own connections, for each way one pool; HTTP/2 is not among what they offer."""

import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import Any

import litellm
import openai

from both import PLAIN, TLS, Way

WAYS = [PLAIN, TLS]
# All of its errors are OpenAI's.
ERRORS = openai.OpenAIError
litellm.telemetry = False
litellm.suppress_debug_info = True


@dataclasses.dataclass(frozen=True)
class LiteLLM:
    """Its functions, with what each call needs to go one way. No second try, unless the scenario is about that."""

    way: Way
    options: dict[str, Any]

    def arguments(self, **more: Any) -> dict[str, Any]:
        """What every call is given."""
        known = {"api_base": self.way.url("/v1"), "api_key": "sk-anything", "max_retries": 0, "timeout": 10}
        return {**known, **self.options, **more}

    def complete(self, model: str = "openai/gpt-4o", **more: Any) -> Any:
        """A completion, or its chunks."""
        return whole(litellm.completion(**self.arguments(model=model, **more)))

    async def acomplete(self, model: str = "openai/gpt-4o", **more: Any) -> Any:
        """The same on an event loop."""
        reply = await litellm.acompletion(**self.arguments(model=model, **more))
        return [said(chunk) async for chunk in reply] if isinstance(reply, AsyncIterator) else said(reply)


def said(reply: Any) -> Any:
    """A reply without what is made anew for each: the moment, and the id where LiteLLM gives one."""
    seen = reply.model_dump(warnings=False)
    return {name: value for name, value in seen.items() if name not in ("created", "_hidden_params")}


def whole(reply: Any) -> Any:
    """A reply, or all the chunks of a stream."""
    return [said(chunk) for chunk in reply] if isinstance(reply, Iterator) else said(reply)


def connect(way: Way, **options: Any) -> LiteLLM:
    """The functions for one way."""
    return LiteLLM(way, options)


def failure(error: Exception) -> dict[str, Any]:
    """Everything that a program can tell about an error."""
    names = ("message", "status_code", "code", "type", "param", "body", "llm_provider", "model", "num_retries")
    return {"error": type(error).__name__} | {name: getattr(error, name, None) for name in names}
