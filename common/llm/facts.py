"""What a request says about itself, read once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

from common.llm.prompt_prefixes import Prefix

COUNTED_ABOVE_BYTES = 1024 * 1024
MOST_VALUES = 500_000

EDIT_LIMIT_BYTES = 8 * 1024 * 1024
"""Bodies above this go out as they came: a search for a member to edit would cost too much."""


INPUT_ALLOWANCE_TOKENS = 64
"""What a provider adds to a prompt (roles, separators): recorded calls stay below."""

CacheWrites: TypeAlias = Literal["none", "short", "long"]
"""The longest life of what a call may write to the provider's prompt cache."""

LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class PicturesAsked:
    """The pictures that a request asks for.

    Attributes:
        count: how many, at most.
        size, quality: as the request spells them; None: the model chooses.
        partials: unfinished pictures shown before each, at most.
        shown: pictures that the request hands in.
        text_bytes: the part of the request that is not such pictures.
    """

    count: int
    size: str | None
    quality: str | None
    partials: int
    shown: int
    text_bytes: int


@dataclass(frozen=True, slots=True)
class BoundFacts:
    """What a request says about how much it may use.

    A part is named as the request spells it. Without a part, input is the body's own text, and a
    token is at least one byte of it.

    Attributes:
        unbounded: a part for which no figure bounds the call.
        open_tool: a tool that the provider runs as often as the model likes.
        unpriced_unit: a unit that the call may use and that no list prices.
        beyond_bytes: a part that may be more tokens than bytes; the context window bounds it.
        inputs: separate inputs, each of which may fill a window.
        allowance: tokens the provider adds to the input.
        tool_calls: calls of tools that the provider runs within this call, at most.
        fees: by unit, what is billed beside tokens, at most.
        more_output: tokens that are billed as output beyond the cap.
        most_candidates: replies that one call may ask for, at most, as the provider counts them.
        cache_writes: what may be written to the provider's prompt cache.
        service_tier: the tier asked for; None: the provider chooses among all.
        contexts: by name of what else moves prices, the values a reply may name.
        text_output: the reply cannot hold audio or images.
        sound_output: the reply is sound, which a window of text does not end.
        sold_by: units that some models sell this by, beside tokens or in place of them, at most.
        parts: a member that makes the model read its input in more parts than one.
        pictures: the pictures asked for, where the reply is pictures.
    """

    unbounded: str | None = None
    open_tool: str | None = None
    unpriced_unit: str | None = None
    beyond_bytes: str | None = None
    inputs: int = 1
    allowance: int = INPUT_ALLOWANCE_TOKENS
    tool_calls: int = 0
    fees: tuple[tuple[str, int], ...] = ()
    more_output: int = 0
    most_candidates: int = 1
    cache_writes: CacheWrites = "long"
    service_tier: str | None = None
    contexts: tuple[tuple[str, frozenset[str]], ...] = ()
    text_output: bool = False
    sound_output: bool = False
    sold_by: tuple[tuple[str, int], ...] = ()
    parts: str | None = None
    pictures: PicturesAsked | None = None


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Facts of one request body.

    `readable` False means that it is no JSON object we understand: it is forwarded as it came, and
    the provider judges it. `stream_options` is OpenAI's member, as it was sent. `asynchronous`
    means that the provider works on after its reply, which tells no usage then. `bounded` False
    means that the bytes of request and reply bound no tokens: pictures and sounds are worth more
    or far less. `characters` counts a text that some models are billed by. `bound` None means that
    it is not known how much calls of this form may use. `unmetered` says in a word why no reply to
    a call like this tells what it costs. `prefix` is what a prompt begins with.
    """

    readable: bool
    model: str | None = None
    stream: bool = False
    stream_options: object = None
    output_cap: int | None = None
    candidates: int = 1
    size_bytes: int = 0
    asynchronous: bool = False
    bounded: bool = True
    characters: int | None = None
    bound: BoundFacts | None = None
    unmetered: str | None = None
    prefix: Prefix | None = None


UNREAD = CallFacts(readable=False)
"""Of a request that nobody has looked at."""


def parse_request(body: bytes) -> Mapping[str, Any] | None:
    """A request's body as a JSON object, or None where it is none, or would not fit in memory.

    Decoded, a value takes some 100 bytes, however short it was: 32 MiB of `{},` would take a
    gigabyte. Long texts and images are few values, so their requests are read.
    """
    if len(body) > COUNTED_ABOVE_BYTES and body.count(b",") > MOST_VALUES:
        return None
    return parse_object(body)


def parse_object(body: bytes) -> Mapping[str, Any] | None:
    """The body as a JSON object, or None (not JSON, not an object).

    An integer beyond 64 bits is read as a float, and so as no count.
    """
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def read_cap(value: object) -> int | None:
    """An output cap in tokens, None where it is absent or the provider will refuse it."""
    return value if type(value) is int and value >= 0 else None


def read_model(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def names(text: str) -> frozenset[str]:
    """The words of a text, as a set to look names up in."""
    return frozenset(text.split())


def unknown_member(members: Mapping[str, Any], known: frozenset[str]) -> str | None:
    """The name of a member that is not known: what it does to the cost, nobody can say."""
    if members.keys() <= known:
        return None
    unknown = (name for name in members if name not in known and members[name] is not None)
    return next((name[:LONGEST_NAME] for name in unknown), None)


def kind_of(part: Mapping[str, Any]) -> str:
    """The type that a part of a request names, cut to a length that can be repeated."""
    kind = part.get("type")
    return kind[:LONGEST_NAME] if isinstance(kind, str) else "untyped"


def objects(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects of a list; nothing of what is no list."""
    return (
        (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
    )
