"""Seeded ledgers of an organisation: what agents spend by the hour, how models answer, who repeats.

Twelve weeks, of which the last four are judged. Agents differ in size by a factor of thousands,
work by day or by night, rest at weekends or do not, grow or shrink, and are restless: their hours
vary with heavy tails, small ones send few calls, providers fail for hours and work is caught up
afterwards. Nothing of that is to be found. What is planted is in `planted.py`.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import cos, exp, log, pi, sqrt
from random import Random

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""
HISTORY_H = 8 * 168
MONTH_H = 4 * 168
HOURS = HISTORY_H + MONTH_H
SINCE = START + timedelta(hours=HISTORY_H)
UNTIL = START + timedelta(hours=HOURS)
TEAMS = 3
AGENTS = 8
MODELS = 3


@dataclass(slots=True)
class Agent:
    """`hourly` is dollars of its usual working hour, `unit` dollars of a call.

    `factor` and `unit_factor` are what is planted, hour by hour.
    """

    name: str
    team: str
    hourly: float
    unit: float
    shape: list[float]
    noise: float
    growth: float
    sessions: bool
    born: int
    moves_at: int | None = None
    """From when on it calls a model that nobody called before."""
    factor: list[float] = field(default_factory=lambda: [1.0] * HOURS)
    unit_factor: list[float] = field(default_factory=lambda: [1.0] * HOURS)
    spent: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Model:
    """How a model answers, hour by hour; `failing` and `slower` are what is planted."""

    name: str
    hourly_calls: float
    error: float
    seconds: float
    noise: float
    shape: list[float]
    failing: list[float] = field(default_factory=lambda: [0.0] * HOURS)
    slower: list[float] = field(default_factory=lambda: [1.0] * HOURS)


@dataclass(slots=True)
class World:
    """One ledger before it is drawn. `outages` are first and last hours, all agents together.

    `newcomers` is what newcomers are drawn from.
    """

    random: Random
    newcomers: Random
    agents: list[Agent]
    models: list[Model]
    outages: list[tuple[int, int]]


def make_world(seed: int) -> World:
    random = Random(seed)  # noqa: S311 -- a generator of test data
    agents = [plain_agent(random, number) for number in range(AGENTS)]
    models = [_model(random, number) for number in range(MODELS)]
    outages = []
    for _ in range(random.randint(0, 3)):
        first = random.randrange(HOURS - 8)
        outages.append((first, first + random.randint(1, 6)))
    newcomers = Random(f"newcomers {seed}")  # noqa: S311 -- a generator of test data
    return World(random, newcomers, agents, models, outages)


def plain_agent(random: Random, number: int) -> Agent:
    return Agent(
        name=f"agent-{number}",
        team=f"team-{number % TEAMS}",
        hourly=exp(random.uniform(log(0.02), log(60))),
        unit=exp(random.uniform(log(0.002), log(0.2))),
        shape=_shape(random),
        noise=random.uniform(0.05, 0.35),
        growth=random.uniform(-0.02, 0.05),
        sessions=random.random() < 0.5,
        born=0 if random.random() < 0.85 else random.randrange(HISTORY_H),
    )


def _model(random: Random, number: int) -> Model:
    return Model(
        name=f"model-{number}",
        hourly_calls=exp(random.uniform(log(20), log(20_000))),
        error=exp(random.uniform(log(0.001), log(0.03))),
        seconds=exp(random.uniform(log(0.4), log(20))),
        noise=random.uniform(0.02, 0.12),
        shape=_shape(random),
    )


def _shape(random: Random) -> list[float]:
    """What an hour of the week is worth: days and nights, weekends, jobs at fixed hours."""
    peak, depth = random.uniform(8, 18), random.choice([0.0, 0.5, 0.9, 0.97])
    weekend = random.choice([1.0, 0.6, 0.2, 0.05])
    job = random.randrange(24) if random.random() < 0.25 else None
    shape = []
    for hour in range(168):
        level = 1 - depth / 2 + depth / 2 * cos(2 * pi * (hour % 24 - peak) / 24)
        level *= weekend if hour >= 120 else 1.0
        shape.append(level + (2.0 if job is not None and hour % 24 == job else 0.0))
    return shape


def draw(world: World) -> None:
    """Let the agents spend."""
    down = [0.0] * HOURS
    caught_up = [0.0] * HOURS
    for first, last in world.outages:
        for hour in range(first, last):
            down[hour] = 0.97
        for hour in range(last, min(HOURS, last + 2)):
            caught_up[hour] = world.random.uniform(0.1, 0.5)
    for agent in world.agents:
        spend(world.random, agent, down, caught_up)
    for model in world.models:
        for hour in range(HOURS):
            if down[hour]:
                model.failing[hour] = max(model.failing[hour], 0.5)


def spend(random: Random, agent: Agent, down: list[float], caught_up: list[float]) -> None:
    restless = 0.0
    for hour in range(HOURS):
        # What moves one hour moves the next a little, too.
        restless = 0.5 * restless + sqrt(0.75) * random.gauss(0, agent.noise)
        level = agent.hourly * agent.shape[hour % 168] * (1 + agent.growth) ** (hour / 168)
        level *= exp(restless) * (1 - down[hour]) * (1 + caught_up[hour]) * agent.factor[hour]
        if random.random() < 0.004:
            level *= exp(abs(random.gauss(0, 0.5)))
        if hour < agent.born:
            level = 0.0
        calls = poisson(random, level / agent.unit)
        each = agent.unit * agent.unit_factor[hour] * exp(random.gauss(0, 0.03))
        agent.calls.append(calls)
        agent.spent.append(round(calls * each * 1e9))


def poisson(random: Random, mean: float) -> int:
    """A count; for large means the normal one that is as wide."""
    if mean <= 0:
        return 0
    if mean > 50:
        return max(0, round(random.gauss(mean, sqrt(mean))))
    limit, product, count = exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count
