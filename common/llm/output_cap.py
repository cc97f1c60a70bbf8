"""Lowering the output cap of a request, in the client's own bytes.

Sources: OpenAI API reference, "Chat", "Responses" and "Completions (legacy)"; Anthropic API
reference, "Messages"; Gemini API reference, "Generating content" and "Interactions".

A cap is only ever lowered. Where a request has none, one is added only where that is known to lower
what may be generated, and the model to take it: OpenAI refuses a cap that together with the prompt
is longer than the window, and Gemini one above its model's longest. What may not be cut stands in
`cap_hazards.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from common.llm.cap_hazards import hazard_in, least_cap
from common.llm.capabilities import ModelCaps
from common.llm.edits import Edited, NotSafe, Reason, Recipient, Slot, open_body
from common.llm.facts import read_cap
from common.llm.generation_config import Config, find_config
from common.llm.paths import FormName

LEAST_RESPONSE_TOKENS = 16
"""The least that `max_output_tokens` may be."""

_MEMBERS: Mapping[FormName, tuple[str, ...]] = MappingProxyType(
    {
        "openai_chat": ("max_completion_tokens", "max_tokens"),
        "openai_responses": ("max_output_tokens",),
        "openai_completions": ("max_tokens",),
        "anthropic_messages": ("max_tokens",),
        "gemini_content": ("maxOutputTokens", "max_output_tokens"),
        "gemini_content_stream": ("maxOutputTokens", "max_output_tokens"),
        "gemini_interactions": ("max_output_tokens",),
    }
)
"""Names of the cap; the first one is added where there is none. Gemini's are two spellings."""

_EXTENDABLE = frozenset({"chat.completions", "responses"})
"""OpenAI's operations that a cap may be added to: without one they end at the model's longest.
Legacy completions end after 16 tokens, and compacting takes none."""

_OLD_GEMINI = re.compile(r"(.*/)?gemini-(1|2\.0)")
_OLD_GEMINI_LONGEST = 8192


@dataclass(frozen=True, slots=True)
class CapPlace:
    """Where the cap of a request stands, or is to be added, and what it may become.

    `config` is the object that it stands in, without a name where that is the request itself. The
    others are as in `Cap`.
    """

    config: Config
    member: str
    current: int | None
    least: int
    most: int
    thinking: int


@dataclass(frozen=True, slots=True)
class Cap:
    """A request's output cap, where it may be lowered.

    Attributes:
        member: its name, as the request spells it or will.
        current: its tokens; None where it is to be added.
        least: below it the answer would be refused or empty.
        most: the most that it may be set to.
        thinking: tokens of it that thinking may use up.
    """

    body: bytes
    slot: Slot
    member: str
    current: int | None
    least: int
    most: int
    thinking: int

    def grows_by(self, tokens: int) -> int:
        """How many bytes longer the body is with so many tokens."""
        return self.slot.grows_by(str(tokens))

    def lowered(self, tokens: int) -> Edited | NotSafe:
        """The body with a cap of so many tokens, every other byte as it was."""
        if tokens > self.most:
            return NotSafe("already_lower" if self.current is not None else "cap_absent")
        if tokens < self.least:
            return NotSafe("below_least")
        return Edited(self.slot.filled(self.body, str(tokens)), self.member, str(tokens))


def lower_cap(body: bytes, recipient: Recipient, tokens: int) -> Edited | NotSafe:
    """The body with an output cap of so many tokens for each reply, every other byte as it was."""
    cap = find_cap(body, recipient)
    return cap if isinstance(cap, NotSafe) else cap.lowered(tokens)


def find_cap(body: bytes, recipient: Recipient) -> Cap | NotSafe:
    """The cap of a request, or why it is not to be lowered."""
    if recipient.endpoint.form not in _MEMBERS:
        return NotSafe("no_cap")
    opened = open_body(body)
    if isinstance(opened, NotSafe):
        return opened
    place = find_place(opened.parsed, recipient, len(body))
    if isinstance(place, NotSafe):
        return place
    outer, member = place.config.name, place.member
    slot = opened.slot_within(outer, member) if outer else opened.slot(member)
    return Cap(body, slot, member, place.current, place.least, place.most, place.thinking)


def find_place(
    parsed: Mapping[str, Any], recipient: Recipient, size_bytes: int
) -> CapPlace | NotSafe:
    """Where the cap of a request stands and what it may become, or why it is not to be lowered.

    Args:
        parsed: the request.
        recipient: who gets it.
        size_bytes: how long its body is, at least.
    """
    form = recipient.endpoint.form
    if form is None or form not in _MEMBERS:
        return NotSafe("no_cap")
    config = find_config(form, parsed)
    if isinstance(config, NotSafe):
        return config
    model = recipient.model or ""
    hazard = hazard_in(form, parsed, config.members, model)
    limits = least_cap(form, parsed, config.members, model)
    if hazard is not None or limits is None:
        return NotSafe(hazard or "thinking")
    least, thinking = limits
    if form == "openai_responses":
        least = max(least, LEAST_RESPONSE_TOKENS)
    standing = standing_cap(form, parsed, config)
    if isinstance(standing, NotSafe):
        return standing
    member, current = standing
    most = _most_added(size_bytes, recipient) if current is None else current - 1
    if most < least:
        reason: Reason = "cap_absent" if current is None else "already_lower"
        return NotSafe(reason)
    return CapPlace(config, member, current, least, most, thinking)


def standing_cap(
    form: FormName, parsed: Mapping[str, Any], config: Config
) -> tuple[str, int | None] | NotSafe:
    """The name and tokens of the cap that a request has; None where it is to be added."""
    names = _MEMBERS[form]
    members = config.members if config.name else parsed
    given = [name for name in names if members.get(name) is not None]
    if len(given) > 1:
        return NotSafe("cap_unreadable")
    if given:
        current = read_cap(members[given[0]])
        return NotSafe("cap_unreadable") if current is None else (given[0], current)
    if config.name:
        return config.spelling(names[0], names[-1]), None
    # Of OpenAI's the one that all models take.
    return names[0], None


def longest_taken(model: str, caps: ModelCaps) -> int | None:
    """The highest cap that a model takes: tables have more for old ones of Gemini's than it has."""
    longest = caps.max_output
    old = _OLD_GEMINI.match(model) is not None
    return min(longest, _OLD_GEMINI_LONGEST) if old and longest is not None else longest


def _most_added(size_bytes: int, recipient: Recipient) -> int:
    """The most that a cap may be that is added; 0 where none may be."""
    caps = recipient.caps
    longest, window = longest_taken(recipient.model or "", caps), caps.context_window
    if recipient.endpoint.protocol == "gemini" and longest is not None:
        return longest - 1
    if recipient.upstream != "openai" or recipient.endpoint.name not in _EXTENDABLE:
        return 0
    if longest is None or window is None:
        return 0
    return min(longest - 1, window - size_bytes)
