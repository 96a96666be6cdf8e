"""What a provider keeps: files, uploads, batches, vector stores. Ids are made anew each time, so they go by their place."""

import itertools
import re
from typing import Any

from openai import OpenAI

from both import plain

LINES = b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-4o","messages":[{"role":"user","content":"\xc3\xbc"}]}}\n'
ID = re.compile(r"\b(?:file|batch|upload|part|vs|vsfb|req|msg|thread|run|asst|conv|resp|ftjob)[-_][0-9A-Za-z]{6,}\b")
MOMENTS = ("created_at", "in_progress_at", "finalizing_at", "completed_at", "expires_at", "cancelling_at", "last_active_at")


def placed(value: Any) -> Any:
    """The same with ids by their place, and whether there is a moment for the moment."""
    seen: dict[str, str] = {}
    count = itertools.count(1)

    def walk(item: Any) -> Any:
        if isinstance(item, dict):
            return {name: item[name] is not None if name in MOMENTS else walk(item[name]) for name in item}
        if isinstance(item, list):
            return [walk(one) for one in item]
        if isinstance(item, str):
            return ID.sub(lambda found: seen.setdefault(found[0], f"id-{next(count)}"), item)
        return item

    return walk(plain(value))


def upload(client: OpenAI, content: bytes = LINES, purpose: str = "batch"):
    return client.files.create(file=("päckchen.jsonl", content), purpose=purpose)


def test_a_file_from_its_making_to_its_end(same):
    def scenario(client: OpenAI):
        made = upload(client)
        listed = [file for file in client.files.list() if file.id == made.id]
        content = client.files.content(made.id).read()
        return placed([made, listed, client.files.retrieve(made.id), content, client.files.delete(made.id)])

    made, listed, looked_at, content, deleted = same(scenario)
    assert content == LINES and made["bytes"] == len(LINES) and listed == [looked_at]
    assert deleted["deleted"]


def test_a_file_that_is_gone(same):
    def scenario(client: OpenAI):
        made = upload(client)
        client.files.delete(made.id)
        try:
            return client.files.content(made.id).read()
        except Exception as error:
            error.message = ID.sub("id", error.message)
            return [type(error).__name__, error.message, error.status_code]

    assert same(scenario)[0] == "NotFoundError"


def test_a_large_file(same):
    """More than is held of a body: it goes up as it comes, and comes back byte by byte."""
    content = bytes(range(256)) * 4096 * 4

    def scenario(client: OpenAI):
        made = upload(client, content, "user_data")
        with client.files.with_streaming_response.content(made.id) as reply:
            back = b"".join(reply.iter_bytes())
        client.files.delete(made.id)
        return [made.bytes, len(back), back == content]

    assert same(scenario) == [len(content), len(content), True]


def test_an_upload_in_parts(same):
    def scenario(client: OpenAI):
        begun = client.uploads.create(bytes=len(LINES), filename="parts.jsonl", mime_type="application/jsonl", purpose="batch")
        half = len(LINES) // 2
        parts = [client.uploads.parts.create(begun.id, data=data) for data in (LINES[:half], LINES[half:])]
        done = client.uploads.complete(begun.id, part_ids=[part.id for part in parts])
        return placed([begun, parts, done, client.files.content(done.file.id).read()])

    begun, parts, done, content = same(scenario)
    assert (begun["status"], len(parts), done["status"], content) == ("pending", 2, "completed", LINES)


def test_a_batch(same):
    def scenario(client: OpenAI):
        batch = client.batches.create(input_file_id=upload(client).id, endpoint="/v1/chat/completions", completion_window="24h")
        looked_at = batch
        while looked_at.status not in ("completed", "failed"):
            looked_at = client.batches.retrieve(batch.id)
        listed = next(one for one in client.batches.list() if one.id == batch.id)
        lines = client.files.content(looked_at.output_file_id).text.splitlines()
        return [placed([looked_at, listed]), [line.count("custom_id") for line in lines]]

    # How often it was looked at until it was done is a matter of time.
    _, lines = same(scenario, count=False)
    assert lines == [1]


def test_a_vector_store(same):
    def scenario(client: OpenAI):
        store = client.vector_stores.create(name="päckchen", metadata={"a": "b"})
        changed = client.vector_stores.update(store.id, name="anders")
        attached = client.vector_stores.files.create(store.id, file_id=upload(client, purpose="assistants").id)
        return placed([store, changed, attached, client.vector_stores.retrieve(store.id).name, client.vector_stores.delete(store.id)])

    store, changed, *_, deleted = same(scenario)
    assert (store["name"], changed["name"], deleted["deleted"]) == ("päckchen", "anders", True)


def test_many_pages(same):
    def scenario(client: OpenAI):
        made = {upload(client, b"%d" % n).id for n in range(7)}
        found = [file.id for file in client.files.list(limit=2) if file.id in made]
        for one in made:
            client.files.delete(one)
        return sorted(found) == sorted(made)

    # How many pages there are depends on what others left.
    assert same(scenario, count=False)


def test_a_response_that_is_kept(same):
    def scenario(client: OpenAI):
        first = client.responses.create(model="gpt-5", input="Hello")
        again = client.responses.retrieve(first.id)
        then = client.responses.create(model="gpt-5", input="And then?", previous_response_id=first.id)
        client.responses.delete(first.id)
        return placed([first.output_text == again.output_text, then.previous_response_id == first.id])

    assert same(scenario) == [True, True]
