"""What the model "says": how long, which text, which tool calls. Pure and repeatable.

The same request and seed give the same answer. What a request says about how much (caps, effort,
verbosity, tier) is no part of that, so lowering it cuts or shortens the same answer. Lengths are
roughly log-normal with a median of 120 tokens, which is how lengths of chat answers look; a cap
cuts them as the real APIs do. A tool is called when the request forces one, or when the last
message is the user's and names it.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import orjson

from scripts.simulated.instances import instance_of
from scripts.simulated.words import count_tokens, pieces_of_literal, pieces_of_text

MEDIAN_TOKENS = 120
SPREAD = 0.8
_QUANTILES = tuple(
    round(MEDIAN_TOKENS * math.exp(SPREAD * NormalDist().inv_cdf((rank + 0.5) / 1024)))
    for rank in range(1024)
)
CALL_OVERHEAD = 8


def seed_of(body: bytes, seed: int) -> int:
    """64 bits that stand for this request under this seed."""
    key = seed.to_bytes(16, "big", signed=True)
    return int.from_bytes(hashlib.blake2b(body, digest_size=8, key=key).digest(), "big")


def asked_of(parsed: Any, *amounts: str) -> bytes:
    """A request without those members, which only say how much is wanted.

    A dotted name is a member of a member. Either JSON spelling is meant, and what is empty without
    them is left out, too, so that a member that is added and one that is changed are the same.
    """
    bare = frozenset(_spelled(name) for name in amounts)
    return orjson.dumps(_without(parsed, bare, ""))


def _without(value: Any, names: frozenset[str], where: str) -> Any:
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, member in value.items():
        place = f"{where}{_spelled(name)}"
        if place in names:
            continue
        inner = member
        if any(each.startswith(f"{place}.") for each in names):
            inner = _without(member, names, f"{place}.")
        if inner or not isinstance(inner, dict):
            kept[name] = inner
    return kept


def _spelled(name: str) -> str:
    return name.replace("_", "").lower()


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call: its name, and the arguments as pieces of JSON text (not all, if cut)."""

    name: str
    pieces: tuple[str, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Generation:
    """One choice or message. Hidden tokens come first; a piece of text or arguments is a token."""

    hidden: int
    pieces: tuple[str, ...]
    calls: tuple[Call, ...]
    cut: bool

    @property
    def tokens(self) -> int:
        return self.hidden + len(self.pieces) + sum(call.tokens for call in self.calls)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request leaves open and what it fixes.

    `tokens` overrides the length of plain text, `arguments` what tools are called with. `percent`
    is how long plain text is of what it would be.
    """

    cap: int | None = None
    hidden: int = 0
    tokens: int | None = None
    literal: str | None = None
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    arguments: Mapping[str, Any] | None = None
    percent: int = 100


def generate(seed: int, wanted: Wanted) -> Generation:
    """The answer to a request with that seed, never longer than its cap."""
    room = math.inf if wanted.cap is None else wanted.cap
    usual = max(1, _QUANTILES[seed & 1023] * wanted.percent // 100)
    natural = usual if wanted.tokens is None else wanted.tokens
    hidden = wanted.hidden if wanted.tokens is None else min(wanted.hidden, natural)
    if hidden > room:
        return Generation(int(room), (), (), cut=True)
    room -= hidden
    if wanted.calls:
        calls, cut = _calls(wanted, room)
        return Generation(hidden, (), calls, cut)
    if wanted.literal is not None:
        pieces = pieces_of_literal(wanted.literal)
    else:
        length = natural if wanted.tokens is None else natural - hidden
        pieces = pieces_of_text(int(min(length, room + 1)), seed >> 10)
    if len(pieces) > room:
        return Generation(hidden, pieces[: int(room)], (), cut=True)
    return Generation(hidden, pieces, (), cut=False)


def _calls(wanted: Wanted, room: float) -> tuple[tuple[Call, ...], bool]:
    calls: list[Call] = []
    for name, schema in wanted.calls:
        overhead = CALL_OVERHEAD + count_tokens(name)
        given = instance_of(schema) if wanted.arguments is None else wanted.arguments
        pieces = pieces_of_literal(orjson.dumps(given).decode())
        if overhead + len(pieces) > room:
            if overhead <= room:
                kept = pieces[: int(room) - overhead]
                calls.append(Call(name, kept, overhead + len(kept)))
            return tuple(calls), True
        calls.append(Call(name, pieces, overhead + len(pieces)))
        room -= overhead + len(pieces)
    return tuple(calls), False


def json_text(schema: Mapping[str, Any] | None) -> str:
    """Text of a JSON answer: an instance of the schema, or an object that says what it is."""
    value = {"simulated": True, "text": "[simulated]"} if schema is None else instance_of(schema)
    return orjson.dumps(value).decode()


_STEPS = {"none": 0, "minimal": 0, "low": 2, "medium": 4, "high": 8, "xhigh": 14, "max": 20}


def hidden_tokens(seed: int, effort: str) -> int:
    """Reasoning tokens, in steps of 64 as OpenAI reports them; fewer for every lower effort."""
    return 64 * math.ceil(_STEPS.get(effort, 4) * drawn(seed))


def drawn(seed: int) -> Fraction:
    """How much of what it may think a model thinks: more than half of it."""
    return Fraction(513 + (seed >> 20) % 512, 1024)
