"""`scripts/cloudops insights` and `reconciliations`, against a live API."""

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.core.ports import Put, Ref, Value
from common.insights.findings import Finding, Insight, Window, insight_ref
from common.reconciliation.comparing import Cause, Drift
from common.reconciliation.records import Sums, day_data, day_ref, source_data, source_ref
from common.reconciliation.rows import Bill, Called, Tokens
from tests.chosen_engines import state_of
from tests.cloudops.conftest import Cloudops, Installation

NOW = datetime.now(UTC)
LOOP = Finding(
    kind="loop",
    org="acme",
    scope="agent:acme/crawler",
    window=Window.day_of(NOW),
    told="agent:acme/crawler sent the same 60 times.",
    evidence={"most_calls": 60, "known_by": "session"},
    stake=12_500_000_000,
    confidence="high",
    rows={"key": "0123456789ab"},
)


def kept(folder: Path, documents: Mapping[Ref, Mapping[str, Value]]) -> None:
    async def commit() -> None:
        state = state_of(folder)
        await state.commit([Put(ref, data) for ref, data in documents.items()])
        await state.aclose()

    asyncio.run(commit())


@pytest.fixture
def insight(installation: Installation, tmp_path: Path) -> str:
    assert installation.url
    found = Insight(LOOP, "open", found_at=NOW, changed_at=NOW)
    kept(tmp_path, {insight_ref(found.id): found.to_data()})
    return found.id


def test_lists_what_is_open(cloudops: Cloudops, insight: str) -> None:
    lines = cloudops("insights", "list").output.splitlines()

    names, row = (re.split(r" {2,}", line) for line in lines[:2])
    assert names == ["id", "kind", "scope", "confidence", "state", "stake_usd", "told"]
    assert row[:5] == [insight, "loop", "agent:acme/crawler", "high", "open"]
    assert row[5:] == ["12.500000000", LOOP.told]
    assert lines[2] == "1 insight."


def test_shows_one_with_its_evidence(cloudops: Cloudops, insight: str) -> None:
    lines = cloudops("insights", "show", insight).output.splitlines()

    assert lines[0] == LOOP.told
    shown = dict(re.split(r" {2,}", line, maxsplit=1) for line in lines[1:])
    assert (shown["most_calls"], shown["known_by"]) == ("60", "session")
    assert (shown["stake_usd"], shown["calls"]) == ("12.500000000", "key=0123456789ab")


@pytest.mark.parametrize(
    ("command", "state"), [("dismiss", "dismissed"), ("done", "done"), ("reopen", "open")]
)
def test_gives_it_a_state(cloudops: Cloudops, insight: str, command: str, state: str) -> None:
    said = cloudops("insights", command, insight)

    assert said.output == f"Insight {insight} (loop of agent:acme/crawler) is {state}.\n"
    assert cloudops("insights", "list", "--state", state).output.endswith("1 insight.\n")
    assert cloudops("insights", "list", "--all").output.endswith("1 insight.\n")


def test_snoozes_it(cloudops: Cloudops, insight: str) -> None:
    said = cloudops("insights", "snooze", insight, "7d")
    listed = cloudops("insights", "list")

    assert re.search(r"is snoozed until 20\d\d-\d\d-\d\dT\S+Z\.$", said.output.strip())
    assert listed.output.splitlines()[-1] == "0 insights."


@pytest.mark.parametrize(
    "until", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "someday"]
)
def test_says_which_text_is_no_time(cloudops: Cloudops, insight: str, until: str) -> None:
    said = cloudops("insights", "snooze", insight, until)

    assert (said.exit_code, said.output.splitlines()) == (
        1,
        [f"{until!r} is not a time: write 90m, 1h, 7d, 2026-11-01 or 2026-11-01T12:00:00Z"],
    )


def test_prints_json(cloudops: Cloudops, insight: str) -> None:
    [listed] = json.loads(cloudops("insights", "list", "--json").output)["data"]
    shown = json.loads(cloudops("insights", "show", insight, "--json").output)["data"]
    done = json.loads(cloudops("insights", "done", insight, "--json").output)["data"]

    assert listed == shown
    assert (done["id"], done["state"]) == (insight, "done")


def test_says_that_there_is_none(cloudops: Cloudops) -> None:
    said = cloudops("insights", "done", "f" * 32)

    assert (said.exit_code, "404" in said.output) == (1, True)


@pytest.fixture
def day(installation: Installation, tmp_path: Path) -> str:
    assert installation.url
    yesterday = (NOW - timedelta(days=1)).date()
    rows = [Called("k", True, "openai/m", Tokens(1_000, output=7), 2 * 10**9)]
    drift = Drift(Cause.LOST_EVENTS, 3 * 10**9, ("openai/m",), ("key_1",))
    bill = Bill(yesterday)
    found = {
        "provider": "openai",
        "account": "main",
        "standing": "drift",
        "withheld": None,
        "told": [],
        "found_at": NOW,
        **day_data(bill, rows, Sums.of(rows), [drift]),
    }
    ref = day_ref("openai", "main", yesterday)
    standing = source_data("openai", "main", "answers", None, NOW)
    kept(tmp_path, {ref: found, source_ref("openai", "main"): standing})
    return ref.id


def test_lists_days_with_their_drifts(cloudops: Cloudops, day: str) -> None:
    lines = cloudops("reconciliations", "list", "--since", "3d").output.splitlines()

    names, row = (re.split(r" {2,}", line) for line in lines[:2])
    assert names == ["id", "standing", "ours_usd", "theirs_usd", "drift"]
    assert row == [day, "drift", "2.000000000", "0.000000000", "lost_events 3.000000000"]
    assert lines[-1] == "1 day, 1 with a drift."


def test_lists_the_days_that_are_asked_for(cloudops: Cloudops, day: str) -> None:
    listed = json.loads(cloudops("reconciliations", "list", "--json").output)
    agreed = cloudops("reconciliations", "list", "--standing", "agrees")
    before = cloudops("reconciliations", "list", "--until", "2d")

    assert [each["id"] for each in listed["data"]] == [day]
    assert [each.output.splitlines()[-1] for each in (agreed, before)] == [
        "0 days, 0 with a drift."
    ] * 2


def test_shows_a_day(cloudops: Cloudops, day: str) -> None:
    lines = cloudops("reconciliations", "show", day).output.splitlines()

    assert lines[0].endswith(": drift (lost_events).")
    assert "lost_events: 3.000000000 USD more on the bill (openai/m, key_1)" in lines
    assert re.split(r" {2,}", lines[-1]) == ["openai/m", "1,000 in, 7 out", "0 in, 0 out"]
