"""LlamaIndex: chats, completions, streams, tools, programs and errors, for known models and for any other."""

import asyncio

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from client import MESSAGES, connect, connect_like

MODELS = pytest.mark.parametrize("connect", [connect, connect_like], ids=["openai", "openai-like"])


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    days: int


def get_weather(city: str, days: int) -> str:
    """Tells the weather."""
    return f"18 °C in {city} for {days} days"


TOOL = FunctionTool.from_defaults(get_weather)


def said(reply) -> dict:
    """A reply or a part of one, with what came over the wire."""
    message = getattr(reply, "message", None)
    return {
        "message": message and message.model_dump(exclude={"additional_kwargs"}),
        "calls": message and message.additional_kwargs.get("tool_calls"),
        "text": getattr(reply, "text", None),
        "delta": reply.delta,
        "raw": reply.raw,
        "more": reply.additional_kwargs,
    }


@MODELS
def test_a_chat(same, connect):
    reply = same(lambda model: said(model.chat(MESSAGES)), connect=connect)
    assert len(reply["message"]["blocks"][0]["text"]) > 20 and reply["more"]["completion_tokens"] > 1


@MODELS
def test_a_stream_says_what_the_chat_says(same, connect):
    parts = same(lambda model: [said(part) for part in model.stream_chat(MESSAGES)], connect=connect)
    reply = same(lambda model: said(model.chat(MESSAGES)), connect=connect)
    assert len(parts) > 5 and "".join(part["delta"] for part in parts) == reply["message"]["blocks"][0]["text"]


@MODELS
def test_a_completion(same, connect):
    whole, parts = same(
        lambda model: [said(model.complete("Go on")), [said(part) for part in model.stream_complete("Go on")]], connect=connect
    )
    assert parts[-1]["text"] == whole["text"] and len(whole["text"]) > 20


@MODELS
def test_on_an_event_loop(same, connect):
    async def scenario(model):
        streamed = [said(part) async for part in await model.astream_chat(MESSAGES)]
        several = await asyncio.gather(*(model.achat([ChatMessage(role="user", content=f"Number {n}")]) for n in range(10)))
        return [streamed, [said(reply) for reply in several]]

    streamed, several = same(lambda model: asyncio.run(scenario(model)), connect=connect)
    assert len(streamed) > 5 and len({reply["raw"]["id"] for reply in several}) == 10


@MODELS
def test_tools(same, connect):
    def scenario(model):
        reply = model.chat_with_tools([TOOL], user_msg="Weather?")
        [call] = model.get_tool_calls_from_response(reply)
        return [said(reply), call]

    _, call = same(scenario, connect=connect)
    assert call["tool_name"] == "get_weather" and call["tool_kwargs"]["days"] > 0


def test_tools_in_a_stream(same):
    def scenario(model):
        parts = list(model.stream_chat_with_tools([TOOL], user_msg="Weather?"))
        return [[said(part) for part in parts], model.get_tool_calls_from_response(parts[-1])]

    parts, [call] = same(scenario)
    assert len(parts) > 2 and call["tool_kwargs"]["city"]


def test_the_tool_is_called_and_words_follow(same):
    called = same(lambda model: model.predict_and_call([TOOL], "Weather?").response)
    assert called.startswith("18 °C in ")


def test_a_structured_reply(same):
    from llama_index.core.llms.structured_llm import StructuredLLM

    def scenario(model):
        model.pydantic_program_mode = "function"
        return StructuredLLM(llm=model, output_cls=Weather).chat(MESSAGES).raw

    assert same(scenario)["days"] > 0


@pytest.mark.parametrize("stream", [False, True], ids=["chat", "stream"])
@pytest.mark.parametrize(
    ("model", "error", "code"),
    [
        ("fault-400", "BadRequestError", "context_length_exceeded"),
        ("fault-401", "AuthenticationError", "invalid_api_key"),
        ("fault-429", "RateLimitError", "rate_limit_exceeded"),
        ("fault-503", "InternalServerError", "server_is_overloaded"),
    ],
)
def test_an_error(same, model, error, code, stream):
    failed = same(lambda one: list(one.stream_chat(MESSAGES)) if stream else one.chat(MESSAGES), connect=connect_like, model=model)
    assert (failed["error"], failed["code"]) == (error, code)


def test_retries(same):
    """Its own, around those of the SDK inside."""
    assert same(lambda one: said(one.chat(MESSAGES)), connect=connect_like, model="fault-flaky", max_retries=2)["message"]
    failed = same(lambda one: one.chat(MESSAGES), connect=connect_like, model="fault-429", max_retries=1)
    assert failed["code"] == "rate_limit_exceeded"
