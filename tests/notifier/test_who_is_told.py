"""A channel gets what it asks for, when it asks for it, and no more than it takes."""

from dataclasses import replace
from typing import Any

import pytest

from common.core.errors import InvalidInput
from common.core.notification_events import NotificationTest
from common.core.ports import Document
from common.gateway.channel_changes import get_channel
from common.incidents.channels import Channel, QuietHours, channel_ref, check_channel
from tests.gateway.making import START
from tests.notifier.conftest import HOOK, PAGER, SLACK, TEAMS, Scene, an_incident

HOST = "ops.example.com"


async def count(scene: Scene, channel: Channel, *events: Any) -> int:
    await scene.add(channel)
    for event in events:
        await scene.notifier().take(event)
    return len(scene.receivers.posted)


@pytest.mark.parametrize(
    ("wish", "number"),
    [
        ({}, 1),
        ({"types": ("incident.opened",)}, 1),
        ({"types": ("incident.",)}, 1),
        ({"types": ("budget.", "incident.resolved")}, 0),
        ({"min_severity": "error"}, 1),
        ({"min_severity": "critical"}, 0),
        ({"scopes": ("team:acme/search",)}, 1),
        ({"scopes": ("team:other/*", "team:acme/*")}, 1),
        ({"scopes": ("team:acme",)}, 0),
        ({"scopes": ("TEAM:ACME/*",)}, 0),
        ({"types": ("incident.",), "min_severity": "error", "scopes": ("org:*",)}, 0),
    ],
)
async def test_filters(scene: Scene, wish: dict[str, Any], number: int) -> None:
    assert await count(scene, replace(HOOK, **wish), an_incident()) == number


@pytest.mark.parametrize(
    ("scopes", "number"), [(("team:acme/*",), 1), (("global",), 1), (("team:other/*",), 0)]
)
async def test_wants_what_is_about_one_of_its_scopes_among_others(
    scene: Scene, scopes: tuple[str, ...], number: int
) -> None:
    event = an_incident(scope="global", scopes=("global", "team:acme/search", "model:m"))

    assert await count(scene, replace(HOOK, scopes=scopes), event) == number


async def test_an_escalation_goes_to_the_channels_that_it_names(scene: Scene) -> None:
    await scene.add(HOOK, replace(SLACK, min_severity="critical"), TEAMS)

    await scene.notifier().take(an_incident("incident.escalated", to=("slack", "gone")))

    assert scene.receivers.hosts() == ["hooks.slack.com"]


async def test_a_test_goes_to_its_channel_whatever_that_filters(scene: Scene) -> None:
    silent = replace(
        HOOK, types=("x.y",), min_severity="critical", quiet=QuietHours("00:00", "23:59", "UTC"),
        per_hour=1,
    )  # fmt: skip
    await scene.add(silent, SLACK)

    for number in range(3):
        event = NotificationTest(
            id=f"t{number}", event_time=START, channel="hook", actor="ada@example.com"
        )
        await scene.notifier().take(event)

    assert scene.receivers.hosts() == [HOST] * 3
    [first, *_] = scene.receivers.bodies(HOST)
    assert first["what"] == ["ada@example.com asked for it. Messages arrive here."]


@pytest.mark.parametrize(
    ("quiet", "severity", "number"),
    [
        # It is 12:00 UTC, 13:00 in Berlin.
        (QuietHours("12:00", "13:00", "UTC"), "error", 0),
        (QuietHours("11:00", "12:00", "UTC"), "error", 1),
        (QuietHours("12:30", "13:30", "Europe/Berlin"), "error", 0),
        (QuietHours("11:30", "12:30", "Europe/Berlin"), "error", 1),
        (QuietHours("22:00", "07:00", "UTC"), "error", 1),
        (QuietHours("22:00", "12:01", "UTC"), "error", 0),
        (QuietHours("11:59", "07:00", "UTC"), "error", 0),
        (QuietHours("12:00", "13:00", "UTC"), "critical", 1),
    ],
)
async def test_is_quiet_in_quiet_hours_except_for_what_is_critical(
    scene: Scene, quiet: QuietHours, severity: str, number: int
) -> None:
    channel = replace(HOOK, quiet=quiet)

    assert await count(scene, channel, an_incident(severity=severity)) == number


