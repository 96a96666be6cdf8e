"""Realtime: a WebSocket session with text, tools and errors, and how it is closed. WebSockets are HTTP/1.1 here."""

import asyncio
import json
import re
import ssl

import pytest
from openai import AsyncOpenAI, OpenAI
from websockets.exceptions import ConnectionClosed, InvalidStatus

from both import Way
from client import connect, connect_async

ID = re.compile(r"\b(?:item|resp|sess|event|call|conv)_[0-9A-Za-z]+\b")
MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Größe → 東京 🚂"}]}


def realtime(client: OpenAI, model: str):
    """A session of the synchronous client, over TLS 1.2 where there is TLS: the asynchronous one speaks 1.3.

    It reads and writes one TLS connection from two threads at once, which OpenSSL does not allow. With TLS 1.3 a server's
    tickets come behind the handshake, just when the request goes out, and what is written while one is read may be lost
    inside the client. Then it waits for an answer to a request that no server has seen, whichever that is.
    """
    options = {}
    if client.base_url.scheme == "https":
        options["ssl"] = ssl.create_default_context()
        options["ssl"].maximum_version = ssl.TLSVersion.TLSv1_2
    return client.realtime.connect(model=model, websocket_connection_options=options)


def seen(event) -> dict:
    """An event, less ids and moments, which each session has for itself."""
    event = event.model_dump(warnings=False) if hasattr(event, "model_dump") else event
    return json.loads(ID.sub("id", json.dumps(event)), object_hook=lambda fields: fields | {"expires_at": 0} if "expires_at" in fields else fields)


def test_a_conversation(same):
    def scenario(client: OpenAI):
        with realtime(client, "gpt-realtime") as session:
            events = [seen(session.recv())]
            session.session.update(session={"type": "realtime", "output_modalities": ["text"], "instructions": "Be brief."})
            events.append(seen(session.recv()))
            for _ in range(2):
                session.conversation.item.create(item=MESSAGE)
                session.response.create()
                for event in session:
                    events.append(seen(event))
                    if event.type == "response.done":
                        break
            return events

    types = [event["type"] for event in same(scenario)]
    assert types[:2] == ["session.created", "session.updated"] and types[-1] == "response.done"
    assert types.count("response.output_text.delta") > 5


@pytest.mark.parametrize("size", [0, 125, 126, 65_536, 1 << 20])
def test_messages_of_any_size_come_back(same, size):
    def scenario(client: OpenAI):
        with realtime(client, "echo") as session:
            sent = {"type": "none", "text": "ü" * (size // 2)}
            session.send(sent)
            return json.loads(session.recv_bytes()) == sent

    assert same(scenario)


def test_many_messages_both_ways_at_once(same):
    async def alone(way: Way):
        async with connect_async(way) as client, client.realtime.connect(model="echo") as session:

            async def send():
                for n in range(200):
                    await session.send({"type": "none", "n": n})

            sending = asyncio.create_task(send())
            back = [json.loads(await session.recv_bytes())["n"] for _ in range(200)]
            await sending
            return back

    assert same(lambda way: asyncio.run(alone(way)), connect=lambda way: way) == list(range(200))


def test_many_sessions_at_once(same):
    async def session(client: AsyncOpenAI, n: int):
        async with client.realtime.connect(model="gpt-realtime") as one:
            await one.recv()
            await one.conversation.item.create(item={**MESSAGE, "content": [{"type": "input_text", "text": f"Number {n}"}]})
            await one.response.create()
            return [seen(event) async for event in until_done(one)]

    async def until_done(session):
        async for event in session:
            yield event
            if event.type == "response.done":
                return

    async def alone(way: Way):
        async with connect_async(way) as client:
            return await asyncio.gather(*(session(client, n) for n in range(10)))

    assert len(same(lambda way: asyncio.run(alone(way)), connect=lambda way: way)) == 10


def test_an_event_that_is_none(same):
    def scenario(client: OpenAI):
        with realtime(client, "gpt-realtime") as session:
            session.recv()
            session.send({"type": "no.such.event"})
            return seen(session.recv())

    assert same(scenario)["type"] == "error"


@pytest.mark.parametrize("code", [1000, 3000, 4999])
def test_how_a_session_is_closed(way, code):
    with realtime(connect(way), "gpt-realtime") as session:
        session.recv()
        session.close(code=code, reason="genug")
        with pytest.raises(ConnectionClosed) as closed:
            session.recv()
        assert closed.value.rcvd.code == code


@pytest.mark.parametrize("model", ["fault-401", "fault-429", ""])
def test_a_session_that_is_refused(same, model):
    def scenario(client: OpenAI):
        try:
            with realtime(client, model) as session:
                return seen(session.recv())
        except InvalidStatus as refused:
            return [refused.response.status_code, json.loads(refused.response.body)]

    status, body = same(scenario)
    assert status in (400, 401, 429) and body["error"]["message"]
