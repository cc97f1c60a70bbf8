"""Transcriptions and translations in OpenAI's shapes: made-up text for a recording of any bytes.

A thousand bytes count as a second. `whisper-1` and `gpt-transcribe` tell seconds, other models
tokens; text, subtitles and translations tell nothing, and are billed all the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.generation import seed_of
from scripts.simulated.models import find_model
from scripts.simulated.multipart_forms import form_parts, texts_and_files
from scripts.simulated.openai_wording import invalid_value, missing
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Event, Reply, Usage
from scripts.simulated.vendors import Call
from scripts.simulated.words import count_tokens, pieces_of_text

TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
PATHS = (TRANSCRIPTIONS, TRANSLATIONS)
_COMMON = frozenset({"file", "model", "prompt", "response_format", "temperature"})
FIELDS = {
    TRANSLATIONS: _COMMON,
    TRANSCRIPTIONS: _COMMON
    | {"language", "timestamp_granularities", "stream", "include", "chunking_strategy"},
}
NOT_SIMULATED = frozenset(
    {"keywords", "languages", "known_speaker_names", "known_speaker_references"}
)
KINDS = ("flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm")
BY_SECONDS = ("whisper-1", "gpt-transcribe")
FORMATS = {
    "whisper-1": ("json", "text", "srt", "verbose_json", "vtt"),
    "gpt-4o-transcribe-diarize": ("json", "text", "diarized_json"),
}
TEXT_FORMATS = ("text", "srt", "vtt")
_TEXT = b"text/plain; charset=utf-8"
_BYTES_PER_SECOND = 1000
_TOKENS_PER_SECOND = 10


@dataclass(frozen=True, slots=True)
class Recording:
    """A valid request: its texts, the length of its sound, and what is heard in it."""

    asked: Mapping[str, str]
    translates: bool
    seconds: int
    pieces: tuple[str, ...]

    @property
    def model(self) -> str:
        return self.asked["model"]

    @property
    def format(self) -> str:
        return self.asked.get("response_format") or "json"

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def heard_s(self) -> float:
        """The length as told beside the text, not yet rounded up as it is billed."""
        return self.seconds - 0.25


def answer(call: Call, body: bytes, knobs: Behaviour) -> Reply:
    """The reply to one request.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    heard = _parse(call, body, knobs)
    read = knobs.input_tokens or _TOKENS_PER_SECOND * heard.seconds

    def usage_at(tokens: int) -> Usage:
        if heard.model in BY_SECONDS:
            return {"type": "duration", "seconds": heard.seconds}
        text = count_tokens(heard.asked.get("prompt", ""))
        return {
            "type": "tokens",
            "input_tokens": read + text,
            "input_token_details": {"text_tokens": text, "audio_tokens": read},
            "output_tokens": tokens,
            "total_tokens": read + text + tokens,
        }

    total = len(heard.pieces)
    tells = knobs.fault != "no-usage" and not heard.translates
    usage = usage_at(total) if tells else None
    if heard.asked.get("stream", "").lower() == "true" and heard.model != "whisper-1":
        done = {"type": "transcript.text.done", "text": heard.text}
        return Reply(
            heard.model,
            {},
            total,
            usage_at,
            tells_usage=tells,
            events=_deltas(heard),
            terminal=b"data: %b\n\n" % orjson.dumps(_with(done, usage)),
        )
    plain = heard.format in TEXT_FORMATS
    return Reply(
        heard.model,
        {},
        total,
        usage_at,
        tells_usage=not plain and (tells or heard.format == "verbose_json"),
        body=_as_text(heard) if plain else orjson.dumps(_with(_as_object(heard), usage)),
        content_type=_TEXT if plain else None,
    )


def _deltas(heard: Recording) -> Iterator[Event]:
    for number, piece in enumerate(heard.pieces):
        told = {"type": "transcript.text.delta", "delta": piece}
        yield b"data: %b\n\n" % orjson.dumps(told), number + 1


def _with(told: dict[str, Any], usage: Usage | None) -> dict[str, Any]:
    return told if usage is None else {**told, "usage": usage}


