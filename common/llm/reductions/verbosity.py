"""Asking for short answers by the model's own setting. Source: `model_traits.py`.

Unasked a model's answers are of medium length. The reasoning does not change, and an answer in a
given form keeps it.
"""

from common.llm.model_traits import takes_low_verbosity
from common.llm.reductions.members import inner_object, placed
from common.llm.reductions.request import Reduced, Request, Unsafe
from common.llm.reductions.wanted import LowVerbosity

_LOW = "low"
_LONGER = ("medium", "high")
_TAKE_VERBOSITY = frozenset({"openai", "azure"})
"""Providers whose models are known to; what others make of the member is not known."""

_PLACES = {
    "chat.completions": ("verbosity",),
    "responses": ("text", "verbosity"),
}


def lower_verbosity(request: Request, _wanted: LowVerbosity) -> Reduced | Unsafe | None:
    """The request for an answer of low verbosity."""
    to = request.recipient
    place = _PLACES.get(to.endpoint.name) if request.form.startswith("openai_") else None
    if place is None or not takes_low_verbosity(to.model or ""):
        return None
    outer = inner_object(request.members, place[:-1])
    if outer is None:
        return Unsafe("unreadable")
    asked = outer.get(place[-1])
    if asked == _LOW or (asked is None and to.provider not in _TAKE_VERBOSITY):
        return None
    if asked is not None and asked not in _LONGER:
        return Unsafe("unreadable")
    return Reduced(placed(request, place, _LOW), _LOW)
