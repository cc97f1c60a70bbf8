"""One repetition of every row: the gateway as bundled, beside the provider alone and nginx.

The gateway has one CPU to itself; provider and load share the other. CPU time is that of the
measured process and its children, from /proc, so what else the machine does disturbs it least.
Latency is from request to the end of the answer, and "added" is what a target takes longer than the
provider alone under the same load.

A repetition counts: every call is charged once by the provider, and every call through the gateway
has one event in its bus. Otherwise there is no figure.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from scripts.benchmark.deployed import Deployed, served
from scripts.benchmark.load import Load, Result, run_load
from scripts.benchmark.nginx import nginx, nginx_binary
from scripts.benchmark.processes import Running
from scripts.benchmark.shapes import LARGE, PROTOCOLS, SMALL, Shape
from scripts.benchmark.starts import ENGINES, start
from scripts.benchmark.surroundings import (
    charge_count,
    event_count,
    make_key,
    simulated_provider,
)

CONNECTIONS = (1, 16, 64)
LARGE_CONNECTIONS = 16
STREAMS = 64
STREAM_TOKENS = (20, 120)
COUNTED_WITHIN_S = 10.0
_POLL_S = 0.02


class CountsDiffer(Exception):
    """Calls, charges and events are not equally many, so the figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many calls a row makes, and how many before memory is read."""

    calls: int
    streams: int
    filling: int


FULL = Size(calls=4_000, streams=256, filling=20_000)
QUICK = Size(calls=500, streams=64, filling=2_000)


@dataclass(frozen=True, slots=True)
class Cpus:
    """The CPU of what is measured, and that of the load; None for wherever the system likes."""

    target: int | None
    load: int | None


@dataclass(frozen=True, slots=True)
class Figure:
    """What one number says."""

    row: str
    target: str
    measure: str
    unit: str


@dataclass(slots=True)
class Repetition:
    """One repetition under way."""

    size: Size
    key: str
    figures: dict[Figure, float] = field(default_factory=dict)
    calls: int = 0

    def call(
        self, target: Running, shape: Shape, connections: int, calls: int
    ) -> tuple[Result, float]:
        """Make calls; what came of them, and the target's CPU seconds per call."""
        load = Load(shape.request(target.address, self.key), connections, calls)
        before_s = target.cpu_s()
        result = run_load(target.address, load)
        self.calls += calls
        return result, (target.cpu_s() - before_s) / calls

    def note(self, row: str, target: str, measure: str, unit: str, value: float) -> None:
        self.figures[Figure(row, target, measure, unit)] = value


def repeat_once(
    proxy: Deployed, usage: Deployed, folder: Path, size: Size, cpus: Cpus
) -> dict[Figure, float]:
    """Every figure once, in new processes with new data in `folder`.

    Raises:
        CountsDiffer: calls, charges and events are not equally many.
        load.CallFailed: a call was not answered with 200.
        processes.NotStarted: a process did not start.
    """
    charges, data = folder / "provider", folder / "gateway"
    with simulated_provider(charges, cpu=cpus.load) as provider:
        one = Repetition(size, make_key(data))
        direct = _small_rows(one, "provider", provider, {})
        binary = nginx_binary()
        if binary is not None:
            with nginx(binary, provider.address, folder / "nginx", cpu=cpus.target) as proxied:
                _small_rows(one, "nginx", proxied, direct)
                _stream_rows(one, "nginx", proxied)
        around = one.calls
        settings = {"SIMULATED_PROVIDER_URL": provider.address}
        with served(proxy, data, settings, cpu=cpus.target) as gateway:
            one.call(gateway, SMALL, 1, 1)
            started_s = time.monotonic() - gateway.started_s
            one.note("start", "gateway", "to the first answer", "s", started_s)
            _small_rows(one, "gateway", gateway, direct)
            _large_row(one, gateway)
            _stream_rows(one, "gateway", gateway)
            _protocol_rows(one, gateway)
            _memory_rows(one, gateway)
            check_counts(one.calls, one.calls - around, charges, data)
    _start_rows(one, (proxy, usage), folder / "starts")
    return one.figures