def _as_object(heard: Recording) -> dict[str, Any]:
    if heard.format == "json":
        return {"text": heard.text}
    whole: dict[str, Any] = {"start": 0.0, "end": heard.heard_s, "text": heard.text}
    if heard.format == "diarized_json":
        segment = {"type": "transcript.text.segment", "id": "seg_0", "speaker": "A", **whole}
        told = {"task": "transcribe", "duration": heard.heard_s}
        return {**told, "text": heard.text, "segments": [segment]}
    segment = {
        "id": 0,
        "seek": 0,
        "tokens": [1, 2, 3],
        "temperature": 0.0,
        "avg_logprob": -0.25,
        "compression_ratio": 1.5,
        "no_speech_prob": 0.125,
        **whole,
    }
    return {
        "task": "translate" if heard.translates else "transcribe",
        "language": "english",
        "duration": heard.heard_s,
        "text": heard.text,
        "segments": [segment],
    }


def _as_text(heard: Recording) -> bytes:
    end = f"00:00:{heard.seconds % 60:02d}"
    shown = {
        "text": f"{heard.text}\n",
        "srt": f"1\n00:00:00,000 --> {end},000\n{heard.text}\n\n",
        "vtt": f"WEBVTT\n\n00:00:00.000 --> {end}.000\n{heard.text}\n\n",
    }
    return shown[heard.format].encode()


def _parse(call: Call, body: bytes, knobs: Behaviour) -> Recording:
    parts = form_parts(call.headers.get(b"content-type", b""), body)
    texts, files = texts_and_files(parts, FIELDS[call.path] | NOT_SIMULATED)
    for name in sorted(texts.keys() & NOT_SIMULATED):
        raise Refusal(400, f"[simulated] '{name}' is not simulated.", param=name)
    if "file" not in files:
        raise missing("file")
    if not texts.get("model"):
        raise missing("model")
    _check_model(texts["model"], translates=call.path == TRANSLATIONS)
    [file, *_] = files["file"]
    if (file.file_name or "").rpartition(".")[2].lower() not in KINDS:
        raise Refusal(
            400, f"Unrecognized file format. Supported formats: {list(KINDS)}", param="file"
        )
    if not file.content:
        raise Refusal(400, "Audio file is too short.", param="file", code="audio_too_short")
    _check_values(texts)
    seconds = -(-len(file.content) // _BYTES_PER_SECOND)
    if texts["model"] in BY_SECONDS:
        seconds = knobs.input_tokens or seconds
    seed = seed_of(orjson.dumps([texts, len(file.content)]), knobs.seed)
    tokens = knobs.output_tokens if knobs.output_tokens is not None else 3 * seconds
    return Recording(texts, call.path == TRANSLATIONS, seconds, pieces_of_text(tokens, seed))


def _check_model(name: str, *, translates: bool) -> None:
    known = ("whisper-1",) if translates else ("whisper", "transcribe")
    found = find_model("openai", name)
    live = "live" in name or "realtime" in name
    if found is None or live or not any(word in name for word in known):
        message = f"The model '{name}' does not exist."
        raise Refusal(404, message, param="model", code="model_not_found")


def _check_values(texts: Mapping[str, str]) -> None:
    model = texts["model"]
    allowed = FORMATS.get(model, ("json",))
    if texts.get("response_format", "json") not in allowed:
        raise Refusal(
            400,
            f"response_format '{texts['response_format']}' is not compatible with model "
            f"'{model}'. Use one of {', '.join(allowed)} instead.",
            param="response_format",
            code="unsupported_value",
        )
    if texts.get("stream", "false").lower() not in ("true", "false"):
        raise invalid_value("stream", texts["stream"], ("true", "false"))
    try:
        heat = float(texts.get("temperature", "0"))
    except ValueError:
        heat = -1.0
    if not 0 <= heat <= 1:
        raise Refusal(
            400, "Invalid 'temperature': expected a number from 0 to 1.", param="temperature"
        )
    if texts.get("timestamp_granularities") and texts.get("response_format") != "verbose_json":
        raise Refusal(
            400,
            "timestamp_granularities are only supported with response_format 'verbose_json'.",
            param="timestamp_granularities",
        )
    if texts.get("include") not in (None, "logprobs"):
        raise invalid_value("include", texts["include"], ("logprobs",))
    if texts.get("include"):
        raise Refusal(400, "[simulated] 'include' is not simulated.", param="include")
    if "diarize" in model and not texts.get("chunking_strategy"):
        raise missing("chunking_strategy")
