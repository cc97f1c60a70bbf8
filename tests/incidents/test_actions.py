"""What people do to incidents, and what makes no sense."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.core.errors import CloudOpsError, InvalidInput
from common.incidents.actions import (
    ALLOWED,
    MAX_NOTE_CHARS,
    Action,
    By,
    Done,
    Opening,
    WrongTransition,
    acknowledge,
    assign,
    note,
    open_incident,
    resolve,
    write_review,
)
from common.incidents.facts import Rules
from common.incidents.incidents import REVIEW_WITHIN, STATUSES, Incident, Review
from tests.incidents.scenes import T0, at
from tests.incidents.test_escalation import an_incident

BEN = By("ben@example.com", at(3))
REVIEW = Review("a key ran out", "no alert on it", ("add one",))

ACTS: dict[Action, Callable[[Incident], Done]] = {
    "ack": lambda incident: acknowledge(incident, BEN),
    "assign": lambda incident: assign(incident, "ann@example.com", BEN),
    "note": lambda incident: note(incident, "looking", BEN),
    "resolve": lambda incident: resolve(incident, "restarted it", BEN),
    "review": lambda incident: write_review(incident, REVIEW, BEN),
}


def test_opens_one() -> None:
    rules = Rules(procedures={"org:*": "https://wiki.example/org"})

    asked = Opening("org:acme", "Slow answers", "error", "Users say so.")
    incident, entry = open_incident(asked, BEN, rules, b"random")

    assert (incident.key, incident.status, incident.severity) == (
        "brownout:org:acme",
        "open",
        "error",
    )
    assert (incident.opened_by, incident.opened_at) == ("ben@example.com", at(3))
    assert incident.procedure == "https://wiki.example/org"
    assert entry.event is not None
    assert (entry.event.type, entry.event.actor) == ("incident.opened", "ben@example.com")
    assert entry.told == "Users say so."


@pytest.mark.parametrize(
    ("action", "status", "event", "changed"),
    [
        ("ack", "acknowledged", "incident.acknowledged", {"acknowledged_by": "ben@example.com"}),
        ("assign", "open", None, {"owner": "ann@example.com"}),
        ("note", "open", None, {"owner": None}),
        ("resolve", "resolved", "incident.resolved", {"resolved_by": "ben@example.com"}),
    ],
)
def test_does(action: Action, status: str, event: str | None, changed: dict[str, Any]) -> None:
    incident, entry = ACTS[action](an_incident())

    assert incident.status == status
    assert {name: getattr(incident, name) for name in changed} == changed
    assert (None if entry.event is None else entry.event.type) == event
    assert (entry.actor, entry.at, entry.seq) == ("ben@example.com", at(3), 1)


def test_keeps_mitigated_what_is_acknowledged_late() -> None:
    incident, _ = ACTS["ack"](an_incident(status="mitigated", mitigated_at=at(1)))

    assert (incident.status, incident.acknowledged_at) == ("mitigated", at(3))
    with pytest.raises(WrongTransition):
        ACTS["ack"](incident)


def test_writes_a_review_and_writes_it_anew() -> None:
    reviewed, entry = ACTS["review"](an_incident(status="resolved", resolved_at=at(1)))
    again, _ = write_review(reviewed, Review("another", "cause", ()), BEN)

    assert entry.event is not None
    assert (reviewed.status, entry.event.type) == ("reviewed", "incident.reviewed")
    assert (reviewed.review, again.review) == (REVIEW, Review("another", "cause", ()))


@pytest.mark.parametrize(
    ("status", "action"),
    [(status, act) for status in STATUSES for act in sorted(set(ACTS) - ALLOWED[status])],
)
def test_refuses_what_makes_no_sense_and_says_what_does(status: Any, action: Action) -> None:
    with pytest.raises(WrongTransition) as refused:
        ACTS[action](an_incident(status=status, resolved_at=T0))

    assert refused.value.status == 409
    assert f"is {status}: what can be done to it is " in refused.value.detail
    assert refused.value.detail.endswith(", ".join(sorted(ALLOWED[status])))


@pytest.mark.parametrize("text", ["", "  \n", "x" * (MAX_NOTE_CHARS + 1), "a\x00b", "\x1b[31m"])
@pytest.mark.parametrize(
    "act",
    [
        lambda text: note(an_incident(), text, BEN),
        lambda text: resolve(an_incident(), text, BEN),
        lambda text: assign(an_incident(), text, BEN),
        lambda text: open_incident(Opening("global", text, "info", "x"), BEN, Rules(), b"random"),
        lambda text: open_incident(Opening("global", "x", "info", text), BEN, Rules(), b"random"),
        lambda text: _reviewed(Review(text, "x", ())),
        lambda text: _reviewed(Review("x", text, ())),
        lambda text: _reviewed(Review("x", "x", (text,))),
    ],
)
def test_refuses_texts_that_nobody_can_read(act: Callable[[str], Done], text: str) -> None:
    with pytest.raises(InvalidInput):
        act(text)


def _reviewed(review: Review) -> Done:
    return write_review(an_incident(status="resolved", resolved_at=T0), review, BEN)


def test_refuses_more_actions_than_anybody_does() -> None:
    with pytest.raises(CloudOpsError, match="at most 50 actions"):
        _reviewed(Review("x", "x", ("do it",) * 51))


def test_takes_notes_of_several_lines() -> None:
    _, entry = note(an_incident(), "first\n\tsecond", BEN)

    assert entry.told == "first\n\tsecond"


def test_wants_a_review_of_what_was_resolved_long_ago() -> None:
    resolved = an_incident(status="resolved", resolved_at=at(3))
    due_at = at(3) + REVIEW_WITHIN

    assert not resolved.wants_review(due_at - timedelta(seconds=1))
    assert resolved.wants_review(due_at)
    assert not ACTS["review"](resolved)[0].wants_review(due_at)
