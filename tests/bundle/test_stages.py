"""A profile shows each stage's own time, and is no part of what is deployed."""

import importlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.benchmark.measures import QUICK, Cpus, Figure
from scripts.benchmark.stage_marks import STAGES, WHOLE, Marks
from scripts.benchmark.stages import SHAPES, measure_stages, stage_figures
from scripts.commands.bundle import ROOT, write_bundles
from tests.bundle.conftest import Deploy


def test_gives_a_stage_the_time_that_no_stage_inside_it_has() -> None:
    times = iter([0, 10, 15, 40, 100, 101])
    marks = Marks(lambda: next(times))

    marks.enter(WHOLE)
    marks.enter("send")
    marks.enter("first byte")
    marks.leave()
    marks.leave()
    marks.leave()

    assert marks.spent == {WHOLE: 10 + 1, "send": 5 + 60, "first byte": 25}


def test_adds_up_a_stage_that_comes_twice() -> None:
    times = iter([0, 1, 3, 4, 9, 9])
    marks = Marks(lambda: next(times))

    marks.enter(WHOLE)
    for _ in range(2):
        marks.enter("send")
        marks.leave()
    marks.leave()

    assert marks.spent == {WHOLE: 1 + 1 + 0, "send": 2 + 5}


@pytest.mark.parametrize("stage", STAGES)
def test_knows_where_a_stage_is(stage: str) -> None:
    module, path = STAGES[stage]
    found = importlib.import_module(module)

    for name in path.split("."):
        found = getattr(found, name)

    assert callable(found)


def test_takes_medians_and_counts_a_stage_that_did_not_come_as_none() -> None:
    calls = [{"read": 1_000, WHOLE: 1_000}, {"read": 3_000, WHOLE: 2_000}, {WHOLE: 9_000}]

    found = stage_figures("small", calls)

    told = {figure.measure: value for figure, value in found.items() if value}
    assert told == {"read": 1.0, "between stages": 2.0, "all of the application": 5.0}
    assert Figure("small", "gateway", "relay", "us") in found


def test_bundles_no_marks(tmp_path: Path) -> None:
    row = write_bundles(ROOT, ["proxy"], tmp_path)["proxy"]

    with zipfile.ZipFile(tmp_path / row["file"]) as bundle:
        marked = [name for name in bundle.namelist() if b"stage_marks" in bundle.read(name)]

    assert marked == []


@pytest.mark.slow
def test_profiles_the_gateway_as_it_is_bundled(deployed: Deploy, tmp_path: Path) -> None:
    found = measure_stages(deployed("proxy"), tmp_path, replace(QUICK, calls=40), Cpus(None, None))

    spent = {(figure.row, figure.measure): value for figure, value in found.items()}
    assert [
        place
        for place in ((row, stage) for row in SHAPES for stage in STAGES)
        if not spent[place] > 0
    ] == []
