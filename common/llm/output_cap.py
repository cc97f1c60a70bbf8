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

from common.llm.cap_hazards import hazard_in, is_spelt_twice, least_cap
from common.llm.edits import Editable, Edited, NotSafe, Reason, Recipient, Slot, open_body
from common.llm.facts import read_cap
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

_BOTH = ("generationConfig", "generation_config")
_CONFIGS: Mapping[FormName, tuple[str, ...]] = MappingProxyType(
    {
        "gemini_content": _BOTH,
        "gemini_content_stream": _BOTH,
        "gemini_interactions": ("generation_config",),
    }
)
"""The object that the cap stands in; the first one is added where there is none."""

_EXTENDABLE = frozenset({"chat.completions", "responses"})
"""OpenAI's operations that a cap may be added to: without one they end at the model's longest.
Legacy completions end after 16 tokens, and compacting takes none."""

_OLD_GEMINI = re.compile(r"(.*/)?gemini-(1|2\.0)")
_OLD_GEMINI_LONGEST = 8192


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
    form = recipient.endpoint.form
    if form is None or form not in _MEMBERS:
        return NotSafe("no_cap")
    opened = open_body(body)
    if isinstance(opened, NotSafe):
        return opened
    outers = _CONFIGS.get(form)
    found = ("", opened.parsed) if outers is None else _config(opened.parsed, outers)
    if isinstance(found, NotSafe):
        return found
    outer, members = found
    model, config = recipient.model or "", members if outer else {}
    hazard = hazard_in(form, opened.parsed, config, model)
    if hazard is not None:
        return NotSafe(hazard)
    limits = least_cap(form, opened.parsed, config, model)
    if limits is None:
        return NotSafe("thinking")
    return _cap(opened, recipient, form, found, limits)


def _config(
    parsed: Mapping[str, Any], outers: tuple[str, ...]
) -> tuple[str, Mapping[str, Any]] | NotSafe:
    """The name and members of Gemini's generation configuration."""
    spelt = [name for name in outers if name in parsed]
    if len(spelt) > 1:
        return NotSafe("duplicate_members")
    name = spelt[0] if spelt else outers[0]
    config = {} if parsed.get(name) is None else parsed[name]
    if not isinstance(config, dict):
        return NotSafe("unreadable")
    return NotSafe("duplicate_members") if is_spelt_twice(parsed, config) else (name, config)


def _cap(
    opened: Editable,
    recipient: Recipient,
    form: FormName,
    found: tuple[str, Mapping[str, Any]],
    limits: tuple[int, int],
) -> Cap | NotSafe:
    outer, members = found
    names = _MEMBERS[form]
    given = [name for name in names if members.get(name) is not None]
    if len(given) > 1:
        return NotSafe("cap_unreadable")
    least, thinking = limits
    if form == "openai_responses":
        least = max(least, LEAST_RESPONSE_TOKENS)
    if given:
        member, current = given[0], read_cap(members[given[0]])
        if current is None:
            return NotSafe("cap_unreadable")
        most = current - 1
    else:
        # Gemini's as it is spelt there, or what is around it; of OpenAI's the one all models take.
        usual = names[_CONFIGS[form].index(outer) if outer else 0]
        member = next((name for name in names if outer and name in members), usual)
        current = None
        most = _most_added(len(opened.body), recipient)
    if most < least:
        reason: Reason = "cap_absent" if current is None else "already_lower"
        return NotSafe(reason)
    slot = opened.slot_within(outer, member) if outer else opened.slot(member)
    return Cap(opened.body, slot, member, current, least, most, thinking)


def _most_added(size_bytes: int, recipient: Recipient) -> int:
    """The most that a cap may be that is added; 0 where none may be."""
    caps = recipient.caps
    longest, window = caps.max_output, caps.context_window
    if recipient.endpoint.protocol == "gemini" and longest is not None:
        old = _OLD_GEMINI.match(recipient.model or "") is not None
        return min(longest, _OLD_GEMINI_LONGEST if old else longest) - 1
    if recipient.upstream != "openai" or recipient.endpoint.name not in _EXTENDABLE:
        return 0
    if longest is None or window is None:
        return 0
    return min(longest - 1, window - size_bytes)
