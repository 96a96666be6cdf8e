"""Gemini's generateContent: whole, streamed, with tools, in a chat; embeddings, counts, models and errors."""

import asyncio

import httpx2
import pytest
from google import genai
from google.genai import types

MODEL = "gemini-2.5-pro"
ASKED = "What do you see? Größe → 東京 🚂"
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            parameters=types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING"), "days": types.Schema(type="INTEGER")}),
        )
    ]
)


def said(reply) -> dict:
    """A reply or a part of one, without the fields of the HTTP response."""
    return reply.model_dump(exclude={"sdk_http_response"})


def text(reply: dict) -> str:
    return "".join(part["text"] or "" for part in reply["candidates"][0]["content"]["parts"])


def test_whole(same):
    reply = same(lambda client: said(client.models.generate_content(model=MODEL, contents=ASKED)))
    assert len(text(reply)) > 20 and reply["usage_metadata"]["total_token_count"] > 2


def test_the_fields_of_a_reply(same):
    def scenario(client: genai.Client):
        fields = client.models.generate_content(model=MODEL, contents=ASKED).sdk_http_response.headers
        return fields["content-type"] if "content-type" in fields else fields["Content-Type"]

    assert same(scenario).startswith("application/json")


def test_fewer_tokens(same):
    config = types.GenerateContentConfig(max_output_tokens=3, temperature=0.5, system_instruction="Be brief.")
    reply = same(lambda client: said(client.models.generate_content(model=MODEL, contents=ASKED, config=config)))
    assert reply["candidates"][0]["finish_reason"] == "MAX_TOKENS"


def test_a_stream_says_what_the_whole_reply_says(same):
    parts = same(lambda client: [said(part) for part in client.models.generate_content_stream(model=MODEL, contents=ASKED)])
    whole = same(lambda client: said(client.models.generate_content(model=MODEL, contents=ASKED)))
    assert len(parts) > 5 and "".join(text(part) for part in parts if part["candidates"][0]["content"]["parts"]) == text(whole)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tools(same, stream):
    config = types.GenerateContentConfig(tools=[TOOL])

    def scenario(client: genai.Client):
        if not stream:
            return [said(client.models.generate_content(model=MODEL, contents=ASKED, config=config))]
        return [said(part) for part in client.models.generate_content_stream(model=MODEL, contents=ASKED, config=config)]

    parts = [part for reply in same(scenario) for part in reply["candidates"][0]["content"]["parts"] or []]
    [call] = [part["function_call"] for part in parts if part["function_call"]]
    assert call["name"] == "get_weather" and call["args"]["city"]


def test_a_chat(same):
    def scenario(client: genai.Client):
        chat = client.chats.create(model=MODEL)
        return [said(chat.send_message("Hello")), said(chat.send_message("And then?")), [turn.model_dump() for turn in chat.get_history()]]

    first, second, history = same(scenario)
    assert text(first) != text(second) and [turn["role"] for turn in history] == ["user", "model"] * 2


def test_on_an_event_loop(same):
    async def scenario(client: genai.Client):
        async def stream(n: int):
            return [said(part) async for part in await client.aio.models.generate_content_stream(model=MODEL, contents=f"Number {n}")]

        replies = await asyncio.gather(*(stream(n) for n in range(10)))
        return [replies, said(await client.aio.models.generate_content(model=MODEL, contents="Number 0"))]

    streams, whole = same(lambda client: asyncio.run(scenario(client)))
    assert len(streams) == 10 and "".join(text(part) for part in streams[0] if part["candidates"][0]["content"]["parts"]) == text(whole)


def test_embeddings_counts_and_models(same):
    def embed(client: genai.Client):
        config = types.EmbedContentConfig(output_dimensionality=8)
        return said(client.models.embed_content(model="gemini-embedding-001", contents=["river", "bridge"], config=config))

    assert len(same(embed)["embeddings"][0]["values"]) == 8
    assert same(lambda client: said(client.models.count_tokens(model=MODEL, contents=ASKED)))["total_tokens"] > 1
    names = same(lambda client: [model.name for model in client.models.list()])
    assert f"models/{MODEL}" in names


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("model", "error", "code", "status"),
    [
        ("fault-400", "ClientError", 400, "INVALID_ARGUMENT"),
        ("fault-401", "ClientError", 400, "INVALID_ARGUMENT"),
        ("fault-403", "ClientError", 403, "PERMISSION_DENIED"),
        ("fault-404", "ClientError", 404, "NOT_FOUND"),
        ("fault-429", "ClientError", 429, "RESOURCE_EXHAUSTED"),
        ("fault-500", "ServerError", 500, "INTERNAL"),
        ("fault-503", "ServerError", 503, "UNAVAILABLE"),
    ],
)
def test_an_error(same, model, error, code, status, stream):
    def scenario(client: genai.Client):
        if stream:
            return list(client.models.generate_content_stream(model=model, contents=ASKED))
        return client.models.generate_content(model=model, contents=ASKED)

    failed = same(scenario)
    assert (failed["error"], failed["code"], failed["status"]) == (error, code, status)


def test_retries(same):
    assert same(lambda client: said(client.models.generate_content(model="fault-flaky", contents=ASKED)), attempts=3)["candidates"]
    assert same(lambda client: client.models.generate_content(model="fault-429", contents=ASKED), attempts=2)["code"] == 429


@pytest.mark.parametrize("model", ["fault-truncated", "fault-reset"])
def test_a_stream_that_breaks_off(same, model):
    def scenario(client: genai.Client):
        parts = 0
        try:
            for _ in client.models.generate_content_stream(model=model, contents=ASKED):
                parts += 1
        except httpx2.TransportError:
            return {"parts": parts, "broken": True}
        return {"parts": parts, "broken": False}

    broken = same(scenario)
    assert broken["parts"] > 1 and broken["broken"]
