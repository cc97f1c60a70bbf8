"""The bench counts what it did, and compares without deciding."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import pytest

from scripts.benchmark.answers import read_answers
from scripts.benchmark.enforcement import Alerts, measure_enforcement
from scripts.benchmark.kept import Kept, document
from scripts.benchmark.load import CallFailed, Load, post, run_load
from scripts.benchmark.measures import (
    COUNTED_WITHIN_S,
    CountsDiffer,
    Figure,
    above_resolution,
    check_counts,
)
from scripts.benchmark.processes import free_port
from scripts.benchmark.report import comparison, table
from scripts.benchmark.rollups import measure_rollups
from scripts.benchmark.rows import OF_ITS_CORE
from scripts.benchmark.shapes import LARGE, PATH, PROTOCOLS, SMALL, Shape
from scripts.benchmark.surroundings import LEDGER, charged_ids
from scripts.benchmark.telemetry import measure_telemetry
from scripts.commands.bundle import ROOT
from tests.bundle.conftest import Deploy, Provider

CPU = Figure("small, 16 at once", "gateway", "CPU", "ms/call")


def write_counts(folder: Path, charges: int, events: int) -> None:
    """A ledger and a bus with so many rows; the bus has an event of another kind besides.

    Charges are those of `answer_ids`, in this order.
    """
    usage, other = json.dumps({"type": "usage.call"}), json.dumps({"type": "key.created"})
    rows = [(number, usage) for number in range(events)]
    with closing(sqlite3.connect(folder / LEDGER)) as ledger:
        ledger.execute("CREATE TABLE ledger (reply_id TEXT)")
        named = [(f"chatcmpl-sim-{each}",) for each in answer_ids(charges)]
        ledger.executemany("INSERT INTO ledger VALUES (?)", named)
        ledger.commit()
    with closing(sqlite3.connect(folder / "bus.sqlite")) as bus:
        bus.execute("CREATE TABLE deliveries (message_id INTEGER, attributes TEXT)")
        bus.executemany("INSERT INTO deliveries VALUES (?, ?)", [*rows, (events, other)])
        bus.executemany("INSERT INTO deliveries VALUES (?, ?)", rows)  # a second subscriber
        bus.commit()


def answer_ids(count: int) -> list[str]:
    return [f"{number:016x}" for number in range(count)]


def test_accepts_a_charge_and_an_event_for_every_answer(tmp_path: Path) -> None:
    write_counts(tmp_path, charges=5, events=5)

    check_counts(answer_ids(5), tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("charges", "events", "says"),
    [
        (4, 5, "5 calls .* answered and 4 charged"),
        (6, 5, "5 calls .* answered and 6 charged"),
        (5, 4, "5 calls .* answered and 4 have events"),
        (5, 6, "5 calls .* answered and 6 have events"),
    ],
)
def test_has_no_figures_when_counts_differ(
    tmp_path: Path, charges: int, events: int, says: str
) -> None:
    write_counts(tmp_path, charges, events)

    with pytest.raises(CountsDiffer, match=says):
        check_counts(answer_ids(5), tmp_path, tmp_path, within_s=0)


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ([*answer_ids(4), answer_ids(1)[0]], "1 of 5 answers .* came a second time"),
        ([*answer_ids(4), "another"], "1 of 5 answers .* are of no charge"),
    ],
)
def test_has_no_figures_when_an_answer_is_of_another_charge(
    tmp_path: Path, ids: list[str], says: str
) -> None:
    write_counts(tmp_path, charges=5, events=5)

    with pytest.raises(CountsDiffer, match=says):
        check_counts(ids, tmp_path, tmp_path, within_s=0)


def test_makes_every_call_once_and_counts_the_events_of_streams(provider: Provider) -> None:
    shape = Shape(stream=True, tokens=5, asks_for_usage=True)
    before = charged_ids(provider.data)

    result = run_load(provider.address, Load(shape.request(provider.address, "none"), 3, 7))

    answers = read_answers(shape, result.answers)
    wait_for_charges(provider.data, before, answers.ids)
    assert len(result.latencies_s) == 7
    assert answers.events == 1 + 5 + 1 + 1 + 1  # role, tokens, finish, usage, [DONE]


def wait_for_charges(folder: Path, before: Sequence[str], ids: Sequence[str]) -> None:
    """Until the ledger below `folder` has charges of these answers; fails if it gets others."""
    give_up = time.monotonic() + COUNTED_WITHIN_S
    while len(found := charged_ids(folder)) < len(before) + len(ids):
        assert time.monotonic() < give_up
        time.sleep(0.02)
    assert sorted(found) == sorted([*before, *ids])


def test_stops_at_an_answer_other_than_200(provider: Provider) -> None:
    request = post(provider.address, PATH, {"authorization": "Bearer wrong"}, b"{}")

    with pytest.raises(CallFailed, match="answered with 401"):
        run_load(provider.address, Load(request, 2, 4))


def test_stops_where_nobody_answers() -> None:
    with pytest.raises(CallFailed, match="no connection"):
        run_load(f"http://127.0.0.1:{free_port()}", Load(b"", 1, 1))


@pytest.mark.parametrize(
    "shape", [SMALL, LARGE, *(Shape(protocol=protocol) for protocol in PROTOCOLS.values())]
)
def test_sends_bodies_of_the_size_they_are_named_for(shape: Shape) -> None:
    body = shape.request("http://127.0.0.1:1", "none").partition(b"\r\n\r\n")[2]

    assert len(body) == shape.size_bytes


@pytest.mark.parametrize("name", PROTOCOLS)
def test_calls_every_protocol_whole_and_streamed(provider: Provider, name: str) -> None:
    protocol = PROTOCOLS[name]
    before = charged_ids(provider.data)
    shapes = [Shape(protocol=protocol, tokens=5)]
    if protocol.stream_path is not None:
        shapes.append(Shape(protocol=protocol, tokens=5, stream=True))

    results = [
        run_load(provider.address, Load(shape.request(provider.address, "none"), 1, 2))
        for shape in shapes
    ]

    found = [
        read_answers(shape, result.answers) for shape, result in zip(shapes, results, strict=True)
    ]
    wait_for_charges(provider.data, before, [each for one in found for each in one.ids])
    assert [one.events > 0 for one in found] == [False, True][: len(shapes)]


@pytest.mark.parametrize(
    ("before", "now", "says"),
    [
        ([1.0, 1.1, 1.2], [1.15, 1.3, 1.4], "within the spread"),
        ([1.0, 1.1, 1.2], [1.21, 1.3, 1.4], "more, beyond the spread"),
        ([1.0, 1.1, 1.2], [0.7, 0.8, 0.99], "less, beyond the spread"),
        ([1.0], [5.0, 5.1, 5.2], "(one repetition: spread unknown)"),
    ],
)
def test_compares_medians_and_names_what_is_beyond_the_spread(
    before: Sequence[float], now: Sequence[float], says: str
) -> None:
    earlier = kept({}, {CPU: before})

    [_, line] = comparison(earlier, {}, {CPU: now})

    assert line.endswith(says)
    assert line.split("[ms/call]")[1].split()[0] == f"{sorted(before)[len(before) // 2]:.3g}"


def kept(about: dict[str, str], runs: dict[Figure, Sequence[float]]) -> Kept:
    """A run as it is read from a file."""
    return Kept.model_validate_json(json.dumps(document("calls", about, runs)))


def test_says_in_what_the_machines_of_two_runs_differ() -> None:
    earlier = kept({"cpu": "slow", "cores": "2", "others": "1 %"}, {CPU: [1.0]})

    lines = list(comparison(earlier, {"cpu": "fast", "cores": "2", "others": "9 %"}, {CPU: [1.0]}))

    assert lines[0] == "cpu differs: slow before, fast now"
    assert len(lines) == 3  # a heading, a figure


def test_says_that_two_runs_have_nothing_in_common() -> None:
    other = replace(CPU, row="another")

    assert list(comparison(kept({}, {CPU: [1.0]}), {}, {other: [1.0]})) == [
        "No figure is in both runs."
    ]


@pytest.mark.parametrize(
    ("figure", "value", "shown"),
    [
        (CPU, 0.0, "below resolution"),
        (replace(CPU, measure="added p50"), 0.0, "below resolution"),
        (replace(CPU, measure="more than bare", unit="%"), -1.5, "below resolution"),
        (replace(CPU, measure="failed pushes", unit="1"), 0.0, "0"),
    ],
)
def test_prints_no_figure_that_its_clock_cannot_tell(
    figure: Figure, value: float, shown: str
) -> None:
    [_, line] = table({figure: [value]})

    assert line.partition("]")[2].split() == f"{shown} {shown} to {shown}".split()


@pytest.mark.parametrize(
    ("busy", "marked"), [([79.0, 70.0, 95.0], True), ([81.0, 70.0, 95.0], False)]
)
def test_marks_calls_of_a_target_that_had_time_for_more(
    busy: Sequence[float], *, marked: bool
) -> None:
    calls = replace(CPU, measure="calls", unit="1/s")
    others = replace(calls, target="nginx")
    runs = {
        calls: [100.0],
        replace(CPU, measure=OF_ITS_CORE, unit="%"): busy,
        others: [100.0],
    }

    marks = {line for line in table(runs) if "limited by the load" in line}

    assert [line.split()[4] for line in marks] == (["gateway"] if marked else [])


def test_takes_no_more_than_a_step_of_a_clock_for_nothing() -> None:
    steps = [above_resolution(each * 0.01, 0.01) for each in (-3, 0, 1, 2)]

    assert steps == [0, 0, 0, 0.02]


def test_prints_the_median_of_all_repetitions_and_their_spread() -> None:
    [_, line] = table({CPU: [3.0, 1.0, 1234.5]})

    assert line.split("[ms/call]")[1].split() == ["3", "1", "to", "1,234"]


@pytest.mark.slow
def test_measures_the_gateway_as_it_is_bundled(deployed: Deploy, tmp_path: Path) -> None:
    deployed("proxy")  # skips where its requirements cannot be had
    kept = tmp_path / "figures.json"

    done = subprocess.run(
        [sys.executable, "-P", "-m", "scripts.commands.bench", "--quick", "--json", str(kept)],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    written = json.loads(kept.read_text())
    figures = written["figures"]
    assert (written["mode"], written["machine"]["size"]) == ("calls", "quick")
    assert "% of the CPU time" in written["machine"]["others"]
    verdicts = {each["goal"]: each["verdict"] for each in written["goals"]}
    assert verdicts["CPU of a 100 kB prompt, of a small call's"] == "not judged: a quick run"
    assert verdicts["CPU of a call, of LiteLLM's"] == "not measured"
    assert {(f["row"], f["measure"]) for f in figures if f["target"] == "gateway"} >= {
        ("start", "to the first answer"),
        ("small, 1 at once", "CPU"),
        ("small, 128 at once", "added p99"),
        ("small, 100 a second", "calls"),
        ("TLS to the provider", "CPU"),
        ("100 kB prompt", "CPU against small"),
        ("stream", "CPU of a chunk"),
        ("stream, usage taken out", "CPU of a chunk"),
        ("openai embeddings", "CPU"),
        ("gemini", "CPU"),
        ("anthropic, stream", "CPU of 20 tokens"),
        ("memory", "PSS after 500 more calls"),
    }
    assert {(f["row"], f["target"], f["measure"]) for f in figures} >= {
        (f"start, {engines} engines", function, measure)
        for engines in ("local", "cloud")
        for function in ("proxy", "usage")
        for measure in ("import and wiring", "PSS")
    }


@pytest.mark.slow
def test_measures_how_usage_is_counted(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        figures = process.submit(measure_rollups, tmp_path, 1, 2).result()

    found = {figure.measure: value for figure, value in figures.items() if figure.target == "usage"}
    assert found["failed pushes"] == 0
    assert found["writes per event"] <= 2


@pytest.mark.slow
def test_measures_how_soon_a_call_is_at_a_collector(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        figures = process.submit(measure_telemetry, tmp_path, 1, 2).result()

    assert [figure.measure for figure in figures] == ["p50", "p95"] * 2


@pytest.mark.slow
def test_measures_how_soon_an_alert_is_enforced(deployed: Deploy, tmp_path: Path) -> None:
    functions = deployed("proxy"), deployed("brownout_webhook")
    alerts = Alerts(moving=2, renewing=3, proxies=2)

    figures = measure_enforcement(*functions, tmp_path / "data", alerts, firestore=None)

    rows = ("alert to 2 proxies", "alert moves a mode", "alert renews")
    assert {(figure.row, figure.measure) for figure in figures} == {
        ("alert, first", "answered"),
        *product(rows, ("p50", "p95", "max")),
    }
    enforced = [figures[figure] for figure in figures if figure.row == rows[0]]
    assert enforced == sorted(enforced)
