"""Errors of every class, retries, timeouts, cancels, and replies that break off."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from openai import APITimeoutError, OpenAI

from both import DIRECT, Way, outcome
from client import connect

MESSAGES = [{"role": "user", "content": "Hello"}]


def chat(model: str, **options):
    return lambda one: one.chat.completions.create(model=model, messages=MESSAGES, **options)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("model", "error", "status", "kind", "code"),
    [
        ("fault-400", "BadRequestError", 400, "invalid_request_error", "context_length_exceeded"),
        ("fault-401", "AuthenticationError", 401, "invalid_request_error", "invalid_api_key"),
        ("fault-403", "PermissionDeniedError", 403, "request_forbidden", "unsupported_country_region_territory"),
        ("fault-404", "NotFoundError", 404, "invalid_request_error", "model_not_found"),
        ("fault-429", "RateLimitError", 429, "requests", "rate_limit_exceeded"),
        ("fault-quota", "RateLimitError", 429, "insufficient_quota", "insufficient_quota"),
        ("fault-500", "InternalServerError", 500, "server_error", None),
        ("fault-503", "InternalServerError", 503, "service_unavailable_error", "server_is_overloaded"),
    ],
)
def test_an_error_arrives_as_the_provider_words_it(same, model, error, status, kind, code, stream):
    failed = same(chat(model, stream=stream))
    assert (failed["error"], failed["status"], failed["type"], failed["code"]) == (error, status, kind, code)
    assert failed["request-id"]
    assert (failed["retry-after"] is not None) == (model in ("fault-429", "fault-503"))


def test_an_unknown_path(same):
    failed = same(lambda one: one.get("/no/such/path", cast_to=object))
    assert (failed["error"], failed["code"]) == ("NotFoundError", "unknown_url")


def test_a_request_without_what_it_needs(same):
    failed = same(lambda one: one.post("/chat/completions", body={"model": "gpt-4o"}, cast_to=object))
    assert (failed["error"], failed["param"]) == ("BadRequestError", "messages")
    failed = same(lambda one: one.embeddings.create(model="text-embedding-3-small", input=[]))
    assert (failed["error"], failed["param"]) == ("BadRequestError", "input")


def test_retries_that_help(same):
    reply = same(chat("fault-flaky"), max_retries=2)
    assert reply["choices"][0]["finish_reason"] == "stop"


def test_retries_that_do_not_help(same, client):
    assert same(chat("fault-429"), max_retries=2)["error"] == "RateLimitError"
    assert outcome(chat("fault-429"), DIRECT, client, max_retries=2).requests == 3


@contextmanager
def leaving(way: Way, **options) -> Iterator[OpenAI]:
    """A client that leaves by closing its stream; over HTTP/2 its connection, because httpcore never resets a stream."""
    one = connect.__wrapped__(way, **options)
    yield one
    if way.http2:
        one.close()


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_client_that_loses_its_patience(way, cancels, stream):
    def leave():
        with leaving(way, timeout=0.3) as one, pytest.raises(APITimeoutError):
            chat("fault-hang", stream=stream)(one)

    cancels(leave)


def test_a_cancel_in_the_middle_of_a_stream(way, cancels):
    def leave():
        with leaving(way) as one, chat("fault-slow", stream=True)(one) as stream:
            chunks = [chunk for chunk, _ in zip(stream, range(2))]
            assert len(chunks) == 2

    cancels(leave)


def test_a_cancel_in_the_middle_of_a_response(way, cancels):
    def leave():
        with leaving(way) as one, one.responses.create(model="fault-slow", input="Hello", stream=True) as stream:
            assert next(iter(stream)).type == "response.created"

    cancels(leave)


def read(model: str):
    """Reads to the end, and tells how many chunks came before an error."""

    def scenario(one: OpenAI):
        chunks = 0
        try:
            for _ in one.chat.completions.create(model=model, messages=MESSAGES, stream=True):
                chunks += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same both ways
            return {"chunks": chunks, "error": type(error).__name__}
        return {"chunks": chunks, "error": None}

    return scenario


@pytest.mark.parametrize("model", ["fault-truncated", "fault-reset"])
def test_a_stream_that_breaks_off_is_an_error(same, model):
    broken = same(read(model))
    assert broken["chunks"] > 1 and broken["error"] is not None


def test_a_stream_without_its_last_event_stays_so(same):
    broken = same(read("fault-unfinished"))
    assert broken["chunks"] > 1 and broken["error"] is None


@pytest.mark.parametrize("model", ["fault-truncated", "fault-reset"])
def test_a_plain_reply_that_breaks_off_is_an_error(same, model):
    assert same(chat(model))["error"] == "APIConnectionError"


def test_a_slow_provider_is_waited_for(same):
    assert same(chat("fault-slow", max_completion_tokens=3))["usage"]["completion_tokens"] == 3
