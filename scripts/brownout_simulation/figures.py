"""What runs are summed up to, what the figures have to be at least, and how they are printed.

Availability, degraded and shed are parts of the calls that arrive in the incident; on a calm day
they are of the same minutes. A degraded answer counts as served, so both always stand beside each
other. Cost is what the provider takes, broken answers included, for each 1,000 calls that were
served: in the whole run, calm minutes and the way back with it, and beside it in the incident.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import mean
from typing import TypeAlias

from common.brownout.modes import Priority
from common.core.money import Nanos
from scripts.brownout_simulation.arrivals import Call
from scripts.brownout_simulation.scenes import BEGINS_S, ENDS_S, ArmName, SceneName
from scripts.brownout_simulation.worlds import Ran

Case: TypeAlias = tuple[SceneName, ArmName]
_NANOS_PER_USD = Decimal(10) ** 9


@dataclass(frozen=True, slots=True)
class Figures:
    """One run. `first` are critical and normal calls; `treated` are calls of the whole run."""

    served: float
    served_first: float
    degraded: float
    shed: float
    of_1000_served: Nanos
    in_incident: Nanos
    reaction_s: float | None
    treated: int


@dataclass(frozen=True, slots=True)
class Row:
    """The means of several runs, and the worst of them. `reaction_s`: the longest."""

    served: float
    worst_served: float
    served_first: float
    worst_first: float
    degraded: float
    shed: float
    of_1000_served: Nanos
    in_incident: Nanos
    reaction_s: float | None
    treated: int


@dataclass(frozen=True, slots=True)
class Least:
    """What all signals together must reach; `saved` is the part of the cost without brownout."""

    served_first: float
    served: float
    saved: float


LEAST: Mapping[SceneName, Least] = {
    "flash": Least(0.96, 0.84, 0.40),
    "outage": Least(0.85, 0.67, 0.30),
    "runaway": Least(0.99, 0.90, 0.15),
}


def figures_of(ran: Ran) -> Figures:
    """The figures of a run."""
    calls = [each for each in ran.calls if BEGINS_S <= each.asked.at_s < ENDS_S]
    first = [each for each in calls if each.caller.priority > Priority.BATCH]
    begun_s = ran.first_treated_s
    return Figures(
        served=_share(each.ok for each in calls),
        served_first=_share(each.ok for each in first),
        degraded=_share(each.ok and each.edited for each in calls),
        shed=_share(each.shed and not each.ok for each in calls),
        of_1000_served=_of_1000(ran.calls),
        in_incident=_of_1000(calls),
        reaction_s=None if begun_s is None else begun_s - BEGINS_S,
        treated=sum(_is_treated(each) for each in ran.calls),
    )


def row_of(runs: Sequence[Figures]) -> Row:
    """Several runs of one case."""
    reactions = [each.reaction_s for each in runs if each.reaction_s is not None]
    return Row(
        served=mean(each.served for each in runs),
        worst_served=min(each.served for each in runs),
        served_first=mean(each.served_first for each in runs),
        worst_first=min(each.served_first for each in runs),
        degraded=mean(each.degraded for each in runs),
        shed=mean(each.shed for each in runs),
        of_1000_served=sum(each.of_1000_served for each in runs) // len(runs),
        in_incident=sum(each.in_incident for each in runs) // len(runs),
        reaction_s=max(reactions, default=None),
        treated=sum(each.treated for each in runs),
    )


def table(rows: Mapping[Case, Row]) -> Iterator[str]:
    """The rows for people."""
    yield (
        "scene    arm              all served (worst)  critical+normal (worst)  degraded   shed"
        "  $/1,000 ok  saved  in incident  slowest reaction"
    )
    for (scene, arm), row in rows.items():
        reaction = "-" if row.reaction_s is None else f"{row.reaction_s:.0f} s"
        part = saved(rows, scene, arm)
        less = "-" if part is None else f"{part:.0%}"
        yield (
            f"{scene:<8} {arm:<16} {row.served:>9.1%} ({row.worst_served:>6.1%})"
            f"  {row.served_first:>14.1%} ({row.worst_first:>6.1%})"
            f"  {row.degraded:>8.1%} {row.shed:>6.1%}"
            f"  {row.of_1000_served / _NANOS_PER_USD:>10.2f}  {less:>5}"
            f"  {row.in_incident / _NANOS_PER_USD:>11.2f}  {reaction:>16}"
        )


def saved(rows: Mapping[Case, Row], scene: SceneName, arm: ArmName) -> float | None:
    """By which part served calls are cheaper than without brownout; None if that did not run."""
    without = rows.get((scene, "none"))
    if without is None or not without.of_1000_served:
        return None
    return 1 - rows[scene, arm].of_1000_served / without.of_1000_served


def missed(rows: Mapping[Case, Row]) -> Iterator[str]:
    """The figures that are worse than they may be, and calm calls that were touched."""
    for (scene, arm), row in rows.items():
        if scene == "calm" and row.treated:
            yield f"calm, {arm}: {row.treated} calls were treated, none should be"
        if arm != "all" or scene not in LEAST:
            continue
        least, part = LEAST[scene], saved(rows, scene, arm)
        for what, found, wanted in (
            ("critical and normal calls served", row.served_first, least.served_first),
            ("all calls served", row.served, least.served),
            ("cost saved", part, least.saved),
        ):
            if found is None:
                yield f"{scene}: {what}: not known without the arm none"
            elif found < wanted:
                yield f"{scene}: {what}: {found:.1%}, at least {wanted:.0%} wanted"


def _of_1000(calls: Iterable[Call]) -> Nanos:
    told = [(each.charged, each.ok) for each in calls]
    return sum(each for each, _ in told) * 1000 // max(1, sum(ok for _, ok in told))


def _is_treated(call: Call) -> bool:
    return call.edited or call.shed


def _share(of: Iterable[bool]) -> float:
    told = list(of)
    return sum(told) / len(told) if told else 0.0
