"""A channel that takes nothing rests, and the others are told that once, not of each message."""

import asyncio
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from common.core.errors import PublishFailed, StoreUnavailable
from common.core.notification_events import NotificationFailed, NotificationTest
from common.gateway.upstream import UpstreamUnreachable
from common.incidents.channels import Channel
from common.incidents.notices import HELD, LONGEST_REST, MOST_ATTEMPTS
from tests.gateway.making import START
from tests.notifier.conftest import HOOK, PAGER, SLACK, TEAMS, Reply, Scene, an_incident

HOST = "hooks.slack.com"
HOOK_HOST = "ops.example.com"
UNSET = Channel("unset", "slack", "CHANNEL_UNSET")
INSIDE = Channel("inside", "slack", "CHANNEL_INSIDE")
REST_S = 600


async def deliver(scene: Scene, event: Any, times: int = 1) -> None:
    """Deliver an event as Pub/Sub does."""
    for _ in range(times):
        try:
            await scene.notifier().take(event)
        except (StoreUnavailable, PublishFailed):
            continue


def incidents(number: int) -> list[Any]:
    return [an_incident(id=f"event-{each}", incident_id=f"i-{each}") for each in range(number)]


def a_test(number: int, channel: str = "slack") -> NotificationTest:
    return NotificationTest(
        id=f"t{number}", event_time=START, channel=channel, actor="ada@example.com"
    )


def failures(scene: Scene) -> list[NotificationFailed]:
    return [each for each in scene.bus.published if isinstance(each, NotificationFailed)]


async def test_tells_the_others_once_of_each_however_much_happens(scene: Scene) -> None:
    await scene.add(HOOK, SLACK, TEAMS, PAGER, UNSET, INSIDE)
    scene.secrets["CHANNEL_INSIDE"] = "https://10.0.0.1/x"
    for host, status in ((HOST, 404), ("prod-1.example.com", 401), ("events.pagerduty.com", 403)):
        scene.receivers.replies[host] = [Reply(status)] * 100

    for event in incidents(30):
        await deliver(scene, event)
    for event in list(scene.bus.published):
        await deliver(scene, event)

    broken = ["inside", "pager", "slack", "teams", "unset"]
    assert sorted(each.channel for each in failures(scene)) == broken
    hosts = scene.receivers.hosts()
    assert {host: hosts.count(host) for host in hosts} == {
        HOOK_HOST: 30 + 5,
        HOST: 1,
        "prod-1.example.com": 1,
        "events.pagerduty.com": 1,
    }
    told = [each["title"] for each in scene.receivers.bodies(HOOK_HOST)[-5:]]
    assert sorted(told) == [f"Channel {name} is broken" for name in broken]


async def test_tells_it_once_of_messages_that_fail_at_once(scene: Scene) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[HOST] = [Reply(404)] * 20
    released = scene.receivers.slow = asyncio.Event()

    deliveries = [asyncio.create_task(deliver(scene, event)) for event in incidents(10)]
    await scene.receivers.reached(10)
    released.set()
    await asyncio.gather(*deliveries)

    assert len(failures(scene)) == 1


async def test_rests_twice_as_long_each_time_up_to_an_hour(scene: Scene) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[HOST] = [Reply(410)] * 20
    rests = []
    for event in incidents(5):
        await deliver(scene, event)
        failed = failures(scene)[-1]
        assert failed.rests_until is not None
        rests.append((failed.rests_until - failed.event_time).total_seconds() / 60)
        scene.clock.advance((failed.rests_until - scene.clock.now()).total_seconds())

    assert rests == [10, 20, 40, 60, 60]
    assert timedelta(hours=1) == LONGEST_REST
    assert len(scene.receivers.posted) == 5


async def test_begins_with_a_short_rest_again_after_a_success(scene: Scene) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[HOST] = [Reply(404), Reply(200), Reply(404)]

    for event in incidents(3):
        await deliver(scene, event)
        scene.clock.advance(REST_S)

    first, second = failures(scene)
    assert first.rests_until is not None
    assert second.rests_until is not None
    assert second.rests_until - second.event_time == first.rests_until - first.event_time
    assert first.id != second.id


async def test_ends_the_rest_with_a_test_that_arrives(scene: Scene) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[HOST] = [Reply(404), Reply(404), Reply(200)]
    first, second, third = incidents(3)

    for event in (first, a_test(1), second, a_test(2), third):
        await deliver(scene, event)

    bodies = [each["text"] for each in scene.receivers.bodies(HOST)]
    assert len(bodies) == 4
    assert ["A test of channel" in text for text in bodies] == [False, True, True, False]
    assert len(failures(scene)) == 1


async def test_says_nothing_to_others_of_a_test_that_fails(scene: Scene) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[HOST] = [Reply(404)]

    await deliver(scene, a_test(1))
    await deliver(scene, an_incident())

    assert failures(scene) == []
    assert len(scene.receivers.posted) == 2


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_rests_for_what_may_be_one_message_only_when_the_next_fails_too(
    scene: Scene, status: int
) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[HOST] = [Reply(status), Reply(200), *[Reply(status)] * 9]

    posted = []
    for event in incidents(5):
        await deliver(scene, event, times=2)
        posted.append(len(scene.receivers.posted))

    assert posted == [1, 2, 3, 4, 4]


async def test_gives_up_what_waits_when_its_channel_begins_to_rest(scene: Scene) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[HOST] = [Reply(503), Reply(404)]
    waiting, final = incidents(2)

    await deliver(scene, waiting)
    await deliver(scene, final)
    await scene.notifier().take(waiting)

    assert len(scene.receivers.posted) == 2
    assert len(failures(scene)) == 1


async def test_tells_once_for_a_while_what_was_given_up_after_many_attempts(scene: Scene) -> None:
    await scene.add(SLACK)
    down = UpstreamUnreachable("ClientConnectorError")
    scene.receivers.replies[HOST] = [down] * 100

    for event in incidents(4):
        await deliver(scene, event, times=MOST_ATTEMPTS)

    [failed] = failures(scene)
    assert failed.rests_until is None
    assert len(scene.receivers.posted) == 4 * MOST_ATTEMPTS


async def test_tells_it_later_if_it_could_not_be_told(scene: Scene) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[HOST] = [Reply(404)] * 9
    numbers = count()
    scene.bus.down = True
    await deliver(scene, an_incident())
    scene.bus.down = False
    scene.clock.advance(HELD.total_seconds() + 1)

    for _ in range(3):
        await deliver(scene, an_incident(id=f"later-{next(numbers)}"))

    assert len(failures(scene)) == 1
    assert len(scene.receivers.posted) == 2
