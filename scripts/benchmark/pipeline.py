"""The whole pipeline beside the bare proxy: the same bundle twice, and one of them is armed.

Armed are a hard budget on the key, a rule that moves each call to another model, and an enforced
brownout policy with a pin that is for somebody else, so that nothing rests and no call is changed
by it. Telemetry is taken from the events of calls, which both publish alike, by another function.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.modes import Mode
from common.brownout.policies import policy_ref
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data
from common.brownout.state import STATE, Pin, State
from common.core.ports import Put
from common.gateway.control import CONTROL
from common.gateway.route_book import ROUTES_CHANGED, routes_ref
from scripts.benchmark.budgets import store_budget
from scripts.benchmark.deployed import Deployed, served
from scripts.benchmark.measures import (
    USUAL_CONNECTIONS,
    CountsDiffer,
    Cpus,
    Figure,
    Repetition,
    Size,
    check_counts,
)
from scripts.benchmark.processes import Running
from scripts.benchmark.shapes import SMALL, Shape
from scripts.benchmark.surroundings import make_key, simulated_provider, usage_events

TURNS = 4
SHAPES = {"small": (SMALL, 1), "stream of 20 tokens": (Shape(stream=True), 4)}
"""And by how much fewer calls there are of each."""
_RULE, _MOVED_TO = "moved", "gpt-4.1-mini"
_VERSION = 1


def repeat_pipeline(proxy: Deployed, folder: Path, size: Size, cpus: Cpus) -> dict[Figure, float]:
    """CPU of a call through each, and by how much the armed one costs more.

    Raises:
        measures.CountsDiffer: calls, charges and events are not the same ones.
        load.CallFailed: a call was not answered with 200.
        processes.NotStarted: a process did not start.
    """
    figures: dict[Figure, float] = {}
    with (
        _gateway(proxy, folder / "bare", size, cpus, armed=False) as (bare, one),
        _gateway(proxy, folder / "armed", size, cpus, armed=True) as (armed, other),
    ):
        for name, (shape, fewer) in SHAPES.items():
            calls = max(USUAL_CONNECTIONS, size.calls // TURNS // fewer)
            pairs = [(one, bare), (other, armed)]
            for each, gateway in pairs:
                each.call(gateway, shape, USUAL_CONNECTIONS, max(USUAL_CONNECTIONS, calls // 4))
            turns = [
                [each.call(gateway, shape, USUAL_CONNECTIONS, calls)[1] for each, gateway in pairs]
                for _ in range(TURNS)
            ]
            without_s, with_s = (median(spent) for spent in zip(*turns, strict=True))
            row = f"{name}, all armed"
            figures |= {
                Figure(row, "gateway", "CPU of the bare proxy", "ms/call"): without_s * 1000,
                Figure(row, "gateway", "CPU", "ms/call"): with_s * 1000,
            }
            if without_s > 0:
                more = 100 * (with_s / without_s - 1)
                figures[Figure(row, "gateway", "more than bare", "%")] = more
    return figures


@contextmanager
def _gateway(
    proxy: Deployed, folder: Path, size: Size, cpus: Cpus, *, armed: bool
) -> Iterator[tuple[Running, Repetition]]:
    """One gateway before a provider of its own; its calls are counted when the block ends."""
    charges, data = folder / "provider", folder / "gateway"
    one = Repetition(size, make_key(data))
    if armed:
        asyncio.run(_arm(data, one.key))
    with simulated_provider(charges, cpu=cpus.load) as provider:
        settings = {"SIMULATED_PROVIDER_URL": provider.address}
        with served(proxy, data, settings, cpu=cpus.target) as gateway:
            yield gateway, one
            check_counts(one.ids, charges, data)
    events = usage_events(data) if armed else []
    if any(each["route"] != _RULE or not each["hold_nanos"] for each in events):
        raise CountsDiffer("calls passed without what they were to be armed with")


async def _arm(data: Path, key: str) -> None:
    await store_budget(data, key)
    now = datetime.now(UTC)
    enforced = replace(shipped_policy(), enforcement="enforce")
    until = now + timedelta(days=1)
    elsewhere = Pin("pin", "team:acme/another", Mode.SOFT, "bench", "", now, until)
    rules = [{"name": _RULE, "use": {"fixed": _MOVED_TO}}]
    documents = SqliteDocuments(data / "state.sqlite")
    try:
        await documents.commit(
            [
                Put(policy_ref(_VERSION), {"policy": policy_data(enforced)}),
                Put(STATE, State(policy_version=_VERSION, pins=(elsewhere,)).to_data()),
                Put(routes_ref("acme"), {"rules": json.dumps(rules)}),
                Put(CONTROL, {ROUTES_CHANGED: 1}),
            ]
        )
    finally:
        await documents.aclose()
