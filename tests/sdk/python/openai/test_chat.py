"""Chat completions: plain, streamed, with tools, one at a time and many at once."""

import json

import pytest
from openai import OpenAI

MODEL = "gpt-4o"
MESSAGES = [{"role": "user", "content": "What do you see? Größe → 東京 🚂"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius"]}},
            "required": ["city", "unit"],
        },
    },
}


def test_plain(same):
    reply = same(lambda client: client.chat.completions.create(model=MODEL, messages=MESSAGES))
    choice = reply["choices"][0]
    assert choice["message"]["role"] == "assistant" and choice["finish_reason"] == "stop"
    assert len(choice["message"]["content"]) > 20
    usage = reply["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_fewer_tokens(same):
    reply = same(lambda client: client.chat.completions.create(model=MODEL, messages=MESSAGES, max_completion_tokens=3))
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 3


def test_stream_says_what_the_plain_reply_says(same):
    chunks = same(lambda client: list(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True)))
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert all(chunk["usage"] is None for chunk in chunks)
    text = "".join(chunk["choices"][0]["delta"]["content"] or "" for chunk in chunks)
    reply = same(lambda client: client.chat.completions.create(model=MODEL, messages=MESSAGES))
    assert text == reply["choices"][0]["message"]["content"]


def test_stream_with_usage(same):
    def scenario(client: OpenAI):
        options = {"include_usage": True}
        return list(client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True, stream_options=options))

    *chunks, last = same(scenario)
    assert last["choices"] == [] and last["usage"]["completion_tokens"] > 1
    assert all(chunk["usage"] is None for chunk in chunks)


def test_stream_with_the_event_api(same):
    def scenario(client: OpenAI):
        with client.chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
            return [event.type for event in stream] + [stream.get_final_completion()]

    *types, final = same(scenario)
    assert {"chunk", "content.delta", "content.done"} <= set(types)
    assert final["choices"][0]["finish_reason"] == "stop"


def test_tools(same):
    reply = same(lambda client: client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=[TOOL]))
    choice = reply["choices"][0]
    assert choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None
    call = choice["message"]["tool_calls"][0]
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"])["unit"] == "celsius"


def test_tools_streamed(same):
    chunks = same(lambda client: list(client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=[TOOL], stream=True)))
    deltas = [chunk["choices"][0]["delta"]["tool_calls"] for chunk in chunks]
    calls = [calls[0] for calls in deltas if calls]
    assert calls[0]["id"].startswith("call_") and calls[0]["function"]["name"] == "get_weather"
    arguments = json.loads("".join(call["function"]["arguments"] for call in calls))
    assert arguments["unit"] == "celsius" and arguments["city"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_an_agent_comes_to_its_end(same):
    def scenario(client: OpenAI):
        messages = list(MESSAGES)
        for turn in range(1, 5):
            message = client.chat.completions.create(model=MODEL, messages=messages, tools=[TOOL]).choices[0].message
            if not message.tool_calls:
                return {"turns": turn, "said": message.content}
            messages.append(message.model_dump(exclude_none=True))
            messages += [{"role": "tool", "tool_call_id": call.id, "content": "18 °C"} for call in message.tool_calls]
        return "no end"

    assert same(scenario)["turns"] == 2


@pytest.mark.parametrize("choice", ["none", "required", {"type": "function", "function": {"name": "get_weather"}}])
def test_the_choice_of_a_tool(same, choice):
    def scenario(client: OpenAI):
        return client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=[TOOL], tool_choice=choice)

    assert (same(scenario)["choices"][0]["message"]["tool_calls"] is None) == (choice == "none")
