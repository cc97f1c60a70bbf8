"""What a caller is told whose request for pictures, speech or a transcript has no bound.

Each text says why, and what to ask for instead.
"""

from common.llm.facts import CallFacts

_ELSE = "send it with a key to which no hard budget applies"


def why_unbounded(code: str, part: str, facts: CallFacts) -> str | None:
    """The text for a reason (`unknown_limit:picture_tokens` in its two halves), if it is of media.

    Args:
        code: the kind of reason that `bounds.Unbounded` has.
        part: what it names.
        facts: what the request says.
    """
    if facts.bounded or facts.unmetered is not None or not part:
        return None
    model = repr((facts.model or "no model")[:128])
    if code == "unknown_limit":
        return _no_limit(part, model, speaks=facts.characters is not None)
    texts = {
        "unknown_unit": f"The price list has no {part} of {model}. Ask for another model.",
        "unbounded_request": f"What {part!r} may cost here has no bound. Leave it out, or {_ELSE}.",
    }
    return texts.get(code)


def _no_limit(part: str, model: str, *, speaks: bool) -> str:
    if part == "picture_tokens":
        return (
            f"No table says how many tokens a picture by {model} takes at most. Ask for another "
            f"model, such as gpt-image-2.5-flare, or {_ELSE}."
        )
    if speaks:
        return (
            f"Nothing says how long speech by {model} gets at most, and a request cannot limit it. "
            f"Ask for a model that is billed by characters, such as tts-1, or {_ELSE}."
        )
    return f"No table says how much {model} reads and writes at most. Ask for another model."
