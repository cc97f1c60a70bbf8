"""What hard budgets cost: the part of a call's CPU that they take, and how much money they hold.

One gateway, two keys, of which one has a hard budget with plenty in it. The same calls are made
with both in turn, so that what else the machine does falls on both.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.budgets import Budget, budget_ref
from common.budgets.calendar import Calendar
from common.core.ports import Put
from common.gateway.keys import key_digest, key_id_of
from scripts.benchmark.deployed import Deployed, served
from scripts.benchmark.measures import Cpus, Figure, Repetition, Size, check_counts
from scripts.benchmark.processes import Running
from scripts.benchmark.shapes import LARGE, PROTOCOLS, SMALL, Shape
from scripts.benchmark.surroundings import make_key, simulated_provider, usage_events

PLENTY = 10**15
TURNS = 4
CONNECTIONS = 16
SHAPES = {
    "small": (SMALL, 1),
    "stream of 20 tokens": (Shape(stream=True), 4),
    "100 kB prompt": (LARGE, 4),
}
"""And by how much fewer calls there are of each."""
CAP = 1_000
ANSWERS = (20, 100, 300, CAP)
INPUTS_BYTES = (300, 3_000, 30_000)


def repeat_budgets(proxy: Deployed, folder: Path, size: Size, cpus: Cpus) -> dict[Figure, float]:
    """Every figure about budgets once, in new processes with new data in `folder`.

    Raises:
        measures.CountsDiffer: calls, charges and events are not the same ones.
        load.CallFailed: a call was not answered with 200.
        processes.NotStarted: a process did not start.
    """
    charges, data = folder / "provider", folder / "gateway"
    with simulated_provider(charges, cpu=cpus.load) as provider:
        free, limited = Repetition(size, make_key(data)), Repetition(size, make_key(data))
        asyncio.run(store_budget(data, limited.key))
        settings = {"SIMULATED_PROVIDER_URL": provider.address}
        with served(proxy, data, settings, cpu=cpus.target) as gateway:
            for name, (shape, fewer) in SHAPES.items():
                calls = size.calls // TURNS // fewer
                costs = _in_turn(gateway, shape, calls, free, limited)
                _share_row(limited, f"{name}, hard budget", *costs)
            check_counts(free.ids + limited.ids, charges, data)
            limited.figures |= _hold_rows(limited, gateway, free.ids, charges, data)
    return limited.figures


def _in_turn(
    gateway: Running, shape: Shape, calls: int, free: Repetition, limited: Repetition
) -> tuple[float, float]:
    """CPU seconds of the same call without and with a budget."""
    for one in (free, limited):
        one.call(gateway, shape, CONNECTIONS, max(CONNECTIONS, calls // 4))
    turns = [
        (
            free.call(gateway, shape, CONNECTIONS, calls)[1],
            limited.call(gateway, shape, CONNECTIONS, calls)[1],
        )
        for _ in range(TURNS)
    ]
    without, with_ = zip(*turns, strict=True)
    return sum(without) / TURNS, sum(with_) / TURNS


def _share_row(one: Repetition, row: str, without_s: float, with_s: float) -> None:
    one.note(row, "gateway", "CPU without", "ms/call", without_s * 1000)
    one.note(row, "gateway", "CPU with", "ms/call", with_s * 1000)
    if without_s > 0:
        one.note(row, "gateway", "more than without", "%", 100 * (with_s / without_s - 1))


def _hold_rows(
    one: Repetition, gateway: Running, others: Sequence[str], charges: Path, data: Path
) -> dict[Figure, float]:
    """How many times its cost a call holds, by protocol, with the caller's cap and without."""
    figures = {}
    for (name, protocol), cap in product(PROTOCOLS.items(), (CAP, None)):
        capped = protocol.cap is not None and protocol.cap(CAP).keys() <= protocol.body("").keys()
        if capped if cap is None else protocol.cap is None:
            continue  # it must have a cap, or cannot have one
        before = len(usage_events(data))
        for tokens, size_bytes in product(ANSWERS, INPUTS_BYTES):
            shape = replace(SMALL, protocol=protocol, tokens=tokens, size_bytes=size_bytes, cap=cap)
            one.call(gateway, shape, 1, 1)
        check_counts([*others, *one.ids], charges, data)
        ratios = _ratios(data, before)
        kind = "no cap" if cap is None else f"cap {cap:,}"
        for measure, value in (("median", median(ratios)), ("worst", max(ratios))):
            figures[Figure(name, "gateway", f"hold to cost, {kind}, {measure}", "times")] = value
    return figures


def _ratios(data: Path, after: int) -> Sequence[float]:
    events = usage_events(data)[after:]
    return [each["hold_nanos"] / each["cost_nanos"] for each in events]


async def store_budget(data: Path, key: str) -> None:
    """Give a key a hard budget with plenty in it."""
    digest = key_digest(key)
    assert digest is not None
    scope = f"key:{key_id_of(digest)}"
    budget = Budget("bench", "acme", scope, Calendar("month"), PLENTY, "hard")
    documents = SqliteDocuments(data / "state.sqlite")
    try:
        await documents.commit([Put(budget_ref(budget.id), budget.to_data())])
    finally:
        await documents.aclose()
