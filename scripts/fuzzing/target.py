"""What is fuzzed: a check that takes any bytes, and bytes to begin with."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

_MOST_PIECES = 400


@dataclass(frozen=True, slots=True)
class Target:
    """A parser and its laws: `check` raises where one does not hold for its input."""

    name: str
    check: Callable[[bytes], None]
    seeds: Sequence[bytes]


def pieces_of(data: bytes) -> list[bytes]:
    """The input in pieces of 1 byte, of a few, or two; the same each time, to repeat a finding."""
    random = Random(zlib.crc32(data))  # noqa: S311 - repeatable, not secret
    size = max(random.choice((1, 2, 7, 64, len(data) // 2)), len(data) // _MOST_PIECES, 1)
    return [data[at : at + size] for at in range(0, len(data), size)]


def hold(law: str, *, holds: bool) -> None:
    """Raise AssertionError, also where Python leaves out its asserts."""
    if not holds:
        raise AssertionError(law)
