"""What a fact does to an incident, row by row."""

from dataclasses import replace
from datetime import timedelta

import pytest

from common.core.events import Event
from common.incidents.actions import By, acknowledge, resolve
from common.incidents.facts import Rules
from common.incidents.handling import ended, handle
from common.incidents.incidents import Incident
from tests.incidents.scenes import RULES, T0, a_change, a_fact, at, crossed, settled

UP = a_change(1, "normal", "hard")
HIGHER = a_change(2, "hard", "emergency", 2)
LOWER = a_change(2, "hard", "soft", 6)
CALM = a_change(3, "soft", "normal", 12)
AGAIN = a_change(4, "normal", "soft", 20, episode="e2")
LATER = a_change(4, "normal", "soft", 50, episode="e2")
MUCH_LATER = a_change(4, "normal", "soft", 58, episode="e2")


def story(*events: Event, rules: Rules = RULES) -> list[tuple[str, str, str | None]]:
    """Of each entry its incident (numbered), the status after it if told, and what was told."""
    incident: Incident | None = None
    names: dict[str, int] = {}
    found = []
    for event in events:
        fact = a_fact(event, rules)
        if incident is not None:
            incident, more = ended(incident, fact.at, rules)
            found += [_line(names, each.incident, each.event) for each in more]
        incident, more = handle(incident, fact, rules)
        found += [_line(names, each.incident, each.event) for each in more]
    return found


def _line(names: dict[str, int], incident: str, event: object) -> tuple[str, str, str | None]:
    number = names.setdefault(incident, len(names) + 1)
    status = getattr(event, "status", "-")
    type_ = getattr(event, "type", None)
    return str(number), status, None if type_ is None else type_.removeprefix("incident.")


def _name(each: Event | tuple[str, str, str | None]) -> str:
    return each.id if isinstance(each, Event) else each[-1] or "noted"


OPENED = ("1", "open", "opened")
MITIGATED = ("1", "mitigated", "mitigated")
RESOLVED = ("1", "resolved", "resolved")
NOTED = ("1", "-", None)


@pytest.mark.parametrize(
    ("events", "lines"),
    [
        ([UP], [OPENED]),
        ([UP, HIGHER], [OPENED, ("1", "open", "joined")]),
        ([UP, LOWER], [OPENED, NOTED]),
        ([UP, LOWER, CALM], [OPENED, NOTED, MITIGATED]),
        ([UP, CALM, AGAIN], [OPENED, MITIGATED, ("1", "open", "reopened")]),
        ([UP, CALM, settled(3, 12)], [OPENED, MITIGATED, RESOLVED]),
        (
            [UP, CALM, settled(3, 12), LATER],
            [OPENED, MITIGATED, RESOLVED, ("1", "open", "reopened")],
        ),
        ([UP, CALM, LATER], [OPENED, MITIGATED, RESOLVED, ("1", "open", "reopened")]),
        (
            [UP, CALM, settled(3, 12), MUCH_LATER],
            [OPENED, MITIGATED, RESOLVED, ("2", "open", "opened")],
        ),
        ([UP, CALM, MUCH_LATER], [OPENED, MITIGATED, RESOLVED, ("2", "open", "opened")]),
        ([UP, CALM, AGAIN, settled(3, 12)], [OPENED, MITIGATED, ("1", "open", "reopened")]),
        ([UP, settled(1, 0)], [OPENED]),
        ([CALM], []),
        ([settled(3, 12)], []),
        ([a_change(2, "hard", "soft", 6)], [OPENED]),
        ([UP, UP], [OPENED]),
        ([UP, HIGHER, UP], [OPENED, ("1", "open", "joined")]),
        ([crossed(100)], [OPENED]),
        ([crossed(100), crossed(120, 300)], [OPENED, ("1", "open", "joined")]),
    ],
    ids=lambda row: ", ".join(_name(each) for each in row) or "nothing",
)
def test_leads_to(events: list[Event], lines: list[tuple[str, str, str | None]]) -> None:
    assert story(*events) == lines


def opened(*events: Event, rules: Rules = RULES) -> Incident:
    incident: Incident | None = None
    for event in events or (UP,):
        incident, _ = handle(incident, a_fact(event, rules), rules)
    assert incident is not None
    return incident


def test_keeps_the_highest_severity() -> None:
    worst = opened(UP, HIGHER, a_change(3, "emergency", "soft", 9), a_change(4, "soft", "hard", 10))

    assert (opened().severity, worst.severity) == ("error", "critical")


def test_opens_nothing_below_the_mode_that_the_policy_says() -> None:
    rules = Rules(open_at="hard")
    soft, hard = a_change(1, "normal", "soft"), a_change(2, "soft", "hard", 1)

    assert handle(None, a_fact(soft, rules), rules) == (None, ())
    assert story(soft, hard, a_change(3, "hard", "soft", 9), rules=rules) == [OPENED, NOTED]


