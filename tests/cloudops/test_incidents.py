"""`scripts/cloudops incidents`, against a live API."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from common.core.ports import Put
from common.incidents.incidents import incident_ref
from tests.chosen_engines import state_of
from tests.cloudops.conftest import Cloudops, Installation
from tests.incidents.test_escalation import an_incident


def opened(installation: Installation, scope: str = "global", **body: str) -> str:
    body = {"title": "Slow answers", "text": "Users say so.", "scope": scope} | body
    answer = httpx.post(f"{installation.url}/api/v1/incidents", json=body)
    return str(answer.json()["data"]["id"])


def test_lists_what_is_not_closed(cloudops: Cloudops, installation: Installation) -> None:
    closed, left = opened(installation), opened(installation, "org:acme", severity="warning")
    cloudops("incidents", "resolve", closed, "over")

    lines = cloudops("incidents", "list").output.splitlines()
    every = cloudops("incidents", "list", "--all").output.splitlines()

    assert re.split(r" {2,}", lines[0]) == [
        "id", "severity", "status", "title", "opened_at", "owner",
    ]  # fmt: skip
    assert re.split(r" {2,}", lines[1])[:4] == [left, "warning", "open", "Slow answers"]
    assert (lines[2], every[-1]) == ("1 incident.", "2 incidents.")


def test_shows_one_and_what_happened(cloudops: Cloudops, installation: Installation) -> None:
    id_ = opened(installation)
    said = [
        cloudops("incidents", "ack", id_).output,
        cloudops("incidents", "note", id_, "it is the provider").output,
        cloudops("incidents", "resolve", id_, "they mended it").output,
    ]

    lines = cloudops("incidents", "show", id_).output.splitlines()

    assert [line.partition(" since ")[0] for line in said] == [
        f"Incident {id_} (error) is acknowledged",
        f"Incident {id_} (error) is acknowledged",
        f"Incident {id_} (error) is resolved",
    ]
    assert lines[:4] == [
        "title         Slow answers",
        "scope         global",
        "severity      error",
        "status        resolved",
    ]
    assert [line.partition(" ")[2] for line in lines[-4:]] == [
        "operator@localhost: Users say so.",
        "operator@localhost: operator@localhost acknowledges it.",
        "operator@localhost: it is the provider",
        "operator@localhost: they mended it",
    ]


def test_prints_json(cloudops: Cloudops, installation: Installation) -> None:
    id_ = opened(installation)

    listed = json.loads(cloudops("incidents", "list", "--json").stdout)
    shown = json.loads(cloudops("incidents", "show", id_, "--json").stdout)

    assert [row["id"] for row in listed["data"]] == [id_]
    assert [entry["kind"] for entry in shown["data"]["timeline"]] == ["opened"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "x"], "404 not_found: there is no incident 'x'"),
        (["ack", "x"], "404 not_found"),
        (["list", "--status", "gone"], "422 invalid_input (status)"),
    ],
)
def test_says_what_is_wrong_in_one_line(
    cloudops: Cloudops, arguments: list[str], said: str
) -> None:
    answer = cloudops("incidents", *arguments)

    assert answer.exit_code == 1
    assert said in answer.output
    assert len(answer.output.splitlines()) == 1


def test_lists_the_newest_fifty_unless_all_are_asked_for(
    cloudops: Cloudops, installation: Installation, tmp_path: Path
) -> None:
    async def store(number: int) -> None:
        documents = state_of(tmp_path)
        for each in range(number):
            opened_at = datetime(2026, 3, 2, 12, tzinfo=UTC) - timedelta(minutes=each)
            incident = an_incident(
                id=f"i-{each:03}", key=f"k{each}", opened_at=opened_at, title=f"number {each}"
            )
            await documents.commit([Put(incident_ref(incident.id), incident.to_data())])
        await documents.aclose()

    asyncio.run(store(52))

    shown = cloudops("incidents", "list").output.splitlines()
    few = cloudops("incidents", "list", "--limit", "2").output.splitlines()
    every = cloudops("incidents", "list", "--all").output.splitlines()

    assert (len(shown), len(few), len(every)) == (52, 4, 54)
    assert few[1].startswith("i-000")
    assert shown[-1] == "52 incidents. The newest 50 are shown."
    assert every[-1] == "52 incidents."
    assert installation.paths.count("/api/v1/incidents") == 3
