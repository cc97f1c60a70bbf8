"""OpenAI audio: facts of speech, usage of speech and transcripts.

Source: OpenAI API reference, "Audio". Speech in bytes tells no usage, and neither do transcripts as
text or subtitles; some speech models are billed by the characters of the request, which are
counted here. A transcript tells tokens or the seconds of its recording, by its model.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from common.llm.facts import CallFacts, parse_object, parse_request
from common.llm.metered import Metered, UsageLine, unreadable
from common.llm.protocols import openai_media, openai_media_bounds
from common.llm.protocols.openai_media import Part, StreamTap, metered, token_units

_AUDIO: Part = ("input_audio_tokens", "input_tokens", ("input_token_details", "audio_tokens"))
_MOST_SECONDS = 1 << 31


def read_speech_facts(body: bytes) -> CallFacts:
    facts = openai_media.read_facts(body)
    parsed = parse_request(body)
    if parsed is None:
        return replace(facts, readable=False, model=None)
    text = parsed.get("input")
    return replace(
        facts,
        stream=parsed.get("stream_format") == "sse",
        characters=len(text) if isinstance(text, str) else None,
        bound=openai_media_bounds.read_speech(parsed),
    )


def read_transcript_facts(body: bytes) -> CallFacts:
    """Facts of a request for a transcription or a translation."""
    return openai_media.read_facts(body, openai_media_bounds.read_transcript)


def read_speech(body: bytes) -> Metered:
    """Speech comes as sound or as events; JSON is neither, and tells nothing."""
    return unreadable(body) if parse_object(body) is None else Metered()


def read_transcript(body: bytes) -> Metered:
    """Usage of a reply that is one JSON object."""
    parsed = parse_object(body)
    return unreadable(body) if parsed is None else metered(parsed, _transcript_lines)


def speech_tap() -> StreamTap:
    return StreamTap(_speech_lines)


def transcript_tap() -> StreamTap:
    return StreamTap(_transcript_lines)


def _speech_lines(told: Mapping[str, Any], anomalies: list[str]) -> tuple[UsageLine, ...]:
    usage = told.get("usage")
    units = token_units(usage, (), anomalies) if isinstance(usage, dict) else None
    return () if units is None else (UsageLine(units),)


def _transcript_lines(told: Mapping[str, Any], anomalies: list[str]) -> tuple[UsageLine, ...]:
    usage = told.get("usage")
    if not isinstance(usage, dict):
        # A translation has no usage; with `verbose_json` it tells how long the recording is.
        seconds = _seconds(told.get("duration"))
        return () if seconds is None else (UsageLine({"audio_seconds": seconds}),)
    if usage.get("type") == "duration":
        seconds = _seconds(usage.get("seconds"))
        if seconds is None:
            anomalies.append("seconds is no duration")
            return ()
        return (UsageLine({"audio_seconds": seconds}),)
    units = token_units(usage, (_AUDIO,), anomalies)
    if units is None:
        return ()
    if not isinstance(usage.get("input_token_details"), dict):
        # The reference lets them out: what a recording is transcribed from is sound.
        units["input_audio_tokens"] = units["input_tokens"]
    return (UsageLine(units),)


def _seconds(value: object) -> int | None:
    """Whole seconds; a second that has begun counts as one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return math.ceil(value) if 0 <= value < _MOST_SECONDS else None
