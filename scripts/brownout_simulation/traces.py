"""The calls that come on a calm day: recorded ones, or made ones of the same kind.

A recorded trace is a CSV file with the columns TIMESTAMP, ContextTokens and GeneratedTokens, as the
Azure LLM inference trace of 2023 is published (CC-BY-4.0, Azure/AzurePublicDataset). The made one
has that trace's rates and quantiles, and is the same each time.
"""

import csv
import io
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

_QUANTILES = (0.0, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99, 1.0)
_ASKED = (2, 181, 207, 396, 1020, 1189, 2734, 4083, 4142, 14050)
_ANSWERED = (7, 41, 54, 85, 129, 395, 424, 451, 601, 1000)
_PER_SECOND = (4.8, 4.7, 5.2, 5.2, 6.3, 7.5, 7.4, 6.1, 5.7, 4.7, 4.3, 4.3)
"""In each five minutes of the recorded trace."""
_SPAN_S = 3500
_STEP_S = 10
_SHAPE = 25.0
"""Rates of 10 s vary by a gamma of this shape: the counts vary more than Poisson's."""
_SEED = 2023


class Asked(NamedTuple):
    """A call of the trace: seconds after its begin, and the tokens of question and answer."""

    at_s: float
    context: int
    answer: int


@dataclass(frozen=True, slots=True)
class Trace:
    """Calls in the order of their arrival. `sha256` is of the file, or of the made rows."""

    name: str
    sha256: str
    calls: tuple[Asked, ...]

    @property
    def span_s(self) -> float:
        return self.calls[-1].at_s


def read_trace(path: Path) -> Trace:
    """A recorded trace.

    Raises:
        OSError: there is no such file.
        ValueError, KeyError: it is no such trace, or has no call.
    """
    content = path.read_bytes()
    calls: list[Asked] = []
    first: datetime | None = None
    for row in csv.DictReader(io.StringIO(content.decode("ascii"))):
        at = datetime.fromisoformat(row["TIMESTAMP"])
        first = first or at
        seconds = (at - first).total_seconds()
        calls.append(Asked(seconds, int(row["ContextTokens"]), int(row["GeneratedTokens"])))
    if not calls:
        raise ValueError(f"{path.name} holds no call")
    return Trace(path.name, sha256(content).hexdigest(), tuple(sorted(calls)))


def made_trace() -> Trace:
    """The trace for whoever has no recorded one."""
    calls = tuple(_made(random.Random(_SEED)))  # noqa: S311 - repeatable on purpose
    rows = "\n".join(f"{each.at_s:.6f},{each.context},{each.answer}" for each in calls)
    return Trace("made", sha256(rows.encode()).hexdigest(), calls)


def _made(draw: random.Random) -> Iterator[Asked]:
    for begin in range(0, _SPAN_S, _STEP_S):
        rate = _PER_SECOND[begin // 300] * draw.gammavariate(_SHAPE, 1 / _SHAPE)
        at_s = begin + draw.expovariate(rate)
        while at_s < begin + _STEP_S:
            yield Asked(at_s, _between(_ASKED, draw.random()), _between(_ANSWERED, draw.random()))
            at_s += draw.expovariate(rate)


def _between(values: Sequence[int], share: float) -> int:
    """The value at a share of the whole, on straight lines between the quantiles."""
    place = bisect_right(_QUANTILES, share) - 1
    low, high = _QUANTILES[place], _QUANTILES[place + 1]
    return round(values[place] + (values[place + 1] - values[place]) * (share - low) / (high - low))
