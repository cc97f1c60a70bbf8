"""Each event reaches each channel once, whatever is repeated, refused or lost on the way."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from common.core.errors import PublishFailed, StoreUnavailable
from common.core.notification_events import NotificationFailed
from common.core.ports import Unknown
from common.gateway.upstream import UpstreamDisconnected, UpstreamError, UpstreamUnreachable
from common.incidents.notices import HELD, MOST_ATTEMPTS, TRIED_FOR
from tests.notifier.conftest import (
    FOUR,
    HOOK,
    PAGER,
    SLACK,
    TEAMS,
    Reply,
    Scene,
    an_exhausted_budget,
    an_incident,
)

HOSTS = ["events.pagerduty.com", "hooks.slack.com", "ops.example.com", "prod-1.example.com"]
SLACK_HOST = "hooks.slack.com"


async def delivered(scene: Scene, event: Any, times: int = 1) -> int:
    """Deliver an event as Pub/Sub does, and answer how often that failed."""
    failures = 0
    for _ in range(times):
        try:
            await scene.notifier().take(event)
        except (StoreUnavailable, PublishFailed):
            failures += 1
    return failures


async def test_tells_each_kind_of_channel_once_of_three_deliveries(scene: Scene) -> None:
    await scene.add(*FOUR)

    assert await delivered(scene, an_incident(), times=3) == 0

    assert scene.receivers.hosts() == HOSTS
    assert {each["status"] for each in (await scene.notices()).values()} == {"sent"}


async def test_tells_each_kind_of_channel_once_of_deliveries_at_once(scene: Scene) -> None:
    await scene.add(*FOUR)

    outcomes = await asyncio.gather(
        *(scene.notifier().take(an_incident()) for _ in range(3)), return_exceptions=True
    )
    scene.clock.advance(HELD.total_seconds() + 1)
    await scene.notifier().take(an_incident())

    assert scene.receivers.hosts() == HOSTS
    assert {type(each) for each in outcomes} <= {type(None), StoreUnavailable}


async def test_tells_a_channel_that_failed_again_and_no_other(scene: Scene) -> None:
    await scene.add(*FOUR)
    scene.receivers.replies[SLACK_HOST] = [Reply(503)]

    assert await delivered(scene, an_incident(), times=3) == 1

    assert scene.receivers.hosts() == sorted([*HOSTS, SLACK_HOST])


async def test_waits_as_long_as_a_receiver_asks_for(scene: Scene) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[SLACK_HOST] = [Reply(429, [(b"Retry-After", b"120")])]

    assert await delivered(scene, an_incident(), times=3) == 3
    scene.clock.advance(119)
    assert await delivered(scene, an_incident()) == 1
    assert len(scene.receivers.posted) == 1
    scene.clock.advance(2)
    assert await delivered(scene, an_incident()) == 0

    assert len(scene.receivers.posted) == 2
    [notice] = (await scene.notices()).values()
    assert (notice["status"], notice["maybe_repeated"]) == ("sent", False)


@pytest.mark.parametrize(
    ("reply", "repeated"),
    [
        (UpstreamUnreachable("ClientConnectorError"), False),
        (UpstreamDisconnected("ServerDisconnectedError"), True),
        (Reply(502), True),
    ],
)
async def test_says_that_it_may_repeat_itself_only_where_something_may_have_arrived(
    scene: Scene, reply: Reply | UpstreamError, repeated: bool
) -> None:
    await scene.add(HOOK)
    scene.receivers.replies["ops.example.com"] = [reply]

    await delivered(scene, an_incident(), times=2)

    told = scene.receivers.bodies("ops.example.com")
    assert [each["maybe_repeated"] for each in told] == [False, repeated]


async def test_says_that_it_may_repeat_itself_after_a_crash_between_sending_and_recording(
    scene: Scene,
) -> None:
    await scene.add(HOOK)

    def crash(_request: object) -> None:
        scene.receivers.on_post = None
        raise asyncio.CancelledError

    scene.receivers.on_post = crash
    with pytest.raises(asyncio.CancelledError):
        await scene.notifier().take(an_incident())

    assert await delivered(scene, an_incident()) == 1
    scene.clock.advance(HELD.total_seconds() + 1)
    assert await delivered(scene, an_incident(), times=2) == 0
    told = scene.receivers.bodies("ops.example.com")
    assert [each["maybe_repeated"] for each in told] == [False, True]
    [notice] = (await scene.notices()).values()
    assert notice["maybe_repeated"] is True


async def test_does_not_forget_that_somebody_else_took_over_and_was_done(scene: Scene) -> None:
    await scene.add(HOOK)
    released = asyncio.Event()
    scene.receivers.slow = released
    slow = asyncio.create_task(scene.notifier().take(an_incident()))
    await scene.receivers.reached(1)
    scene.receivers.replies["ops.example.com"] = [Reply(200), Reply(503)]
    scene.receivers.slow = None
    scene.clock.advance(HELD.total_seconds() + 1)
    await scene.notifier().take(an_incident())

    released.set()
    await asyncio.gather(slow, return_exceptions=True)

    [notice] = (await scene.notices()).values()
    assert (notice["status"], len(scene.receivers.posted)) == ("sent", 2)
    assert await delivered(scene, an_incident()) == 0
    assert len(scene.receivers.posted) == 2


async def test_sends_nothing_that_it_could_not_note_before(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.add(HOOK)

    async def down(_writes: object) -> Unknown:
        return Unknown("down")

    monkeypatch.setattr(scene.documents, "commit", down)
    monkeypatch.setattr("common.core.transactions.LONGEST_PAUSE_S", 0.0)

    assert await delivered(scene, an_incident()) == 1
    assert scene.receivers.posted == []


async def test_gives_up_after_its_last_attempt_and_says_so_once(scene: Scene) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[SLACK_HOST] = [Reply(500, body=b"<p>no</p>")] * 20

    failures = await delivered(scene, an_incident(), times=MOST_ATTEMPTS + 3)

    assert failures == MOST_ATTEMPTS - 1
    assert len(scene.receivers.posted) == MOST_ATTEMPTS
    [failed] = scene.bus.published
    assert isinstance(failed, NotificationFailed)
    assert (failed.channel, failed.of_event, failed.of_type, failed.attempts) == (
        "slack",
        "event-1",
        "incident.opened",
        MOST_ATTEMPTS,
    )
    assert failed.reason == "It answered 500."


async def test_gives_up_when_it_has_tried_for_long_even_if_it_is_asked_to_wait(
    scene: Scene,
) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[SLACK_HOST] = [Reply(429, [(b"retry-after", b"9999999")])] * 9

    assert await delivered(scene, an_incident()) == 1
    scene.clock.advance(TRIED_FOR.total_seconds())
    assert await delivered(scene, an_incident(), times=2) == 0

    assert len(scene.receivers.posted) == 2
    assert [each.type for each in scene.bus.published] == ["notification.failed"]


@pytest.mark.parametrize("status", [301, 400, 403, 404, 410])
async def test_gives_up_at_once_what_is_refused_for_good(scene: Scene, status: int) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[SLACK_HOST] = [Reply(status, body=b"invalid_blocks")]

    assert await delivered(scene, an_incident(), times=2) == 0

    assert len(scene.receivers.posted) == 1
    [failed] = scene.bus.published
    assert isinstance(failed, NotificationFailed)
    assert failed.reason == f"It answered {status} invalid_blocks."


async def test_says_that_it_gave_up_before_it_forgets_it(scene: Scene) -> None:
    await scene.add(SLACK)
    scene.receivers.replies[SLACK_HOST] = [Reply(404)] * 2
    scene.bus.down = True
    assert await delivered(scene, an_incident()) == 1
    scene.bus.down = False
    scene.clock.advance(HELD.total_seconds() + 1)

    assert await delivered(scene, an_incident()) == 0
    assert [each.type for each in scene.bus.published] == ["notification.failed"]


async def test_tells_the_other_channels_of_one_that_failed(scene: Scene) -> None:
    await scene.add(*FOUR)
    scene.receivers.replies[SLACK_HOST] = [Reply(404)]
    await delivered(scene, an_incident())
    [failed] = scene.bus.published
    scene.receivers.posted.clear()

    await delivered(scene, failed, times=3)

    assert scene.receivers.hosts() == [host for host in HOSTS if host != SLACK_HOST]


async def test_ends_where_every_channel_fails(scene: Scene) -> None:
    await scene.add(SLACK, TEAMS)
    scene.receivers.replies = {
        host: [Reply(404)] * 10 for host in (SLACK_HOST, "prod-1.example.com")
    }
    await delivered(scene, an_incident())
    failures = list(scene.bus.published)

    for each in failures:
        await delivered(scene, each)

    assert len(failures) == 2
    assert scene.bus.published == failures
    assert len(scene.receivers.posted) == 2


async def test_gives_up_a_channel_whose_secret_is_not_set(scene: Scene) -> None:
    await scene.add(SLACK)
    del scene.secrets["CHANNEL_SLACK"]

    assert await delivered(scene, an_incident()) == 0

    [failed] = scene.bus.published
    assert isinstance(failed, NotificationFailed)
    assert failed.reason == "The variable CHANNEL_SLACK is not set."


async def test_passes_by_a_stored_channel_that_breaks_a_rule(scene: Scene) -> None:
    await scene.add(replace(SLACK, secret="FINGERPRINT_KEY"), HOOK)

    assert await delivered(scene, an_incident()) == 0

    assert scene.receivers.hosts() == ["ops.example.com"]


@pytest.mark.parametrize("url", ["http://1.1.1.1/x", "https://10.0.0.1/x", "https://localhost/x"])
async def test_judges_an_address_that_is_a_secret_when_it_sends(scene: Scene, url: str) -> None:
    await scene.add(SLACK)
    scene.secrets["CHANNEL_SLACK"] = url

    assert await delivered(scene, an_incident()) == 0

    assert scene.receivers.posted == []
    [failed] = scene.bus.published
    assert isinstance(failed, NotificationFailed)
    assert url not in failed.reason


async def test_keeps_what_it_knows_for_forty_days(scene: Scene) -> None:
    await scene.add(SLACK)
    await delivered(scene, an_exhausted_budget())

    [notice] = (await scene.notices()).values()
    assert (notice["delete_at"] - notice["created_at"]).days == 40


async def test_leaves_out_what_a_receiver_of_alerts_has_nothing_to_do_with(scene: Scene) -> None:
    await scene.add(PAGER, HOOK)

    assert await delivered(scene, an_incident("incident.mitigated"), times=2) == 0

    assert scene.receivers.hosts() == ["ops.example.com"]
    assert (await scene.notices())["pager"]["status"] == "left_out"
