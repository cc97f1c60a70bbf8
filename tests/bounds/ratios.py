"""How much is held for each nano-dollar that is billed at most, printed while tests run."""

import sys
from collections.abc import Mapping, Sequence
from statistics import median

import pytest


def show(ratios: Mapping[str, Sequence[float]], capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each name: how many calls, their median and their worst."""
    lines = [
        f"  {name}: {len(of_calls):,} calls, {median(of_calls):.2f}, {max(of_calls):.2f}"
        for name, of_calls in sorted(ratios.items())
    ]
    with capsys.disabled():
        sys.stdout.write("\n".join(["\nheld / billed at most: median, worst", *lines, ""]))
