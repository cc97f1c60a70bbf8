"""Counting usage: what `usage` takes, and how soon the API shows a call.

The function gets push requests as the local stack sends them, so many at once as its row in
functions.yaml allows. Load is offered at a fixed rate, whether the answers come or not; one event
in ten comes a second time. Then calls end one by one: from publishing on the bus until the API's
summary has the call.

All of it shares one process, so the rate that is reached is that of one core. On emulators, which
have cores of their own where there are any, a run has a project and a dataset of its own.
"""

import asyncio
import base64
import os
import random
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
from functions_framework.aio import create_asgi_app

from common.adapters.bus_subscriptions import Endpoint
from common.core.events import UsageEvent
from common.core.ids import time_ordered_id
from common.core.ports import Committed, Document, Outcome, Query, Ref, Write
from common.runtime.app import app
from scripts.benchmark.measures import CountsDiffer, Figure
from scripts.functions_table import read_functions
from scripts.local_stack.application import ROOT
from scripts.local_stack.cloud_engines import check_settings, emulated_deliveries, make_tables
from scripts.local_stack.pushes import endpoint, push_subscriptions

if TYPE_CHECKING:
    from common.adapters.firestore_documents import FirestoreDocuments
    from common.adapters.sqlite_documents import SqliteDocuments

RATE = 1_000
REPEATED = 0.1
KEYS, TEAMS, MODELS = 60, 9, 4
SEED = 7
FIGURE_WITHIN_S = 30.0
_POLL_S = 0.01
_NO_CONTENT = 204


class Counted:
    """Documents that count what is stored."""

    def __init__(self, documents: "SqliteDocuments | FirestoreDocuments") -> None:
        self._documents = documents
        self.commits = 0
        self.writes = 0

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self._documents.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self._documents.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        outcome = await self._documents.commit(writes)
        if isinstance(outcome, Committed):
            self.commits += 1
            self.writes += len(writes)
        return outcome

    async def aclose(self) -> None:
        await self._documents.aclose()


def measure_rollups(
    folder: Path, seconds: int, calls: int, *, emulators: bool = False
) -> dict[Figure, float]:
    """Figures of `seconds` of load and of `calls` single calls; local engines keep files here.

    Raises:
        CountsDiffer: not every event is counted once.
        InvalidSettings: no emulator is named for an engine, or none listens there.
        TimeoutError: a call is not shown within FIGURE_WITHIN_S.
    """
    os.environ.update(DATA_DIR=str(folder), API_AUTH="dev")
    if emulators:
        project = f"bench-{uuid4().hex[:12]}"
        os.environ.update(
            STATE_URL=f"firestore://{project}/state",
            BUS_URL=f"pubsub://{project}/bench",
            WAREHOUSE_URL=f"bigquery://{project}/bench",
        )
        check_settings()
    return asyncio.run(_measure(seconds, calls))


async def _measure(seconds: int, calls: int) -> dict[Figure, float]:
    counted = Counted(app().documents)
    app().__dict__["documents"] = counted
    functions = {
        name: create_asgi_app(name, str(ROOT / "functions" / name / "main.py"), "http")  # type: ignore[no-untyped-call] # untyped there
        for name in ("usage", "api")
    }
    app().push_subscriptions = list(push_subscriptions(functions))
    deliveries = emulated_deliveries([*app().table_subscriptions(), *app().push_subscriptions])
    await make_tables()
    try:
        since = app().clock.now()
        figures, offered = await _load(endpoint(functions["usage"]), counted, seconds)
        if deliveries is not None:
            await deliveries.start()
        await app().start_deliveries()
        transport = httpx.ASGITransport(app=functions["api"])
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as api:
            shown = await _calls(api, since)
            if shown != offered:
                raise CountsDiffer(f"{offered} events were offered, and {shown} calls are counted")
            return figures | await _figures(api, calls)
    finally:
        if deliveries is not None:
            await deliveries.aclose()
        await app().aclose()


