"""Speech in OpenAI's shapes: noise in place of sound, in chunks or as events.

Sound tells no usage; `tts-1` models are billed by characters, others by tokens, which only the last
of the events tells.
"""

import base64
import random
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.generation import seed_of
from scripts.simulated.models import find_model
from scripts.simulated.openai_wording import check_number, invalid_value, missing, wrong_type
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Event, Reply, Usage
from scripts.simulated.words import count_tokens

PATH = "/v1/audio/speech"
FIELDS = frozenset(
    {"input", "model", "voice", "instructions", "response_format", "speed", "stream_format"}
)
VOICES = (
    *("alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer"),
    *("verse", "marin", "cedar"),
)
FORMATS = {name: f"audio/{name}".encode() for name in ("opus", "aac", "flac", "wav", "pcm")}
FORMATS["mp3"] = b"audio/mpeg"
BY_CHARACTERS = ("tts-1", "tts-1-hd")
MOST_CHARACTERS = 4096
_BYTES_PER_CHARACTER = 100
_CHUNK_BYTES = 4096


def answer(parsed: Any, knobs: Behaviour) -> Reply:
    """The reply to one request.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    _check(parsed)
    text, model = parsed["input"], parsed["model"]
    draw = random.Random(seed_of(orjson.dumps(parsed), knobs.seed))  # noqa: S311 - repeatable
    sound = draw.randbytes(_BYTES_PER_CHARACTER * len(text))
    chunks = [sound[at : at + _CHUNK_BYTES] for at in range(0, len(sound), _CHUNK_BYTES)]
    if model in BY_CHARACTERS:
        billed: Usage = {"input_characters": len(text)}
        sounds = ((chunk, 0) for chunk in chunks)
        kind = _kind(parsed)
        return Reply(
            model, {}, 0, lambda _: billed, tells_usage=False, events=sounds, content_type=kind
        )
    read = knobs.input_tokens or count_tokens(text)
    each = 10

    def usage_at(tokens: int) -> Usage:
        return {"input_tokens": read, "output_tokens": tokens, "total_tokens": read + tokens}

    total = each * len(chunks)
    if parsed.get("stream_format") != "sse":
        sounds = ((chunk, each * (number + 1)) for number, chunk in enumerate(chunks))
        kind = _kind(parsed)
        return Reply(
            model, {}, total, usage_at, tells_usage=False, events=sounds, content_type=kind
        )
    tells = knobs.fault != "no-usage"
    done = {"type": "speech.audio.done", **({"usage": usage_at(total)} if tells else {})}
    return Reply(
        model,
        {},
        total,
        usage_at,
        tells_usage=tells,
        events=_events(chunks, each),
        terminal=b"data: %b\n\n" % orjson.dumps(done),
    )


def _events(chunks: list[bytes], each: int) -> Iterator[Event]:
    for number, chunk in enumerate(chunks):
        told = {"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()}
        yield b"data: %b\n\n" % orjson.dumps(told), each * (number + 1)


def _kind(parsed: Mapping[str, Any]) -> bytes:
    return FORMATS[parsed.get("response_format") or "mp3"]


def _check(parsed: Any) -> None:
    _check_fields(parsed)
    model = parsed["model"]
    if find_model("openai", model) is None or "tts" not in model:
        message = f"The model '{model}' does not exist."
        raise Refusal(404, message, param="model", code="model_not_found")
    if not 0 < len(parsed["input"]) <= MOST_CHARACTERS:
        message = f"Invalid 'input': expected 1 to {MOST_CHARACTERS} characters."
        raise Refusal(400, message, param="input")
    own_voice = isinstance(parsed["voice"], dict) and isinstance(parsed["voice"].get("id"), str)
    if not own_voice and parsed["voice"] not in VOICES:
        raise invalid_value("voice", parsed["voice"], VOICES)
    choices = {"response_format": tuple(FORMATS), "stream_format": ("sse", "audio")}
    for name, allowed in choices.items():
        if parsed.get(name) is not None and parsed[name] not in allowed:
            raise invalid_value(name, parsed[name], allowed)
    if parsed.get("stream_format") == "sse" and model in BY_CHARACTERS:
        message = "The 'stream_format' 'sse' is not supported with this model."
        raise Refusal(400, message, param="stream_format", code="unsupported_value")


def _check_fields(parsed: Any) -> None:
    if not isinstance(parsed, dict):
        raise Refusal(400, "Invalid type: expected an object.", code="invalid_type")
    for name in sorted(parsed.keys() - FIELDS):
        message = f"Unknown parameter: '{name}'."
        raise Refusal(400, message, param=name, code="unknown_parameter")
    for name in ("model", "input", "voice"):
        if parsed.get(name) is None:
            raise missing(name)
    for name in ("model", "input"):
        if not isinstance(parsed[name], str):
            raise wrong_type(name, "a string", parsed[name])
    if parsed.get("speed") is not None:
        check_number("speed", parsed["speed"], 0.25, 4)
