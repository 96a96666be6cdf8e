"""LangChain's chat model for OpenAI: calls, streams, tools, structured replies, chains and retries."""

import asyncio
import itertools

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from client import connect_embeddings

MESSAGES = [SystemMessage("Be brief."), HumanMessage("What do you see? Größe → 東京 🚂")]


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    days: int


@tool
def get_weather(city: str, days: int) -> str:
    """Tells the weather."""
    return f"18 °C in {city} for {days} days"


def said(message) -> dict:
    """A message or a chunk, without the id that each run has for itself."""
    return {name: value for name, value in message.model_dump().items() if name != "id"}


def test_a_call(same):
    reply = same(lambda model: said(model.invoke(MESSAGES)))
    assert len(reply["content"]) > 20 and reply["usage_metadata"]["output_tokens"] > 1
    assert reply["response_metadata"]["finish_reason"] == "stop"


def test_a_stream_says_what_the_call_says(same):
    chunks = same(lambda model: [said(chunk) for chunk in model.stream(MESSAGES)])
    reply = same(lambda model: said(model.invoke(MESSAGES)))
    assert len(chunks) > 5 and "".join(chunk["content"] for chunk in chunks) == reply["content"]


def test_the_usage_of_a_stream(same):
    chunks = same(lambda model: [said(chunk) for chunk in model.stream(MESSAGES)], stream_usage=True)
    usage = [chunk["usage_metadata"] for chunk in chunks if chunk["usage_metadata"]]
    assert len(usage) == 1 and usage[0]["output_tokens"] > 1


def test_on_an_event_loop(same):
    async def both(model: ChatOpenAI):
        streamed = [said(chunk) async for chunk in model.astream(MESSAGES)]
        return [streamed, said(await model.ainvoke(MESSAGES))]

    streamed, whole = same(lambda model: asyncio.run(both(model)))
    assert "".join(chunk["content"] for chunk in streamed) == whole["content"]


def test_many_at_once(same):
    """On an event loop: threads that share a connection of HTTP/2 are too much for httpcore."""

    async def scenario(model: ChatOpenAI):
        return [said(reply) for reply in await model.abatch([f"Number {n}" for n in range(20)])]

    replies = same(lambda model: asyncio.run(scenario(model)))
    assert len({reply["response_metadata"]["id"] for reply in replies}) == 20


def test_an_agent_comes_to_its_end(same):
    def scenario(model: ChatOpenAI):
        bound = model.bind_tools([get_weather])
        history = list(MESSAGES)
        for turn in itertools.count(1):
            reply: AIMessage = bound.invoke(history)
            if not reply.tool_calls:
                return {"turns": turn, "said": reply.content, "history": [said(message) for message in history]}
            history += [reply, *(get_weather.invoke(call) for call in reply.tool_calls)]

    ended = same(scenario)
    assert ended["turns"] == 2 and any(message["type"] == "tool" for message in ended["history"])


def test_tools_in_a_stream(same):
    def scenario(model: ChatOpenAI):
        chunks = list(model.bind_tools([get_weather]).stream(MESSAGES))
        whole = chunks[0]
        for chunk in chunks[1:]:
            whole += chunk
        return [[said(chunk) for chunk in chunks], whole.tool_calls]

    chunks, [call] = same(scenario)
    assert len(chunks) > 2 and call["name"] == "get_weather" and call["args"]["days"] > 0


def test_a_structured_reply(same):
    def scenario(model: ChatOpenAI):
        reply = model.with_structured_output(Weather, method="function_calling", include_raw=True).invoke(MESSAGES)
        return [said(reply["raw"]), reply["parsed"], reply["parsing_error"]]

    raw, parsed, error = same(scenario)
    assert raw["type"] == "ai" and parsed["days"] > 0 and error is None


def test_a_chain(same):
    prompt = ChatPromptTemplate.from_messages([("system", "You speak {language}."), ("human", "{question}")])

    def scenario(model: ChatOpenAI):
        chain = prompt | model | StrOutputParser()
        asked = {"language": "German", "question": "Wie spät ist es?"}
        return [chain.invoke(asked), list(chain.stream(asked))]

    whole, pieces = same(scenario)
    assert "".join(pieces) == whole and len(whole) > 20


def test_the_responses_api(same):
    options = {"use_responses_api": True, "model": "gpt-5"}
    whole = same(lambda model: said(model.invoke("What do you see?")), **options)
    chunks = same(lambda model: [said(chunk) for chunk in model.stream("What do you see?")], **options)
    text = "".join(part.get("text", "") for chunk in chunks for part in chunk["content"])
    assert text == "".join(part["text"] for part in whole["content"])


def test_embeddings(same):
    first, second, query = same(
        lambda model: [*model.embed_documents(["river", "bridge"]), model.embed_query("river")], connect=connect_embeddings, dimensions=8
    )
    assert len(first) == 8 and first == query != second


@pytest.mark.parametrize("stream", [False, True], ids=["call", "stream"])
@pytest.mark.parametrize(
    ("model", "error", "code"),
    [
        ("fault-400", "OpenAIInvalidRequestError", "context_length_exceeded"),
        ("fault-401", "OpenAIAuthenticationError", "invalid_api_key"),
        ("fault-429", "OpenAIRateLimitError", "rate_limit_exceeded"),
        ("fault-503", "OpenAIAPIError", "server_is_overloaded"),
    ],
)
def test_an_error(same, model, error, code, stream):
    failed = same(lambda one: list(one.stream(MESSAGES)) if stream else one.invoke(MESSAGES), model=model)
    assert (failed["error"], failed["code"]) == (error, code)


def test_retries(same):
    assert same(lambda one: said(one.invoke(MESSAGES)), model="fault-flaky", max_retries=2)["content"]
    assert same(lambda one: one.invoke(MESSAGES), model="fault-429", max_retries=1)["code"] == "rate_limit_exceeded"


def test_a_fallback_of_its_own(same):
    def scenario(model: ChatOpenAI):
        return said(model.with_fallbacks([model.model_copy(update={"model_name": "gpt-4o"})]).invoke(MESSAGES))

    assert same(scenario, model="fault-500")["content"]


def test_the_result_of_a_tool_is_sent_back(same):
    call = AIMessage("", tool_calls=[{"id": "call_1", "name": "get_weather", "args": {"city": "Ulm", "days": 1}}])
    history = [*MESSAGES, call, ToolMessage("18 °C", tool_call_id="call_1")]
    assert len(same(lambda model: said(model.bind_tools([get_weather]).invoke(history)))["content"]) > 20
