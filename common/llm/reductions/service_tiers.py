"""Leaving the lanes that are faster and cost more.

Sources: OpenAI API reference (`service_tier`: ``fast`` and ``priority`` are one); Anthropic
documentation, "Fast mode" and "Service tiers" (``auto`` uses priority capacity, if there is some),
"Prompt caching" (another speed is another prompt); Gemini API documentation, "Priority inference".

Tiers that cost less stay, and so does a tier that is not named: the provider's usual one, or what
the account is set to.
"""

from common.llm.reductions.members import placed, without
from common.llm.reductions.request import Reduced, Request
from common.llm.reductions.wanted import StandardTier

_TOLD = "standard"
_OPENAI = ("priority", "fast")
_TIER = frozenset({"service_tier"})
_GEMINI_NAMES = ("serviceTier", "service_tier")
_GEMINI_TIERS = ("priority", "service_tier_priority")


def leave_priority(request: Request, _wanted: StandardTier) -> Reduced | None:
    """The request at the usual speed and price."""
    members = request.members
    if request.form in ("openai_chat", "openai_responses"):
        fast = members.get("service_tier") in _OPENAI
        return Reduced(without(request, _TIER), _TOLD) if fast else None
    if request.form == "anthropic_messages":
        return _of_claude(request)
    if not request.form.startswith("gemini_"):
        return None
    dear = {name for name in _GEMINI_NAMES if _is_dear(members.get(name))}
    return Reduced(without(request, frozenset(dear)), _TOLD) if dear else None


def loses_cache(request: Request) -> bool:
    """Whether a prompt cache that knows this request does not know it at the usual speed."""
    return request.form == "anthropic_messages" and request.members.get("speed") == "fast"


def _of_claude(request: Request) -> Reduced | None:
    changed = request
    if request.members.get("speed") == "fast":
        changed = without(changed, frozenset({"speed"}))
    if request.members.get("service_tier") == "auto":
        changed = placed(changed, ("service_tier",), "standard_only")
    return None if changed is request else Reduced(changed, _TOLD)


def _is_dear(tier: object) -> bool:
    return isinstance(tier, str) and tier.lower() in _GEMINI_TIERS
