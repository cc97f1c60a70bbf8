"""Calls to price: every card at every boundary of its tiers, dates, hours and contexts.

Counts are built from the list's own definition of units, so that most usages are coherent; some are
then damaged the ways providers damage them. Nothing here knows the price book.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from itertools import combinations, cycle, product
from random import Random

from genai_prices import data_units, types
from genai_prices.units import UnitRegistry

REGISTRY = UnitRegistry(data_units.unit_data)
REPORTABLE = [unit for unit in REGISTRY.units if unit != "requests"]
ORDINARY_MOMENT = datetime(2026, 11, 20, 12, 34, 56, 789, tzinfo=UTC)
ORDINARY_INPUTS = (0, 1, 20_480, 1_000_003)
EAST = timezone(timedelta(hours=5, minutes=30))
INSTANT = timedelta(microseconds=1)
MIDNIGHT = datetime.min.time()


@dataclass(frozen=True, slots=True)
class Call:
    usage: Mapping[str, int]
    at: datetime
    context: Mapping[str, str]


def calls(model: types.ModelInfo, random: Random, at_least: int) -> Iterator[Call]:
    """Every combination of boundaries once or twice, and never fewer than `at_least` calls."""
    priced = _priced_units(model)
    boundaries = list(product(_total_inputs(model), _moments(model), _contexts(model)))
    for number, (total, at, context) in enumerate(cycle(boundaries)):
        if number >= max(at_least, len(boundaries)):
            return
        usage = _coherent(priced, total, random)
        if number % 2 or number >= len(boundaries):
            usage = random.choice(DAMAGES)(usage, random)
        yield Call(usage, at, context)


def price_sets(model: types.ModelInfo) -> list[types.ModelPrice]:
    listed = model.prices
    prices = [listed] if isinstance(listed, types.ModelPrice) else [each.prices for each in listed]
    return prices + [variant.prices for variant in model.price_variants or ()]


def usage_keys(prices: types.ModelPrice) -> set[str]:
    return {REGISTRY.unit_for_price_key(key).usage_key for key, price in vars(prices).items()}


def _priced_units(model: types.ModelInfo) -> list[str]:
    keys = set().union(*(usage_keys(prices) for prices in price_sets(model)))
    return [unit for unit in REPORTABLE if unit in keys]


def _total_inputs(model: types.ModelInfo) -> list[int]:
    starts = {
        tier.start
        for prices in price_sets(model)
        for price in vars(prices).values()
        if isinstance(price, types.TieredPrices)
        for tier in price.tiers
    }
    around = [start + step for start in sorted(starts) for step in (-1, 0, 1)]
    return [*ORDINARY_INPUTS, *around]


def _moments(model: types.ModelInfo) -> list[datetime]:
    """An ordinary time, and those just before and at each change, in and outside of UTC."""
    changes: set[datetime] = set()
    listed = [] if isinstance(model.prices, types.ModelPrice) else model.prices
    for each in (*listed, *(model.price_variants or ())):
        constraint = each.constraint
        if isinstance(constraint, types.StartDateConstraint):
            changes.add(datetime.combine(constraint.start_date, MIDNIGHT, UTC))
        elif isinstance(constraint, types.TimeOfDateConstraint):
            for hour in (constraint.start_time, constraint.end_time):
                changes.add(datetime.combine(ORDINARY_MOMENT, hour.replace(tzinfo=UTC)))
    around = [(change - INSTANT, change.astimezone(EAST)) for change in sorted(changes)]
    return [ORDINARY_MOMENT, *(moment for pair in around for moment in pair)]


def _contexts(model: types.ModelInfo) -> list[dict[str, str]]:
    whens = list(
        {tuple(each.when.items()): each.when for each in model.price_variants or ()}.values()
    )
    pairs = [{**left, **right} for left, right in combinations(whens, 2)]
    return [{}, {"service_tier": "unheard-of"}, *whens, *pairs]


def _coherent(priced: list[str], total_input: int, random: Random) -> dict[str, int]:
    """Counts that hold their parts, of every priced unit, with this much input where it counts."""
    own = {unit: random.randint(0, 1 + total_input // (2 * len(priced))) for unit in priced}
    counts = {
        unit: count
        + sum(own[part] for part in priced if unit in REGISTRY.ancestor_usage_keys(part))
        for unit, count in own.items()
    }
    if "input_tokens" in counts:
        counts["input_tokens"] = max(total_input, counts["input_tokens"] - own["input_tokens"])
    return counts


def _drop(usage: dict[str, int], random: Random) -> dict[str, int]:
    dropped = random.choice(list(usage) or [""])
    return {unit: count for unit, count in usage.items() if unit != dropped}


def _keep_few(usage: dict[str, int], random: Random) -> dict[str, int]:
    return {unit: count for unit, count in usage.items() if random.random() < 0.4}


def _change(usage: dict[str, int], random: Random) -> dict[str, int]:
    changed = random.choice(list(usage) or ["input_tokens"])
    return {**usage, changed: random.choice((0, 1, 7, 200_001, 10**12))}


def _add(usage: dict[str, int], random: Random) -> dict[str, int]:
    return {**usage, random.choice(REPORTABLE): random.choice((0, 1, 9, 12_345))}


def _scramble(_: dict[str, int], random: Random) -> dict[str, int]:
    return {
        unit: random.randint(0, 10**6) for unit in random.sample(REPORTABLE, random.randint(0, 5))
    }


DAMAGES = (_drop, _keep_few, _change, _add, _scramble)