async def _load(post: Endpoint, counted: Counted, seconds: int) -> tuple[dict[Figure, float], int]:
    """Push events at RATE, and some again a little later; how many different ones there were."""
    draw = random.Random(SEED)  # noqa: S311 - the same load each time
    slots = asyncio.Semaphore(read_functions(ROOT)["usage"].concurrency)
    latencies_s: list[float] = []
    failed = 0

    async def push(envelope: dict[str, Any], due_s: float) -> None:
        nonlocal failed
        async with slots:
            failed += await post(envelope) != _NO_CONTENT
        latencies_s.append(time.perf_counter() - due_s)

    count = RATE * seconds
    started_s, cpu_s = time.perf_counter(), time.process_time()
    sent: list[dict[str, Any]] = []
    async with asyncio.TaskGroup() as pushes:
        for number in range(count):
            due_s = started_s + number / RATE
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            is_repeat = bool(sent) and draw.random() < REPEATED
            if not is_repeat:
                sent.append(_envelope(an_event(number, draw)))
            pushes.create_task(push(draw.choice(sent[-RATE:]) if is_repeat else sent[-1], due_s))
    elapsed_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    latencies_s.sort()

    def figure(measure: str, unit: str) -> Figure:
        return Figure(f"{RATE:,} events/s offered", "usage", measure, unit)

    figures = {
        figure("taken", "1/s"): count / elapsed_s,
        figure("failed pushes", "1"): failed,
        figure("writes per event", "1"): counted.writes / len(sent),
        figure("events per commit", "1"): len(sent) / counted.commits,
        figure("push answered, p50", "ms"): latencies_s[count // 2] * 1000,
        figure("push answered, p95", "ms"): latencies_s[count * 95 // 100] * 1000,
        figure("CPU", "ms/event"): cpu_s / count * 1000,
    }
    return figures, len(sent)


async def _figures(api: httpx.AsyncClient, calls: int) -> dict[Figure, float]:
    """Seconds from the end of a call to its figure, one call after another."""
    draw = random.Random(SEED)  # noqa: S311 - the same calls each time
    waits_s: list[float] = []
    for number in range(calls):
        event = an_event(number, draw, line=f"single-{number}")
        ended_s = time.perf_counter()
        await app().bus.publish(event.topic, event)
        async with asyncio.timeout(FIGURE_WITHIN_S):
            shown = 0
            while not shown:
                await asyncio.sleep(_POLL_S)
                shown = await _calls(api, event.event_time, key=event.line or "")
        waits_s.append(time.perf_counter() - ended_s)
    waits_s.sort()
    row = "call end to figure"
    return {
        Figure(row, "api", "p50", "ms"): waits_s[calls // 2] * 1000,
        Figure(row, "api", "p95", "ms"): waits_s[calls * 95 // 100] * 1000,
    }


async def _calls(api: httpx.AsyncClient, since: datetime, **asked: str) -> int:
    """The calls that the API counts from the minute of `since` on."""
    params = {"since": f"{since:%Y-%m-%dT%H:%M:00Z}", **asked}
    answer = await api.get("/api/v1/usage/summary", params=params)
    calls: int = answer.raise_for_status().json()["total"]["calls"]
    return calls


def _envelope(event: UsageEvent) -> dict[str, Any]:
    data = base64.b64encode(event.payload()).decode()
    message = {"data": data, "messageId": event.id, "attributes": {"type": event.type}}
    return {"message": message, "subscription": "projects/local/subscriptions/usage-usage"}


def an_event(number: int, draw: random.Random, line: str | None = None) -> UsageEvent:
    """A call that ended now, by one of KEYS keys with one of MODELS models."""
    now, key, nanos = app().clock.now(), draw.randrange(KEYS), draw.randrange(10**9)
    told = {
        "id": time_ordered_id(now, app().entropy(10)),
        "type": "usage.call",
        "v": 1,
        "event_time": now,
        "org": "acme",
        "team": f"team-{key % TEAMS}",
        "agent": f"agent-{key}",
        "line": line or f"line-{key}",
        "tags": {},
        "protocol": "openai",
        "endpoint": "chat/completions",
        "provider": "openai",
        "model_billed": f"model-{draw.randrange(MODELS)}",
        "card": "openai/model",
        "units": {"input_tokens": draw.randrange(9_999), "output_tokens": number % 100},
        "cost_nanos": nanos,
        "priced_nanos": nanos,
        "cost_source": "provider",
        "hold_nanos": 0,
        "settlements": (),
        "unproven_nanos": 0,
        "policy_epoch": 0,
        "mode": "normal",
        "enforced": False,
        "priority": "normal",
        "edits": (),
        "started_at": now,
        "duration_s": 1.0,
        "gateway_ms": 0.5,
        "streamed": False,
        "status": 200,
        "outcome": "ok",
        "client_gone": False,
        "attempts": (),
        "client_retry": 0,
        "simulated": True,
        "usage_anomalies": (),
        "warnings": (),
        "request_bytes": 300,
        "response_bytes": 600,
    }
    fields = UsageEvent.model_fields.items()
    unknown = dict.fromkeys(name for name, each in fields if each.is_required())
    return UsageEvent.model_validate(unknown | told)
