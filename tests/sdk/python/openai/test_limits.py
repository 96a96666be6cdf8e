"""What the SDK makes of Sidegate's own limits, with the tries that it makes by default.

The tier `brisk` has two requests in two seconds, `slow` two in a quarter of an hour. Each scenario has a key to itself.
"""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI, RateLimitError

LIMITED = os.environ.get("SIDEGATE_LIMITED_URL", "")
MESSAGES = [{"role": "user", "content": "Hello"}]

pytestmark = pytest.mark.skipif(not LIMITED, reason="the provider itself has no such limits")


@contextmanager
def counting(key: str) -> Iterator[tuple[OpenAI, list[str]]]:
    """A client as a program makes it, and each request that goes out."""
    sent: list[str] = []
    hooks = {"request": [lambda request: sent.append(request.url.path)]}
    with OpenAI(base_url=f"{LIMITED}/v1", api_key=key, http_client=DefaultHttpxClient(event_hooks=hooks)) as one:
        yield one, sent


def test_a_short_wait_is_waited_for():
    with counting("sg-brisk-1") as (one, sent):
        begin = time.monotonic()
        for asked in range(5):
            before = len(sent)
            reply = one.chat.completions.create(model="gpt-4o", messages=MESSAGES)
            assert reply.choices[0].finish_reason == "stop"
            assert len(sent) - before <= 2, f"request {asked} came back too early"
        # Two at once, two when those have passed, and one more.
        assert time.monotonic() - begin >= 4
        assert len(sent) > 5, "nothing was limited"


def test_a_stream_is_waited_for_as_well():
    with counting("sg-brisk-2") as (one, sent):
        # On a slow machine the first few are that far apart that nothing limits them.
        for served in range(1, 20):
            chunks = list(one.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
            assert chunks[-1].choices[0].finish_reason == "stop"
            if len(sent) > served:
                return
        pytest.fail("nothing was limited")


def test_several_at_once_are_all_served():
    async def at_once() -> int:
        sent = []

        async def seen(request):
            sent.append(request.url.path)

        transport = DefaultAsyncHttpxClient(event_hooks={"request": [seen]})
        async with AsyncOpenAI(base_url=f"{LIMITED}/v1", api_key="sg-brisk-3", http_client=transport) as one:
            await asyncio.gather(*(one.models.list() for _ in range(4)))
        return len(sent)

    assert 4 < asyncio.run(at_once()) <= 12


def test_a_long_wait_is_an_error_at_once():
    with counting("sg-slow-1") as (one, sent):
        for _ in range(2):
            one.models.list()
        with pytest.raises(RateLimitError) as raised:
            one.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        assert len(sent) == 3, "it was asked again and again"
    error, headers = raised.value, raised.value.response.headers
    assert (error.code, error.type, error.param) == ("rate_limit_exceeded", "requests", None)
    assert re.search(r"Limit `slow` \(2 requests in 15 minutes\) is used up\. Please try again in 1[45]m\d+s\.", error.message)
    assert headers["x-sidegate-limit"] == "slow"
    assert 60 < int(headers["retry-after"]) <= 900
    assert error.request_id


def test_a_program_reads_what_is_left():
    with counting("sg-slow-2") as (one, _):
        headers = one.chat.completions.with_raw_response.create(model="gpt-4o", messages=MESSAGES).headers
    told = {name: value for name, value in headers.items() if "ratelimit" in name}
    assert told == {"x-ratelimit-limit-requests": "2", "x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "15m0s"}
