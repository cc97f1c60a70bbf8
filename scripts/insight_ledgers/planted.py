"""What is hidden in a ledger: spikes, drifts, failures, slowness and loops, and budgets to judge.

A budget's truth is not planted but comes out: its month is drawn first, the limit is a random part
of it, and whether it was overrun is then known.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp, log
from statistics import NormalDist

from common.insights.loops import SPAN, Repeated
from scripts.insight_ledgers.worlds import (
    HISTORY_H,
    HOURS,
    MONTH_H,
    SINCE,
    START,
    Agent,
    World,
    plain_agent,
    poisson,
    spend,
)

NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Planted:
    """Something to be found: a kind of findings, its scope, and the hours it lasts."""

    kind: str
    scope: str
    first: int
    last: int

    def covers(self, since: datetime, until: datetime) -> bool:
        start, end = _time(self.first), _time(self.last)
        return since < end and start < until


def _time(hour: int) -> datetime:
    return START + timedelta(hours=hour)


def plant_in_spend(world: World) -> list[Planted]:
    """Spikes of one to eight hours and drifts of unit costs, of agents that are worth it."""
    random, found = world.random, []
    big = [each for each in world.agents if each.hourly >= 2 and each.born < HISTORY_H - 336]
    random.shuffle(big)
    if big and random.random() < 0.9:
        agent = big.pop()
        start = random.randrange(HISTORY_H + 24, HOURS - 12)
        length = random.randint(1, 8)
        for hour in range(start, start + length):
            # At least twice the usual working hour, whatever the hour is worth by itself.
            share = agent.shape[hour % 168]
            agent.factor[hour] = 1 + random.uniform(2, 8) * max(1.0, 6 / agent.hourly) / max(
                share, 0.02
            )
        found.append(Planted("spike", f"agent:acme/{agent.name}", start, start + length))
    if big and random.random() < 0.8:
        agent = big.pop()
        start = random.randrange(HISTORY_H - 72, HISTORY_H + 240)
        length, height = random.randint(96, 336), random.uniform(1.5, 2.5)
        for hour in range(start, HOURS):
            agent.unit_factor[hour] = 1 + (height - 1) * min(1.0, (hour - start) / length)
        found.append(Planted("unit_cost", f"agent:acme/{agent.name}", start, HOURS))
    return found


def plant_newcomers(world: World) -> list[Planted]:
    """An agent that begins, and one that changes its model, after other agents were drawn.

    Both draw from a source of their own, so that the rest of a ledger stays as it is.
    """
    random, found = world.newcomers, []
    for agent in world.agents:
        if agent.born > HISTORY_H - 168:
            found += _planted(world, "new_agent", f"agent:acme/{agent.name}", agent, agent.born)
    if random.random() < 0.6:
        agent = plain_agent(random, len(world.agents))
        agent.born = random.randrange(HISTORY_H + 24, HOURS - 8 * 24)
        spend(random, agent, [0.0] * HOURS, [0.0] * HOURS)
        world.agents.append(agent)
        found += _planted(world, "new_agent", f"agent:acme/{agent.name}", agent, agent.born)
    if random.random() < 0.6:
        agent = random.choice(world.agents[:8])
        agent.moves_at = random.randrange(HISTORY_H + 24, HOURS - 8 * 24)
        found += _planted(world, "new_model", "org:acme model:/new", agent, agent.moves_at)
    return found


def _planted(world: World, kind: str, scope: str, agent: Agent, hour: int) -> list[Planted]:
    """Planted where it takes a good part of what all spend; `unclear` where that is about 5 %."""
    first = hour // 24 * 24
    shares = []
    for day in range(1, 8):
        last = first + 24 * day
        of_all = sum(sum(each.spent[first:last]) for each in world.agents)
        shares.append(100 * sum(agent.spent[hour:last]) / max(1, of_all))
    large = max(shares)
    month = sum(agent.spent[hour : first + 168]) * 30 / 7
    if large < 4 or month < 4 * NANOS:
        return []
    is_clear = large >= 6 and month >= 6 * NANOS
    return [Planted(kind if is_clear else f"{kind} unclear", scope, hour, first + 168)]


def plant_in_models(world: World) -> list[Planted]:
    """Hours in which a model fails or is slow, where it has calls enough to see it."""
    random, found = world.random, []
    for model in world.models:
        if model.hourly_calls < 400:
            continue
        for kind in ("error_rate", "latency"):
            if random.random() < 0.5:
                continue
            start, length = random.randrange(HISTORY_H, HOURS - 12), random.randint(3, 12)
            # By day: at night some models have no calls that could fail.
            start += (11 - start) % 24
            start = min(start, HOURS - 12)
            height = random.uniform(0.12, 0.5) if kind == "error_rate" else random.uniform(1.8, 3)
            for hour in range(start, start + length):
                if kind == "error_rate":
                    model.failing[hour] = height
                else:
                    model.slower[hour] = height
            scope = f"model:acme/{model.name}@upstream"
            found.append(Planted(kind, scope, start, start + length))
    return found


def repeats(world: World) -> tuple[list[Repeated], list[Planted]]:
    """The most repeated calls of each agent and hour, and loops among them."""
    random, rows, found = world.random, [], []
    for agent in world.agents:
        for hour in range(HISTORY_H - 168, HOURS):
            if agent.calls[hour]:
                rows += _usual_repeats(world, agent, hour)
    for agent in random.sample(world.agents, 2):
        if random.random() < 0.3:
            continue
        start, spans = random.randrange(HISTORY_H, HOURS - 3), random.randint(2, 24)
        calls = random.randint(70, 600)
        nanos = round(max(agent.unit, 0.001) * NANOS)
        for span in range(spans):
            of_all = 0 if agent.sessions else round(calls * random.uniform(0, 1.5))
            rows.append(
                Repeated(
                    start=_time(start) + span * SPAN, org="acme", agent=agent.name, line="l",
                    session="looping" if agent.sessions else None, model="m", calls=calls,
                    all_calls=calls + of_all, nanos=calls * nanos,
                )
            )  # fmt: skip
        scope = f"agent:acme/{agent.name}"
        found.append(Planted("loop", scope, start, start + 1 + spans // 12))
    return rows, found


def _usual_repeats(world: World, agent: Agent, hour: int) -> list[Repeated]:
    """The largest group of the hour's busiest span: of conversations, or of texts of one size."""
    random = world.random
    all_calls = agent.calls[hour] // 12 + 1
    if agent.sessions:
        conversations = max(1, all_calls // 4)
        # The busiest of so many conversations of four calls or so, some several times as busy.
        rank = random.random() ** (1 / conversations)
        busiest = exp(NormalDist(log(4), 0.6).inv_cdf(min(max(rank, 1e-9), 1 - 1e-9)))
        calls = min(all_calls, poisson(random, busiest))
    else:
        # The commonest of the sizes that texts have: one of 60 on short ones, of 2,000 on long.
        calls = poisson(random, all_calls / random.choice([60, 300, 2_000]))
    nanos = round(calls * agent.unit * NANOS)
    session = "usual" if agent.sessions else None
    return [Repeated(_time(hour), "acme", agent.name, "l", session, "m", calls, all_calls, nanos)]


@dataclass(frozen=True, slots=True)
class Limited:
    """A budget of the judged month. `overrun_at` is the hour in which it is spent, None: never.

    `percent` is what the month cost in the end, of the limit.
    """

    name: str
    agent: Agent
    limit: int
    percent: int
    overrun_at: int | None


def limited(world: World) -> list[Limited]:
    """A budget of each agent that lives from the beginning, half of them too small."""
    found = []
    for agent in world.agents:
        month = agent.spent[HISTORY_H:]
        total = sum(month)
        if agent.born or total < 20 * NANOS:
            continue
        limit = round(total / world.random.uniform(0.4, 1.8))
        running, overrun = 0, None
        for hour in range(MONTH_H):
            running += month[hour]
            if running >= limit:
                overrun = HISTORY_H + hour
                break
        found.append(Limited(f"b-{agent.name}", agent, limit, 100 * total // limit, overrun))
    return found


__all__ = [
    "SINCE",
    "Limited",
    "Planted",
    "limited",
    "plant_in_models",
    "plant_in_spend",
    "plant_newcomers",
    "repeats",
]
