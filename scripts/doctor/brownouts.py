"""What operators must know of brownouts: emergencies by hand, sources without a word, lost alerts.

A source that is switched off is none of these, and a mode that alerts hold is told by its incident.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from common.brownout.receiving import NO_DATA_KEEPS, NOTHING_TO_END
from scripts.doctor.findings import Finding, Patient
from scripts.doctor.replies import Fields, Reply, ask, bearer

LATELY = timedelta(hours=24)
NAMED = 3
"""Alerts that a finding names."""

LONGEST = 80
"""Characters of a monitor's name."""

_WITHOUT_FAULT = frozenset({NOTHING_TO_END, NO_DATA_KEEPS})


def look_at_brownouts(patient: Patient, now: datetime) -> tuple[list[Finding], list[str]]:
    """What is wrong at `now`, the API's time, and what is worth knowing and not wrong."""
    state = _answer(patient, "brownout")
    if state is None:
        return [], []
    deliveries = _answer(patient, "brownout/deliveries")
    found = findings_of(state["data"], [] if deliveries is None else deliveries["data"], now)
    return list(found), list(_notes(state["data"]))


def findings_of(state: Fields, deliveries: Iterable[Fields], now: datetime) -> Iterator[Finding]:
    """Yield what is wrong, by the API's view of the modes and of the last deliveries."""
    for pin in state["pins"]:
        if pin["mode"] == "emergency":
            reason = " ".join(pin["reason"].split())
            yield Finding(
                f"an emergency is pinned for {pin['scope']} until {pin['until']}, by"
                f" {pin['actor']}: {reason}",
                f"when it is over: scripts/cloudops brownout unpin {pin['scope']}",
            )
    for source in state["sources"]:
        if source["standing"] == "silent":
            yield Finding(
                f"{source['source']} does not answer since {source['silent_since']}"
                f" ({source['cause']})",
                "see that its keys are right and may read monitors; until then lost alerts stay"
                " lost, and the mode is what leases say",
            )
    lost = [each for each in deliveries if _is_lost(each, now)]
    if lost:
        count = "1 alert" if len(lost) == 1 else f"{len(lost)} alerts"
        told = dict.fromkeys(f"{_named(each)}: {each['reason']}" for each in lost)
        more = "; and more" if len(told) > NAMED else ""
        yield Finding(
            f"{count} of a day {'was' if len(lost) == 1 else 'were'} not understood:"
            f" {'; '.join(list(told)[:NAMED])}{more}",
            "give its monitor the tags that common/brownout/README.md names, or say in the policy"
            " (signals, map) what it means",
        )


def _notes(state: Fields) -> Iterator[str]:
    if state["enforcement"] == "shadow":
        yield (
            f"version {state['policy_version']} of the brownout policy is in shadow: what it would"
            " do is only recorded, and `scripts/cloudops calls` shows it"
        )


def _is_lost(delivery: Fields, now: datetime) -> bool:
    is_late = now - datetime.fromisoformat(delivery["received_at"]) > LATELY
    if is_late or delivery["reason"] in _WITHOUT_FAULT:
        return False
    return delivery["status"] in {"refused", "ignored"}


def _named(delivery: Fields) -> str:
    # Whatever a sender writes there is shown on a terminal.
    monitor = "".join(c for c in delivery["fields"].get("monitor", "") if c.isprintable())
    return f"{delivery['source']}'s {monitor[:LONGEST]}" if monitor else delivery["source"]


def _answer(patient: Patient, what: str) -> Fields | None:
    url = f"{patient.api_url}/api/v1/{what}"
    reply = ask(patient.http, url, bearer(patient.token))
    return reply.body if isinstance(reply, Reply) and reply.is_success else None
