"""One ledger judged: what was planted and found, and what was found and not there.

The detectors are run as the hourly and daily runs do: each moment sees what was before it. A
finding of a team or of the whole organisation is right where one of its agents' is. A budget that
ends within ten percent of its limit is judged neither way.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import exp, log
from statistics import median

from common.insights.burns import Pace, Watched, burn
from common.insights.changes import HourFigures, Served, changes
from common.insights.drifts import Daily, DayFigures, drifts
from common.insights.findings import Finding, Window
from common.insights.loops import Repeated, loops
from common.insights.newcomers import LOOKED_BACK, NEW_FOR, Level, Spending, newcomers
from common.insights.series import HOUR, Series
from common.insights.spikes import spikes
from scripts.insight_ledgers.planted import (
    Limited,
    Planted,
    limited,
    plant_in_models,
    plant_in_spend,
    plant_newcomers,
    repeats,
)
from scripts.insight_ledgers.worlds import (
    HISTORY_H,
    HOURS,
    MODELS,
    SINCE,
    START,
    UNTIL,
    Model,
    World,
    draw,
    make_world,
    poisson,
)

LOOK_EVERY_H = 6
"""Budgets are looked at every hour; every sixth is enough to know whether they are found."""


_SHOWS_AS = {
    "outage": {"error_rate"},
    "new_agent": {"new_agent", "spike"},
    "new_agent unclear": {"new_agent", "spike"},
    "new_model unclear": {"new_model"},
}
"""As which kinds of findings what is planted may be found; else as its own."""
_NEITHER_WAY = {"outage", "new_agent unclear", "new_model unclear"}


@dataclass(slots=True)
class Judged:
    """Counts by kind. `alarms` are false ones by scope, `scopes` all that there could be one of.

    `lead_h` are the hours between the warning of a budget and its end.
    """

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    scopes: int = 0
    lead_h: list[int] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


def judge(seed: int) -> Judged:
    """Make a ledger, run every detector over its last month, and compare."""
    world = make_world(seed)
    planted = plant_in_spend(world)
    planted += plant_in_models(world)
    draw(world)
    rows, looping = repeats(world)
    planted += looping
    planted += _outages(world)
    planted += plant_newcomers(world)
    judged = Judged()
    found: list[Finding] = []
    for series in _all_series(world):
        found += spikes(series, SINCE, UNTIL)
        judged.scopes += 1
    for model in world.models:
        found += changes(_served(world, model), SINCE, UNTIL)
        judged.scopes += 1
    found += _loops(rows)
    found += _drifts(world)
    found += _newcomers(world)
    compare(judged, planted, found, world, seed)
    for budget in limited(world):
        judged.scopes += 1
        _judge_budget(judged, budget, seed)
    return judged


def _outages(world: World) -> list[Planted]:
    return [
        Planted("outage", f"model:acme/{model.name}@upstream", first, last)
        for first, last in world.outages
        for model in world.models
        if last > HISTORY_H
    ]


def _all_series(world: World) -> Iterable[Series]:
    groups: dict[str, list[int]] = {}
    for agent in world.agents:
        for scope in ("org:acme", f"team:acme/{agent.team}", f"agent:acme/{agent.name}"):
            sums = groups.setdefault(scope, [0] * HOURS)
            for hour, nanos in enumerate(agent.spent):
                sums[hour] += nanos
    return [Series("acme", scope, START, sums) for scope, sums in groups.items()]


def _served(world: World, model: Model) -> Served:
    random, hours = world.random, []
    for hour in range(HISTORY_H - 168, HOURS):
        calls = poisson(random, model.hourly_calls * model.shape[hour % 168])
        if not calls:
            continue
        # Failures come in bunches, so their rate varies more than chance alone makes it.
        rate = min(1.0, model.error * exp(random.gauss(0, 0.4)) + model.failing[hour])
        failed = min(calls, poisson(random, calls * rate))
        ok = calls - failed
        typical = log(model.seconds * model.slower[hour]) + random.gauss(0, model.noise)
        typical += 0.1 * model.shape[hour % 168]
        typical += random.gauss(0, 0.7) / max(1, ok) ** 0.5
        time = START + timedelta(hours=hour)
        hours.append(HourFigures(time, calls, failed, 0, ok, ok * typical))
    return Served("acme", model.name, "upstream", hours)


def _loops(rows: list[Repeated]) -> list[Finding]:
    """Day by day, each with what was usual in the week before."""
    most: dict[str, dict[datetime, int]] = {}
    days: dict[datetime, list[Repeated]] = {}
    for each in rows:
        day = Window.day_of(each.start).since
        days.setdefault(day, []).append(each)
        of_scope = most.setdefault(each.scope, {})
        of_scope[day] = max(of_scope.get(day, 0), each.calls)
    found: list[Finding] = []
    for day, spans in days.items():
        if day >= SINCE:
            week = [day - timedelta(days=back) for back in range(1, 8)]
            habits = {
                scope: round(median([peaks.get(each, 0) for each in week]))
                for scope, peaks in most.items()
            }
            found += loops(spans, habits)
    return found


def _newcomers(world: World) -> list[Finding]:
    """Day by day, each with the weeks before."""
    known: dict[tuple[Level, str], dict[datetime, int]] = {}
    for number, agent in enumerate(world.agents):
        for hour, nanos in enumerate(agent.spent):
            if nanos:
                day = START + timedelta(days=hour // 24)
                is_new = agent.moves_at is not None and hour >= agent.moves_at
                model = "/new" if is_new else f"/model-{number % MODELS}"
                names: tuple[tuple[Level, str], ...] = (
                    ("org", "acme"), ("agent", agent.name), ("model", model),
                )  # fmt: skip
                for level, name in names:
                    days = known.setdefault((level, name), {})
                    days[day] = days.get(day, 0) + nanos
    found: dict[str, Finding] = {}
    for number in range(HISTORY_H // 24 + 1, HOURS // 24 + 1):
        until = START + timedelta(days=number)
        since = until - NEW_FOR - LOOKED_BACK
        spent = []
        for (level, name), days in known.items():
            seen = {day: nanos for day, nanos in days.items() if since <= day < until}
            if seen:
                spent.append(Spending(level, "acme", name, seen))
        found |= {each.id: each for each in newcomers(spent, until)}
    return list(found.values())


def _drifts(world: World) -> list[Finding]:
    found: list[Finding] = []
    for agent in world.agents:
        days = []
        for day in range(HOURS // 24):
            calls = sum(agent.calls[24 * day : 24 * day + 24])
            nanos = sum(agent.spent[24 * day : 24 * day + 24])
            time = START + timedelta(days=day)
            days.append(DayFigures(time, calls, calls, nanos, 0, 0, 0))
        daily = Daily("acme", f"agent:acme/{agent.name}", days)
        for day in range(HISTORY_H // 24 + 1, HOURS // 24 + 1):
            found += drifts(daily, START + timedelta(days=day))
    return list({each.id: each for each in found}.values())


def compare(
    judged: Judged, planted: list[Planted], found: list[Finding], world: World, seed: int
) -> None:
    """Count what of the planted was found, and what was found and not planted."""
    hit: set[Planted] = set()
    teams = {f"agent:acme/{each.name}": f"team:acme/{each.team}" for each in world.agents}
    for finding in found:
        right = False
        for each in planted:
            kinds = _SHOWS_AS.get(each.kind, {each.kind})
            if finding.kind not in kinds or not each.covers(
                finding.window.since, finding.window.until
            ):
                continue
            if finding.scope == each.scope:
                right = True
                hit.add(each)
            elif finding.scope in (teams.get(each.scope), "org:acme"):
                right = True
        if not right:
            judged.false[finding.kind] += 1
            judged.alarms[f"{seed} {finding.scope}"] += 1
            judged.missed.append(f"seed {seed} false {finding.kind} {finding.told}")
    for each in planted:
        if each.kind in _NEITHER_WAY:
            continue
        judged.planted[each.kind] += 1
        if each in hit:
            judged.found[each.kind] += 1
        else:
            judged.missed.append(f"seed {seed} missed {each}")


def _judge_budget(judged: Judged, budget: Limited, seed: int) -> None:
    if 100 <= budget.percent < 110:
        return
    spent = [0]
    for nanos in budget.agent.spent:
        spent.append(spent[-1] + nanos)
    period = Window(SINCE, UNTIL)
    watched = Watched(budget.name, "acme", "agent:acme/x", period, budget.limit)
    told = None
    for hour in range(HISTORY_H, budget.overrun_at or HOURS, LOOK_EVERY_H):
        if burn(watched, _pace(spent, hour), START + hour * HOUR) is not None:
            told = hour
            break
    if budget.percent >= 110:
        judged.planted["burn"] += 1
        judged.found["burn"] += told is not None
        if told is not None and budget.overrun_at is not None:
            judged.lead_h.append(budget.overrun_at - told)
        if told is None:
            judged.missed.append(f"seed {seed} missed burn {budget.name} {budget.percent} %")
    elif told is not None:
        judged.false["burn"] += 1
        judged.alarms[f"{seed} {budget.name}"] += 1
        judged.missed.append(f"seed {seed} false burn {budget.name} {budget.percent} % at {told}")


def _pace(spent: list[int], hour: int) -> Pace:
    def over(first: int, last: int) -> int:
        return spent[last] - spent[first]

    rest = (HOURS - hour) % 168
    return Pace(
        spent=over(HISTORY_H, hour),
        week=over(hour - 168, hour),
        like_rest=over(hour - 168, hour - 168 + rest),
        day=over(hour - 24, hour),
        day_before=over(hour - 192, hour - 168),
        three=over(hour - 72, hour),
        three_before=over(hour - 240, hour - 168),
    )
