"""Requests for pictures, speech and transcripts, and all that a provider may bill for each.

What is billed is asked of the simulated provider, which has tables of its own, and priced by
genai-prices; it shares nothing with the bounds. What a request leaves to the model is asked in each
way that the model may choose.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx

from common.llm.paths import FormName
from scripts.simulated import openai_images, openai_speech, openai_transcripts
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.ledger import price_nanos
from scripts.simulated.picture_bills import is_drawn, qualities
from scripts.simulated.replies import Exchange
from scripts.simulated.vendors import Call
from tests.bounds.asking import AT

PICTURES = {
    "gpt-image-1": ("1024x1024", "1024x1536", "1536x1024"),
    "gpt-image-1-mini": ("1024x1024", "1024x1536", "1536x1024"),
    "gpt-image-2": ("1024x1024", "1536x1024", "3840x2160", "2880x2880", "1008x688"),
    "gpt-image-2.5-flare": ("1024x1024", "1024x1536", "2160x3840", "2880x2880", "2560x1440"),
    "gpt-image-2.5-sunburst": ("1024x1024", "1536x1024", "3840x1280", "2880x2880"),
}
"""Sizes to ask for, the dearest that the model makes among them."""
SPOKEN = ("tts-1", "tts-1-hd")
HEARD_BY_SECONDS = ("whisper-1", "gpt-transcribe")
HEARD_BY_TOKENS = ("gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize")
WINDOW, LONGEST = 16_000, 2_000
"""Of the models that hear tokens, as OpenAI's pages of them say."""
BYTES_A_SECOND = 500
LETTERS = ("x", "ü", "語", "🎧")


@dataclass(frozen=True, slots=True)
class Media:
    """One request, and the requests and knobs by which the provider bills all it may."""

    form: FormName
    path: str
    model: str
    body: bytes
    served: Sequence[tuple[bytes, bytes, Behaviour]] = field(repr=False)
    """What it may be served as: content type, body, knobs."""

    def billed(self) -> int:
        """The most that the provider bills for it, in nano-USD."""
        return max(self._billed(*each) for each in self.served)

    def _billed(self, content_type: bytes, body: bytes, knobs: Behaviour) -> int:
        exchange = Exchange("req", "id", "suffix", AT)
        call = Call("openai", "POST", self.path, {b"content-type": content_type}, exchange)
        if self.form == "openai_images":
            request = openai_images.read_request(call, body)
            return price_nanos(
                "openai", request.model, openai_images.usage_of(request, knobs), {}, AT
            )
        if self.form == "openai_speech":
            reply = openai_speech.answer(json.loads(body), knobs)
        else:
            reply = openai_transcripts.answer(call, body, knobs)
        return price_nanos("openai", reply.model, reply.usage_at(reply.output_tokens), {}, AT)


def media(random: Random, each: int) -> Iterator[Media]:
    """Some requests for every model that can be bounded."""
    for _ in range(each):
        for model in PICTURES:
            yield _generation(random, model)
            yield _edit(random, model)
        for model in SPOKEN:
            yield _speech(random, model)
        for model in (*HEARD_BY_SECONDS, *HEARD_BY_TOKENS):
            yield _transcript(random, model)


def _asked(random: Random, model: str) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": model, "prompt": _text(random, 8_000)}
    choices = {
        "size": (None, "auto", *PICTURES[model]),
        "quality": (None, "auto", *qualities(model)),
        "n": (None, 1, 2, 10),
        "output_format": (None, "png", "webp"),
        "background": (None, "opaque"),
    }
    asked.update({name: random.choice(values) for name, values in choices.items()})
    if asked["n"] in (None, 1) and random.random() < 0.4:
        asked.update(stream=True, partial_images=random.randint(0, 3))
    return {name: value for name, value in asked.items() if value is not None}


def _chosen(asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The request with whatever the model may choose where it is left to it."""
    model = asked["model"]
    sizes, qualities_ = PICTURES[model], qualities(model)
    assert all(is_drawn(model, size) for size in sizes)
    size, quality = asked.get("size", "auto"), asked.get("quality", "auto")
    chosen_sizes = sizes if size == "auto" else (size,)
    chosen_qualities = qualities_ if quality == "auto" else (quality,)
    for each, fine in itertools.product(chosen_sizes, chosen_qualities):
        yield {**asked, "size": each, "quality": fine}


def _generation(random: Random, model: str) -> Media:
    asked = _asked(random, model)
    body = _json(asked)
    knobs = Behaviour(input_tokens=_most_text_tokens(asked["prompt"]))
    served = [(b"", _json(each), knobs) for each in _chosen(asked)]
    return Media("openai_images", "/v1/images/generations", model, body, served)


def _edit(random: Random, model: str) -> Media:
    asked = _asked(random, model)
    if random.random() < 0.5:
        asked["input_fidelity"] = random.choice(("high", "low"))
    count = random.choice((1, 2, 16))
    size = random.choice((10, 50_000, 400_000 // count))
    files = [("image[]" if count > 1 else "image", ("a.png", b"\x89" * size))] * count
    if random.random() < 0.3:
        files.append(("mask", ("m.png", b"\x89" * 100)))
    knobs = Behaviour(input_tokens=_most_text_tokens(asked["prompt"]) + 30 * count)
    served = [(*_form(each, files), knobs) for each in _chosen(asked)]
    _, body = _form(asked, files)
    return Media("openai_images", "/v1/images/edits", model, body, served)


def _speech(random: Random, model: str) -> Media:
    asked = {"model": model, "input": _text(random, 4_096), "voice": "nova"}
    if random.random() < 0.5:
        asked["response_format"] = random.choice(("mp3", "opus", "wav"))
    body = _json(asked)
    return Media("openai_speech", "/v1/audio/speech", model, body, [(b"", body, Behaviour())])


def _transcript(random: Random, model: str) -> Media:
    asked: dict[str, Any] = {"model": model}
    translated = model == "whisper-1" and random.random() < 0.3
    if random.random() < 0.5:
        asked["prompt"] = _text(random, 200)
    if model in HEARD_BY_TOKENS and random.random() < 0.5:
        asked["stream"] = True
    recorded = random.choice((1, 499, 500, 501, 20_000, 3_000_000))
    file = [("file", ("a.mp3", b"\xff" * recorded))]
    content_type, body = _form(asked, file)
    if model in HEARD_BY_SECONDS:
        knobs = Behaviour(input_tokens=-(-recorded // BYTES_A_SECOND))
    else:
        knobs = Behaviour(input_tokens=WINDOW - 800, output_tokens=LONGEST)
    if model == "gpt-4o-transcribe-diarize":
        # Asked of the simulated provider alone, which does not read it without.
        content_type, served = _form({**asked, "chunking_strategy": "auto"}, file)
    else:
        served = body
    path = f"/v1/audio/{'translations' if translated else 'transcriptions'}"
    return Media("openai_transcripts", path, model, body, [(content_type, served, knobs)])


def _text(random: Random, most: int) -> str:
    return random.choice(LETTERS) * random.randint(1, most)


def _most_text_tokens(prompt: str) -> int:
    """A token for each byte, and the six that are added to a prompt."""
    return len(prompt.encode()) + 6


def _json(asked: Mapping[str, Any]) -> bytes:
    return json.dumps(asked, separators=(",", ":"), ensure_ascii=False).encode()


def _form(asked: Mapping[str, Any], files: list[tuple[str, Any]]) -> tuple[bytes, bytes]:
    request = httpx.Request("POST", "http://x", data=dict(asked), files=files)
    return request.headers["content-type"].encode(), request.read()
