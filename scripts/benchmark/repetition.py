"""One repetition: the gateway as bundled, beside the provider alone, nginx and peers, in turn.

What is measured has one CPU to itself; provider and load share the other. Each target has a
provider of its own, so that what this one charged for is what went through that target.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from ssl import create_default_context

import httpx

from scripts.benchmark.deployed import Deployed
from scripts.benchmark.load import CallFailed
from scripts.benchmark.measures import (
    COUNTED_WITHIN_S,
    USUAL_CONNECTIONS,
    CountsDiffer,
    Cpus,
    Figure,
    Repetition,
    Size,
    check_charges,
    check_counts,
)
from scripts.benchmark.nginx import Nginx
from scripts.benchmark.processes import NotStarted, Running
from scripts.benchmark.rows import (
    STREAMS,
    Direct,
    large_row,
    memory_rows,
    small_rows,
    stream_rows,
    tls_row,
)
from scripts.benchmark.shapes import CHUNK_INTERVAL_MS, PROTOCOLS, SMALL, Shape
from scripts.benchmark.starts import ENGINES, start
from scripts.benchmark.surroundings import make_key, simulated_provider
from scripts.benchmark.targets import OwnGateway, Peer, Target
from scripts.benchmark.tls import Certificates, make_certificates

PEERS_MAKE_FEWER = 4
_SAID_CHARACTERS = 300
START = Figure("start", "gateway", "to the first answer", "s")


@dataclass(slots=True)
class Bench:
    """What all targets of one repetition are measured with. `left_out` says what is missing."""

    folder: Path
    size: Size
    cpus: Cpus
    counted_within_s: float = COUNTED_WITHIN_S
    figures: dict[Figure, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @contextmanager
    def before_provider(
        self,
        target: Target,
        size: Size,
        certificates: Certificates | None = None,
        *,
        part: str = "calls",
    ) -> Iterator[tuple[Repetition, Running, str]]:
        """One target before a provider of its own; the provider's address comes last.

        Its figures are kept when its calls have been counted: a block that fails has none. Files
        are in a folder of this `part`.
        """
        folder = self.folder / target.name / ("tls" if certificates is not None else part)
        charges, data = folder / "provider", folder / "target"
        certificate, authority = None, None
        if certificates is not None:
            certificate, authority = certificates.provider, certificates.authority
        own = isinstance(target, OwnGateway)
        key = make_key(data) if own else ""
        with (
            simulated_provider(charges, cpu=self.cpus.load, certificate=certificate) as provider,
            target.served(provider.address, data, authority=authority, cpu=self.cpus.target) as (
                process,
                front,
            ),
        ):
            one = Repetition(size, key, front)
            yield one, process, provider.address
            check_charges(target.name, one.ids, charges, self.counted_within_s)
            if own:
                check_counts(one.ids, charges, data, self.counted_within_s)
            self.figures |= one.figures


def repeat_once(
    proxy: Deployed,
    usage: Deployed,
    folder: Path,
    size: Size,
    cpus: Cpus,
    *,
    nginx: Nginx | None = None,
    peers: Sequence[Peer] = (),
    first: bool = True,
) -> Bench:
    """Every figure once, in new processes with new data in `folder`.

    Memory of peers is read in the `first` repetition only: filling it takes them minutes. A peer
    that fails is left out, and it is said of what.

    Raises:
        CountsDiffer: calls, charges and events are not the same ones.
        load.CallFailed: a call was not answered with 200.
        processes.NotStarted: a process did not start.
    """
    bench = Bench(folder, size, cpus)
    gateway = OwnGateway(proxy)
    direct = _alone(bench)
    if nginx is not None:
        with bench.before_provider(nginx, size) as (one, process, _):
            small_rows(one, nginx.name, process, direct)
            for asks in (True, False):
                stream_rows(one, nginx.name, process, asks_for_usage=asks)
    for peer in peers:
        peer_rows(bench, peer, direct, first=first)
    with bench.before_provider(gateway, size) as (one, process, _):
        _start_row(one, gateway.name, process)
        small_rows(one, gateway.name, process, direct)
        large_row(one, gateway.name, process)
        for asks in (True, False):
            stream_rows(one, gateway.name, process, asks_for_usage=asks)
        _protocol_rows(one, process)
        memory_rows(one, gateway.name, process)
    _tls_rows(bench, [gateway] if nginx is None else [nginx, gateway], peers)
    _import_rows(bench, (proxy, usage))
    return bench


def _alone(bench: Bench) -> Direct:
    """The provider itself, which what the others add is counted from."""
    charges = bench.folder / "alone"
    with simulated_provider(charges, cpu=bench.cpus.load) as provider:
        one = Repetition(bench.size, "")
        direct = small_rows(one, "provider", provider, {})
        check_charges("nobody", one.ids, charges)
    bench.figures |= one.figures
    return direct


def peer_rows(bench: Bench, peer: Peer, direct: Direct, *, first: bool) -> None:
    """The rows of a peer, each part on its own: what fails of one says nothing of the others."""
    size = bench.size.part(PEERS_MAKE_FEWER)
    with (
        _or_left_out(bench, f"{peer.name}'s calls"),
        bench.before_provider(peer, size) as (one, process, provider),
    ):
        _set_answers(provider, SMALL)
        _start_row(one, peer.name, process)
        small_rows(one, peer.name, process, direct)
        large_row(one, peer.name, process)
    if first:
        with (
            _or_left_out(bench, f"{peer.name}'s figures of memory"),
            bench.before_provider(peer, size, part="memory") as (one, process, provider),
        ):
            _set_answers(provider, SMALL)
            memory_rows(one, peer.name, process)
    with (
        _or_left_out(bench, f"{peer.name}'s streams"),
        bench.before_provider(peer, size, part="streams") as (one, process, provider),
    ):
        stream_rows(one, peer.name, process, prepare=lambda each: _set_answers(provider, each))


def _tls_rows(bench: Bench, targets: Sequence[Target], peers: Sequence[Peer]) -> None:
    made = make_certificates(bench.folder / "certificates")
    size = bench.size.part(PEERS_MAKE_FEWER)
    for peer in peers:
        with (
            _or_left_out(bench, f"{peer.name}'s calls by TLS"),
            bench.before_provider(peer, size, made) as (one, process, provider),
        ):
            _set_answers(provider, SMALL, made.authority)
            tls_row(one, peer.name, process)
    for target in targets:
        with bench.before_provider(target, bench.size, made) as (one, process, _):
            tls_row(one, target.name, process)


@contextmanager
def _or_left_out(bench: Bench, what: str) -> Iterator[None]:
    try:
        yield
    except (CallFailed, CountsDiffer, NotStarted, TimeoutError) as error:
        why = " ".join(str(error).split())
        bench.left_out.append(f"{what} are left out: {why[:_SAID_CHARACTERS]}")


def _set_answers(provider: str, shape: Shape, authority: Path | None = None) -> None:
    """Have the provider answer every call as the shape's headers ask, which peers keep back."""
    knobs = {"output-tokens": shape.tokens}
    if shape.stream:
        knobs["chunk-interval-ms"] = CHUNK_INTERVAL_MS
    verify = True if authority is None else create_default_context(cafile=authority)
    address = f"{provider}/simulated/behaviour"
    httpx.post(address, json=knobs, verify=verify, trust_env=False).raise_for_status()


