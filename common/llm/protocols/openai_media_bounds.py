"""What requests for images, speech and transcripts may use, read from a request.

Sources: OpenAI API reference, "Images" and "Audio" (members; at most 10 pictures and 3 unfinished
ones; `chunking_strategy`: unset, a recording is transcribed as a single block). Recordings are sold
by tokens, which the model's window holds, or by the second. That each second takes
`LEAST_BYTES_A_SECOND` is taken for granted: silence in FLAC, or a rare codec, can take less, and
then costs more than its bound.

A member that is not known here has no bound: what it does to the cost, nobody can say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.llm.facts import (
    INPUT_ALLOWANCE_TOKENS,
    BoundFacts,
    PicturesAsked,
    names,
    objects,
    unknown_member,
)
from common.llm.multipart import Part

MOST_PICTURES = 10
MOST_PARTIALS = 3
LEAST_BYTES_A_SECOND = 500
"""Four kilobits: below the lowest of MP3 (8), Opus (6) and AMR (4.75)."""

READ_OF_FORMS = names("model stream n size quality output_format partial_images")
"""Fields of forms that are looked at; of others the name is enough."""

_FORMATS = ("png", "jpeg", "webp")
"""Animations and drawings (GIF, SVG) are several pictures, or text of another model."""
_HANDED_IN = names("image image[] mask")
_IMAGE_MEMBERS = _HANDED_IN | names(
    "model prompt n size quality output_format output_compression partial_images stream background "
    "moderation style input_fidelity response_format safety_identifier user images"
)
_SPEECH_MEMBERS = names("input instructions model response_format speed stream_format voice")
_TRANSCRIPT_MEMBERS = names(
    "file model prompt response_format temperature language stream include include[] "
    "timestamp_granularities timestamp_granularities[] chunking_strategy chunking_strategy[type] "
    "chunking_strategy[threshold] chunking_strategy[prefix_padding_ms] "
    "chunking_strategy[silence_duration_ms] keywords keywords[] languages languages[]"
)
_CHUNKING = "chunking_strategy"


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """A request in JSON, or as a form.

    `members`: of a form those of `READ_OF_FORMS`, as text, empty where it cannot be read for sure.
    `parts` are a form's.
    """

    members: Mapping[str, Any]
    parts: tuple[Part, ...]
    size_bytes: int

    def unknown(self, known: frozenset[str]) -> str | None:
        """The name of a member that is not known."""
        given = dict.fromkeys((part.name for part in self.parts), "") or self.members
        return unknown_member(given, known)


def read_pictures(asked: MediaRequest) -> BoundFacts:
    """What generations, edits and variations may use. Each picture is billed as a call."""
    members = asked.members
    shown, shown_bytes = _handed_in(asked)
    size, quality = members.get("size"), members.get("quality")
    pictures = PicturesAsked(
        count=_count(members.get("n"), 1, MOST_PICTURES),
        size=_text(size),
        quality=_text(quality),
        partials=_count(members.get("partial_images"), 0, MOST_PARTIALS),
        shown=shown,
        text_bytes=asked.size_bytes - shown_bytes,
    )
    unbounded = asked.unknown(_IMAGE_MEMBERS)
    output_format = members.get("output_format")
    if unbounded is None and output_format is not None and output_format not in _FORMATS:
        unbounded = "output_format"
    return BoundFacts(
        unbounded=unbounded,
        beyond_bytes="image" if shown else None,
        allowance=INPUT_ALLOWANCE_TOKENS * (1 + shown),
        pictures=pictures,
    )


def read_speech(parsed: Mapping[str, Any]) -> BoundFacts:
    """What speech may use. A character is at least one byte."""
    text = parsed.get("input")
    if not isinstance(text, str):
        return BoundFacts(unbounded="input")
    return BoundFacts(
        unbounded=unknown_member(parsed, _SPEECH_MEMBERS),
        sold_by=(("input_characters", len(text.encode())),),
        sound_output=True,
    )


def read_transcript(asked: MediaRequest) -> BoundFacts:
    """What transcriptions and translations may use."""
    chunked = any(part.name.startswith(_CHUNKING) for part in asked.parts)
    return BoundFacts(
        unbounded=asked.unknown(_TRANSCRIPT_MEMBERS) if asked.parts else "file",
        beyond_bytes="file",
        sold_by=(("audio_seconds", -(-asked.size_bytes // LEAST_BYTES_A_SECOND)),),
        parts=_CHUNKING if chunked else None,
        text_output=True,
    )


def _handed_in(asked: MediaRequest) -> tuple[int, int]:
    """How many pictures the request hands in, and their bytes in its body."""
    files = [part for part in asked.parts if part.name in _HANDED_IN]
    if asked.parts:
        return len(files), sum(part.end - part.start for part in files if part.is_file)
    members = asked.members
    listed = members.get("images")
    given = [listed, members.get("image"), members.get("mask")]
    count = sum(len(each) if isinstance(each, list) else 1 for each in given if each is not None)
    addresses = [each.get("image_url") for each in objects(listed)]
    return count, sum(len(each) for each in addresses if isinstance(each, str))


def _count(asked: Any, least: int, most: int) -> int:
    """A number that is asked for; what cannot be read may be as large as it can be."""
    if asked is None:
        return least
    if isinstance(asked, str) and asked.isascii() and asked.isdecimal():
        asked = int(asked)
    return min(max(asked, least), most) if type(asked) is int else most


def _text(asked: Any) -> str | None:
    return asked if asked is None or isinstance(asked, str) else "unreadable"
