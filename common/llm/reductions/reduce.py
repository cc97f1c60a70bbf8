"""All that is wanted of one request, in the order in which it is safe.

The tier first, because it changes nothing else; what the provider runs before the model, since
another one may not have it; then the model, since what others may do depends on it; how much is
thought before the cap, in which thoughts count; the cap last. Where another model is not safe for
the request as it came, but for what is left of it, it is taken then. The body is read once and
written once, and where nothing changes the very same bytes go out.

Four of them make a prompt cache useless: another model, another effort, another detail of earlier
pictures, another speed of Claude's. In a conversation that has begun they are left alone unless
that is said to matter less.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import orjson

from common.llm.edits import NotSafe, Recipient, open_body
from common.llm.price_book import PriceBook
from common.llm.reductions.candidates import ask_once
from common.llm.reductions.conversation import is_fresh
from common.llm.reductions.effort import lower_effort
from common.llm.reductions.hints import add_hint
from common.llm.reductions.media_detail import look_coarsely
from common.llm.reductions.models import use_model
from common.llm.reductions.output_caps import cap_output
from common.llm.reductions.request import Reduced, Request, Unsafe
from common.llm.reductions.server_tools import drop_server_tools
from common.llm.reductions.service_tiers import leave_priority
from common.llm.reductions.service_tiers import loses_cache as loses_fast_cache
from common.llm.reductions.verbosity import lower_verbosity
from common.llm.reductions.wanted import (
    EffortAtMost,
    EffortDown,
    Hint,
    LowMediaDetail,
    LowVerbosity,
    OneCandidate,
    OutputCap,
    StandardTier,
    UseModel,
    Wanted,
    WithoutServerTools,
)

State: TypeAlias = Literal["applied", "skipped_unsafe", "skipped_cache"]

_FORMS = frozenset(
    {
        *("openai_chat", "openai_responses", "openai_completions", "anthropic_messages"),
        *("gemini_content", "gemini_content_stream", "gemini_interactions"),
    }
)
_COMPACTING = "responses.compact"
_AS_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19
"""With all digits as zeros this is where a number may have 64 bits: a pattern takes 30 times as
long to find it."""

_ADDED_BYTES = 256
"""What reductions add to a body beside the text of a hint."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one thing that was wanted.

    `told` says to what it was lowered, empty where it was not; `reason` why not, in a word.
    """

    name: str
    told: str
    state: State
    reason: str


@dataclass(frozen=True, slots=True)
class Reduction:
    """A body as it is to be sent. `model` is the one it goes to, if that is another one now.

    Some APIs name it in the path, which is the caller's to write. What left nothing to lower has no
    outcome.
    """

    body: bytes
    model: str | None
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class _Beside:
    """What some reductions need beside the request."""

    book: PriceBook
    size_bytes: int


_Result: TypeAlias = Reduced | Unsafe | None


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    reduce: Callable[[Request, Any, _Beside], _Result]
    loses_cache: Callable[[Request], bool] = lambda _request: False


def _alone(reduce: Callable[[Request, Any], _Result]) -> Callable[[Request, Any, _Beside], _Result]:
    return lambda request, wanted, _beside: reduce(request, wanted)


def _use_model(request: Request, wanted: UseModel, beside: _Beside) -> _Result:
    return use_model(request, wanted, book=beside.book, size_bytes=beside.size_bytes)


def _cap_output(request: Request, wanted: OutputCap, beside: _Beside) -> _Result:
    return cap_output(request, wanted, beside.size_bytes)


def _always(_request: Request) -> bool:
    return True


_EFFORT = _Step("effort", _alone(lower_effort), _always)
_STEPS: Mapping[type[Any], _Step] = MappingProxyType(
    {
        StandardTier: _Step("tier", _alone(leave_priority), loses_fast_cache),
        WithoutServerTools: _Step("server_tools", _alone(drop_server_tools)),
        UseModel: _Step("model", _use_model, _always),
        OneCandidate: _Step("candidates", _alone(ask_once)),
        EffortAtMost: _EFFORT,
        EffortDown: _EFFORT,
        LowMediaDetail: _Step("media_detail", _alone(look_coarsely), _always),
        LowVerbosity: _Step("verbosity", _alone(lower_verbosity)),
        Hint: _Step("hint", _alone(add_hint)),
        OutputCap: _Step("output_cap", _cap_output),
    }
)
"""In the order in which they are done."""

_ORDER = tuple(_STEPS)


def name_of(wanted: Wanted) -> str:
    """What outcomes call it."""
    return _STEPS[type(wanted)].name


def reduce(
    body: bytes,
    recipient: Recipient,
    wanted: Sequence[Wanted],
    book: PriceBook,
    *,
    may_miss_cache: bool,
) -> Reduction:
    """The body with as much lowered of what is wanted as is safe.

    Args:
        body: the client's request.
        recipient: who gets it.
        wanted: what may be given up, in any order.
        book: the prices that the call is billed at.
        may_miss_cache: an answer is worth more than what a prompt cache saves.
    """
    form = recipient.endpoint.form
    if not wanted or form not in _FORMS or recipient.endpoint.name == _COMPACTING:
        return Reduction(body, None, ())
    steps = [
        (each, _STEPS[type(each)]) for each in sorted(wanted, key=lambda w: _ORDER.index(type(w)))
    ]
    opened = open_body(body)
    if isinstance(opened, NotSafe):
        return _none_safe(body, steps, opened.reason)
    before = Request(form, opened.parsed, recipient)
    keeps_cache = not may_miss_cache and not is_fresh(form, opened.parsed)
    beside = _Beside(book, len(body) + _ADDED_BYTES + _hint_bytes(wanted))
    after, outcomes = _reduced(before, steps, beside, keeps_cache=keeps_cache)
    if after is not before and any(map(_is_refused_model, outcomes)):
        lasting = [each for each in steps if not isinstance(each[0], EffortDown)]
        after, more = _reduced(after, lasting, beside, keeps_cache=keeps_cache)
        outcomes = _merged(outcomes, more)
    if after is before:
        return Reduction(body, None, outcomes)
    written = body if after.members is before.members else _written(body, after.members)
    if written is None:
        return _none_safe(body, steps, "unreadable")
    model = after.recipient.model if after.recipient.model != recipient.model else None
    return Reduction(written, model, outcomes)


def _reduced(
    request: Request, steps: Sequence[tuple[Wanted, _Step]], beside: _Beside, *, keeps_cache: bool
) -> tuple[Request, tuple[Outcome, ...]]:
    outcomes = []
    for wanted, step in steps:
        found = step.reduce(request, wanted, beside)
        if isinstance(found, Unsafe):
            outcomes.append(Outcome(step.name, "", "skipped_unsafe", found.reason))
        elif found is not None and keeps_cache and step.loses_cache(request):
            outcomes.append(Outcome(step.name, "", "skipped_cache", "not_fresh"))
        elif found is not None:
            request = found.request
            outcomes.append(Outcome(step.name, found.told, "applied", ""))
    return request, tuple(outcomes)


def _is_refused_model(outcome: Outcome) -> bool:
    return outcome.name == "model" and outcome.state == "skipped_unsafe"


def _merged(first: Sequence[Outcome], second: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """What became of each thing in two rounds: of what was done twice, the last."""
    found = {each.name: each for each in first}
    found.update({each.name: each for each in second if each.state == "applied"})
    return tuple(found.values())


def _written(body: bytes, members: Mapping[str, Any]) -> bytes | None:
    """The members as a body; None where some of what was read cannot be written as it was."""
    if _LONG_NUMBER in body.translate(_AS_ZERO):
        try:
            json.loads(body, parse_int=_whole)
        except (ValueError, RecursionError):
            return None
    try:
        return orjson.dumps(members)
    except orjson.JSONEncodeError:
        # It nests deeper than is written, though not than is read.
        return None


def _whole(digits: str) -> int:
    """An integer that was read as one: beyond 64 bits orjson takes it for a float."""
    number = int(digits)
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError("an integer beyond 64 bits")
    return number


def _none_safe(body: bytes, steps: Sequence[tuple[Wanted, _Step]], reason: str) -> Reduction:
    outcomes = (Outcome(step.name, "", "skipped_unsafe", reason) for _, step in steps)
    return Reduction(body, None, tuple(outcomes))


def _hint_bytes(wanted: Sequence[Wanted]) -> int:
    return sum(len(each.text.encode()) for each in wanted if isinstance(each, Hint))
