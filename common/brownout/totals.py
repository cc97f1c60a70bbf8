"""What several brownouts saved together.

The interval of the sum goes from the sum of the lows to that of the highs. As brownouts miss the
truth independently of one another, it covers the truth at least as often as each of theirs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from common.brownout.episodes import Episode
from common.core.money import Nanos


@dataclass(frozen=True, slots=True)
class TotalSaving:
    """The sum of what is known; negative: a loss. None: nothing is known, as the note says.

    `low` to `high` is an interval of at least 95 %; None where part of the sum has none. The note
    also says of how many brownouts nothing is known.
    """

    nanos: Nanos | None
    low: Nanos | None
    high: Nanos | None
    method: Literal["holdout", "estimate", "both"] | None
    note: str


def total_saving(episodes: Iterable[Episode]) -> TotalSaving:
    """What these brownouts saved. What was only recorded saved nothing, and is left out."""
    every = list(episodes)
    enforced = [each for each in every if each.enforced]
    if not enforced:
        told = "what it would do was only recorded" if every else "no brownout has ended"
        return TotalSaving(None, None, None, None, told)
    savings = [saving for each in enforced for saving in each.savings]
    known = [(each, each.nanos) for each in savings if each.nanos is not None]
    if not known:
        notes = dict.fromkeys(each.note for each in savings)
        return TotalSaving(None, None, None, None, "; ".join(notes) or "not enough data")
    unknown = sum(all(s.nanos is None for s in each.savings) for each in enforced)
    lows = [each.low for each, _ in known if each.low is not None]
    highs = [each.high for each, _ in known if each.high is not None]
    exact = len(lows) == len(highs) == len(known)
    methods = {each.method for each, _ in known}
    return TotalSaving(
        nanos=sum(nanos for _, nanos in known),
        low=sum(lows) if exact else None,
        high=sum(highs) if exact else None,
        method="both" if len(methods) > 1 else methods.pop(),
        note=f"not enough data of {unknown} of {len(enforced)} brownouts" if unknown else "",
    )
