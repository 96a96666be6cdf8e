"""The same SDK, on an event loop: many streams on few connections, and a task that is cancelled."""

import asyncio

import pytest
from openai import AsyncOpenAI

from both import Way, plain
from client import connect_async

MODEL = "gpt-4o"


def ask(n: int) -> dict:
    return {"model": MODEL, "messages": [{"role": "user", "content": f"Number {n}"}]}


@pytest.fixture
def same_async(same):
    """As `same`, for a coroutine of a client that lives as long as its loop."""

    def run(scenario):
        async def alone(way: Way):
            async with connect_async(way) as client:
                return await scenario(client)

        return same(lambda way: asyncio.run(alone(way)), connect=lambda way: way)

    return run


def test_plain(same_async):
    async def scenario(client: AsyncOpenAI):
        return await client.chat.completions.create(**ask(1))

    assert same_async(scenario)["choices"][0]["finish_reason"] == "stop"


def test_many_streams_at_once(same_async):
    async def stream(client: AsyncOpenAI, n: int):
        return [plain(chunk) async for chunk in await client.chat.completions.create(**ask(n), stream=True)]

    async def scenario(client: AsyncOpenAI):
        return await asyncio.gather(*(stream(client, n) for n in range(30)))

    replies = same_async(scenario)
    assert len({chunks[0]["id"] for chunks in replies}) == 30


def test_responses_at_once(same_async):
    async def scenario(client: AsyncOpenAI):
        events = await client.responses.create(model="gpt-5", input="What do you see?", stream=True)
        streamed, whole = await asyncio.gather(
            anext(aiter(events)), client.responses.create(model="gpt-5", input="What do you see?")
        )
        return [streamed, [event async for event in events], whole]

    first, rest, whole = same_async(scenario)
    assert first["type"] == "response.created" and rest[-1]["response"]["output"] == whole["output"]


def test_an_error(same_async):
    async def scenario(client: AsyncOpenAI):
        return await client.chat.completions.create(model="fault-429", messages=ask(1)["messages"])

    assert same_async(scenario)["code"] == "rate_limit_exceeded"


def test_a_task_that_is_cancelled(way, cancels):
    """The neighbour on the same connection, where there is one, goes on."""

    async def leave():
        async with connect_async(way) as client:
            messages = ask(1)["messages"]
            stream = await client.chat.completions.create(model="fault-slow", messages=messages, stream=True)
            first = await anext(aiter(stream))
            hanging = asyncio.create_task(client.chat.completions.create(model="fault-slow", messages=messages))
            neighbour = asyncio.create_task(client.chat.completions.create(**ask(2)))
            await neighbour
            hanging.cancel()
            await asyncio.gather(hanging, return_exceptions=True)
            assert first.choices and hanging.cancelled()
            assert (await client.chat.completions.create(**ask(3))).choices

    cancels(lambda: asyncio.run(leave()))
