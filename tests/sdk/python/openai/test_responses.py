"""The Responses API: plain, streamed, with tools."""

import json

from openai import OpenAI

MODEL = "gpt-5"
TOOL = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"], "additionalProperties": False},
}


def test_plain(same):
    def scenario(client: OpenAI):
        reply = client.responses.create(model=MODEL, input="What do you see?", instructions="Be brief.", metadata={"a": "b"})
        return [reply.output_text, reply]

    text, reply = same(scenario)
    assert len(text) > 20 and reply["output"][0]["content"][0]["text"] == text
    assert (reply["status"], reply["instructions"], reply["metadata"]) == ("completed", "Be brief.", {"a": "b"})
    assert reply["usage"]["output_tokens"] > 1


def test_fewer_tokens(same):
    reply = same(lambda client: client.responses.create(model=MODEL, input="Go on", max_output_tokens=4))
    assert (reply["status"], reply["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


def test_stream(same):
    events = same(lambda client: list(client.responses.create(model=MODEL, input="What do you see?", stream=True)))
    types = [event["type"] for event in events]
    assert types[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    assert types[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == text


def test_stream_with_the_event_api(same):
    def scenario(client: OpenAI):
        with client.responses.stream(model=MODEL, input="What do you see?") as stream:
            return [event.type for event in stream] + [stream.get_final_response().output_text]

    *types, text = same(scenario)
    assert types[-1] == "response.completed" and len(text) > 20


def test_tools(same):
    reply = same(lambda client: client.responses.create(model=MODEL, input="Weather?", tools=[TOOL]))
    call = reply["output"][0]
    assert (call["type"], call["name"]) == ("function_call", "get_weather")
    assert json.loads(call["arguments"])["days"] > 0


def test_tools_streamed(same):
    events = same(lambda client: list(client.responses.create(model=MODEL, input="Weather?", tools=[TOOL], stream=True)))
    pieces = [event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta"]
    done = next(event for event in events if event["type"] == "response.function_call_arguments.done")
    assert "".join(pieces) == done["arguments"] == events[-1]["response"]["output"][0]["arguments"]


def test_the_result_of_a_tool_is_followed_by_words(same):
    def scenario(client: OpenAI):
        call = client.responses.create(model=MODEL, input="Weather?", tools=[TOOL]).output[0]
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "18 °C"}
        history = [{"role": "user", "content": "Weather?"}, call.model_dump(exclude_none=True), result]
        return client.responses.create(model=MODEL, input=history, tools=[TOOL]).output_text

    assert len(same(scenario)) > 20
