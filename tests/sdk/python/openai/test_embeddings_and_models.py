"""Embeddings in both encodings, and the list of models."""

import math

import pytest
from openai import OpenAI

MODEL = "text-embedding-3-small"


def embed(client: OpenAI, **options):
    return client.embeddings.create(model=MODEL, **options)


def test_the_encodings_mean_the_same(same):
    """Left alone, the SDK asks for base64 and decodes it."""
    decoded = same(lambda client: embed(client, input="river"))
    floats = same(lambda client: embed(client, input="river", encoding_format="float"))
    vector = decoded["data"][0]["embedding"]
    assert len(vector) == 1536 and vector == pytest.approx(floats["data"][0]["embedding"])
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-4)


def test_base64_as_it_comes(same):
    reply = same(lambda client: embed(client, input="river", encoding_format="base64"))
    assert isinstance(reply["data"][0]["embedding"], str)


def test_a_list_and_fewer_dimensions(same):
    reply = same(lambda client: embed(client, input=["river", "bridge", "river"], dimensions=8))
    first, second, third = (row["embedding"] for row in reply["data"])
    assert [row["index"] for row in reply["data"]] == [0, 1, 2]
    assert len(first) == 8 and first == third != second


def test_the_list_of_models(same):
    names = [model["id"] for model in same(lambda client: list(client.models.list()))]
    assert "gpt-4o" in names and "fault-429" in names


def test_one_model(same):
    assert same(lambda client: client.models.retrieve("gpt-4o"))["id"] == "gpt-4o"


def test_an_unknown_model(same):
    failed = same(lambda client: client.models.retrieve("gpt-0"))
    assert (failed["error"], failed["code"], failed["param"]) == ("NotFoundError", "model_not_found", "model")
