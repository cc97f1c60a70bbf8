"""How requests and replies of metered endpoints are read, each form as one value.

To add one, write its module in `protocols/` and add it here; `paths.py` says which endpoints have
it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from common.llm.facts import CallFacts
from common.llm.metered import Metered
from common.llm.paths import FormName
from common.llm.protocols import (
    anthropic,
    gemini,
    gemini_caches,
    gemini_interactions,
    openai_audio,
    openai_batches,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_images,
    openai_media,
    openai_responses,
)


class UsageTap(Protocol):
    """Looks at a stream while it passes. Chunks are given out in the call that takes them in."""

    done: bool
    """The provider's own end of the stream was seen."""

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...

    def result(self) -> Metered: ...


class Unread:
    """The tap of a stream that tells no usage: it passes."""

    done = True

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""

    def result(self) -> Metered:
        return Metered()


def _as_it_came(body: bytes, _facts: CallFacts) -> tuple[bytes, bool]:
    return body, False


def _untapped(_strip: bool) -> UsageTap:
    return Unread()


def _untold(_body: bytes) -> Metered:
    return Metered(untold=True)


@dataclass(frozen=True, slots=True)
class MeteredForm:
    """What the pipeline needs to know of an endpoint that costs.

    `prepare` answers the body to send and whether the stream's usage chunk must be taken out; most
    bodies go as they came. Without a `stream_tap` streams tell nothing.
    `read_end` is there where usage stands at an end of replies too long to be kept: it gets their
    beginning and their end.
    """

    read_facts: Callable[[bytes], CallFacts]
    read_reply: Callable[[bytes], Metered]
    prepare: Callable[[bytes, CallFacts], tuple[bytes, bool]] = _as_it_came
    stream_tap: Callable[[bool], UsageTap] = _untapped
    read_end: Callable[[bytes], Metered] | None = None
    array_tap: Callable[[], UsageTap] | None = None
    """Of a stream that is one JSON array, in pieces."""
    byte_tap: Callable[[], UsageTap] | None = None
    """Of a reply that is neither events nor JSON."""


def _ask_for_usage(body: bytes, facts: CallFacts) -> tuple[bytes, bool]:
    edited = openai_chat.ask_for_usage(body, facts)
    return (body, False) if edited is None else (edited, True)


_BATCHES = MeteredForm(read_facts=openai_batches.read_facts, read_reply=openai_batches.read_reply)

FORMS: Mapping[FormName, MeteredForm] = MappingProxyType(
    {
        "openai_chat": MeteredForm(
            read_facts=openai_chat.read_facts,
            prepare=_ask_for_usage,
            read_reply=openai_chat.read_reply,
            stream_tap=lambda strip: openai_chat.StreamTap(strip=strip),
        ),
        "openai_completions": MeteredForm(
            read_facts=openai_completions.read_facts,
            prepare=_ask_for_usage,
            read_reply=openai_chat.read_reply,
            stream_tap=lambda strip: openai_chat.StreamTap(strip=strip),
        ),
        "openai_responses": MeteredForm(
            read_facts=openai_responses.read_facts,
            read_reply=openai_responses.read_reply,
            stream_tap=lambda _strip: openai_responses.StreamTap(),
        ),
        "anthropic_messages": MeteredForm(
            read_facts=anthropic.read_facts,
            read_reply=anthropic.read_reply,
            stream_tap=lambda _strip: anthropic.StreamTap(),
        ),
        "gemini_content": MeteredForm(
            read_facts=gemini.read_facts,
            read_reply=gemini.read_reply,
            stream_tap=lambda _strip: gemini.StreamTap(events=True),
        ),
        "gemini_content_stream": MeteredForm(
            read_facts=lambda body: replace(gemini.read_facts(body), stream=True),
            read_reply=gemini.read_reply,
            stream_tap=lambda _strip: gemini.StreamTap(events=True),
            array_tap=lambda: gemini.StreamTap(events=False),
        ),
        "gemini_interactions": MeteredForm(
            read_facts=gemini_interactions.read_facts,
            read_reply=gemini_interactions.read_reply,
            stream_tap=lambda _strip: gemini_interactions.StreamTap(),
        ),
        "gemini_embeddings": MeteredForm(
            read_facts=gemini.read_embedding_facts,
            read_reply=gemini.read_embeddings,
        ),
        "openai_embeddings": MeteredForm(
            read_facts=openai_embeddings.read_facts,
            read_reply=openai_embeddings.read_reply,
            read_end=openai_embeddings.read_end,
        ),
        "openai_images": MeteredForm(
            read_facts=openai_media.read_picture_facts,
            read_reply=openai_images.read_reply,
            stream_tap=lambda _strip: openai_images.stream_tap(),
            read_end=openai_images.read_ends,
        ),
        "openai_speech": MeteredForm(
            read_facts=openai_audio.read_speech_facts,
            read_reply=openai_audio.read_speech,
            stream_tap=lambda _strip: openai_audio.speech_tap(),
            byte_tap=openai_media.ByteTap,
        ),
        "openai_transcripts": MeteredForm(
            read_facts=openai_audio.read_transcript_facts,
            read_reply=openai_audio.read_transcript,
            stream_tap=lambda _strip: openai_audio.transcript_tap(),
            byte_tap=openai_media.ByteTap,
        ),
        "openai_batches": _BATCHES,
        # Read like OpenAI's: what a batch costs is not in the reply that accepts it. A key that is
        # bound to models carries neither, although this one names its models.
        "anthropic_batches": _BATCHES,
        "gemini_caches": MeteredForm(read_facts=gemini_caches.read_facts, read_reply=_untold),
        "unread": MeteredForm(
            read_facts=lambda body: CallFacts(readable=True, size_bytes=len(body)),
            read_reply=_untold,
        ),
    }
)
