"""What one alert leads to in many scopes is one incident, and is told as one."""

import asyncio
from collections.abc import Sequence

import pytest

from common.core.brownout_events import BrownoutModeChanged, SignalTold
from common.core.ports import Put
from common.incidents.actions import By, resolve
from common.incidents.facts import EscalationStep, Rules
from common.incidents.incidents import MOST_NAMED, MOST_PARTS, incident_ref
from common.incidents.messages import told_of
from tests.incidents.scenes import Desk, a_change, at, minutes_of, settled

SCOPES = ("agent:acme/bot", "global", *(f"model:m{number:03}" for number in range(199)))
FOLD = 60
"""Scopes that one fold moves."""


def moved(  # noqa: PLR0917 - the columns of a change
    scopes: Sequence[str],
    first: int = 1,
    before: str = "normal",
    after: str = "hard",
    minutes: float = 0,
    monitor: str = "17",
    source: str = "datadog",
) -> list[BrownoutModeChanged]:
    """Changes of these scopes in one moment, that an alert makes."""
    told = SignalTold(source=source, monitor=monitor, level=after, link=None)
    return [
        a_change(
            seq,
            before,
            after,
            minutes,
            scope=scope,
            episode=f"e {scope}",
            signals=() if after == "normal" else (told,),
        )
        for seq, scope in enumerate(scopes, first)
    ]


def all_at_once(scopes: Sequence[str] = SCOPES) -> list[BrownoutModeChanged]:
    folds = [scopes[start : start + FOLD] for start in range(0, len(scopes), FOLD)]
    return [
        change
        for number, fold in enumerate(folds)
        for change in moved(fold, 1 + number * FOLD, minutes=number / 60)
    ]


async def happen(desk: Desk, *changes: BrownoutModeChanged) -> None:
    """Have folds happen, each in one commit, and all changes of each be delivered then."""
    folds: dict[float, list[BrownoutModeChanged]] = {}
    for change in changes:
        folds.setdefault(minutes_of(change.event_time), []).append(change)
    for fold in folds.values():
        for change in fold:
            desk.write(change)
        await desk.take(*fold)


async def test_is_one_incident_of_two_hundred_scopes(desk: Desk) -> None:
    await happen(desk, *all_at_once())

    incident = await desk.incident()
    assert (incident.title, incident.scope) == ("Brownout of global and 200 more", "global")
    assert sorted(incident.scopes) == sorted(SCOPES)
    assert desk.bus.told == ["opened", "joined", "joined", "joined"]
    assert incident.entries == 4


async def test_names_twenty_of_them_and_counts_the_others(desk: Desk) -> None:
    await happen(desk, *moved(SCOPES[2:62]))

    [entry] = await desk.timeline()
    names = ", ".join(SCOPES[2 : 2 + MOST_NAMED])
    because = "go from normal to hard, because datadog says hard (monitor 17)."
    assert entry.told == f"{names} and 40 more {because}"
    assert entry.details["scopes"] == list(SCOPES[2:62])
    [event] = desk.bus.incidents
    told = told_of(event, None)
    assert told is not None
    assert told.affected == f"Calls of {names} and 40 more"
    assert told.doing == f"{told.affected} are answered as the policy says for hard."
    assert told.scopes == SCOPES[2:62]


async def test_takes_what_many_processes_are_told_at_once_as_one(desk: Desk) -> None:
    changes = all_at_once()[:61]
    for change in changes:
        desk.write(change)
    desk.clock.minutes = 2

    await asyncio.gather(*(desk.process().take(change) for change in changes[::-6]))

    assert (await desk.incident()).entries == 2
    assert len({event.id for event in desk.bus.incidents}) == 2


async def test_is_mitigated_when_the_cause_is_gone_of_all(desk: Desk) -> None:
    a, b = SCOPES[:2]
    await happen(desk, *moved([a, b]))
    await desk.take(*moved([a], 3, "hard", "normal", 10))
    before = (await desk.incident()).status

    await desk.take(*moved([b], 4, "hard", "normal", 12))

    assert (before, (await desk.incident()).status) == ("open", "mitigated")
    await desk.take(settled(3, 10, f"e {a}", a))
    assert (await desk.incident()).status == "mitigated"
    await desk.take(settled(4, 12, f"e {b}", b))
    assert (await desk.incident()).status == "resolved"
    assert desk.bus.told == ["opened", "mitigated", "resolved"]
    *_, last = await desk.timeline()
    assert last.told == "global and agent:acme/bot have stayed normal since 12:12 UTC."


