"""Typed replies: whole, in parts, several at once, refused by their own type, and failed."""

import asyncio

import pytest
from instructor import Instructor
from pydantic import BaseModel, field_validator

from client import connect_async

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "The weather in Ulm? Größe → 東京 🚂"}]}


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    days: int


class Never(BaseModel):
    """What no reply can be."""

    city: str

    @field_validator("city")
    @classmethod
    def refuse(cls, city: str) -> str:
        raise ValueError("there is no such city")


def test_a_typed_reply(same):
    reply, completion = same(lambda client: client.chat.completions.create_with_completion(response_model=Weather, **ASKED))
    assert reply["city"] and reply["days"] > 0 and completion["usage"]["completion_tokens"] > 1


def test_a_reply_in_parts(same):
    parts = same(lambda client: list(client.chat.completions.create_partial(response_model=Weather, **ASKED)))
    assert len(parts) > 2 and parts[-1]["days"] > 0


def test_a_list_of_them(same):
    """The simulated provider does not fill in nested lists: the refusal is the outcome."""
    outcome = same(lambda client: client.chat.completions.create(response_model=list[Weather], max_retries=1, **ASKED))
    assert isinstance(outcome, list | dict)


def test_on_an_event_loop(same):
    async def scenario(client):
        asked = [{**ASKED, "messages": [{"role": "user", "content": f"Number {n}"}]} for n in range(10)]
        return await asyncio.gather(*(client.chat.completions.create(response_model=Weather, **one) for one in asked))

    replies = same(lambda client: asyncio.run(scenario(client)), connect=connect_async)
    assert len(replies) == 10 and all(reply["days"] > 0 for reply in replies)


def test_a_reply_that_does_not_fit_is_asked_for_again(same):
    failed = same(lambda client: client.chat.completions.create(response_model=Never, max_retries=2, **ASKED))
    assert failed["error"] == "InstructorRetryException" and failed["n_attempts"] >= 2
    assert "there is no such city" in failed["said"]


def test_prose_where_json_was_asked_for(same):
    failed = same(lambda client: client.chat.completions.create(response_model=Weather, max_retries=1, **ASKED), mode="JSON")
    assert failed["error"] == "InstructorRetryException"


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("fault-400", "context_length_exceeded"),
        ("fault-401", "invalid_api_key"),
        ("fault-429", "rate_limit_exceeded"),
        ("fault-503", "server_is_overloaded"),
    ],
)
def test_an_error(same, model, code):
    failed = same(lambda client: client.chat.completions.create(response_model=Weather, max_retries=0, **{**ASKED, "model": model}))
    assert code in str(failed)


def test_retries_of_the_sdk(same):
    reply = same(lambda client: client.chat.completions.create(response_model=Weather, **{**ASKED, "model": "fault-flaky"}), max_retries=2)
    assert reply["days"] > 0
