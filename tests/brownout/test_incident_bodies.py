"""What the body of Cloud Monitoring's webhook says."""

import json
from typing import Any

import pytest

from common.adapters.alert_readings import Ignored, Understood, Unreadable
from common.adapters.cloud_monitoring import read_incident
from common.brownout.modes import Mode
from common.brownout.policy import Meaning
from common.brownout.signals import Evidence, Signal
from tests.brownout.incident_scenes import SECONDS, a_label, an_incident, an_old_incident
from tests.brownout.scenes import T0, at


def read(
    body: object,
    monitors: dict[str, Meaning] | None = None,
    org: str | None = None,
    seconds: float = 0,
) -> Understood | Ignored | Unreadable:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_incident(content, received_at=at(seconds), default_org=org, monitors=monitors or {})


def understood(body: object, **of: Any) -> Understood:
    found = read(body, **of)
    assert isinstance(found, Understood), found
    return found


def the_signal(body: object, **of: Any) -> Signal:
    [signal] = understood(body, **of).received.signals
    return signal


def test_reads_an_incident_of_version_1_2() -> None:
    found = understood(an_incident())

    assert (found.received.source, found.received.deed) == ("monitoring", "raise")
    assert found.received.signals == (
        Signal(
            source="monitoring",
            monitor="Chat latency",
            group="0.opqiw61fsv7p",
            scope="team:acme/search",
            level=Mode.HARD,
            observed_at=T0,
            received_at=T0,
            lease_until=T0,
            link="https://console.cloud.google.com/monitoring/alerting/alerts/0.opqiw61fsv7p",
            evidence=Evidence("run.googleapis.com/request_latencies", "7.250", "5.000"),
        ),
    )


def test_reads_an_incident_of_version_1_1_whose_policy_ours_names() -> None:
    monitors = {"monitoring:Webserver Health": Meaning(Mode.SOFT, "model:llama3.1:8b")}

    signal = the_signal(an_old_incident(), monitors=monitors)

    assert (signal.level, signal.scope, signal.observed_at, signal.evidence) == (
        Mode.SOFT,
        "model:llama3.1:8b",
        T0,
        None,
    )


@pytest.mark.parametrize(
    ("changed", "deed", "event_id"),
    [
        ({"state": "open"}, "raise", "0.opqiw61fsv7p:open"),
        ({"state": "OPEN", "renotify": False}, "raise", "0.opqiw61fsv7p:open"),
        ({"renotify": True}, "renew", f"0.opqiw61fsv7p:open:{at(600).isoformat()}"),
        ({"renotify": "true"}, "renew", f"0.opqiw61fsv7p:open:{at(600).isoformat()}"),
        ({"state": "closed"}, "end", "0.opqiw61fsv7p:closed"),
        ({"state": "closed", "renotify": True}, "end", "0.opqiw61fsv7p:closed"),
    ],
)
def test_knows_what_each_state_asks_for(changed: dict[str, Any], deed: str, event_id: str) -> None:
    received = understood(an_incident(**changed), seconds=600).received

    assert (received.deed, received.event_id) == (deed, event_id)


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        ({}, T0),
        ({"started_at": str(SECONDS)}, T0),
        ({"started_at": float(SECONDS)}, T0),
        ({"started_at": None}, at(600)),
        ({"started_at": "yesterday"}, at(600)),
        ({"started_at": SECONDS + 601 + 600}, at(600)),
        ({"started_at": SECONDS + 601}, at(600)),
        ({"renotify": True}, at(600)),
        ({"state": "closed", "ended_at": SECONDS + 300}, at(600)),
    ],
)
def test_counts_an_opening_from_its_start_and_all_else_from_its_arrival(
    changed: dict[str, Any], seen: Any
) -> None:
    """A renewal has no time of its own; an end that lay before the last one would be late."""
    found = understood(an_incident(**changed), seconds=600).received

    assert {found.alert.observed_at, *(each.observed_at for each in found.signals)} == {seen}


