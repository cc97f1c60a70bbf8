"""The rows that every target has: the same work, whoever stands before the provider."""

from collections.abc import Callable, Mapping

from scripts.benchmark.load import Result
from scripts.benchmark.measures import (
    CONNECTIONS,
    PACES,
    USUAL_CONNECTIONS,
    Figure,
    Repetition,
    above_resolution,
)
from scripts.benchmark.processes import TICK_S, Running
from scripts.benchmark.shapes import LARGE, SMALL, Shape

CALLS, OF_ITS_CORE = "calls", "CPU, of one core"
STREAMS = 64
STREAM_TOKENS = (20, 120)
STREAM = "stream"
PACED = {pace: f"small, {pace} a second" for pace in PACES}
KEPT_UP = 0.95
"""Of the pace: who is slower has a queue, whose length is no latency."""
LARGE_ROW = "100 kB prompt"
BY_TLS = "TLS to the provider"

Direct = Mapping[str, Result]
"""What the provider alone did, by row."""


def small_row(connections: int) -> str:
    return f"small, {connections} at once"


def cpu_of(row: str, target: str) -> Figure:
    return Figure(row, target, "CPU", "ms/call")


def small_rows(one: Repetition, name: str, target: Running, direct: Direct) -> dict[str, Result]:
    """CPU, calls per second and latency of small calls, by how they come; the results by row."""
    results = {}
    for connections in CONNECTIONS:
        row = small_row(connections)
        one.call(target, SMALL, connections, max(connections, one.size.calls // 10))
        result, cpu_s = one.call(target, SMALL, connections, one.size.calls)
        results[row] = result
        _note_cpu(one, row, name, cpu_s)
        _note_rate(one, row, name, result, cpu_s)
        _note_latency(one, row, name, result, direct)
    for pace, row in PACED.items():
        calls = round(pace * one.size.paced_s)
        result, cpu_s = one.call(target, SMALL, USUAL_CONNECTIONS, calls, pace)
        results[row] = result
        _note_cpu(one, row, name, cpu_s)
        one.note(row, name, "calls", "1/s", calls / result.elapsed_s)
        if kept_up(pace, calls, result):
            _note_latency(one, row, name, result, direct)
    return results


def kept_up(pace: float, calls: int, result: Result) -> bool:
    """Whether answers came as fast as calls: the last one is no later than a twentieth of all."""
    return calls / result.elapsed_s >= KEPT_UP * pace


def large_row(one: Repetition, name: str, target: Running) -> None:
    small = one.figures[cpu_of(small_row(USUAL_CONNECTIONS), name)]
    calls = max(USUAL_CONNECTIONS, one.size.calls // 4)
    _, cpu_s = one.call(target, LARGE, USUAL_CONNECTIONS, calls)
    _note_cpu(one, LARGE_ROW, name, cpu_s)
    # A process cheaper than the kernel's clock ticks has no ratio.
    if small > 0 and cpu_s > 0:
        one.note(LARGE_ROW, name, "CPU against small", "times", cpu_s * 1000 / small)


def stream_rows(
    one: Repetition,
    name: str,
    target: Running,
    *,
    asks_for_usage: bool = True,
    prepare: Callable[[Shape], None] = lambda _: None,
) -> None:
    """What a chunk costs is what a longer stream costs more; the rest is the call's own.

    `prepare` is called before the calls of each shape.
    """
    row = STREAM if asks_for_usage else f"{STREAM}, usage taken out"
    costs = []
    for tokens in STREAM_TOKENS:
        shape = Shape(stream=True, tokens=tokens, asks_for_usage=asks_for_usage)
        prepare(shape)
        _, cpu_s = one.call(target, shape, STREAMS, one.size.streams)
        costs.append((one.events, cpu_s))
    (few, short_s), (many, long_s) = costs
    # Of a difference of two, each by a clock of its own steps.
    step_s = 2 * TICK_S / one.size.streams
    chunk_s = above_resolution(long_s - short_s, step_s) / (many - few)
    beside_s = above_resolution(short_s - few * chunk_s, step_s)
    one.note(row, name, "CPU of a chunk", "us", chunk_s * 1e6)
    one.note(row, name, "CPU beside its chunks", "ms/call", beside_s * 1000)


def tls_row(one: Repetition, name: str, target: Running) -> None:
    """A small call where the provider is reached by TLS."""
    one.call(target, SMALL, USUAL_CONNECTIONS, max(USUAL_CONNECTIONS, one.size.calls // 10))
    result, cpu_s = one.call(target, SMALL, USUAL_CONNECTIONS, one.size.calls)
    _note_cpu(one, BY_TLS, name, cpu_s)
    _note_rate(one, BY_TLS, name, result, cpu_s)


def memory_rows(one: Repetition, name: str, target: Running) -> None:
    """Memory when caches are warm, and after many more calls."""
    made = 0
    for total in one.size.filling:
        one.call(target, SMALL, USUAL_CONNECTIONS, total - made)
        made = total
        figure = pss_after(total, name)
        one.figures[figure] = target.pss_bytes() / 1e6


def pss_after(calls: int, target: str) -> Figure:
    return Figure("memory", target, f"PSS after {calls:,} more calls", "MB")


def _note_cpu(one: Repetition, row: str, name: str, cpu_s: float) -> None:
    one.figures[cpu_of(row, name)] = cpu_s * 1000


def _note_rate(one: Repetition, row: str, name: str, result: Result, cpu_s: float) -> None:
    """Calls a second, and how busy the target was: one that had time left would have done more."""
    calls = len(result.latencies_s)
    one.note(row, name, CALLS, "1/s", calls / result.elapsed_s)
    one.note(row, name, OF_ITS_CORE, "%", 100 * cpu_s * calls / result.elapsed_s)


def _note_latency(one: Repetition, row: str, name: str, result: Result, direct: Direct) -> None:
    for share in (0.5, 0.99):
        latency_s, measure = result.latency_s(share), f"p{share * 100:.0f}"
        if row in direct:
            latency_s = max(0.0, latency_s - direct[row].latency_s(share))
            measure = f"added {measure}"
        one.note(row, name, measure, "ms", latency_s * 1000)
