"""Sound and pictures in both directions, moderations and old completions."""

import base64

import pytest
from openai import OpenAI

SOUND = b"RIFF" + bytes(range(256)) * 64


@pytest.mark.parametrize("kind", ["mp3", "wav", "opus", "pcm"])
def test_speech(same, kind):
    def scenario(client: OpenAI):
        reply = client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="Größe → 東京", response_format=kind)
        return [reply.response.headers["content-type"], reply.read()]

    kind_of_reply, sound = same(scenario)
    assert kind_of_reply.startswith("audio/") and len(sound) > 100


def test_speech_as_it_comes(same):
    def scenario(client: OpenAI):
        create = client.audio.speech.with_streaming_response.create
        with create(model="gpt-4o-mini-tts", voice="alloy", input="Go on") as reply:
            return b"".join(reply.iter_bytes())

    assert len(same(scenario)) > 100


@pytest.mark.parametrize("form", ["json", "verbose_json", "text", "srt", "vtt"])
def test_a_transcription(same, form):
    def scenario(client: OpenAI):
        return client.audio.transcriptions.create(model="whisper-1", file=("sound.wav", SOUND), response_format=form)

    said = same(scenario)
    assert len(said if isinstance(said, str) else said["text"]) > 5


def test_a_transcription_in_a_stream(same):
    def scenario(client: OpenAI):
        return list(client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("sound.wav", SOUND), stream=True))

    *deltas, done = same(scenario)
    assert "".join(event["delta"] for event in deltas) == done["text"] and len(deltas) > 2


def test_a_translation(same):
    assert same(lambda client: client.audio.translations.create(model="whisper-1", file=("sound.wav", SOUND)))["text"]


def test_pictures(same):
    def scenario(client: OpenAI):
        made = client.images.generate(model="gpt-image-1", prompt="A river", n=2)
        picture = base64.b64decode(made.data[0].b64_json)
        edited = client.images.edit(model="gpt-image-1", image=("picture.png", picture), prompt="A bridge over it")
        return [[picture for picture in made.data], edited.data]

    made, edited = same(scenario)
    assert len(made) == 2 and base64.b64decode(edited[0]["b64_json"]).startswith(b"\x89PNG")


def test_a_moderation(same):
    reply = same(lambda client: client.moderations.create(model="omni-moderation-latest", input=["Hello", "Good bye"]))
    assert len(reply["results"]) == 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_old_completion(same, stream):
    def scenario(client: OpenAI):
        reply = client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once", stream=stream)
        return list(reply) if stream else reply

    reply = same(scenario)
    assert (reply[-1] if stream else reply)["choices"][0]["finish_reason"] == "stop"


def test_sound_that_is_missing(same):
    failed = same(lambda client: client.post("/audio/transcriptions", body={"model": "whisper-1"}, cast_to=object))
    assert failed["error"] == "BadRequestError"