@pytest.mark.parametrize(
    ("labels", "scope"),
    [
        (a_label(brownout_scope_kind="", brownout_scope_name="", brownout_org=""), "global"),
        (a_label(brownout_scope_kind="global"), "global"),
        (a_label(brownout_org=""), "team:house/search"),
        (a_label(brownout_scope_kind="agent"), "agent:acme/search"),
        (a_label(brownout_scope_kind="org", brownout_scope_name=""), "org:acme"),
        (a_label(brownout_scope_kind="org"), "org:search"),
        (
            a_label(brownout_scope_kind="provider", brownout_scope_name="openai"),
            "provider:openai",
        ),
        (a_label(brownout_scope_kind="model", brownout_scope_name="gpt-5"), "model:gpt-5"),
    ],
)
def test_reads_the_scope_from_the_labels(labels: dict[str, str], scope: str) -> None:
    assert the_signal(an_incident(labels=labels), org="house").scope == scope


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (an_incident(labels={}), "no level"),
        (an_incident(labels=None), "no level"),
        (an_incident(labels=["brownout"]), "no level"),
        (an_old_incident(), "no level"),
        (an_incident(labels=a_label(brownout="extreme")), "is no level"),
        (an_incident(labels=a_label(brownout="normal")), "is no level"),
        (an_incident(labels=a_label(brownout_scope_kind="galaxy")), "is no scope"),
        (an_incident(labels=a_label(brownout_scope_name="")), "is no scope"),
        (an_incident(labels=a_label(brownout_org="")), "is no scope"),
        (an_incident(labels=a_label(brownout_scope_kind="")), "no kind of scope"),
        (an_incident(state="acknowledged"), "means nothing here"),
        (an_incident(version="test"), "is no incident"),
        (an_incident(version=2), "is no incident"),
    ],
)
def test_says_why_an_incident_means_nothing(body: object, reason: str) -> None:
    found = read(body)

    assert isinstance(found, Ignored)
    assert reason in found.reason


@pytest.mark.parametrize("version", ["1.1", "1.2", "1.3", 1.2])
def test_takes_every_version_of_the_form_it_knows(version: Any) -> None:
    understood(an_incident(version=version))


def test_believes_our_policy_more_than_the_labels() -> None:
    monitors = {"monitoring:Chat latency": Meaning(None, "provider:openai")}

    signal = the_signal(an_incident(), monitors=monitors)

    assert (signal.level, signal.scope) == (Mode.HARD, "provider:openai")


def test_never_takes_one_of_datadogs_monitors_for_a_policy() -> None:
    monitors = {"monitor:Chat latency": Meaning(Mode.EMERGENCY, "global")}

    assert the_signal(an_incident(), monitors=monitors).level == Mode.HARD


@pytest.mark.parametrize("number", [7.25, "7.25"])
def test_takes_numbers_and_texts_for_what_was_measured(number: Any) -> None:
    signal = the_signal(an_incident(observed_value=number, threshold_value=5))

    assert signal.evidence == Evidence("run.googleapis.com/request_latencies", "7.25", "5")


def test_keeps_no_text_that_somebody_wrote() -> None:
    found = understood(an_incident(summary="canary", documentation={"content": "canary"}))

    assert "canary" not in repr(found)
    assert found.fields["brownout"] == "hard"
    assert "owner" not in found.fields


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        (b"", ("version", "incident")),
        (b"[]", ("version", "incident")),
        (b"{", ("version", "incident")),
        (b"[" * 100_000, ("version", "incident")),
        ({"version": "1.2"}, ("incident",)),
        ({"version": "1.2", "incident": []}, ("incident",)),
        ({"incident": {}}, ("version",)),
        ({"version": "1.2", "incident": {}}, ("incident_id", "state", "policy_name")),
        (an_incident(state=None), ("state",)),
    ],
)
def test_names_what_is_missing(body: object, missing: tuple[str, ...]) -> None:
    found = read(body)

    assert isinstance(found, Unreadable)
    assert found.missing == missing


def test_ends_at_the_length_that_is_kept() -> None:
    found = understood(an_incident(policy_name="x" * 900, incident_id="y" * 900))

    [signal] = found.received.signals
    assert (len(signal.monitor), len(signal.group)) == (200, 200)
    assert len(found.fields["policy_name"]) == 300