def _start_row(one: Repetition, name: str, process: Running) -> None:
    one.call(process, SMALL, 1, 1)
    one.note(START.row, name, START.measure, START.unit, time.monotonic() - process.started_s)


def _protocol_rows(one: Repetition, gateway: Running) -> None:
    """CPU of a call by the API it speaks, whole and streamed.

    Streams have equally many tokens, not equally many events: each API cuts its own way.
    """
    for name, protocol in PROTOCOLS.items():
        plain = Shape(protocol=protocol)
        _, cpu_s = one.call(gateway, plain, USUAL_CONNECTIONS, one.size.calls // 4)
        one.note(name, "gateway", "CPU", "ms/call", cpu_s * 1000)
        if protocol.stream_path is None:
            continue
        stream = Shape(protocol=protocol, stream=True)
        _, cpu_s = one.call(gateway, stream, STREAMS, one.size.streams)
        measure = f"CPU of {stream.tokens} tokens"
        one.note(f"{name}, stream", "gateway", measure, "ms/call", cpu_s * 1000)
        one.note(f"{name}, stream", "gateway", "events", "1/call", one.events)


def _import_rows(bench: Bench, functions: Sequence[Deployed]) -> None:
    for function, engines in product(functions, ENGINES):
        taken_s, pss_mb = start(function, engines, bench.folder / "starts" / function.function)
        row, name = f"start, {engines}", function.function
        bench.figures[Figure(row, name, "import and wiring", "s")] = taken_s
        bench.figures[Figure(row, name, "PSS", "MB")] = pss_mb