async def test_does_not_tell_later_what_fell_into_quiet_hours(scene: Scene) -> None:
    channel = replace(HOOK, quiet=QuietHours("12:00", "13:00", "UTC"))
    assert await count(scene, channel, an_incident()) == 0

    scene.clock.advance(3_600)
    assert await count(scene, channel, an_incident()) == 0
    assert (await scene.notices())["hook"]["status"] == "quiet"


async def test_takes_no_more_in_an_hour_than_it_says_and_counts_the_rest(scene: Scene) -> None:
    channel = replace(HOOK, per_hour=2)
    events = [an_incident(id=f"e{number}") for number in range(5)]
    assert await count(scene, channel, *events, *events) == 2

    critical = an_incident(id="c", severity="critical")
    await scene.notifier().take(critical)
    scene.clock.advance(3_600)
    await scene.notifier().take(an_incident(id="later"))

    notes = [each["note"] for each in scene.receivers.bodies(HOST)]
    told = "3 before this were left out: there were more than 2 in an hour."
    assert notes == ["", "", told, ""]


async def test_shows_how_its_last_message_went(scene: Scene) -> None:
    await count(scene, HOOK, an_incident())

    _, state = await get_channel(scene.documents, "hook")
    assert state.last is not None
    assert (state.last.type, state.last.status, state.last.at) == (
        "incident.opened",
        "sent",
        START,
    )


@pytest.mark.parametrize(
    ("channel", "field"),
    [
        (replace(HOOK, name="Hook"), "name"),
        (replace(HOOK, secret="FINGERPRINT_KEY"), "secret"),
        (replace(HOOK, secret="CHANNEL_"), "secret"),
        (replace(HOOK, secret="xCHANNEL_A"), "secret"),
        (replace(HOOK, url=None), "url"),
        (replace(SLACK, url="https://hooks.slack.com/x"), "url"),
        (replace(TEAMS, url="https://prod.example.com/x"), "url"),
        (replace(PAGER, url="https://elsewhere.example.com"), "url"),
        (replace(HOOK, types=("incident",)), "types"),
        (replace(HOOK, types=("incident.",) * 51), "types"),
        (replace(HOOK, scopes=("",)), "scopes"),
        (replace(HOOK, scopes=("a\n",)), "scopes"),
        (replace(HOOK, quiet=QuietHours("24:00", "07:00", "UTC")), "quiet"),
        (replace(HOOK, quiet=QuietHours("07:00", "07:00", "UTC")), "quiet"),
        (replace(HOOK, quiet=QuietHours("22:00", "07:00", "Europe/Nowhere")), "quiet"),
        (replace(HOOK, quiet=QuietHours("22:00", "07:00", "../../etc/passwd")), "quiet"),
        (replace(HOOK, per_hour=0), "per_hour"),
        (replace(HOOK, per_hour=1_001), "per_hour"),
    ],
)
def test_refuses_a_channel_that_must_not_be_used(channel: Channel, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_channel(channel)

    assert caught.value.field == field


@pytest.mark.parametrize("channel", [SLACK, TEAMS, PAGER, HOOK], ids=lambda each: each.kind)
def test_takes_a_channel_of_each_kind(channel: Channel) -> None:
    check_channel(replace(channel, quiet=QuietHours("22:00", "07:00", "Europe/Berlin")))


def test_is_read_as_it_was_written() -> None:
    channel = replace(
        HOOK, types=("incident.",), scopes=("team:*",), per_hour=5, min_severity="error",
        quiet=QuietHours("22:00", "07:00", "UTC"),
    )  # fmt: skip
    document = Document(channel_ref("hook"), channel.to_data(), "1")

    assert Channel.from_document(document) == channel
