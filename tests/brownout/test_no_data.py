"""A monitor that sees no data is told, and that it sees again; nothing else changes by it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.brownout.modes import Mode
from common.brownout.policy import Meaning
from common.core.brownout_events import BrownoutBlind, BrownoutSighted
from common.incidents.facts import Rules, fact_of
from tests.brownout.scenes import at
from tests.brownout.webhook_scenes import Webhook, a_webhook, the_rules


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Webhook]:
    async with a_webhook(tmp_path) as webhook:
        yield webhook


def the_fact(webhook: Webhook) -> BrownoutBlind:
    [fact] = webhook.bus.published
    assert isinstance(fact, BrownoutBlind)
    return fact


async def test_says_which_monitor_sees_nothing_since_when(webhook: Webhook) -> None:
    webhook.clock.time = at(30)

    answer = await webhook.told(transition="No Data")

    fact = the_fact(webhook)
    assert answer["status"] == "ignored"
    assert (fact.source, fact.cause, fact.monitor) == ("datadog", "no_data", "1234567")
    assert (fact.since, fact.event_time) == (at(0), at(0))
    assert fact.group == "env:prod,service:chat"
    assert fact.link == "https://app.datadoghq.com/event/event?id=7211111111111111111"


async def test_says_so_of_a_monitor_that_the_policy_names(webhook: Webhook) -> None:
    webhook.rules = the_rules(m1234567=Meaning(Mode.SOFT, None))

    await webhook.told(transition="No Data", tags="")

    assert the_fact(webhook).monitor == "1234567"


async def test_says_nothing_of_a_monitor_that_asks_for_no_mode(webhook: Webhook) -> None:
    await webhook.told(transition="No Data", tags="monitor,service:chat")

    assert webhook.bus.published == []


@pytest.mark.parametrize(
    "transition", ["Triggered", "Re-Triggered", "Warn", "Re-Warn", "Renotify", "Recovered"]
)
async def test_says_of_every_other_word_that_its_monitor_sees_something(
    webhook: Webhook, transition: str
) -> None:
    await webhook.told(transition=transition)
    await webhook.told(transition=transition)

    first, again = webhook.bus.published
    assert isinstance(first, BrownoutSighted)
    assert (first.source, first.monitor, first.group) == (
        "datadog",
        "1234567",
        "env:prod,service:chat",
    )
    assert (first.since, first.event_time, again.id) == (None, at(0), first.id)


async def test_leads_to_an_incident_that_ends_with_the_next_word(
    webhook: Webhook,
) -> None:
    await webhook.told(transition="No Data", id="1")
    webhook.clock.time = at(600)
    await webhook.told(transition="Recovered", id="2", updated="1772453400000")

    facts = [fact_of(event, Rules()) for event in webhook.bus.published]
    assert [(fact.key, fact.part, fact.effect) for fact in facts if fact is not None] == [
        ("blind:datadog:1234567", "env:prod,service:chat", "raise"),
        ("blind:datadog:1234567", "env:prod,service:chat", "calm"),
    ]
    assert facts[0] is not None
    assert facts[1] is not None
    assert facts[0].at < facts[1].at


async def ids_of(webhook: Webhook, *bodies: dict[str, str]) -> list[str]:
    for number, body in enumerate(bodies):
        await webhook.told(**{"transition": "No Data", "id": str(number), **body})
    return [event.id for event in webhook.bus.published]


async def test_is_one_fact_however_often_one_cycle_is_told(webhook: Webhook) -> None:
    first, again = await ids_of(webhook, {}, {"transition": "Re-No Data"})

    assert first == again


@pytest.mark.parametrize("other", [{"cycle": "2"}, {"monitor": "7"}, {"scope": "host:b"}])
async def test_is_another_fact_for_another_alert(webhook: Webhook, other: dict[str, str]) -> None:
    first, second = await ids_of(webhook, {}, other)

    assert first != second


async def test_asks_for_it_again_when_it_is_not_published(webhook: Webhook) -> None:
    webhook.bus.down = True

    response = await webhook.posts(transition="No Data")

    assert (response.status_code, response.json()["code"]) == (503, "publish_failed")
