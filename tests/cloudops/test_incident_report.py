"""`scripts/cloudops incidents report`, against a live API."""

import json

from tests.cloudops.conftest import Cloudops, Installation
from tests.cloudops.test_incidents import opened


def test_prints_markdown(cloudops: Cloudops, installation: Installation) -> None:
    id_ = opened(installation)

    lines = cloudops("incidents", "report", id_).output.splitlines()

    assert lines[:3] == ["# Slow answers", "", f"Incident {id_}, error"]
    assert lines[-1].startswith("Computed at ")


def test_prints_json(cloudops: Cloudops, installation: Installation) -> None:
    id_ = opened(installation)

    answer = json.loads(cloudops("incidents", "report", id_, "--json").stdout)

    assert answer["data"]["incident"]["id"] == id_
    assert answer["data"]["numbers"]["calls"]["calls"] == 0


def test_says_in_one_line_that_there_is_none(cloudops: Cloudops) -> None:
    answer = cloudops("incidents", "report", "x")

    assert (answer.exit_code, len(answer.output.splitlines())) == (1, 1)
    assert "404 not_found: there is no incident 'x'" in answer.output
