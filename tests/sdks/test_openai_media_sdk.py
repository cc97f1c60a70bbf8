"""Images, speech, transcripts: the official `openai` package sees the same through the gateway."""

from typing import Any

import openai
import pytest

from tests.sdks.comparison import comparable, outcome, outcome_async
from tests.sdks.conftest import AsyncClients, Clients

# The package announces the end of some models and endpoints, which are served until then.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PNG = ("cat.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "image/png")
SOUND = ("talk.mp3", b"\xff\xfb" + bytes(range(256)) * 30, "audio/mpeg")

DRAWN: dict[str, dict[str, Any]] = {
    "plain": {"model": "gpt-image-1.5"},
    "several": {"model": "gpt-image-1", "n": 2, "size": "1024x1536", "quality": "low"},
    "a megabyte": {"model": "gpt-image-2", "quality": "high"},
    "by the piece": {"model": "dall-e-3", "quality": "hd"},
    "unknown model": {"model": "no-such-model"},
    "bad field": {"model": "gpt-image-1", "n": 11},
    "unknown argument": {"model": "gpt-image-1", "extra_body": {"no_such_argument": 1}},
    "partial images without a stream": {"model": "gpt-image-1", "partial_images": 2},
}
SPOKEN: dict[str, dict[str, Any]] = {
    "by characters": {"model": "tts-1"},
    "by tokens": {"model": "gpt-4o-mini-tts", "instructions": "Whisper."},
    "wav": {"model": "tts-1-hd", "response_format": "wav"},
    "own voice": {"model": "gpt-4o-mini-tts", "voice": {"id": "voice_1"}},
    "events": {"model": "gpt-4o-mini-tts", "stream_format": "sse"},
    "unknown voice": {"model": "tts-1", "voice": "none"},
    "events not supported": {"model": "tts-1", "stream_format": "sse"},
    "unknown model": {"model": "gpt-4o"},
}
HEARD: dict[str, dict[str, Any]] = {
    "seconds": {"model": "whisper-1"},
    "tokens": {"model": "gpt-4o-transcribe", "prompt": "Grüße"},
    "verbose": {"model": "whisper-1", "response_format": "verbose_json"},
    "diarized": {
        "model": "gpt-4o-transcribe-diarize",
        "response_format": "diarized_json",
        "chunking_strategy": "auto",
    },
    "text": {"model": "whisper-1", "response_format": "text"},
    "srt": {"model": "whisper-1", "response_format": "srt"},
    "vtt": {"model": "whisper-1", "response_format": "vtt"},
    "unknown model": {"model": "no-such-model"},
    "format of another model": {"model": "gpt-4o-transcribe", "response_format": "srt"},
    "bad field": {"model": "whisper-1", "temperature": 2},
}
TRANSLATED = ("json", "verbose_json", "text", "srt", "vtt")


@pytest.mark.parametrize("name", DRAWN)
def test_draws_the_same(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.images.generate(**{"prompt": "Ein Bär 日本", **DRAWN[name]})

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", ["plain", "a megabyte", "bad field"])
async def test_draws_the_same_as_awaited(async_clients: AsyncClients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        return await client.images.generate(**{"prompt": "A bear", **DRAWN[name]})

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("partial", [0, 3])
def test_streams_the_same_pictures(clients: Clients, partial: int) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        stream = client.images.generate(
            model="gpt-image-1.5",
            prompt="A bear",
            stream=True,
            partial_images=partial,
            quality="high",
        )
        return [comparable(event) for event in stream]

    seen = outcome(call, gateway)

    assert seen == outcome(call, direct)
    assert len(seen) == partial + 1


async def test_streams_the_same_pictures_asynchronously(async_clients: AsyncClients) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        stream = await client.images.edit(
            model="gpt-image-1", prompt="A bear", image=PNG, stream=True, partial_images=2
        )
        return [comparable(event) async for event in stream]

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "gpt-image-1.5", "image": PNG},
        {"model": "gpt-image-1", "image": [PNG, PNG], "mask": PNG, "n": 2},
        {"model": "gpt-image-1", "image": PNG, "stream": True, "partial_images": 1},
        {"model": "no-such-model", "image": PNG},
    ],
)
def test_edits_the_same(clients: Clients, asked: dict[str, Any]) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        edited = client.images.edit(prompt="With a hat", **asked)
        return [comparable(event) for event in edited] if asked.get("stream") else edited

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("model", ["dall-e-2", "gpt-image-1"])
def test_varies_the_same(clients: Clients, model: str) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.images.create_variation(image=PNG, model=model, n=2)

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", SPOKEN)
def test_speaks_the_same(clients: Clients, name: str) -> None:
    direct, gateway = clients
    asked: Any = {"input": "Grüße aus 日本. " * 20, "voice": "nova", **SPOKEN[name]}

    def call(client: openai.OpenAI) -> Any:
        answer = client.audio.speech.create(**asked)
        return answer.response.headers["content-type"], answer.read()

    assert outcome(call, gateway) == outcome(call, direct)