def test_does_not_reopen_for_a_mode_below() -> None:
    rules = Rules(open_at="hard")
    hard, normal = a_change(1, "normal", "hard"), a_change(2, "hard", "normal", 5)
    soft = a_change(3, "normal", "soft", 10, episode="e2")

    assert story(hard, normal, soft, rules=rules) == [OPENED, MITIGATED, NOTED]


def test_counts_how_often_it_came_back() -> None:
    incident = opened(UP, HIGHER, CALM, AGAIN)

    assert (incident.cycles, incident.episodes) == (2, ("e1", "e2"))


def test_is_still_known_to_who_acknowledged_it_when_the_cause_comes_back() -> None:
    known, _ = acknowledge(opened(), By("ann@example.com", at(1)))
    mitigated, _ = handle(known, a_fact(CALM), RULES)
    assert mitigated is not None

    again, [entry] = handle(mitigated, a_fact(AGAIN), RULES)

    assert again is not None
    assert (again.status, again.acknowledged_by) == ("acknowledged", "ann@example.com")
    assert (again.mitigated_at, entry.kind) == (None, "mode_change")


def test_is_known_to_nobody_when_it_is_reopened_after_it_was_resolved() -> None:
    known, _ = acknowledge(opened(), By("ann@example.com", at(1)))
    known = replace(known, escalated=("a step",))
    resolved, _ = resolve(known, "restarted it", By("ann@example.com", at(5)))

    again, [entry] = handle(resolved, a_fact(HIGHER), RULES)

    assert again is not None
    assert entry.event is not None
    assert entry.event.type == "incident.reopened"
    assert (again.status, again.acknowledged_at, again.resolved_at) == ("open", None, None)
    assert (again.raised_at, again.opened_at, again.escalated) == (at(2), T0, ())


def test_stays_resolved_while_the_same_episode_gets_better() -> None:
    resolved, _ = resolve(opened(), "not ours", By("ann@example.com", at(1)))
    hour_later = a_change(2, "hard", "soft", 90)

    again, [entry] = handle(resolved, a_fact(hour_later), RULES)

    assert again is not None
    assert (again.status, entry.event) == ("resolved", None)


def test_is_one_incident_as_long_as_it_is_one_episode() -> None:
    resolved, _ = resolve(opened(), "not ours", By("ann@example.com", at(1)))

    again, _ = handle(resolved, a_fact(a_change(2, "hard", "emergency", 90)), RULES)

    assert again is not None
    assert (again.id, again.status) == (resolved.id, "open")


@pytest.mark.parametrize(("minutes", "joins"), [(15, True), (15.1, False)])
def test_joins_what_was_resolved_within_the_window(minutes: float, joins: bool) -> None:
    resolved, _ = resolve(opened(), "over", By("ann@example.com", at(10)))
    relapse = a_change(2, "normal", "soft", 10 + minutes, episode="e2")

    again, _ = handle(resolved, a_fact(relapse), RULES)

    assert again is not None
    assert (again.id == resolved.id) is joins


def test_is_resolved_at_the_moment_at_which_it_has_stayed_away_for_long() -> None:
    mitigated = opened(UP, CALM)

    early, nothing = ended(mitigated, at(12 + 30) - timedelta(seconds=1), RULES)
    resolved, [entry] = ended(mitigated, at(12 + 30), RULES)

    assert (early, list(nothing)) == (mitigated, [])
    assert (resolved.resolved_at, entry.at, resolved.resolved_by) == (at(42), at(42), None)


def test_ends_nothing_that_goes_on() -> None:
    assert ended(opened(), at(6000), RULES) == (opened(), ())


def test_says_what_happens_what_is_done_and_where_to_look() -> None:
    rules = Rules(procedures={"provider:*": "https://wiki.example/p", "*": "https://wiki.example"})
    incident, [entry] = handle(None, a_fact(UP, rules), rules)

    assert incident is not None
    assert entry.event is not None
    told = entry.event
    assert told.title == "Brownout of provider:openai"
    assert told.told == (
        "provider:openai goes from normal to hard, because datadog says hard (monitor 17)."
    )
    assert told.done == "Calls of provider:openai are answered as the policy says for hard."
    assert (told.link, told.procedure) == ("https://dd.example/17", "https://wiki.example/p")
    assert (told.severity, told.status, told.opened_at) == ("error", "open", T0)
    assert entry.details["signals"][0]["monitor"] == "17"


def test_says_that_nothing_is_done_where_the_policy_only_records() -> None:
    incident, _ = handle(None, a_fact(a_change(1, "normal", "hard", enforced=False)), RULES)

    assert incident is not None
    assert incident.done == (
        "Nothing is changed: the policy in force only records what it would do."
    )


def test_gives_the_same_cause_the_same_id() -> None:
    first, again = opened(), opened()

    assert first.id == again.id
    assert first.id.startswith("2026-03-02-")
    assert opened(a_change(1, "normal", "hard", scope="global")).id != first.id
