"""What the gateway reads of images, sound and completions costs what the provider bills for them.

The bill is priced by genai-prices itself.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from common.llm.costs import Cost, cost_of
from common.llm.forms import FORMS
from common.llm.paths import Endpoint, resolve
from common.llm.price_book import bundled_book
from scripts.simulated import (
    openai_completions,
    openai_images,
    openai_speech,
    openai_transcripts,
)
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.ledger import price_nanos
from scripts.simulated.replies import Exchange, Reply
from scripts.simulated.vendors import Call
from tests.metering.recordings import metered_in

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
IMAGES, AUDIO = "/v1/images", "/v1/audio"
PNG = {"image": ("a.png", b"\x89PNG" + b"x" * 3000)}
SOUND = {"file": ("a.mp3", b"x" * 12_345)}

TOLD: dict[str, tuple[str, dict[str, Any], Mapping[str, Any]]] = {
    "an image": (f"{IMAGES}/generations", {"model": "gpt-image-1.5", "prompt": "bear"}, {}),
    "images": (f"{IMAGES}/generations", {"model": "gpt-image-1", "prompt": "bear", "n": 2}, {}),
    "an image as events": (
        f"{IMAGES}/generations",
        {"model": "gpt-image-1.5", "prompt": "bear", "stream": True, "partial_images": 3},
        {},
    ),
    "an edit": (f"{IMAGES}/edits", {"model": "gpt-image-2", "prompt": "bear"}, PNG),
    "an edit as events": (
        f"{IMAGES}/edits",
        {"model": "gpt-image-1.5", "prompt": "bear", "stream": "true", "partial_images": "1"},
        PNG,
    ),
    "speech by characters": (
        f"{AUDIO}/speech",
        {"model": "tts-1-hd", "input": "Grüße " * 600, "voice": "nova"},
        {},
    ),
    "speech as events": (
        f"{AUDIO}/speech",
        {
            "model": "gpt-4o-mini-tts",
            "input": "Grüße " * 90,
            "voice": "nova",
            "stream_format": "sse",
        },
        {},
    ),
    "a transcript by seconds": (f"{AUDIO}/transcriptions", {"model": "whisper-1"}, SOUND),
    "a transcript by the hour": (f"{AUDIO}/transcriptions", {"model": "gpt-transcribe"}, SOUND),
    "a verbose transcript": (
        f"{AUDIO}/transcriptions",
        {"model": "whisper-1", "response_format": "verbose_json"},
        SOUND,
    ),
    "a transcript by tokens": (
        f"{AUDIO}/transcriptions",
        {"model": "gpt-4o-transcribe", "prompt": "Grüße"},
        SOUND,
    ),
    "a transcript as events": (
        f"{AUDIO}/transcriptions",
        {"model": "gpt-4o-mini-transcribe", "stream": "true"},
        SOUND,
    ),
    "a verbose translation": (
        f"{AUDIO}/translations",
        {"model": "whisper-1", "response_format": "verbose_json"},
        SOUND,
    ),
    "completions": (
        "/v1/completions",
        {"model": "davinci-002", "prompt": ["a", "b"], "n": 2, "best_of": 3},
        {},
    ),
    "completions as events": (
        "/v1/completions",
        {
            "model": "gpt-3.5-turbo-instruct",
            "prompt": "a",
            "max_tokens": 200,
            "stream": True,
            "stream_options": {"include_usage": True},
        },
        {},
    ),
}
UNTOLD: dict[str, tuple[str, dict[str, Any], Mapping[str, Any], str]] = {
    "old images": (
        f"{IMAGES}/generations",
        {"model": "dall-e-3", "prompt": "bear"},
        {},
        "unknown_model",
    ),
    "variations": (f"{IMAGES}/variations", {"n": "2"}, PNG, "unknown_model"),
    "speech by tokens": (
        f"{AUDIO}/speech",
        {"model": "gpt-4o-mini-tts", "input": "Hello", "voice": "nova"},
        {},
        "usage_missing",
    ),
    "subtitles": (
        f"{AUDIO}/transcriptions",
        {"model": "whisper-1", "response_format": "srt"},
        SOUND,
        "usage_missing",
    ),
    "a translation": (f"{AUDIO}/translations", {"model": "whisper-1"}, SOUND, "usage_missing"),
}


class Answered:
    """One request, its reply, and what the gateway makes of the two."""

    def __init__(self, path: str, fields: dict[str, Any], files: Mapping[str, Any]) -> None:
        if files:
            request = httpx.Request("POST", "http://x", data=fields, files=files)
            headers = {b"content-type": request.headers["content-type"].encode()}
            self.body = request.read()
        else:
            headers, self.body = {}, json.dumps(fields).encode()
        exchange = Exchange("req", "id", "suffix", AT)
        self.reply = _answer(Call("openai", "POST", path, headers, exchange), self.body)
        endpoint = resolve("POST", f"/openai{path}", {})
        assert isinstance(endpoint, Endpoint)
        assert endpoint.form is not None
        self.form = FORMS[endpoint.form]
        sent = list(self.reply.events or ())
        self.events = [*(data for data, _ in sent), self.reply.terminal]
        self.tokens = [0, *(tokens for _, tokens in sent)]

    def billed_nanos(self, events: int | None = None) -> int:
        """What is billed for all, or where generation stops behind so many events."""
        tokens = self.reply.output_tokens if events is None else self.tokens[events]
        return price_nanos("openai", self.reply.model, self.reply.usage_at(tokens), {}, AT)

    def cost(self, events: int | None = None) -> Cost:
        """The cost of all that came, or of so many events."""
        if self.reply.body is not None and self.reply.content_type is None:
            metered = self.form.read_reply(self.reply.body)
        else:
            of_bytes = self.form.byte_tap if self.reply.content_type else None
            tap = of_bytes() if of_bytes is not None else self.form.stream_tap(False)
            metered = metered_in(tap, self.events[:events])
        facts = self.form.read_facts(self.body)
        return cost_of(metered, facts, book=bundled_book(), provider="openai", at=AT)


def _answer(call: Call, body: bytes) -> Reply:
    knobs = Behaviour()
    if call.path in openai_images.PATHS:
        return openai_images.answer(call, body, knobs)
    if call.path in openai_transcripts.PATHS:
        return openai_transcripts.answer(call, body, knobs)
    if call.path == openai_speech.PATH:
        return openai_speech.answer(json.loads(body), knobs)
    return openai_completions.answer(call, body, knobs)


@pytest.mark.parametrize("name", TOLD)
def test_costs_what_is_billed(name: str) -> None:
    answered = Answered(*TOLD[name])

    cost = answered.cost()

    assert (cost.nanos, cost.reason) == (answered.billed_nanos(), None)


@pytest.mark.parametrize("name", UNTOLD)
def test_says_why_it_cannot_know_what_is_billed(name: str) -> None:
    path, fields, files, reason = UNTOLD[name]

    cost = Answered(path, fields, files).cost()

    assert (cost.nanos, cost.reason) == (None, reason)


@pytest.mark.parametrize(
    "name",
    [
        *("an image as events", "an edit as events", "speech as events"),
        "a transcript as events",
    ],
)
def test_pictures_and_sound_that_are_cut_have_no_cost(name: str) -> None:
    answered = Answered(*TOLD[name])

    for count in range(len(answered.events)):
        cost = answered.cost(count)
        assert (cost.nanos, cost.reason, cost.priced_nanos) == (None, "usage_missing", 0)


def test_completions_that_are_cut_cost_no_less_than_is_billed() -> None:
    answered = Answered(*TOLD["completions as events"])

    for count in range(len(answered.events)):
        cost = answered.cost(count)
        assert cost.nanos is not None
        assert cost.nanos >= answered.billed_nanos(count)
