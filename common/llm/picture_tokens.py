"""How many tokens a picture takes, by the tables of its provider.

A table lists the tokens of each quality and size, or a rule of the provider gives them, with a grid
for each quality: `grid * (grid * short / long) * (2,000,000 + pixels) / 4,000,000`, rounded up.
Which of the two, with which figures and from where, stands in the overlay. A size or quality that
is left to the model takes the most that any takes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from re import compile as regex
from typing import Any

from common.llm.facts import PicturesAsked

_AUTO = (None, "auto")
_SIZE = regex(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_ADDED_PIXELS = 2_000_000
_PIXELS_A_TOKEN = 4_000_000


@dataclass(frozen=True, slots=True)
class PictureTokens:
    """What pictures of one model take at most.

    Attributes:
        sizes: by quality, the tokens of a picture of each size.
        grids: by quality, the grid of the rule; of a model without sizes.
        most_pixels: of the largest picture that the rule is for.
        partial: tokens of an unfinished picture.
        shown: tokens of a picture that the request hands in.
    """

    sizes: Mapping[str, Mapping[str, int]]
    grids: Mapping[str, int]
    most_pixels: int
    partial: int
    shown: int

    def output(self, asked: PicturesAsked) -> int | str:
        """Tokens of all pictures asked for, or the member that no table has."""
        each = self._each(asked.size, asked.quality)
        if isinstance(each, str):
            return each
        return asked.count * (each + asked.partials * self.partial)

    def input(self, asked: PicturesAsked, allowance: int) -> int:
        """Tokens of text and pictures handed in, billed for each picture asked for."""
        return asked.count * (asked.text_bytes + allowance + asked.shown * self.shown)

    def _each(self, size: str | None, quality: str | None) -> int | str:
        known = self.sizes or self.grids
        if quality not in _AUTO and quality not in known:
            return "quality"
        named = list(known) if quality in _AUTO else [str(quality)]
        found = [self._of(name, size) for name in named]
        tokens = [each for each in found if each is not None]
        return max(tokens) if len(tokens) == len(found) else "size"

    def _of(self, quality: str, size: str | None) -> int | None:
        """Tokens of one picture; None: no table has the size."""
        if self.sizes:
            listed = self.sizes[quality]
            return max(listed.values()) if size in _AUTO else listed.get(str(size))
        grid = self.grids[quality]
        if size in _AUTO:
            return _rounded_up(grid * grid * (_ADDED_PIXELS + self.most_pixels), _PIXELS_A_TOKEN)
        sides = _SIZE.fullmatch(str(size))
        if sides is None:
            return None
        short, long = sorted((int(sides[1]), int(sides[2])))
        cells = grid * _rounded_up(grid * short, long)
        return _rounded_up(cells * (_ADDED_PIXELS + short * long), _PIXELS_A_TOKEN)


def read_picture_tokens(raw: Mapping[str, Any] | None) -> PictureTokens | None:
    """The table of one model of a compiled book."""
    if raw is None:
        return None
    return PictureTokens(
        sizes=raw.get("sizes", {}),
        grids=raw.get("grids", {}),
        most_pixels=raw.get("most_pixels", 0),
        partial=raw["partial"],
        shown=raw["shown"],
    )


def _rounded_up(count: int, by: int) -> int:
    return -(-count // by)
