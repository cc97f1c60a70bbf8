"""The doctor says what operators must know of brownouts; so does `brownout status`."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from common.brownout.deliveries import Delivery, delivery_entry
from common.brownout.modes import GLOBAL, Mode
from common.brownout.policies import policy_ref
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data
from common.brownout.receiving import NO_DATA_KEEPS, NOTHING_TO_END
from common.brownout.sources import SourceStatus, Standing
from common.brownout.state import STATE, Pin, State
from common.core.ports import Put
from scripts.commands.cloudops import app
from tests.deploy.cloud import ADA, Cloud, a_token
from tests.deploy.test_doctor import NOTHING, SHADOW, Doctor, doctor, findings

__all__ = ["doctor"]

NOW = datetime.now(UTC)


def pinned(cloud: Cloud, mode: Mode) -> Pin:
    until = NOW + timedelta(hours=2)
    pin = Pin("p1", GLOBAL, mode, "the provider\nburns", ADA, NOW - timedelta(minutes=1), until)
    cloud.do(cloud.documents.commit([Put(STATE, State(pins=(pin,)).to_data())]))
    return pin


def told(cloud: Cloud, *deliveries: Delivery) -> None:
    entries = [delivery_entry(each, bytes([n] * 6)) for n, each in enumerate(deliveries)]
    cloud.do(cloud.documents.commit(entries))


def a_delivery(
    status: str,
    reason: str | None,
    ago: timedelta = timedelta(hours=1),
    fields: Mapping[str, str] | None = None,
) -> Delivery:
    named = {"monitor": "17"} if fields is None else fields
    return Delivery("datadog", NOW - ago, 200, status, reason, named)


def status(cloud: Cloud) -> list[str]:
    command = ["--url", cloud.api_url, "brownout", "status", "--token", a_token()]
    return CliRunner().invoke(app, command).output.splitlines()


def test_an_emergency_that_somebody_pinned_is_told(cloud: Cloud, doctor: Doctor) -> None:
    pin = pinned(cloud, Mode.EMERGENCY)

    [[what, fix]] = findings(doctor())

    until = f"{pin.until:%Y-%m-%dT%H:%M:%S}"
    assert what.startswith(f"an emergency is pinned for global until {until}")
    assert what.endswith(f", by {ADA}: the provider burns")
    assert fix == "when it is over: scripts/cloudops brownout unpin global"
    assert what in status(cloud)


def test_a_lower_mode_that_somebody_pinned_is_nothing_wrong(cloud: Cloud, doctor: Doctor) -> None:
    pinned(cloud, Mode.HARD)

    assert doctor().output.startswith(NOTHING)


@pytest.mark.parametrize(("standing", "is_wrong"), [("silent", 1), ("off", 0), ("answers", 0)])
def test_a_source_without_a_word_is_told(
    cloud: Cloud, doctor: Doctor, standing: Standing, is_wrong: int
) -> None:
    stood = SourceStatus("datadog", standing, NOW, silent_since=NOW, cause="it answered 403")
    cloud.do(cloud.documents.commit([Put(stood.ref, stood.to_data())]))

    done = doctor()

    assert done.exit_code == is_wrong
    said = [line for line in done.output.splitlines() if line.startswith("datadog does not answer")]
    assert len(said) == is_wrong
    assert all("(it answered 403)" in line and line in status(cloud) for line in said)


def test_alerts_that_were_not_understood_are_told(cloud: Cloud, doctor: Doctor) -> None:
    told(
        cloud,
        a_delivery("applied", None),
        a_delivery("ignored", NOTHING_TO_END),
        a_delivery("ignored", NO_DATA_KEEPS),
        a_delivery("ignored", "no tag names a level"),
        a_delivery("ignored", "no tag names a level"),
        a_delivery("refused", "the body is no JSON", fields={}),
        a_delivery("refused", "the body is no JSON", ago=timedelta(hours=25)),
    )

    [[what, fix]] = findings(doctor())

    assert what == (
        "3 alerts of a day were not understood: datadog's 17: no tag names a level;"
        " datadog: the body is no JSON"
    )
    assert "common/brownout/README.md" in fix
    assert what in status(cloud)


def test_a_monitor_cannot_write_on_the_terminal(cloud: Cloud, doctor: Doctor) -> None:
    told(cloud, a_delivery("refused", "no", fields={"monitor": "\x1b[2J17"}))

    [[what, _]] = findings(doctor())

    assert what == "1 alert of a day was not understood: datadog's [2J17: no"


def test_that_a_policy_only_records_is_told_and_nothing_wrong(cloud: Cloud, doctor: Doctor) -> None:
    shadow = doctor()
    as_json = json.loads(doctor("--json").stdout)
    enforced = replace(shipped_policy(), enforcement="enforce")
    version = Put(policy_ref(1), {"policy": policy_data(enforced)})
    cloud.do(cloud.documents.commit([Put(STATE, State(policy_version=1).to_data()), version]))

    assert (shadow.exit_code, shadow.output.startswith(NOTHING + SHADOW)) == (0, True)
    assert (as_json["data"], as_json["total"]["count"]) == ([], 0)
    assert [f"Note: {note}.\n" for note in as_json["total"]["notes"]] == [SHADOW]
    assert "Note: " not in doctor().output
