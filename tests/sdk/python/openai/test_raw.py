"""Replies as they come: status, fields, bytes and lines."""

import pytest
from openai import OpenAI

MESSAGES = [{"role": "user", "content": "Größe → 東京 🚂"}]
ADDED = {"x-sidegate-key", "x-sidegate-attempts", "server-timing"}
# About one connection alone, or the moment.
OWN = {"connection", "transfer-encoding", "keep-alive", "date", "openai-processing-ms"}


def seen(raw) -> dict:
    """What a program can see of a reply without reading its body, less what Sidegate says that it adds."""
    fields = [[name, value] for name, value in raw.headers.multi_items() if name not in ADDED | OWN]
    return {"status": raw.status_code, "fields": sorted(fields), "retries": raw.retries_taken}


def raw(client: OpenAI, **options):
    return client.chat.completions.with_raw_response.create(**{"model": "gpt-4o", "messages": MESSAGES, **options})


def without_ids(fields: dict) -> dict:
    """The id of a request is made anew for each."""
    return fields | {"fields": [[name, value] for name, value in fields["fields"] if name != "x-request-id"]}


def test_fields_and_bytes(same):
    def scenario(client: OpenAI):
        reply = raw(client)
        return [without_ids(seen(reply)), reply.content, reply.parse()]

    head, body, parsed = same(scenario)
    assert head["status"] == 200 and ["content-type", "application/json"] in head["fields"]
    assert parsed["choices"][0]["message"]["content"].encode() in body


def test_the_lines_of_a_stream(same):
    def scenario(client: OpenAI):
        create = client.chat.completions.with_streaming_response.create
        with create(model="gpt-4o", messages=MESSAGES, stream=True) as reply:
            return [without_ids(seen(reply)), list(reply.iter_lines())]

    head, lines = same(scenario)
    assert ("content-type", "text/event-stream") in [(name, value.split(";")[0]) for name, value in head["fields"]]
    assert [line for line in lines if line][-1] == "data: [DONE]"


def test_the_bytes_of_a_reply_in_parts(same):
    def scenario(client: OpenAI):
        with client.chat.completions.with_streaming_response.create(model="gpt-4o", messages=MESSAGES) as reply:
            return b"".join(reply.iter_bytes(7))

    assert b'"chat.completion"' in same(scenario)


def test_what_the_sdk_does_not_know(same):
    """Fields, queries and paths of tomorrow."""

    def scenario(client: OpenAI):
        known = {"model": "gpt-4o", "messages": MESSAGES}
        options = {"extra_body": {"tomorrow": [1, None, "ü"]}, "extra_query": {"a b": "c&d", "é": "1"}, "extra_headers": {"X-Mine": "1"}}
        return client.chat.completions.create(**known, **options)

    assert same(scenario)["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods(same, method):
    failed = same(lambda client: getattr(client, method)("/models/gpt-4o", cast_to=object))
    assert failed["status"] in (404, 405)


def test_attempts_are_counted_for_the_program(same):
    def scenario(client: OpenAI):
        reply = raw(client, model="fault-flaky")
        return [reply.retries_taken, reply.status_code]

    assert same(scenario, max_retries=2)[1] == 200
