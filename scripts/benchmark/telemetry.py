"""Telemetry: how long after its call's event is published a span of it is at a collector.

The function is served as the local stack serves it, behind the local bus, and sends to a collector
in the same process, which takes everything. First events come one by one, then at a fixed rate.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from functions_framework.aio import create_asgi_app
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from common.runtime.app import app
from scripts.benchmark.measures import CountsDiffer, Figure
from scripts.benchmark.rollups import SEED, an_event
from scripts.local_stack.application import ROOT
from scripts.local_stack.pushes import push_subscriptions

RATE = 200
ARRIVES_WITHIN_S = 30.0
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Collector:
    """Notes when the first span of each call arrives."""

    def __init__(self) -> None:
        self.arrived_s: dict[str, float] = {}
        self._more = asyncio.Condition()

    async def wait_for(self, calls: int) -> None:
        async with asyncio.timeout(ARRIVES_WITHIN_S), self._more:
            await self._more.wait_for(lambda: len(self.arrived_s) >= calls)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        size = int(head.partition("content-length: ")[2].partition("\r")[0])
        body = await reader.readexactly(size)
        now_s = time.perf_counter()
        if " /v1/traces " in head:
            for call in _calls(ExportTraceServiceRequest.FromString(body)):
                self.arrived_s.setdefault(call, now_s)
        writer.write(_ANSWER)
        await writer.drain()
        writer.close()
        async with self._more:
            self._more.notify_all()


def measure_telemetry(folder: Path, seconds: int, calls: int) -> dict[Figure, float]:
    """Figures of `calls` single events and of `seconds` of events; engines keep files here.

    Raises:
        CountsDiffer: not every call arrived.
        TimeoutError: a call did not arrive within ARRIVES_WITHIN_S.
    """
    return asyncio.run(_measure(folder, seconds, calls))


async def _measure(folder: Path, seconds: int, calls: int) -> dict[Figure, float]:
    async with _collector() as (collector, url):
        os.environ.update(DATA_DIR=str(folder), OTEL_EXPORTER_OTLP_ENDPOINT=url)
        usage = create_asgi_app("usage", str(ROOT / "functions/usage/main.py"), "http")  # type: ignore[no-untyped-call] # untyped there
        app().push_subscriptions = list(push_subscriptions({"usage": usage}))
        await app().start_deliveries()
        try:
            single_s = await _one_by_one(collector, calls)
            load_s = await _at_a_rate(collector, RATE * seconds)
        finally:
            await app().aclose()
    if len(collector.arrived_s) != calls + RATE * seconds:
        raise CountsDiffer(f"{len(collector.arrived_s)} calls arrived at the collector")
    return _figures("event to collector", single_s) | _figures(
        f"event to collector, {RATE} events/s", load_s
    )


async def _one_by_one(collector: Collector, calls: int) -> list[float]:
    draw = random.Random(SEED)  # noqa: S311 - the same calls each time
    published = []
    for number in range(calls):
        published.append(await _publish(number, draw))
        await collector.wait_for(number + 1)
    return [collector.arrived_s[id_] - at_s for id_, at_s in published]


async def _at_a_rate(collector: Collector, calls: int) -> list[float]:
    draw = random.Random(SEED + 1)  # noqa: S311 - the same calls each time
    before = len(collector.arrived_s)
    started_s = time.perf_counter()
    published = []
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            due_s = started_s + number / RATE
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            published.append(group.create_task(_publish(number, draw)))
    await collector.wait_for(before + calls)
    return [collector.arrived_s[id_] - at_s for id_, at_s in (task.result() for task in published)]


async def _publish(number: int, draw: random.Random) -> tuple[str, float]:
    """The id of an event, and when it was published."""
    event, at_s = an_event(number, draw), time.perf_counter()
    await app().bus.publish(event.topic, event)
    return event.id, at_s


def _figures(row: str, waits_s: list[float]) -> dict[Figure, float]:
    ordered = sorted(waits_s)
    return {
        Figure(row, "usage", "p50", "ms"): ordered[len(ordered) // 2] * 1000,
        Figure(row, "usage", "p95", "ms"): ordered[len(ordered) * 95 // 100] * 1000,
    }


@asynccontextmanager
async def _collector() -> AsyncIterator[tuple[Collector, str]]:
    collector = Collector()
    server = await asyncio.start_server(collector.serve, "127.0.0.1", 0)
    async with server:
        yield collector, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _calls(request: ExportTraceServiceRequest) -> list[str]:
    return [
        attribute.value.string_value
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
        for attribute in span.attributes
        if attribute.key == "call_id"
    ]
