"""Making a call smaller that does not fit a budget, before it is refused.

In this order: OpenAI's usual service tier where the request leaves the tier open, then a lower
output cap. Whatever is edited is read and bounded anew: only a bound within the room is a fit. What
an edit could spoil stays as it is, and is refused with what would fit.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from common.core.money import Nanos
from common.llm.bounds import Bound, Unbounded
from common.llm.edits import NotSafe, Reason, Recipient
from common.llm.facts import CallFacts
from common.llm.forms import FORMS
from common.llm.output_cap import Cap, find_cap
from common.llm.service_tier import pin_usual_tier

SMALLEST_ANSWER_TOKENS = 256
"""An answer is not capped below this, beside what the model may think."""

_PINNED = "service_tier=default"
_ADDED_BYTES = 64
"""What a caller adds to a body who names a tier and a cap."""

BoundOf: TypeAlias = Callable[[CallFacts], Bound | Unbounded]
"""The bound of a call with these facts, by the book and at the time it was received."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as it is to be sent: its body, what it says, and its bound."""

    body: bytes
    facts: CallFacts
    bound: Bound
    recipient: Recipient


@dataclass(frozen=True, slots=True)
class Fitted:
    """A call that fits. `done` says what was changed, each ``member=value``; empty: nothing."""

    body: bytes
    facts: CallFacts
    bound: Bound
    done: tuple[str, ...]

    @property
    def text(self) -> str:
        """What was done, for a header."""
        return "; ".join(self.done)


@dataclass(frozen=True, slots=True)
class WouldFit:
    """What the caller could change for the call to fit.

    `usual_tier`: ask for the usual service tier. `output_tokens`: allow each reply no more than
    these; None where that is not needed. `nothing`: no answer to this input fits. `less`: ask for
    less than these pictures, this speech or this transcript.
    """

    usual_tier: bool = False
    output_tokens: int | None = None
    nothing: bool = False
    less: bool = False


@dataclass(frozen=True, slots=True)
class NoFit:
    """A call that was not made to fit. `reason` None: no safe edit makes it small enough."""

    reason: Reason | None
    would_fit: WouldFit


def fit(asked: Asked, room: Nanos, bound_of: BoundOf) -> Fitted | NoFit:
    """The call as it fits the room, with as little changed as possible."""
    if asked.bound.nanos <= room:
        return Fitted(asked.body, asked.facts, asked.bound, ())
    pinned = _pinned(asked, bound_of)
    tried = asked if pinned is None else pinned
    done = () if pinned is None else (_PINNED,)
    if tried.bound.nanos <= room:
        return Fitted(tried.body, tried.facts, tried.bound, done)
    cap = find_cap(tried.body, tried.recipient)
    if isinstance(cap, NotSafe):
        return NoFit(cap.reason, would_fit(asked, room, bound_of))
    found = _capped(tried, cap, room, bound_of)
    if found is None:
        return NoFit(None, would_fit(asked, room, bound_of))
    return replace(found, done=(*done, *found.done))


def would_fit(asked: Asked, room: Nanos, bound_of: BoundOf) -> WouldFit:
    """What would fit the room, whether or not it is safe to do so unasked."""
    pinned = _pinned(asked, bound_of)
    tried = pinned if pinned is not None else asked
    if tried.bound.nanos <= room:
        return WouldFit(usual_tier=pinned is not None)
    if not tried.facts.bounded:
        return WouldFit(less=True)

    size = tried.facts.size_bytes + _ADDED_BYTES

    def fits(tokens: int) -> bool:
        return _fits(bound_of(replace(tried.facts, output_cap=tokens, size_bytes=size)), room)

    tokens = _most(1, tried.bound.output_tokens, fits)
    if tokens is None:
        return WouldFit(nothing=True)
    return WouldFit(usual_tier=pinned is not None, output_tokens=tokens)


def _pinned(asked: Asked, bound_of: BoundOf) -> Asked | None:
    """The call at the usual tier, where that lowers its bound."""
    edited = pin_usual_tier(asked.body, asked.recipient)
    if isinstance(edited, NotSafe):
        return None
    facts = _read(asked, edited.body)
    bound = bound_of(facts)
    if not isinstance(bound, Bound) or bound.nanos >= asked.bound.nanos:
        return None
    return replace(asked, body=edited.body, facts=facts, bound=bound)


def _capped(tried: Asked, cap: Cap, room: Nanos, bound_of: BoundOf) -> Fitted | None:
    """The call with the highest cap that fits."""
    least = max(cap.least, cap.thinking + SMALLEST_ANSWER_TOKENS)

    def fits(tokens: int) -> bool:
        size = len(tried.body) + cap.grows_by(tokens)
        facts = replace(tried.facts, output_cap=tokens, size_bytes=size)
        return _fits(bound_of(facts), room)

    tokens = _most(least, cap.most, fits)
    edited = None if tokens is None else cap.lowered(tokens)
    if edited is None or isinstance(edited, NotSafe):
        return None
    facts = _read(tried, edited.body)
    bound = bound_of(facts)
    if not isinstance(bound, Bound) or bound.nanos > room:
        return None
    return Fitted(edited.body, facts, bound, (f"{edited.member}={edited.value}",))


def _read(asked: Asked, body: bytes) -> CallFacts:
    """The facts of an edited body. Which model it is sent to, the body need not say."""
    form = asked.recipient.endpoint.form
    if form is None:
        return CallFacts(readable=False, size_bytes=len(body))
    return replace(FORMS[form].read_facts(body), model=asked.facts.model)


def _fits(bound: Bound | Unbounded, room: Nanos) -> bool:
    return isinstance(bound, Bound) and bound.nanos <= room


def _most(least: int, most: int, fits: Callable[[int], bool]) -> int | None:
    """The largest of these numbers that fits; a bound never falls where a cap rises."""
    if least > most or not fits(least):
        return None
    while least < most:
        middle = (least + most + 1) // 2
        if fits(middle):
            least = middle
        else:
            most = middle - 1
    return least
