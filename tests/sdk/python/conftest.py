"""Every scenario runs twice, straight to the provider and through Sidegate, and both outcomes must be the same."""

import json
import os
import time
import urllib.request
from collections.abc import Callable
from functools import cache
from typing import Any

import openai
import pytest
from openai import OpenAI

DIRECT = os.environ["DIRECT_BASE_URL"]
SIDEGATE = os.environ.get("SIDEGATE_BASE_URL") or DIRECT

Scenario = Callable[[OpenAI], Any]


@cache
def client(base_url: str, **options: Any) -> OpenAI:
    """A client that does not try again, unless the scenario is about that. It keeps its connections from test to test."""
    return OpenAI(base_url=base_url, api_key="sk-anything", **{"max_retries": 0, "timeout": 10.0, **options})


def plain(value: Any) -> Any:
    """What an SDK returned, as data that can be compared."""
    if hasattr(value, "model_dump"):
        return value.model_dump(warnings=False)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def failure(error: Exception) -> dict[str, Any]:
    """Everything that a program can tell about an error."""
    seen: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, openai.APIError):
        seen |= {"message": error.message, "type": error.type, "param": error.param, "code": error.code, "body": error.body}
    if isinstance(error, openai.APIStatusError):
        headers = error.response.headers
        seen |= {"status": error.status_code, "retry-after": headers.get("retry-after"), "request-id": bool(error.request_id)}
    return seen


def outcome(scenario: Scenario, base_url: str, **options: Any) -> Any:
    """What the scenario returned, or how it failed."""
    try:
        return plain(scenario(client(base_url, **options)))
    except openai.OpenAIError as error:
        return failure(error)


@pytest.fixture
def same() -> Callable[..., Any]:
    """Runs a scenario both ways, compares, and returns the outcome for a closer look."""

    def run(scenario: Scenario, **options: Any) -> Any:
        direct = outcome(scenario, DIRECT, **options)
        assert outcome(scenario, SIDEGATE, **options) == direct
        return direct

    return run


def counters() -> dict[str, int]:
    """What the provider has counted so far."""
    with urllib.request.urlopen(DIRECT.removesuffix("/v1") + "/simulator/counters", timeout=5) as reply:
        return json.load(reply)


@pytest.fixture
def cancels() -> Callable[[Callable[[], Any]], None]:
    """Runs something and waits, with a deadline, until the provider has seen one cancel more."""

    def run(leave: Callable[[], Any]) -> None:
        before = counters()["cancelled"]
        leave()
        deadline = time.monotonic() + 5
        while counters()["cancelled"] == before:
            assert time.monotonic() < deadline, "the provider was not told that the client had left"

    return run


@pytest.fixture(params=[pytest.param(DIRECT, id="direct"), pytest.param(SIDEGATE, id="sidegate")])
def base_url(request: pytest.FixtureRequest) -> str:
    """For what can't be compared: each way in turn."""
    return request.param
