"""What a call costs below the gateway is measured on functions that are served like it."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.benchmark.floors import ROW, measure_floors
from scripts.benchmark.measures import QUICK, Cpus, Figure
from scripts.benchmark.processes import NotStarted
from tests.bundle.conftest import Deploy

pytestmark = pytest.mark.slow

FEW = replace(QUICK, calls=1_000)
"""Enough for the clock of CPU time, which ticks a hundred times a second."""
ANYWHERE = Cpus(None, None)


def test_measures_the_framework_an_exchange_and_the_gateway(
    deployed: Deploy, tmp_path: Path
) -> None:
    found = measure_floors(deployed("proxy"), tmp_path, FEW, ANYWHERE)

    names = ("framework", "exchange", "gateway")
    assert list(found) == [Figure(ROW, name, "CPU", "ms/call") for name in names]
    assert all(value > 0 for value in found.values())


def test_has_no_figure_of_a_floor_that_does_not_answer(
    deployed: Deploy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.benchmark.floors.FLOORS", ("framework", "unknown"))

    with pytest.raises(NotStarted, match="unknown"):
        measure_floors(deployed("proxy"), tmp_path, FEW, ANYWHERE)
