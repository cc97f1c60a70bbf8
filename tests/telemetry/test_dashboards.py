"""Dashboards and monitors ask for what is sent, by attributes that it has."""

import re

import pytest
import yaml

from common.core import metrics
from common.core.metrics import INSTRUMENTS
from tests.repository.sources import ROOT

ATTRIBUTES = {value for value in vars(metrics).values() if isinstance(value, str)}
SENT = {each.name for each in INSTRUMENTS} | ATTRIBUTES
NOT_YET_SENT = {"custom.response.quality_score"}
"""What callers say of answers: nobody asks them yet."""

NAME = re.compile(r"\b(?:custom|gen_ai)\.[a-z_0-9.]+[a-z0-9]")
FILES = [*sorted((ROOT / "terraform").rglob("*.tf")), ROOT / "terraform/dashboards/calls.yaml"]


def test_reads_the_files_that_ask() -> None:
    panels = yaml.safe_load(FILES[-1].read_text())

    assert len(panels) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_asks_for_nothing_that_is_not_sent(path: object) -> None:
    asked = set(NAME.findall((ROOT / str(path)).read_text()))

    assert asked - SENT - NOT_YET_SENT == set()
