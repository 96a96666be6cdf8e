"""Anthropic's errors of every class, retries, and replies that break off."""

import httpx2
import pytest
from anthropic import Anthropic, APITimeoutError

from both import Way
from client import connect

MESSAGES = [{"role": "user", "content": "Hello"}]


def ask(model: str, **options):
    return lambda client: client.messages.create(**{"model": model, "max_tokens": 64, "messages": MESSAGES, **options})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("model", "error", "status", "kind"),
    [
        ("fault-400", "BadRequestError", 400, "invalid_request_error"),
        ("fault-401", "AuthenticationError", 401, "authentication_error"),
        ("fault-403", "PermissionDeniedError", 403, "permission_error"),
        ("fault-404", "NotFoundError", 404, "not_found_error"),
        ("fault-429", "RateLimitError", 429, "rate_limit_error"),
        ("fault-500", "InternalServerError", 500, "api_error"),
        ("fault-503", "OverloadedError", 529, "overloaded_error"),
    ],
)
def test_an_error_arrives_as_the_provider_words_it(same, model, error, status, kind, stream):
    failed = same(ask(model, stream=stream))
    assert (failed["error"], failed["status"], failed["body"]["error"]["type"]) == (error, status, kind)


def test_a_request_without_what_it_needs(same):
    failed = same(lambda client: client.post("/v1/messages", body={"model": "claude-sonnet-4-5"}, cast_to=object))
    assert failed["error"] == "BadRequestError"


def test_an_unknown_path(same):
    assert same(lambda client: client.get("/v1/no/such/path", cast_to=object))["status"] == 404


def test_retries(same):
    assert same(ask("fault-flaky"), max_retries=2)["stop_reason"]
    assert same(ask("fault-429"), max_retries=2)["error"] == "RateLimitError"


@pytest.mark.parametrize("model", ["fault-truncated", "fault-reset"])
def test_a_reply_that_breaks_off_is_an_error(same, model):
    def scenario(client: Anthropic):
        events = 0
        try:
            for _ in ask(model, stream=True)(client):
                events += 1
        except httpx2.TransportError:
            return {"events": events, "broken": True}
        return {"events": events, "broken": False}

    broken = same(scenario)
    assert broken["events"] > 1 and broken["broken"]
    assert same(ask(model))["error"] == "APIConnectionError"


def test_a_client_that_loses_its_patience(way: Way, cancels):
    def leave():
        # A connection of its own, closed behind it: over HTTP/2 httpcore never resets a stream.
        with connect.__wrapped__(way, timeout=0.3) as client, pytest.raises(APITimeoutError):
            ask("fault-hang")(client)

    cancels(leave)
