"""Days of calls and the bills for them, drawn by a seed, with one fault planted or none.

A clean day has what clean days have: calls over midnight that either day's bill may carry, a few
estimates above what was billed, callers' own keys on this bill and on others', amounts as binary
fractions write them, and calls too small to see.
"""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Literal, TypeAlias

from common.core.money import NANOS_PER_USD
from common.reconciliation.rows import Bill, Called, Item, Tokens, Used

DAY = date(2026, 11, 20)
DOLLAR = NANOS_PER_USD
MODELS = {
    # Nano-USD for a token of input, of cached input, of output.
    "openai/large": (2_500, 250, 10_000),
    "openai/small": (150, 15, 600),
    "openai/old": (500, 500, 1_500),
    "openai/thinking": (1_100, 275, 4_400),
}

Fault: TypeAlias = Literal["price", "past", "lost", "cents"]


@dataclass(slots=True)
class Story:
    """Both sides of a day, as they are told to `compare`."""

    ledger: list[Called] = field(default_factory=list)
    bill: Bill = field(default_factory=lambda: Bill(DAY))


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it was: what the provider billed for it, and how we see it."""

    row: Called
    billed_key: str | None


def a_day(seed: int, fault: Fault | None = None) -> Story:
    chance = random.Random(seed)
    calls = list(_calls(chance))
    seen = [call.row for call in calls]
    billed = [call for call in calls if call.billed_key is not None]
    match fault:
        case "past":
            billed += _past(chance)
        case "lost":
            key = max(
                f"m{number}" for number in range(3) if any(r.key == f"m{number}" for r in seen)
            )
            share = chance.uniform(0.15, 0.6)
            seen = [r for r in seen if r.key != key or chance.random() > share]
        case _:
            pass
    factors: dict[str, Decimal] = defaultdict(lambda: Decimal(1))
    if fault == "price":
        spent: dict[str, int] = defaultdict(int)
        for row in seen:
            spent[row.model] += row.nanos
        dearest = max(spent, key=lambda model: spent[model])
        factors[dearest] = chance.choice([Decimal("0.5"), Decimal("1.25"), Decimal(2), Decimal(10)])
    if fault == "cents":
        factor = chance.choice([Decimal(100), Decimal("0.01")])
        factors = defaultdict(lambda: factor)
    return Story(_summed(seen), _bill(billed, factors))


def _calls(chance: random.Random) -> Iterable[Call]:
    keys: list[tuple[str, bool, str | None]]
    keys = [(f"m{n}", True, f"key_{n}") for n in range(chance.randint(1, 3))]
    keys += [(f"o{n}", False, f"key_own_{n}") for n in range(chance.randint(0, 2))]
    keys += [(f"f{n}", False, None) for n in range(chance.randint(0, 1))]
    for key, managed, billed_key in keys:
        for _ in range(chance.randint(250, 500)):
            row = _row(chance, key, managed=managed)
            call = Call(row, billed_key)
            if managed and chance.random() < 0.002:
                more = row.nanos // 10
                seen = replace(row, nanos=row.nanos + more, estimated_nanos=row.nanos + more)
                seen = replace(seen, tokens=row.tokens + Tokens(output=row.tokens.output // 10))
                call = Call(seen, None)
                yield Call(replace(row, calls=0), billed_key)
                yield replace(call, row=_difference(seen, row))
                continue
            yield call
        for edge in ("begun_before", "ended_after"):
            row = replace(_row(chance, key, managed=managed), edge=edge)
            yield Call(row, chance.choice([billed_key, None]))


def _difference(seen: Called, row: Called) -> Called:
    """What an estimate has above what was billed."""
    tokens = Tokens(output=seen.tokens.output - row.tokens.output)
    return replace(seen, tokens=tokens, nanos=seen.nanos - row.nanos)


def _row(chance: random.Random, key: str, *, managed: bool) -> Called:
    model = chance.choice(list(MODELS))
    given = chance.randint(1_000, 200_000)
    cached = chance.choice([0, 0, given // 2, given * 9 // 10])
    tokens = Tokens(given, cached, 0, chance.randint(100, 50_000))
    return Called(key, managed, model, tokens, cost(model, tokens))


def _past(chance: random.Random) -> list[Call]:
    # With the cheap models alone it would be below the limit.
    models = {"openai/large", *chance.sample(list(MODELS), chance.randint(0, len(MODELS)))}
    rows = [_row(chance, "unseen", managed=False) for _ in range(600)]
    return [Call(row, "key_elsewhere") for row in rows if row.model in models]


def cost(model: str, tokens: Tokens) -> int:
    plain, cached, out = MODELS[model]
    read = tokens.cache_read
    return (tokens.input - read) * plain + read * cached + tokens.output * out


def _summed(rows: Iterable[Called]) -> list[Called]:
    groups: dict[tuple[str | None, bool, str, str], Called] = {}
    for row in rows:
        name = (row.key, row.managed, row.model, row.edge)
        kept = groups.get(name)
        groups[name] = row if kept is None else _both(kept, row)
    return list(groups.values())


def _both(one: Called, other: Called) -> Called:
    return replace(
        one,
        tokens=one.tokens + other.tokens,
        nanos=one.nanos + other.nanos,
        calls=one.calls + other.calls,
        estimated_nanos=one.estimated_nanos + other.estimated_nanos,
    )


def _bill(calls: Iterable[Call], factors: dict[str, Decimal]) -> Bill:
    used: dict[tuple[str | None, str], Tokens] = {}
    nanos: dict[str, int] = defaultdict(int)
    for call in calls:
        name = (call.billed_key, call.row.model)
        used[name] = used.get(name, Tokens()) + call.row.tokens
        nanos[call.row.model] += call.row.nanos
    return Bill(
        DAY,
        tuple(Used(key, model, tokens) for (key, model), tokens in used.items()),
        tuple(
            # As a provider that counts in binary fractions writes it.
            Item(model, Decimal(repr(float(n * factors[model] / NANOS_PER_USD))))
            for model, n in nanos.items()
        ),
    )
