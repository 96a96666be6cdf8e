"""Anthropic's Messages: whole, streamed, with tools; counts, models, raw replies."""

import asyncio

import pytest
from anthropic import Anthropic, AsyncAnthropic

from both import Way, plain
from client import connect_async

ASKED = {"model": "claude-sonnet-4-5", "max_tokens": 1024, "messages": [{"role": "user", "content": "What do you see? Größe → 東京 🚂"}]}
TOOL = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city", "days"]},
}


def test_whole(same):
    reply = same(lambda client: client.messages.create(**ASKED))
    assert len(reply["content"][0]["text"]) > 20 and reply["stop_reason"] == "end_turn"
    assert reply["usage"]["output_tokens"] > 1


def test_fewer_tokens(same):
    reply = same(lambda client: client.messages.create(**{**ASKED, "max_tokens": 3}))
    assert (reply["stop_reason"], reply["usage"]["output_tokens"]) == ("max_tokens", 3)


def test_a_stream_says_what_the_whole_reply_says(same):
    events = same(lambda client: list(client.messages.create(**ASKED, stream=True)))
    types = [event["type"] for event in events]
    assert types[0] == "message_start" and types[-2:] == ["message_delta", "message_stop"]
    text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    assert text == same(lambda client: client.messages.create(**ASKED))["content"][0]["text"]


def test_a_stream_with_the_event_api(same):
    def scenario(client: Anthropic):
        with client.messages.stream(**ASKED) as stream:
            return [[event.type for event in stream], stream.get_final_message()]

    types, final = same(scenario)
    assert {"text", "content_block_stop", "message_stop"} <= set(types) and final["stop_reason"] == "end_turn"


def test_a_stream_of_texts(same):
    def scenario(client: Anthropic):
        with client.messages.stream(**ASKED) as stream:
            return [list(stream.text_stream), stream.get_final_text()]

    pieces, text = same(scenario)
    assert len(pieces) > 5 and "".join(pieces) == text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tools(same, stream):
    def scenario(client: Anthropic):
        if not stream:
            return client.messages.create(**ASKED, tools=[TOOL])
        with client.messages.stream(**ASKED, tools=[TOOL]) as events:
            return events.get_final_message()

    reply = same(scenario)
    [call] = [block for block in reply["content"] if block["type"] == "tool_use"]
    assert reply["stop_reason"] == "tool_use" and call["name"] == "get_weather" and call["input"]["days"] > 0


def test_an_agent_comes_to_its_end(same):
    def scenario(client: Anthropic):
        messages = list(ASKED["messages"])
        for turn in range(1, 5):
            reply = client.messages.create(**{**ASKED, "messages": messages}, tools=[TOOL])
            calls = [block for block in reply.content if block.type == "tool_use"]
            if not calls:
                return [turn, reply]
            results = [{"type": "tool_result", "tool_use_id": call.id, "content": "18 °C"} for call in calls]
            messages += [{"role": "assistant", "content": reply.model_dump()["content"]}, {"role": "user", "content": results}]
        return "no end"

    assert same(scenario)[0] == 2


def test_tokens_are_counted(same):
    counted = same(lambda client: client.messages.count_tokens(model=ASKED["model"], messages=ASKED["messages"]))
    assert counted["input_tokens"] > 1


def test_models(same):
    names = [model["id"] for model in same(lambda client: list(client.models.list()))]
    assert names and same(lambda client: client.models.retrieve(names[0]))["id"] == names[0]


def test_a_raw_reply(same):
    def scenario(client: Anthropic):
        reply = client.messages.with_raw_response.create(**ASKED)
        limits = {name: reply.headers[name] for name in reply.headers if name.startswith("anthropic-ratelimit") and "reset" not in name}
        return [reply.status_code, reply.headers["content-type"], sorted(limits), reply.text(), reply.parse()]

    status, kind, _, text, parsed = same(scenario)
    assert (status, kind) == (200, "application/json") and parsed["id"] in text


def test_many_streams_at_once(same):
    async def stream(client: AsyncAnthropic, n: int):
        messages = [{"role": "user", "content": f"Number {n}"}]
        return [plain(event) async for event in await client.messages.create(**{**ASKED, "messages": messages}, stream=True)]

    async def streams(way: Way):
        async with connect_async(way) as client:
            return await asyncio.gather(*(stream(client, n) for n in range(20)))

    replies = same(lambda way: asyncio.run(streams(way)), connect=lambda way: way)
    assert len({events[0]["message"]["id"] for events in replies}) == 20
