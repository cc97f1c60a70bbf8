"""Moderations in OpenAI's shape. Free, and not judged: a text is flagged if it says so itself."""

from typing import Any

import orjson

from scripts.simulated.openai_wording import invalid_value, missing, wrong_type
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Exchange

FIELDS = frozenset({"input", "model"})
USUAL_MODEL = "omni-moderation-latest"
MODELS = (
    "omni-moderation-latest",
    "omni-moderation-2024-09-26",
    "text-moderation-latest",
    "text-moderation-stable",
)
FLAGGED_WORD = "[flag]"
"""A text with this in it is flagged as violence."""
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "sexual",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm/intent",
    "self-harm/instructions",
    "self-harm",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
PARTS = ("text", "image_url")


def answer(parsed: Any, exchange: Exchange) -> bytes:
    """The reply to one request.

    Raises:
        Refusal: the request is not one the API accepts.
    """
    if not isinstance(parsed, dict):
        raise Refusal(400, "Invalid type: expected an object.", code="invalid_type")
    unknown = parsed.keys() - FIELDS
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        names = ", ".join(sorted(unknown))
        raise Refusal(400, f"Unrecognized request argument{plural} supplied: {names}")
    model = parsed.get("model", USUAL_MODEL)
    if model not in MODELS:
        raise invalid_value("model", model, MODELS)
    return orjson.dumps(
        {
            "id": f"modr-sim-{exchange.suffix}",
            "model": model,
            "results": [_judged(texts, kinds) for texts, kinds in _inputs(parsed)],
        }
    )


def _inputs(body: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Each input's text and kinds. The parts of a list of parts are one input together."""
    if "input" not in body:
        raise missing("input")
    given = body["input"]
    if isinstance(given, str):
        return [(given, ["text"])]
    if not isinstance(given, list) or not given:
        raise wrong_type("input", "one of a string or array of objects", given)
    if all(isinstance(each, str) for each in given):
        return [(each, ["text"]) for each in given]
    for index, part in enumerate(given):
        if not isinstance(part, dict):
            raise wrong_type(f"input[{index}]", "an object", part)
        if part.get("type") not in PARTS:
            raise invalid_value(f"input[{index}].type", part.get("type"), PARTS)
        if part["type"] not in part:
            raise missing(f"input[{index}].{part['type']}")
    texts = " ".join(str(part["text"]) for part in given if part["type"] == "text")
    kinds = [
        kind
        for kind, name in (("text", "text"), ("image", "image_url"))
        if any(part["type"] == name for part in given)
    ]
    return [(texts, kinds)]


def _judged(text: str, kinds: list[str]) -> dict[str, Any]:
    flagged = FLAGGED_WORD in text
    scores = dict.fromkeys(CATEGORIES, 0.0001)
    if flagged:
        scores["violence"] = 0.9999
    return {
        "flagged": flagged,
        "categories": {name: flagged and name == "violence" for name in CATEGORIES},
        "category_scores": scores,
        "category_applied_input_types": dict.fromkeys(CATEGORIES, kinds),
    }
