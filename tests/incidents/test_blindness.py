"""An incident of a blind source is over when the source is heard again, in whatever order told."""

from itertools import permutations

import pytest

from common.brownout.blindness import blind, monitor_sighted
from common.core.brownout_events import BrownoutBlind, BrownoutSighted
from common.core.events import Event
from common.core.ports import Put, Query
from common.incidents.incidents import KEYS
from tests.incidents.scenes import Desk, a_change, at, blinded, crossed, heard

BLIND = blinded(5)
HEARD = heard(20, 0)


async def test_mitigates_it_and_then_resolves_it(desk: Desk) -> None:
    await desk.take(BLIND, HEARD)
    for minutes in (49, 50, 51):
        await desk.process().escalate(at(minutes))
    await desk.process().publish(at(51))

    incident = await desk.incident()
    assert (incident.key, incident.severity) == ("blind:datadog", "warning")
    assert desk.bus.told == ["opened", "mitigated", "resolved"]
    assert [event.event_time for event in desk.bus.incidents] == [at(5), at(20), at(50)]
    assert [entry.told for entry in await desk.timeline()][1:] == [
        "datadog tells how things stand again.",
        "It has stayed away since 12:20 UTC.",
    ]


async def test_says_each_thing_once_however_often_it_is_told(desk: Desk) -> None:
    await desk.take(BLIND, BLIND, HEARD, HEARD, BLIND, HEARD)

    assert desk.bus.told == ["opened", "mitigated"]
    assert (await desk.incident()).entries == 2


async def test_opens_nothing_for_what_is_over_when_it_is_told(desk: Desk) -> None:
    await desk.take(HEARD, BLIND)

    assert await desk.incidents() == []


@pytest.mark.parametrize("order", list(permutations((BLIND, HEARD, blinded(25)))))
async def test_leaves_open_what_is_blind_again(desk: Desk, order: tuple[Event, ...]) -> None:
    await desk.take(*order)

    assert (await desk.incident()).status == "open"


@pytest.mark.parametrize("order", list(permutations((BLIND, HEARD, blinded(25), heard(40, 20)))))
async def test_leaves_nothing_open_that_is_over(desk: Desk, order: tuple[Event, ...]) -> None:
    await desk.take(*order)

    assert {each.status for each in await desk.incidents()} <= {"mitigated"}


async def test_reopens_it_when_it_comes_back_soon(desk: Desk) -> None:
    await desk.take(BLIND, HEARD, blinded(25))

    assert desk.bus.told == ["opened", "mitigated", "reopened"]


async def test_says_nothing_of_a_source_that_nobody_missed(desk: Desk) -> None:
    await desk.take(HEARD)

    assert await desk.incidents() == []


async def test_leaves_brownouts_to_their_own_facts(desk: Desk) -> None:
    await desk.take(a_change(1, "normal", "hard"), a_change(2, "hard", "normal", 12))

    await desk.process().escalate(at(60))

    assert (await desk.incident()).status == "mitigated"


async def test_knows_of_what_was_kept_before_there_were_such_facts(desk: Desk) -> None:
    await desk.take(crossed(100))
    [known] = await desk.documents.query(Query(KEYS))
    old = {name: known.data[name] for name in ("key", "incident", "seq")}
    await desk.documents.commit([Put(known.ref, old)])

    await desk.take(crossed(110))

    assert desk.bus.told == ["opened", "joined"]


def no_data(minutes: float, group: str = "", monitor: str = "17") -> BrownoutBlind:
    return blind(
        "datadog",
        at(minutes),
        cause="no_data",
        found_at=at(minutes),
        episode=f"{group} {minutes}",
        monitor=monitor,
        group=group,
        link="https://dd.example/17",
    )


def word(minutes: float, group: str = "", monitor: str = "17") -> BrownoutSighted:
    event_id = f"{minutes}"
    return monitor_sighted("datadog", monitor, group, event_id=event_id, found_at=at(minutes))


async def test_names_the_monitor_that_sees_nothing_and_its_group(desk: Desk) -> None:
    await desk.take(no_data(5, "env:prod"), word(20, "env:prod"))

    incident = await desk.incident()
    assert (incident.key, incident.title, incident.link, incident.status) == (
        "blind:datadog:17",
        "Monitor 17 of datadog (env:prod) sees no data",
        "https://dd.example/17",
        "mitigated",
    )
    named = "Monitor 17 of datadog (env:prod)"
    assert [entry.told for entry in await desk.timeline()] == [
        f"{named} sees no data: what it said before counts on until its lease ends.",
        f"{named} tells how things stand again.",
    ]


async def test_keeps_a_monitor_apart_from_its_source(desk: Desk) -> None:
    await desk.take(no_data(4), BLIND, word(6))

    found = {each.key: each.status for each in await desk.incidents()}
    assert found == {"blind:datadog:17": "mitigated", "blind:datadog": "open"}


async def test_is_one_incident_of_all_groups_that_ends_with_the_last(desk: Desk) -> None:
    await desk.take(no_data(5, "env:a"), no_data(6, "env:b"), word(7, "env:a"))
    before = await desk.incident()
    await desk.take(word(8, "env:b"))

    assert (before.title, before.status) == (
        "Monitor 17 of datadog (env:a) sees no data and 1 more",
        "open",
    )
    assert (await desk.incident()).status == "mitigated"


async def test_is_not_ended_by_a_word_of_another_monitor_or_group(desk: Desk) -> None:
    await desk.take(no_data(5, "env:a"), word(7, "env:b"), word(8, "env:a", "18"))

    assert (await desk.incident()).status == "open"


@pytest.mark.parametrize("order", list(permutations((no_data(5), word(6)))))
async def test_leaves_no_monitor_blind_that_has_spoken_since(
    desk: Desk, order: tuple[Event, ...]
) -> None:
    await desk.take(*order)

    assert {each.status for each in await desk.incidents()} <= {"mitigated"}
