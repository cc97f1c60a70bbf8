"""A figure counts only if every answer is whole, the provider's, and asked for once."""

import http.client
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.benchmark.answers import read_answers
from scripts.benchmark.load import CallFailed, Load, run_load
from scripts.benchmark.measures import QUICK, CountsDiffer, Cpus
from scripts.benchmark.processes import Running
from scripts.benchmark.repetition import Bench, peer_rows
from scripts.benchmark.rows import stream_rows
from scripts.benchmark.shapes import AS_THE_PROVIDER, PROTOCOLS, SMALL, Front, Shape
from scripts.benchmark.surroundings import simulated_provider

Ask = Callable[[], tuple[str, bytes]]
"""Asks the provider once; type and body of its answer."""
Cheat = Callable[[int, Ask], tuple[str, bytes]]
"""Answers a call by its number, from 0 on."""


@dataclass(frozen=True, slots=True)
class Between:
    """A proxy that answers as `cheat` says, and is all well otherwise."""

    cheat: Cheat
    name: str = "between"
    version: str = "1"

    @contextmanager
    def served(
        self, provider: str, _folder: Path, /, *, authority: Path | None, cpu: int | None
    ) -> Iterator[tuple[Running, Front]]:
        assert authority is None
        assert cpu is None
        with ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.cheat, provider)) as server:
            server.daemon_threads = True
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                address = f"http://127.0.0.1:{server.server_port}"
                yield Running(os.getpid(), address, 0.0), AS_THE_PROVIDER
            finally:
                server.shutdown()
                thread.join()


def _handler(cheat: Cheat, provider: str) -> type[BaseHTTPRequestHandler]:
    numbers = count()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kind, answer = cheat(
                next(numbers), lambda: _asked(provider, self.path, dict(self.headers), body)
            )
            self.send_response(200)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    return Handler


def _asked(provider: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[str, bytes]:
    connection = http.client.HTTPConnection(urlsplit(provider).netloc)
    connection.request("POST", path, body, dict(headers))
    answer = connection.getresponse()
    found = answer.getheader("content-type", ""), answer.read()
    connection.close()
    return found


def honest(_number: int, ask: Ask) -> tuple[str, bytes]:
    return ask()


def emptied(_number: int, ask: Ask) -> tuple[str, bytes]:
    return ask()[0], b""


def halved(number: int, ask: Ask) -> tuple[str, bytes]:
    kind, body = ask()
    return kind, body[: len(body) // 2] if number == 3 else body


def renamed(_number: int, ask: Ask) -> tuple[str, bytes]:
    kind, body = ask()
    return kind, body.replace(b"-sim-", b"-mine-")


def without_text(number: int, ask: Ask) -> tuple[str, bytes]:
    kind, body = ask()
    if number != 3:
        return kind, body
    answer = json.loads(body)
    answer["choices"][0]["message"]["content"] = ""
    return kind, json.dumps(answer, separators=(",", ":")).encode()


def caching() -> Cheat:
    """Answers every fourth call from a cache, and sends the next one twice: totals add up."""
    kept: list[tuple[str, bytes]] = []

    def cheat(number: int, ask: Ask) -> tuple[str, bytes]:
        if number % 4 == 2:
            return kept[-1]
        if number % 4 == 3:
            ask()
        kept.append(ask())
        return kept[-1]

    return cheat


def bench(folder: Path) -> Bench:
    return Bench(folder, QUICK, Cpus(None, None), counted_within_s=0.5)


def call_through(cheat: Cheat, folder: Path, shape: Shape = SMALL) -> Bench:
    found = bench(folder)
    with found.before_provider(Between(cheat), QUICK) as (one, process, _):
        one.call(process, shape, 1, 8)
        one.note("row", "between", "calls", "1", 8)
    return found


@pytest.mark.parametrize("shape", [SMALL, Shape(stream=True, tokens=3)])
def test_takes_answers_that_pass_as_they_are(tmp_path: Path, shape: Shape) -> None:
    assert list(call_through(honest, tmp_path, shape).figures.values()) == [8]


@pytest.mark.parametrize(
    ("cheat", "says"),
    [
        (emptied, "has no ids of the provider"),
        (halved, "is no JSON object"),
        (renamed, "has no ids of the provider"),
        (without_text, "differs from the first answer"),
    ],
)
def test_has_no_figures_of_answers_that_are_not_whole(
    tmp_path: Path, cheat: Cheat, says: str
) -> None:
    with pytest.raises(CallFailed, match=says):
        call_through(cheat, tmp_path)


def test_has_no_figures_of_answers_from_a_cache_although_totals_add_up(tmp_path: Path) -> None:
    with pytest.raises(CountsDiffer, match="2 of 8 answers through between came a second time"):
        call_through(caching(), tmp_path)


def cut_at(piece: bytes) -> Cheat:
    """Leaves the first event with this piece out of every stream."""

    def cheat(_number: int, ask: Ask) -> tuple[str, bytes]:
        kind, body = ask()
        events = body.split(b"\n\n")
        events.remove(next(each for each in events if piece in each))
        return kind, b"\n\n".join(events)

    return cheat


@pytest.mark.parametrize(
    ("left_out", "says"),
    [
        (b"[DONE]", "does not end as a stream does"),
        (b'"role"', "has 5 events instead of 6"),
        (b'"content":', "has 5 events instead of 6"),
    ],
)
def test_has_no_figures_of_streams_that_lack_an_event(
    tmp_path: Path, left_out: bytes, says: str
) -> None:
    with pytest.raises(CallFailed, match=says):
        call_through(cut_at(left_out), tmp_path, Shape(stream=True, tokens=3))


SHAPES = [
    Shape(protocol=protocol, tokens=5, stream=stream)
    for protocol in PROTOCOLS.values()
    for stream in (False, True)
    if not stream or protocol.stream_path is not None
]


def test_knows_the_answers_of_every_protocol_from_empty_ones(tmp_path: Path) -> None:
    with simulated_provider(tmp_path) as provider:
        for shape in SHAPES:
            load = Load(shape.request(provider.address, "none"), 1, 2)
            answers = run_load(provider.address, load).answers
            found = read_answers(shape, answers)

            assert len(set(found.ids)) == 2
            assert (found.events > 0) is shape.stream
            with pytest.raises(CallFailed):
                read_answers(shape, [_without_body(answers[0])])


def _without_body(answer: bytes) -> bytes:
    head, _, _ = answer.partition(b"\r\n\r\n")
    framing = (b"transfer-encoding", b"content-length")
    kept = [line for line in head.split(b"\r\n") if not line.startswith(framing)]
    return b"\r\n".join([*kept, b"content-length: 0", b"", b""])


def test_leaves_a_peer_out_whose_answers_are_empty_and_goes_on(tmp_path: Path) -> None:
    found = bench(tmp_path)

    peer_rows(found, Between(emptied), {}, first=False)

    assert found.figures == {}
    assert [
        line.partition(" are left out: an answer has no ids")[0] for line in found.left_out
    ] == [
        "between's calls",
        "between's streams",
    ]


def test_divides_by_no_difference_of_events_that_were_not_sent(tmp_path: Path) -> None:
    found = bench(tmp_path)

    with (
        pytest.raises(CallFailed),
        found.before_provider(Between(emptied), QUICK) as (one, process, _),
    ):
        stream_rows(one, "between", process)