async def test_is_open_again_when_it_comes_back_for_one(desk: Desk) -> None:
    a, b = SCOPES[:2]
    await happen(desk, *moved([a, b]), *moved([a, b], 3, "hard", "normal", 10))

    await desk.take(*moved([b], 5, minutes=20))

    assert desk.bus.told == ["opened", "mitigated", "reopened"]
    assert [part.calm for part in (await desk.incident()).parts] == [False, True]


async def test_is_escalated_once(desk: Desk) -> None:
    desk.rules = Rules(escalation=(EscalationStep(at(0) - at(0), ("ops",)),))

    await happen(desk, *all_at_once())

    assert desk.bus.told.count("escalated") == 1


@pytest.mark.parametrize(
    ("first", "second", "minutes", "number"),
    [
        ("model:a", "model:b", 15, 1),
        ("model:a", "model:b", 16, 2),
        ("global", "model:b", 600, 1),
        ("org:acme", "team:acme/x", 600, 1),
        ("org:acme", "agent:acme/x", 600, 1),
        ("org:acme", "team:acme2/x", 600, 2),
        ("team:acme/x", "global", 600, 2),
    ],
)
async def test_is_another_incident_later_unless_it_is_of_a_scope_around(
    desk: Desk, first: str, second: str, minutes: int, number: int
) -> None:
    desk.rules = Rules()
    await desk.take(*moved([first]), *moved([second], 2, minutes=minutes))

    assert len(await desk.incidents()) == number


@pytest.mark.parametrize(
    ("source", "monitor", "number"), [("datadog", "18", 2), ("monitoring", "17", 2)]
)
async def test_is_another_incident_of_another_alert(
    desk: Desk, source: str, monitor: str, number: int
) -> None:
    other = moved(["model:b"], 2, monitor=monitor, source=source)

    await desk.take(*moved(["model:a"]), *other)

    assert len(await desk.incidents()) == number


async def test_keeps_apart_what_the_own_counters_say_of_two_scopes(desk: Desk) -> None:
    await desk.take(*moved(["model:a", "model:b"], monitor="errors", source="rollup"))

    assert len(await desk.incidents()) == 2


async def test_keeps_apart_what_people_pin_at_once(desk: Desk) -> None:
    pins = [
        a_change(seq, "normal", "hard", scope=scope, episode=scope, cause="override", signals=())
        for seq, scope in enumerate(("model:a", "model:b"), 1)
    ]

    await desk.take(*pins)

    assert len(await desk.incidents()) == 2


async def test_does_not_join_what_somebody_has_closed_long_ago(desk: Desk) -> None:
    await desk.take(*moved(["global"]))
    closed, _ = resolve(await desk.incident(), "over", By("ann@example.com", at(1)))
    [found] = await desk.documents.get_many([incident_ref(closed.id)])
    assert found is not None
    await desk.documents.commit([Put(found.ref, closed.to_data(), if_version=found.version)])

    await desk.take(*moved(["model:b"], 2, minutes=17))

    assert len(await desk.incidents()) == 2


async def test_opens_another_one_when_it_holds_as_many_as_it_can(desk: Desk) -> None:
    scopes = [f"model:m{number:03}" for number in range(MOST_PARTS + FOLD)]

    await happen(desk, *all_at_once(scopes))

    incidents = await desk.incidents()
    assert sorted(len(each.scopes) for each in incidents) == [10, 300]


async def test_reads_what_was_stored_before_incidents_had_parts(desk: Desk) -> None:
    await desk.take(*moved(["model:a"]))
    known = await desk.incident()
    [found] = await desk.documents.get_many([incident_ref(known.id)])
    assert found is not None
    old = {name: value for name, value in found.data.items() if name != "parts"}
    await desk.documents.commit([Put(found.ref, old, if_version=found.version)])

    assert await desk.incident() == known
    await desk.take(*moved(["model:a"], 2, "hard", "normal", 5))
    assert (await desk.incident()).status == "mitigated"
