"""LangChain's chat model for Anthropic: calls, streams, tools, errors and retries."""

from functools import partial

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool

from client import connect_anthropic

MESSAGES = [SystemMessage("Be brief."), HumanMessage("What do you see? Größe → 東京 🚂")]


@tool
def get_weather(city: str, days: int) -> str:
    """Tells the weather."""
    return f"18 °C in {city} for {days} days"


@pytest.fixture
def same_anthropic(same):
    """Runs a scenario in all ways, with a chat model of Anthropic's."""
    return partial(same, connect=connect_anthropic)


def said(message) -> dict:
    """A message or a chunk, without the id that each run has for itself."""
    return {name: value for name, value in message.model_dump().items() if name != "id"}


def text(chunk: dict) -> str:
    content = chunk["content"]
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def test_a_stream_says_what_the_call_says(same_anthropic):
    reply = same_anthropic(lambda model: said(model.invoke(MESSAGES)))
    chunks = same_anthropic(lambda model: [said(chunk) for chunk in model.stream(MESSAGES)])
    assert len(chunks) > 5 and "".join(map(text, chunks)) == text(reply)
    assert reply["usage_metadata"]["output_tokens"] > 1


def test_many_at_once(same_anthropic):
    """From threads: on an event loop it would keep the connections of an address for the next loop, where they are dead."""
    prompts = [f"Number {n}" for n in range(20)]
    assert len(same_anthropic(lambda model: [said(reply) for reply in model.batch(prompts)])) == 20


def test_the_result_of_a_tool_is_sent_back(same_anthropic):
    bound = same_anthropic(lambda model: said(model.bind_tools([get_weather]).invoke(MESSAGES)))
    [call] = bound["tool_calls"]
    assert call["name"] == "get_weather" and set(call["args"]) == {"city", "days"}
    asked = AIMessage("", tool_calls=[{"id": "call_1", "name": "get_weather", "args": {"city": "Ulm", "days": 1}}])
    history = [*MESSAGES, asked, ToolMessage("18 °C", tool_call_id="call_1")]
    assert len(text(same_anthropic(lambda model: said(model.bind_tools([get_weather]).invoke(history))))) > 20


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("model", "error"), [("fault-400", "AnthropicInvalidRequestError"), ("fault-429", "AnthropicRateLimitError")])
def test_an_error(same_anthropic, model, error, stream):
    failed = same_anthropic(lambda one: list(one.stream(MESSAGES)) if stream else one.invoke(MESSAGES), model=model)
    assert (failed["error"], failed["failed"]) == (error, True)


def test_retries(same_anthropic):
    assert text(same_anthropic(lambda one: said(one.invoke(MESSAGES)), model="fault-flaky", max_retries=2))
