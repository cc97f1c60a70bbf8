"""How soon an alert is enforced: from the webhook's answer to each proxy's first call with less.

Several processes of `proxy` and one of `brownout_webhook` share one state, all as they are bundled.
Every proxy is called again and again while an alert about one agent is posted; agents differ by
round, so that every round begins in normal mode. Then alerts that go on are posted one by one.
"""

import asyncio
import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import uvloop

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.policies import policy_ref
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data
from common.brownout.state import STATE, State
from common.core.ports import Committed, Put
from scripts.benchmark.deployed import Deployed, served
from scripts.benchmark.load import CallFailed, Connection
from scripts.benchmark.measures import Figure
from scripts.benchmark.processes import Running
from scripts.benchmark.shapes import SMALL
from scripts.benchmark.surroundings import simulated_provider, store_key

if TYPE_CHECKING:
    from common.adapters.firestore_documents import FirestoreDocuments

ENFORCED_WITHIN_S = 30.0
SEED = 11
_WEBHOOK = "/api/webhooks/datadog/brownout"
_TOKEN = "a-token-of-the-bench"  # noqa: S105 - of processes that only this machine reaches
_BETWEEN_CALLS_S = 0.05
_REFRESHED_S = 2.0
"""Alerts come at any moment between two readings of the state."""
_OK = 200
_MODE_HEADER = b"x-brownout-mode"


@dataclass(frozen=True, slots=True)
class Alerts:
    """How many move a mode, how many only renew a lease, and how many proxies enforce them."""

    moving: int
    renewing: int
    proxies: int = 8


FULL = Alerts(moving=30, renewing=200)
QUICK = Alerts(moving=3, renewing=20)


class _Watched(Connection):
    """A connection that notes whether an answer names a mode."""

    def __init__(self) -> None:
        super().__init__()
        self.treated = False

    def on_header(self, name: bytes, _value: bytes) -> None:
        self.treated = self.treated or name.lower() == _MODE_HEADER


def measure_enforcement(
    proxy: Deployed,
    webhook: Deployed,
    folder: Path,
    alerts: Alerts,
    *,
    firestore: str | None,
) -> dict[Figure, float]:
    """Seconds from an alert to all proxies, and how long alerts take to be answered.

    Args:
        proxy: runs as often as `alerts` says.
        webhook: runs once.
        folder: for everything that the processes keep.
        alerts: one after the other.
        firestore: HOST:PORT of an emulator for the state; None: a file.

    Raises:
        load.CallFailed: a call or an alert was not answered with 200.
        processes.NotStarted: a process did not start.
        TimeoutError: an alert was not enforced within ENFORCED_WITHIN_S.
    """
    project = f"bench-{uuid4().hex[:12]}"
    state = {"STATE_URL": f"sqlite:///{folder / 'state.sqlite'}"}
    if firestore is not None:
        state = {
            "STATE_URL": f"firestore://{project}/state",
            "FIRESTORE_EMULATOR_HOST": firestore,
        }
    folder.mkdir(parents=True)
    keys = asyncio.run(_prepare(folder, project, firestore, alerts.moving))
    with ExitStack() as stack:
        provider = stack.enter_context(simulated_provider(folder / "provider"))
        settings = {**state, "SIMULATED_PROVIDER_URL": provider.address}
        proxies = [
            stack.enter_context(served(proxy, folder / f"proxy-{number}", settings))
            for number in range(alerts.proxies)
        ]
        tokens = {**state, "BROWNOUT_TOKENS": _TOKEN, "DEFAULT_ORG": "acme"}
        served_webhook = stack.enter_context(served(webhook, folder / "webhook", tokens))
        taken = uvloop.run(_measure(proxies, served_webhook.address, keys, alerts.renewing))
    return dict(
        [
            *_figures(f"alert to {alerts.proxies} proxies", "proxy", "s", taken.enforced_s),
            (Figure("alert, first", "webhook", "answered", "ms"), taken.first_s * 1000),
            *_figures("alert moves a mode", "webhook", "ms", _ms(taken.moved_s)),
            *_figures("alert renews", "webhook", "ms", _ms(taken.renewed_s)),
        ]
    )


@dataclass(slots=True)
class _Taken:
    """Seconds until the webhook answered alerts of each kind, and from there to each proxy."""

    first_s: float
    moved_s: list[float] = field(default_factory=list)
    enforced_s: list[float] = field(default_factory=list)
    renewed_s: list[float] = field(default_factory=list)


