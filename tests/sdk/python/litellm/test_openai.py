"""LiteLLM towards OpenAI: completions, streams, tools, responses, embeddings, errors and retries."""

import asyncio
import json

import litellm
import openai
import pytest

from client import LiteLLM, said, whole

MESSAGES = [{"role": "user", "content": "What do you see? Größe → 東京 🚂"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def text(chunks: list[dict]) -> str:
    return "".join(chunk["choices"][0]["delta"]["content"] or "" for chunk in chunks if chunk["choices"])


def test_a_stream_says_what_the_completion_says(same):
    reply = same(lambda client: client.complete(messages=MESSAGES))
    chunks = same(lambda client: client.complete(messages=MESSAGES, stream=True))
    assert len(chunks) > 5 and text(chunks) == reply["choices"][0]["message"]["content"]
    assert reply["usage"]["completion_tokens"] > 1


def test_the_usage_of_a_stream(same):
    chunks = same(lambda client: client.complete(messages=MESSAGES, stream=True, stream_options={"include_usage": True}))
    assert [chunk for chunk in chunks if chunk.get("usage")][-1]["usage"]["completion_tokens"] > 1


def test_on_an_event_loop(same):
    async def scenario(client: LiteLLM):
        asked = [[{"role": "user", "content": f"Number {n}"}] for n in range(10)]
        return await asyncio.gather(*(client.acomplete(messages=one, stream=True) for one in asked), client.acomplete(messages=asked[0]))

    *streams, reply = same(lambda client: asyncio.run(scenario(client)))
    assert text(streams[0]) == reply["choices"][0]["message"]["content"]
    assert len({chunks[0]["id"] for chunks in streams}) == 10


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tools(same, stream):
    reply = same(lambda client: client.complete(messages=MESSAGES, tools=[TOOL], stream=stream))
    if stream:
        calls = [call for chunk in reply for call in chunk["choices"][0]["delta"].get("tool_calls") or []]
        arguments = "".join(call["function"]["arguments"] for call in calls)
    else:
        arguments = reply["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments)["city"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_responses_api(same, stream):
    def scenario(client: LiteLLM):
        reply = whole(litellm.responses(**client.arguments(model="openai/gpt-5", input="What do you see?", stream=stream)))
        # LiteLLM writes an id of its own, which holds what it was called with.
        return json.loads(json.dumps(reply, default=str), object_hook=lambda seen: {k: v for k, v in seen.items() if k != "id"})

    reply = same(scenario)
    assert reply[-1]["type"] == "response.completed" if stream else reply["status"] == "completed"


def test_embeddings(same):
    def scenario(client: LiteLLM):
        return said(litellm.embedding(**client.arguments(model="openai/text-embedding-3-small", input=["river", "bridge"], dimensions=8)))

    first, second = same(scenario)["data"]
    assert len(first["embedding"]) == 8 and first["embedding"] != second["embedding"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("fault-400", "BadRequestError"),
        ("fault-401", "BadRequestError"),
        ("fault-404", "NotFoundError"),
        ("fault-429", "RateLimitError"),
        ("fault-500", "InternalServerError"),
    ],
)
def test_an_error(same, model, error, stream):
    assert same(lambda client: client.complete(f"openai/{model}", messages=MESSAGES, stream=stream))["error"] == error


@pytest.mark.parametrize("model", ["fault-truncated", "fault-reset"])
def test_a_stream_that_breaks_off(same, model):
    """The words come from the connection: a proxy can't reset the reader's as the provider reset its own."""

    def scenario(client: LiteLLM):
        try:
            return client.complete(f"openai/{model}", messages=MESSAGES, stream=True)
        except openai.OpenAIError as error:
            return {"error": type(error).__name__}

    assert same(scenario)["error"]


def test_retries(same):
    assert same(lambda client: client.complete("openai/fault-flaky", messages=MESSAGES), max_retries=2)["choices"]
    assert same(lambda client: client.complete("openai/fault-429", messages=MESSAGES), max_retries=1)["error"] == "RateLimitError"
    # Around the SDK's retries it has its own, which wait by themselves.
    assert same(lambda client: client.complete("openai/fault-flaky", messages=MESSAGES), num_retries=1)["choices"]
