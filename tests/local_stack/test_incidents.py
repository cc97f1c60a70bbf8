"""An alert becomes an incident, by way of the bus and the function that takes facts."""

import time
from pathlib import Path
from typing import Any

import httpx

from scripts.local_stack.demo import BROWNOUT_TOKEN
from tests.local_stack.process import Stack

TAKEN_S = 30.0


def test_opens_an_incident_for_an_alert_and_mitigates_it_when_normal_is_pinned(
    tmp_path: Path,
) -> None:
    with Stack(tmp_path / "data") as stack:
        httpx.post(
            f"{stack.address}/api/webhooks/datadog/brownout",
            json={"id": "1", "monitor": "7", "transition": "Triggered", "tags": "brownout:hard"},
            headers={"x-brownout-token": BROWNOUT_TOKEN},
        ).raise_for_status()
        raised = _incident(stack, "open")
        httpx.post(
            f"{stack.address}/api/v1/brownout/pins",
            json={"scope": "global", "mode": "normal", "reason": "seen", "minutes": 5},
        ).raise_for_status()
        calm = _incident(stack, "mitigated")
        told = httpx.get(f"{stack.address}/api/v1/incidents/{calm['id']}").json()["data"]

    assert (raised["key"], raised["severity"]) == ("brownout:global", "error")
    assert calm["id"] == raised["id"]
    assert [entry["event"] for entry in told["timeline"]] == [
        "incident.opened",
        "incident.mitigated",
    ]
    assert told["timeline"][0]["details"]["signals"][0]["monitor"] == "7"


def _incident(stack: Stack, status: str) -> dict[str, Any]:
    """The one incident in this status, once it is there."""
    ends_at = time.monotonic() + TAKEN_S
    while True:
        answer = httpx.get(f"{stack.address}/api/v1/incidents", params={"status": status})
        found = answer.raise_for_status().json()["data"]
        if found or time.monotonic() > ends_at:
            [incident] = found
            return dict(incident)