async def test_streams_the_same_sound(async_clients: AsyncClients) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        async with client.audio.speech.with_streaming_response.create(
            model="tts-1", input="Hello " * 600, voice="alloy", response_format="pcm"
        ) as answer:
            return b"".join([chunk async for chunk in answer.iter_bytes()])

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("name", HEARD)
def test_hears_the_same(clients: Clients, name: str) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.audio.transcriptions.create(file=SOUND, **HEARD[name])

    assert outcome(call, gateway) == outcome(call, direct)


@pytest.mark.parametrize("name", ["seconds", "tokens", "text", "unknown model"])
async def test_hears_the_same_as_awaited(async_clients: AsyncClients, name: str) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        return await client.audio.transcriptions.create(file=SOUND, **HEARD[name])

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


def test_streams_the_same_transcript(clients: Clients) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        stream = client.audio.transcriptions.create(
            file=SOUND, model="gpt-4o-mini-transcribe", stream=True
        )
        return [comparable(event) for event in stream]

    seen = outcome(call, gateway)

    assert seen == outcome(call, direct)
    assert seen[-1]["TranscriptionTextDoneEvent"]["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("form", TRANSLATED)
def test_translates_the_same(clients: Clients, form: Any) -> None:
    direct, gateway = clients

    def call(client: openai.OpenAI) -> Any:
        return client.audio.translations.create(file=SOUND, model="whisper-1", response_format=form)

    assert outcome(call, gateway) == outcome(call, direct)


async def test_translates_the_same_as_awaited(async_clients: AsyncClients) -> None:
    direct, gateway = async_clients

    async def call(client: openai.AsyncOpenAI) -> Any:
        return await client.audio.translations.create(file=SOUND, model="whisper-1")

    assert await outcome_async(call, gateway) == await outcome_async(call, direct)


@pytest.mark.parametrize("status", [400, 401, 429, 500])
@pytest.mark.parametrize("part", ["images", "speech", "transcriptions"])
def test_raises_the_same_exception(clients: Clients, part: str, status: int) -> None:
    direct, gateway = clients
    fault = {"x-simulated-fault": f"status-{status}"}
    calls: dict[str, Any] = {
        "images": lambda c: c.images.generate(model="gpt-image-1", prompt="a", extra_headers=fault),
        "speech": lambda c: c.audio.speech.create(
            model="tts-1", input="a", voice="nova", extra_headers=fault
        ).read(),
        "transcriptions": lambda c: c.audio.transcriptions.create(
            model="whisper-1", file=SOUND, extra_headers=fault
        ),
    }

    assert outcome(calls[part], gateway) == outcome(calls[part], direct)


def test_raises_where_the_gateway_ends_a_broken_stream(clients: Clients) -> None:
    _, gateway = clients

    with pytest.raises(openai.APIError) as caught:
        list(
            gateway.images.generate(
                model="gpt-image-1",
                prompt="a",
                stream=True,
                partial_images=3,
                extra_headers={"x-simulated-fault": "cut", "x-simulated-fault-after": "2"},
            )
        )

    assert caught.value.code == "upstream_disconnected"


@pytest.mark.parametrize(
    ("call", "usd"),
    [
        # Text $5 and output image $32 a million: 1 x 5,000 + 272 x 32,000
        (
            lambda c: c.images.with_raw_response.generate(model="gpt-image-1.5", prompt="bear"),
            "0.008709000",
        ),
        # Eight seconds at $0.006 a minute
        (
            lambda c: c.audio.transcriptions.with_raw_response.create(
                model="whisper-1", file=SOUND
            ),
            "0.000800000",
        ),
        (lambda c: c.images.with_raw_response.generate(model="dall-e-3", prompt="bear"), None),
    ],
)
def test_tells_the_cost_in_a_header_where_it_is_known(
    clients: Clients, call: Any, usd: str | None
) -> None:
    _, gateway = clients

    assert call(gateway).headers.get("x-gateway-cost-usd") == usd
