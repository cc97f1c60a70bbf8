"""Another model of the same provider, where it is cheaper and takes all that the request says.

What a model refuses is known for few members only, so the rule is the other way round: a request is
moved if every member of it is one that the new model is known to take. How much is thought is
carried over in the new model's own words (`thinking_carried.py`), and never to more than before.

Sources: OpenAI guide "Reasoning models" (no sampling parameters, no `max_tokens`); Anthropic
documentation, "Migration guide" (one of `temperature` and `top_p`), "Extended thinking" (a prompt
and its cap together fit the window); guides "Images and vision" (tokens of a picture).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.llm.cap_hazards import hazard_in, least_cap, offers_tools
from common.llm.edits import NotSafe
from common.llm.generation_config import Config, find_config
from common.llm.model_inputs import handed_in, taken_by
from common.llm.model_traits import may_think_unasked, takes_low_verbosity
from common.llm.output_cap import longest_taken, standing_cap
from common.llm.price_book import Card, PriceBook
from common.llm.price_cards import Terms
from common.llm.price_tariffs import Tiered
from common.llm.reductions.conversation import ends_with_tool_result, is_stored, speakers
from common.llm.reductions.model_members import refused_member
from common.llm.reductions.request import Reduced, Request, Unsafe
from common.llm.reductions.thinking_carried import carry_thinking
from common.llm.reductions.wanted import UseModel

_SELL_ALL = frozenset({"openai", "anthropic", "google"})
"""Providers that sell all models of their list under these names; what others have, such as an
Azure account, is not known."""

_PREAMBLE_TOKENS = 4096
"""What a provider adds to a prompt at most."""

_PICTURE_TOKENS = 50_000
"""More than a picture takes of any model here."""

_LONGEST_TOOL_CALL = 16_384
"""Tokens: a file of 60 kB. A model that gives fewer could cut the call of a tool that is offered;
one that gives as many takes a higher cap's place, which clients set to their model's longest."""

_OF_PICTURES = ("image", "Data", "_data")
_PATH_FORMS = frozenset({"gemini_content", "gemini_content_stream"})
_KINDS = (
    ("input_tokens", "input_tokens"),
    ("cache_read_tokens", "input_tokens"),
    ("cache_write_tokens", "input_tokens"),
    ("output_tokens", "output_tokens"),
)
"""What is billed, and what it is billed as where it has no rate of its own."""


@dataclass(frozen=True, slots=True)
class _Move:
    """From one card to another."""

    old: Card
    new: Card
    name: str


def use_model(
    request: Request, wanted: UseModel, *, book: PriceBook, size_bytes: int
) -> Reduced | Unsafe | None:
    """The request for another model. Its body has `size_bytes`, at most."""
    model = request.recipient.model
    if model is None or model.lower() == wanted.model.lower():
        return None
    move = _move_to(wanted.model, model, request.recipient.provider, book)
    if isinstance(move, Unsafe):
        return move
    why = _lacking(request, move)
    if why is not None:
        return Unsafe(why)
    carried = carry_thinking(request, wanted.model)
    capped = _capped(carried, move) if isinstance(carried, Request) else carried
    return _moved(*capped, move, size_bytes) if isinstance(capped, tuple) else capped


def _move_to(name: str, model: str, provider: str | None, book: PriceBook) -> _Move | Unsafe:
    """From one model to another, if it is known and cheaper."""
    if provider not in _SELL_ALL:
        return Unsafe("unknown_upstream")
    old, new = book.card(provider, model), book.card(provider, name)
    if old is None or new is None or taken_by(name) is None:
        return Unsafe("unknown_model")
    if _maker(model) != _maker(name):
        return Unsafe("other_maker")
    if not _is_cheaper(new.terms, old.terms):
        return Unsafe("not_cheaper")
    return _Move(old, new, name)


def _maker(model: str) -> str:
    """Who makes a model that is known: Google's list has Claude's too, which has an API of its own.

    Models of OpenAI's have names without a common beginning.
    """
    bare = model.rpartition("/")[2].lower()
    return next((maker for maker in ("claude", "gemini") if bare.startswith(maker)), "openai")


def _lacking(request: Request, move: _Move) -> str | None:
    """What the new model does not take, or is not known to, in a word."""
    form, members = request.form, request.members
    if ends_with_tool_result(form, members):
        return "tool_result"
    if is_stored(form, members):
        return "stored"
    if form == "anthropic_messages" and "instructions" in speakers(form, members):
        return "system_turn"
    lacking = handed_in(form, members) - (taken_by(move.name) or frozenset())
    if lacking:
        return min(lacking)
    tier = members.get("service_tier", members.get("serviceTier"))
    if tier not in (None, "auto", "default") and not _sells(move.new, tier):
        return "service_tier"
    return refused_member(
        form,
        members,
        thinks=may_think_unasked(move.name),
        low_verbosity=takes_low_verbosity(move.name),
    )


def _sells(card: Card, tier: object) -> bool:
    return isinstance(tier, str) and card.has_variant("service_tier", tier)


def _capped(request: Request, move: _Move) -> tuple[Request, int] | Unsafe:
    """The request with a cap within what the new model gives, and its tokens."""
    form, members = request.form, request.members
    standing = _standing(request)
    if isinstance(standing, NotSafe):
        return Unsafe(standing.reason)
    config, member, cap = standing
    if cap is None:
        return request, 0
    limits = least_cap(form, members, config.members, move.name)
    if limits is None or cap < limits[0]:
        return Unsafe("output_cap")
    longest = longest_taken(move.name, move.new.caps) or 0
    if cap <= longest:
        return request, cap
    hazard = hazard_in(form, members, config.members, move.name)
    least = limits[0]
    if offers_tools(form, members, config.members):
        least = max(least, _LONGEST_TOOL_CALL)
    if hazard is not None or longest < least:
        return Unsafe(hazard or "max_output")
    lowered = (
        config.within(members, member, longest) if config.name else {**members, member: longest}
    )
    return replace(request, members=lowered), longest


def _standing(request: Request) -> tuple[Config, str, int | None] | NotSafe:
    """Where the cap of the request stands, its name, and its tokens if there is one."""
    config = find_config(request.form, request.members)
    if isinstance(config, NotSafe):
        return config
    found = standing_cap(request.form, request.members, config)
    return found if isinstance(found, NotSafe) else (config, *found)


def _moved(request: Request, cap: int, move: _Move, size_bytes: int) -> Reduced | Unsafe:
    if not _fits(request, move, size_bytes + cap):
        return Unsafe("context_window")
    members = request.members
    if request.form not in _PATH_FORMS or "model" in members:
        members = {**members, "model": _as_named(members.get("model"), move.name)}
    recipient = replace(request.recipient, model=move.name, caps=move.new.caps)
    return Reduced(replace(request, members=members, recipient=recipient), move.name)


def _as_named(before: Any, name: str) -> str:
    """A name as the request has it: behind ``models/`` (Gemini), ``google/`` (Vertex AI)."""
    prefix, slash, _ = before.rpartition("/") if isinstance(before, str) else ("", "", "")
    return f"{prefix}{slash}{name}"


def _fits(request: Request, move: _Move, tokens: int) -> bool:
    """Whether so many tokens fit the new model's window, or what fitted the old one does."""
    window, before = move.new.caps.context_window, move.old.caps.context_window
    if window is None:
        return False
    if before is not None and window >= before:
        return True
    handed = handed_in(request.form, request.members)
    if handed & {"files", "sound", "video"}:
        return False
    pictures = _pictures(request.members) if "pictures" in handed else 0
    return tokens + _PREAMBLE_TOKENS + pictures * _PICTURE_TOKENS <= window


def _pictures(value: object) -> int:
    """How many pictures there may be: as many as there are objects that speak of one."""
    found, left = 0, [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left.extend(each.values())
            found += any(word in str(name) for name in _names(each) for word in _OF_PICTURES)
        elif isinstance(each, list):
            left.extend(each)
    return found


def _names(members: Mapping[str, Any]) -> tuple[object, ...]:
    return (*members, members.get("type"))


def _is_cheaper(new: Terms, old: Terms) -> bool:
    """Whether no token costs more, whatever the day and however long the input, and some less."""
    less = False
    for after in new.prices:
        for before in old.prices:
            for unit, else_as in _KINDS:
                dear = after.rates.get(unit, after.rates.get(else_as))
                was = before.rates.get(unit, before.rates.get(else_as))
                if dear is None or was is None or not _never_above(dear, was):
                    return False
                less = less or dear.base < was.base
    return less


def _never_above(one: Tiered, other: Tiered) -> bool:
    starts = (0, *(start + 1 for rate in (one, other) for start, _ in rate.tiers))
    return all(one.at(start) <= other.at(start) for start in starts)
