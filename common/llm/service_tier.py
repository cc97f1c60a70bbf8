"""Pinning OpenAI's usual service tier where a request leaves it to the project's settings.

Source: OpenAI API reference, "Chat" and "Responses" (`service_tier`). `auto`, or none, is answered
at the tier that the project is set to, which may be the dearest; `default` is the usual one.
"""

from common.llm.edits import Edited, NotSafe, Recipient, open_body

_OPENAI = "openai"
_FORMS = frozenset({"chat.completions", "responses"})
_LEFT_OPEN = (None, "auto")


def pin_usual_tier(body: bytes, recipient: Recipient) -> Edited | NotSafe:
    """The body with ``"service_tier": "default"``, every other byte as it was."""
    if recipient.upstream != _OPENAI or recipient.endpoint.name not in _FORMS:
        return NotSafe("tier_asked")
    opened = open_body(body)
    if isinstance(opened, NotSafe):
        return opened
    if opened.parsed.get("service_tier") not in _LEFT_OPEN:
        return NotSafe("tier_asked")
    edited = opened.slot("service_tier").filled(body, '"default"')
    return Edited(edited, "service_tier", "default")
