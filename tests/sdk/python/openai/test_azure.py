"""Azure's surface with OpenAI's SDK: another path, another field for the key, other words for an error."""

from openai import OpenAI

from both import Way
from client import connect

MESSAGES = [{"role": "user", "content": "Größe → 東京 🚂"}]


def azure(way: Way, **options) -> OpenAI:
    """A client of a resource; there is no `api-version` on this surface."""
    return connect(way, path="/openai/v1", **options)


def test_a_stream_says_what_the_plain_reply_says(same):
    reply = same(lambda client: client.chat.completions.create(model="gpt-4o", messages=MESSAGES), connect=azure)
    chunks = same(lambda client: list(client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)), connect=azure)
    text = "".join(chunk["choices"][0]["delta"]["content"] or "" for chunk in chunks if chunk["choices"])
    assert text == reply["choices"][0]["message"]["content"]


def test_responses_and_embeddings(same):
    assert same(lambda client: client.responses.create(model="gpt-5", input="Hello"), connect=azure)["status"] == "completed"
    embed = {"model": "text-embedding-3-small", "input": "river", "dimensions": 8}
    assert len(same(lambda client: client.embeddings.create(**embed), connect=azure)["data"][0]["embedding"]) == 8


def test_errors(same):
    for model, error in [("fault-400", "BadRequestError"), ("fault-401", "AuthenticationError"), ("fault-429", "RateLimitError")]:
        failed = same(lambda client, model=model: client.chat.completions.create(model=model, messages=MESSAGES), connect=azure)
        assert failed["error"] == error