async def _measure(
    proxies: Sequence[Running], webhook: str, keys: Mapping[str, str], renewals: int
) -> _Taken:
    draw = random.Random(SEED)  # noqa: S311 - the same moments each time
    headers = {"x-brownout-token": _TOKEN}
    async with httpx.AsyncClient(base_url=webhook, headers=headers, timeout=30) as client:
        taken = _Taken(await _alert(client, "nobody", "Triggered"))
        for agent, key in keys.items():
            try:
                async with asyncio.timeout(ENFORCED_WITHIN_S), asyncio.TaskGroup() as tasks:
                    watches = [tasks.create_task(_enforced_at_s(each, key)) for each in proxies]
                    await asyncio.sleep(draw.uniform(1, 1 + _REFRESHED_S))
                    if any(watch.done() for watch in watches):
                        raise CallFailed(f"{agent} is asked for less before there is an alert")
                    taken.moved_s.append(await _alert(client, agent, "Triggered"))
                    accepted_s = time.perf_counter()
            except ExceptionGroup as group:
                raise group.exceptions[0] from None
            taken.enforced_s += [max(0.0, watch.result() - accepted_s) for watch in watches]
        agents = list(keys)
        for number in range(renewals):
            taken.renewed_s.append(await _alert(client, agents[number % len(agents)], "Renotify"))
    return taken


async def _enforced_at_s(proxy: Running, key: str) -> float:
    """When the proxy gave its first answer that it asked for less, by the performance counter."""
    parts = urlsplit(proxy.address)
    request = SMALL.request(proxy.address, key)
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(_Watched, parts.hostname or "", parts.port or 0)
    try:
        while True:
            status = await connection.call(request)
            if status != _OK:
                raise CallFailed(f"answered with {status}: {connection.told()}")
            if connection.treated:
                return time.perf_counter()
            await asyncio.sleep(_BETWEEN_CALLS_S)
    finally:
        connection.close()


async def _alert(client: httpx.AsyncClient, agent: str, transition: str) -> float:
    """Post an alert about an agent; seconds until it was answered."""
    body = {
        "id": uuid4().hex,
        "monitor": agent,
        "transition": transition,
        "tags": f"brownout:hard,brownout_scope:agent:acme/{agent}",
        "updated": str(time.time_ns() // 1_000_000),
    }
    started_s = time.perf_counter()
    answer = await client.post(_WEBHOOK, json=body)
    taken_s = time.perf_counter() - started_s
    if answer.status_code != _OK or json.loads(answer.content)["mode"] != "hard":
        raise CallFailed(f"the alert is answered with {answer.status_code}: {answer.text}")
    return taken_s


async def _prepare(
    folder: Path, project: str, firestore: str | None, rounds: int
) -> dict[str, str]:
    """A key for the agent of each round, under a policy that is enforced and spares nobody."""
    documents = _documents(folder, project, firestore)
    try:
        policy = replace(shipped_policy(), enforcement="enforce", holdout=0.0)
        outcome = await documents.commit(
            [
                Put(policy_ref(1), {"policy": policy_data(policy)}),
                Put(STATE, State(policy_version=1).to_data()),
            ]
        )
        assert isinstance(outcome, Committed)
        agents = [f"round-{number}" for number in range(rounds)]
        return {agent: await store_key(documents, agent) for agent in agents}
    finally:
        await documents.aclose()


def _documents(
    folder: Path, project: str, firestore: str | None
) -> "SqliteDocuments | FirestoreDocuments":
    if firestore is None:
        return SqliteDocuments(folder / "state.sqlite")
    from common.adapters.firestore_documents import (  # noqa: PLC0415 - its client may be missing
        FirestoreDocuments,
    )

    return FirestoreDocuments(project, "state", emulator=firestore)


def _ms(seconds: Sequence[float]) -> list[float]:
    return [each * 1000 for each in seconds]


def _figures(
    row: str, target: str, unit: str, values: Sequence[float]
) -> Iterator[tuple[Figure, float]]:
    ordered = sorted(values)
    for measure, share in (("p50", 0.5), ("p95", 0.95)):
        found = ordered[min(int(len(ordered) * share), len(ordered) - 1)]
        yield Figure(row, target, measure, unit), found
    yield Figure(row, target, "max", unit), ordered[-1]
