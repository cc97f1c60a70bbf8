"""A lower cap on what can be read of an answer, with room beside it for what is thought.

A request that offers tools keeps its cap. Any answer to it may be a call, a cap does not make the
arguments of one shorter but cuts them, and JSON that is cut is worth nothing: its client asks again
and pays twice. No number is safe, because nobody can tell from outside what a call needs.

Sources: Anthropic documentation, "Extended thinking" (the budget counts into the cap); Gemini guide
"Gemini thinking" and OpenAI guide "Reasoning" (thoughts count into the cap, and a small one leaves
an empty answer, billed all the same).
"""

from dataclasses import replace

from common.llm.cap_hazards import THINKING_CAP, offers_tools
from common.llm.edits import NotSafe
from common.llm.output_cap import LEAST_RESPONSE_TOKENS, CapPlace, find_place
from common.llm.reductions.request import Reduced, Request, Unsafe
from common.llm.reductions.wanted import OutputCap

TIMES_WITH_THOUGHTS = 4
"""A cap is so many times what can be read of the answer where nobody says how much is thought."""

OFFERS_TOOLS = "offers_tools"
"""Why such a request is left as it is."""

_NOTHING_TO_LOWER = frozenset({"no_cap", "already_lower"})


def cap_output(request: Request, wanted: OutputCap, size_bytes: int) -> Reduced | Unsafe | None:
    """The request with this cap. Its body has `size_bytes`, at most."""
    place = find_place(request.members, request.recipient, size_bytes)
    if isinstance(place, NotSafe):
        return None if place.reason in _NOTHING_TO_LOWER else Unsafe(place.reason)
    if offers_tools(request.form, request.members, place.config.members):
        return Unsafe(OFFERS_TOOLS)
    tokens = max(place.least, _with_thoughts(place, request, wanted.tokens))
    if tokens > place.most:
        # Without a cap the answer could be longer, but the window may have no room for this one.
        longer = place.current is None and tokens < (request.recipient.caps.max_output or 0)
        return Unsafe("cap_absent") if longer else None
    config, member = place.config, place.member
    members = (
        config.within(request.members, member, tokens)
        if config.name
        else {**request.members, member: tokens}
    )
    return Reduced(replace(request, members=members), str(tokens))


def _with_thoughts(place: CapPlace, request: Request, visible: int) -> int:
    """The cap that leaves so many tokens to be read."""
    if place.least <= LEAST_RESPONSE_TOKENS:
        return visible
    told = place.thinking + visible if place.thinking else 0
    if told and not request.form.startswith("gemini"):
        return told
    return max(told, THINKING_CAP, TIMES_WITH_THOUGHTS * visible)