def _small_rows(
    one: Repetition, name: str, target: Running, direct: dict[int, Result]
) -> dict[int, Result]:
    """CPU, calls per second and latency of small calls, by the number of connections."""
    results = {}
    for connections in CONNECTIONS:
        row = f"small, {connections} at once"
        one.call(target, SMALL, connections, one.size.calls // 10)
        result, cpu_s = one.call(target, SMALL, connections, one.size.calls)
        results[connections] = result
        one.note(row, name, "CPU", "ms/call", cpu_s * 1000)
        one.note(row, name, "calls", "1/s", one.size.calls / result.elapsed_s)
        for share in (0.5, 0.99):
            latency_s, measure = result.latency_s(share), f"p{share * 100:.0f}"
            if connections in direct:
                latency_s -= direct[connections].latency_s(share)
                measure = f"added {measure}"
            one.note(row, name, measure, "ms", latency_s * 1000)
    return results


def _large_row(one: Repetition, gateway: Running) -> None:
    small = Figure(f"small, {LARGE_CONNECTIONS} at once", "gateway", "CPU", "ms/call")
    _, cpu_s = one.call(gateway, LARGE, LARGE_CONNECTIONS, one.size.calls // 4)
    one.note("100 kB prompt", "gateway", "CPU", "ms/call", cpu_s * 1000)
    ratio = cpu_s * 1000 / one.figures[small]
    one.note("100 kB prompt", "gateway", "CPU against small", "times", ratio)


def _stream_rows(one: Repetition, name: str, target: Running) -> None:
    """What a chunk costs is what a longer stream costs more; the rest is the call's own."""
    for asks, row in ((True, "stream"), (False, "stream, usage taken out")):
        costs = []
        for tokens in STREAM_TOKENS:
            shape = Shape(stream=True, tokens=tokens, asks_for_usage=asks)
            result, cpu_s = one.call(target, shape, STREAMS, one.size.streams)
            costs.append((result.events / one.size.streams, cpu_s))
        (few, short_s), (many, long_s) = costs
        chunk_s = (long_s - short_s) / (many - few)
        one.note(row, name, "CPU of a chunk", "us", chunk_s * 1e6)
        one.note(row, name, "CPU beside its chunks", "ms/call", (short_s - few * chunk_s) * 1000)


def _protocol_rows(one: Repetition, gateway: Running) -> None:
    """CPU of a call by the API it speaks, whole and streamed.

    Streams have equally many tokens, not equally many events: each API cuts its own way.
    """
    for name, protocol in PROTOCOLS.items():
        plain = Shape(protocol=protocol)
        _, cpu_s = one.call(gateway, plain, CONNECTIONS[1], one.size.calls // 4)
        one.note(name, "gateway", "CPU", "ms/call", cpu_s * 1000)
        if protocol.stream_path is None:
            continue
        stream = Shape(protocol=protocol, stream=True)
        result, cpu_s = one.call(gateway, stream, STREAMS, one.size.streams)
        measure = f"CPU of {stream.tokens} tokens"
        one.note(f"{name}, stream", "gateway", measure, "ms/call", cpu_s * 1000)
        events = result.events / one.size.streams
        one.note(f"{name}, stream", "gateway", "events", "1/call", events)


def _memory_rows(one: Repetition, gateway: Running) -> None:
    """Memory when caches are warm, and after many more calls."""
    made = 0
    for total in (one.size.filling // 10, one.size.filling):
        one.call(gateway, SMALL, CONNECTIONS[1], total - made)
        made = total
        measure = f"PSS after {made:,} more calls"
        one.note("memory", "gateway", measure, "MB", gateway.pss_bytes() / 1e6)


def check_counts(
    calls: int, forwarded: int, charges: Path, data: Path, within_s: float = COUNTED_WITHIN_S
) -> None:
    """Hold what was answered against the provider's ledger and the gateway's bus.

    Both are written a little after the answers, so they have `within_s` seconds to get there.

    Raises:
        CountsDiffer: not every call is charged once, or not every forwarded one has one event.
    """
    give_up = time.monotonic() + within_s
    while True:
        charged, events = charge_count(charges), event_count(data)
        if (charged, events) == (calls, forwarded):
            return
        if time.monotonic() > give_up:
            raise CountsDiffer(
                f"{calls} calls were answered and {charged} charged; of {forwarded} through "
                f"the gateway {events} have an event"
            )
        time.sleep(_POLL_S)


def _start_rows(one: Repetition, functions: Sequence[Deployed], folder: Path) -> None:
    for function, engines in product(functions, ENGINES):
        taken_s, pss_mb = start(function, engines, folder / function.function)
        row = f"start, {engines}"
        one.note(row, function.function, "import and wiring", "s", taken_s)
        one.note(row, function.function, "PSS", "MB", pss_mb)
