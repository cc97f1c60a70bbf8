"""Changes of modes that follow one another within 30 s are one message, and none is lost."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from common.core.brownout_events import BrownoutModeChanged
from common.core.errors import StoreUnavailable
from common.incidents.notices import HELD
from common.incidents.notifying import GATHERING
from tests.gateway.making import START
from tests.notifier.conftest import HOOK, SLACK, Reply, Scene, a_mode_change

HOST = "ops.example.com"


async def at_once(
    scene: Scene, *changes: BrownoutModeChanged, channels: int = 1
) -> list[BaseException | None]:
    """Deliver changes within the time in which they gather."""
    scene.awake.clear()
    deliveries = [asyncio.create_task(scene.notifier().take(each)) for each in changes]
    await scene.noted(len({each.id for each in changes}) * channels)
    scene.awake.set()
    return await asyncio.gather(*deliveries, return_exceptions=True)


AFTER_S = GATHERING.total_seconds() + 1


async def test_tells_changes_at_once_in_one_message(scene: Scene) -> None:
    await scene.add(HOOK)

    await at_once(scene, *(a_mode_change(seq) for seq in (1, 2, 3)))

    [told] = scene.receivers.bodies(HOST)
    assert told["title"].startswith("3 changes: ")
    assert {line.partition("UTC: ")[2] for line in told["what"]} == {
        f"team:acme/t{seq} went from normal to soft" for seq in (1, 2, 3)
    }


async def test_tells_the_worst_of_them(scene: Scene) -> None:
    await scene.add(HOOK)
    later = START + timedelta(seconds=20)
    changes = [
        a_mode_change(1, after="emergency"),
        a_mode_change(2, before="hard", after="soft", event_time=later),
    ]

    await at_once(scene, *changes)

    [told] = scene.receivers.bodies(HOST)
    assert (told["severity"], told["title"]) == (
        "critical",
        "2 changes: team:acme/t2 went from hard to soft",
    )
    assert told["what"][0].startswith("2026-11-20 12:00:00 UTC: team:acme/t1")


async def test_tells_a_change_after_that_by_itself(scene: Scene) -> None:
    await scene.add(HOOK)

    await scene.notifier().take(a_mode_change(1))
    scene.clock.advance(AFTER_S)
    await scene.notifier().take(a_mode_change(2))

    titles = [each["title"] for each in scene.receivers.bodies(HOST)]
    assert titles == [f"team:acme/t{seq} went from normal to soft" for seq in (1, 2)]


async def test_tells_them_once_whatever_is_delivered_again(scene: Scene) -> None:
    await scene.add(HOOK, SLACK)
    changes = [a_mode_change(seq) for seq in (1, 2, 3)]

    await at_once(scene, *changes * 3, channels=2)
    scene.clock.advance(HELD.total_seconds() + AFTER_S)
    for each in changes * 2:
        await scene.notifier().take(each)

    assert scene.receivers.hosts() == ["hooks.slack.com", HOST]


async def test_takes_up_what_a_process_that_died_had_gathered(scene: Scene) -> None:
    await scene.add(HOOK)
    scene.awake.clear()
    leading = asyncio.create_task(scene.notifier().take(a_mode_change(1)))
    await scene.noted(1)
    await scene.notifier().take(a_mode_change(2))
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    assert scene.receivers.posted == []

    scene.awake.set()
    scene.clock.advance(AFTER_S)
    await scene.notifier().take(a_mode_change(1))

    [told] = scene.receivers.bodies(HOST)
    assert len(told["what"]) == 2
    assert told["maybe_repeated"] is False


async def test_does_not_wait_for_a_process_that_died_with_what_it_gathered(scene: Scene) -> None:
    await scene.add(HOOK)
    scene.awake.clear()
    leading = asyncio.create_task(scene.notifier().take(a_mode_change(1)))
    await scene.noted(1)
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    scene.awake.set()
    scene.clock.advance(AFTER_S)

    await scene.notifier().take(a_mode_change(2))

    [told] = scene.receivers.bodies(HOST)
    assert told["title"] == "team:acme/t2 went from normal to soft"


async def test_tells_all_of_them_again_if_the_receiver_did_not_take_them(scene: Scene) -> None:
    await scene.add(HOOK)
    scene.receivers.replies[HOST] = [Reply(429)]

    outcomes = await at_once(scene, a_mode_change(1), a_mode_change(2))
    for seq in (1, 2):
        await scene.notifier().take(a_mode_change(seq))

    assert [type(each) for each in outcomes].count(StoreUnavailable) == 1
    assert [each["title"][:9] for each in scene.receivers.bodies(HOST)] == ["2 changes"] * 2


async def test_gathers_for_each_channel_what_it_asks_for(scene: Scene) -> None:
    await scene.add(HOOK, replace(SLACK, scopes=("team:acme/t1",)))

    scene.awake.clear()
    deliveries = [asyncio.create_task(scene.notifier().take(a_mode_change(seq))) for seq in (1, 2)]
    await scene.noted(3)
    scene.awake.set()
    await asyncio.gather(*deliveries)

    [slack] = scene.receivers.bodies("hooks.slack.com")
    assert "team:acme/t1 went from normal to soft" in slack["text"]
    assert [len(each["what"]) for each in scene.receivers.bodies(HOST)] == [2]


async def test_says_nothing_of_changes_that_an_incident_tells(scene: Scene) -> None:
    await scene.add(HOOK)
    scene.incident_modes = frozenset({"hard"})

    await scene.notifier().take(a_mode_change(1, after="hard"))
    await scene.notifier().take(a_mode_change(2, after="soft"))

    assert [each["title"] for each in scene.receivers.bodies(HOST)] == [
        "team:acme/t2 went from normal to soft"
    ]


@pytest.mark.parametrize("after", ["normal", "soft", "hard", "emergency"])
async def test_keeps_every_part_of_a_change_that_it_gathers(scene: Scene, after: str) -> None:
    await scene.add(SLACK)
    link = "https://app.datadoghq.com/monitors/7"
    signal = a_mode_change().signals[0].model_copy(update={"link": link})

    await scene.notifier().take(a_mode_change(after=after, signals=(signal,), enforced=False))

    [body] = scene.receivers.bodies("hooks.slack.com")
    text = str(body)
    assert link in text
    assert "Nothing: what would be done is only recorded." in text
    assert "datadog says soft: 7" in text
