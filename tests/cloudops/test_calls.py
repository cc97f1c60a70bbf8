"""`scripts/cloudops calls` and `spend` in a brownout: what was, or would have been, given up."""

import json
import re

from common.core.events import EditMade
from tests.cloudops.conftest import Cloudops, Installation, a_recent_call

EDITS = (
    EditMade(name="model", told="gpt-5-mini", outcome="applied", reason=""),
    EditMade(name="output_cap", told="", outcome="skipped_unsafe", reason="offers_tools"),
)
SKIPPED = "output_cap skipped_unsafe (offers_tools)"


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line.strip())


def test_shows_what_was_given_up_of_each_call(
    cloudops: Cloudops, installation: Installation
) -> None:
    shadow = EDITS[0].model_copy(update={"outcome": "shadow"})
    hard = {"mode": "hard", "episode": "e1", "arm": "degraded"}
    installation.record(
        a_recent_call(1, **hard, enforced=True, edits=EDITS, route="cheap"),
        a_recent_call(2, **hard, edits=(shadow,)),
        a_recent_call(3, mode="soft", episode="e2", arm="holdout", enforced=True),
        a_recent_call(4),
    )

    names, *lines = cloudops("calls").output.splitlines()
    told = json.loads(cloudops("calls", "--json").stdout)["data"][-1]

    assert cells(names)[-4:] == ["mode", "given up", "episode", "route"]
    assert sorted(cells(line)[-4:] for line in lines) == [
        [
            "hard",
            "model=gpt-5-mini applied; output_cap skipped_unsafe (offers_tools)",
            "e1",
            "cheap",
        ],
        ["hard (shadow)", "model=gpt-5-mini shadow", "e1", "-"],
        ["normal", "-", "-", "-"],
        ["soft", "holdout", "e2", "-"],
    ]
    assert (told["mode"], told["enforced"], told["episode"]) == ("hard", True, "e1")
    assert told["edits"] == [each.model_dump() for each in EDITS]


def test_says_nothing_of_brownouts_where_there_was_none(
    cloudops: Cloudops, installation: Installation
) -> None:
    installation.record(a_recent_call(1))

    assert cells(cloudops("calls").output.splitlines()[0])[-1] == "note"


def test_sums_by_mode(cloudops: Cloudops, installation: Installation) -> None:
    installation.record(a_recent_call(1), a_recent_call(2, mode="hard"))

    rows = cloudops("spend", "--by", "mode").output.splitlines()[1:3]

    assert {cells(row)[0] for row in rows} == {"normal", "hard"}
