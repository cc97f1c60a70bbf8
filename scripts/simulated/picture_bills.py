"""What OpenAI bills for pictures: tokens of those that are drawn, and of those that are handed in.

By the tables and the calculator of OpenAI's guide "Image generation", and for pictures handed in by
"Images and vision". What is not public is made up, so that it grows with the file. The project's
own tables have no part in it, so that the two cannot share a mistake.
"""

import math

_BY_SIZE = {
    "low": {"1024x1024": 272, "1024x1536": 408, "1536x1024": 400},
    "medium": {"1024x1024": 1056, "1024x1536": 1584, "1536x1024": 1568},
    "high": {"1024x1024": 4160, "1024x1536": 6240, "1536x1024": 6208},
}
_BASES = {
    "gpt-image-2": {"low": 16.0, "medium": 48.0, "high": 96.0},
    "gpt-image-2.5": {"low": 16.0, "medium": 24.0, "high": 48.0, "xhigh": 64.0, "max": 96.0},
}
_STEP, _LONGEST, _STRETCHED = 16, 3840, 3
_LEAST_PIXELS, _MOST_PIXELS = 655_360, 8_294_400
_TILE, _TILE_BYTES, _MOST_TILES, _BASE = 129, 100_000, 4, 65
_SHARP = 6240
_PATCH_BYTES, _MOST_PATCHES = 1_000, 1536


def qualities(model: str) -> tuple[str, ...]:
    """The qualities that a model draws in."""
    return tuple(_BASES.get(_family(model), _BY_SIZE))


def is_drawn(model: str, size: str) -> bool:
    """Whether a model draws pictures of this size."""
    if _family(model) not in _BASES:
        return size in _BY_SIZE["low"]
    sides = size.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and side.isascii() for side in sides):
        return False
    short, long = sorted(int(side) for side in sides)
    in_steps = short % _STEP == 0 and long % _STEP == 0
    shaped = 0 < long <= min(_LONGEST, _STRETCHED * short)
    return in_steps and shaped and _LEAST_PIXELS <= short * long <= _MOST_PIXELS


def drawn(model: str, size: str, quality: str) -> int:
    """Tokens of one picture of a size and a quality that the model has."""
    bases = _BASES.get(_family(model))
    if bases is None:
        return _BY_SIZE[quality][size]
    width, height = (int(side) for side in size.split("x"))
    base = bases[quality]
    other = round(base / (max(width, height) / min(width, height)))
    return math.ceil(base * other * (2e6 + width * height) / 4e6)


def handed_in(model: str, size_bytes: int, *, sharp: bool) -> int:
    """Tokens of a picture that an edit begins with."""
    if _family(model) in _BASES:
        return min(_MOST_PATCHES, 1 + size_bytes // _PATCH_BYTES)
    tiles = min(_MOST_TILES, 1 + size_bytes // _TILE_BYTES)
    return _BASE + tiles * _TILE + (_SHARP if sharp else 0)


def _family(model: str) -> str:
    return next((name for name in ("gpt-image-2.5", "gpt-image-2") if model.startswith(name)), "")
