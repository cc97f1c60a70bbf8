"""How hard a request looks, from its form alone: the features of a structural choice.

No word of a prompt is read for its meaning, so the choice is the same in every language and nothing
of a prompt is kept. The weights come from whoever writes a rule; `scripts/route_eval` fits them and
says what they are worth.
"""

from collections.abc import Iterator, Mapping
from math import exp, log2
from typing import Any

FEATURES = frozenset({"size", "turns", "tools", "schema_depth", "pictures", "code_share"})
"""`size`: log2 of the request's bytes; `turns`: messages; `tools`: functions offered;
`schema_depth`: objects within objects of the longest schema; `pictures`: parts that are one;
`code_share`: of the characters of texts, those within fences of code, 0 to 1."""

_TURNS = ("messages", "input", "contents")
_FENCE = "```"
_DEEPEST = 32
"""Requests are JSON that others wrote: nothing here follows them further down."""
_LARGEST = 700.0
"""Beyond, `exp` has no number."""


def features_of(members: Mapping[str, Any], size_bytes: int) -> Mapping[str, float]:
    """The features of a request that was read."""
    given = (members.get(name) for name in _TURNS)
    turns = next((each for each in given if isinstance(each, list)), [])
    tools = members.get("tools")
    fenced, written = _code(turns)
    return {
        "size": log2(max(1, size_bytes)),
        "turns": float(len(turns)),
        "tools": float(len(tools)) if isinstance(tools, list) else 0.0,
        "schema_depth": float(_depth(_schema(members))),
        "pictures": float(sum(_is_picture(each) for each in _objects(turns))),
        "code_share": fenced / written if written else 0.0,
    }


def score(intercept: float, weights: Mapping[str, float], features: Mapping[str, float]) -> float:
    """The logistic of the weighted features, 0 to 1."""
    total = intercept + sum(weight * features[name] for name, weight in weights.items())
    return 1.0 / (1.0 + exp(-max(-_LARGEST, min(_LARGEST, total))))


def _schema(members: Mapping[str, Any]) -> Any:
    """Where a request says the form of its answer, whatever the API."""
    config = members.get("generationConfig")
    inner = config if isinstance(config, dict) else {}
    places = (
        members.get("response_format"),
        members.get("text"),
        members.get("output_config"),
        inner.get("responseSchema"),
        inner.get("responseJsonSchema"),
    )
    return next((place for place in places if isinstance(place, dict)), None)


def _depth(value: Any, above: int = 0) -> int:
    if above >= _DEEPEST:
        return above
    if isinstance(value, dict):
        return max((_depth(each, above + 1) for each in value.values()), default=above + 1)
    if isinstance(value, list):
        return max((_depth(each, above) for each in value), default=above)
    return above


def _code(turns: Any) -> tuple[int, int]:
    """The characters of texts that stand within fences, and all of them."""
    fenced = written = 0
    for text in _texts(turns):
        written += len(text)
        if _FENCE in text:
            fenced += sum(map(len, text.split(_FENCE)[1::2]))
    return fenced, written


def _texts(turns: Any) -> Iterator[str]:
    for each in _objects(turns):
        for name in ("content", "text", "input_text"):
            if isinstance(found := each.get(name), str):
                yield found


def _is_picture(part: Mapping[str, Any]) -> bool:
    kind = part.get("type")
    if isinstance(kind, str) and kind in ("image_url", "input_image", "image"):
        return True
    data = part.get("inlineData", part.get("inline_data"))
    return isinstance(data, dict) and str(data.get("mimeType", data.get("mime_type"))).startswith(
        "image/"
    )


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    """All objects in it, down to a depth that no request reaches."""
    left = [(value, 0)]
    while left:
        each, depth = left.pop()
        if depth >= _DEEPEST:
            continue
        if isinstance(each, dict):
            yield each
            left.extend((inner, depth + 1) for inner in each.values())
        elif isinstance(each, list):
            left.extend((inner, depth + 1) for inner in each)
