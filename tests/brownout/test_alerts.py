"""What one alert tells over time: each word once, in the order of its times, until it is over."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from common.brownout.modes import Mode
from common.brownout.policy import Meaning
from common.brownout.signals import signal_ref
from common.core.ports import Put
from tests.brownout.incident_scenes import a_label
from tests.brownout.scenes import LEASE, T0, a_signal, at
from tests.brownout.test_monitoring_webhook import told as told_of_incident
from tests.brownout.webhook_scenes import Webhook, a_default_body, a_webhook, the_rules

SEARCH, ASSIST = "team:acme/search", "team:acme/assist"
RETAGGED = "monitor,brownout:hard,brownout_scope:team:assist"


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Webhook]:
    async with a_webhook(tmp_path) as webhook:
        yield webhook


async def told(webhook: Webhook, when: float = 0, **changed: Any) -> dict[str, Any]:
    """The answer to a word that is told at this second and arrives then."""
    webhook.clock.time = at(when)
    return await webhook.told(**{"at": at(when), "id": str(when), **changed})


async def live(webhook: Webhook) -> set[str]:
    """The scopes of the signals that go on."""
    now = webhook.clock.now()
    return {each.scope for each in await webhook.signals() if each.lease_until > now}


class TestOneId:
    @pytest.mark.parametrize(
        "other",
        [
            {"monitor": "7"},
            {"transition": "Warn"},
            {"scope": "service:other"},
            {"tags": RETAGGED},
        ],
    )
    async def test_counts_for_each_alert_that_shares_it(
        self, webhook: Webhook, other: dict[str, Any]
    ) -> None:
        answers = [await told(webhook), await told(webhook, **other)]

        assert [each["status"] for each in answers] == ["applied", "applied"]

    async def test_of_two_scopes_in_one_moment_moves_both(self, webhook: Webhook) -> None:
        await told(webhook)
        await told(webhook, tags=RETAGGED)

        assert await live(webhook) == {SEARCH, ASSIST}

    async def test_counts_once_whatever_the_order_of_tags(self, webhook: Webhook) -> None:
        first = await told(webhook, scope="a:1,b:2", tags="brownout:hard,team:x")

        again = await told(webhook, scope="b:2, a:1", tags="team:x, brownout:hard")

        assert again == {**first, "status": "duplicate"}


class TestTimes:
    @pytest.mark.parametrize("ahead_s", [1, 300, 599, 86_400])
    async def test_ends_what_was_dated_ahead(self, webhook: Webhook, ahead_s: float) -> None:
        await told(webhook, at=at(ahead_s))
        assert (await webhook.signal()).observed_at == T0

        answer = await told(webhook, 10, transition="Recovered")

        assert answer["status"] == "applied"
        assert await live(webhook) == set()

    async def test_keeps_what_is_newer_than_its_end(self, webhook: Webhook) -> None:
        await told(webhook, 100)
        webhook.clock.time = at(110)

        answer = await webhook.told(transition="Recovered", id="late", at=at(50))

        assert answer["status"] == "stale"
        assert await live(webhook) == {SEARCH}

    async def test_takes_no_word_of_before_the_end(self, webhook: Webhook) -> None:
        await told(webhook, 200, transition="Recovered")
        webhook.clock.time = at(210)

        answers = [
            await webhook.told(transition=word, id=word, at=at(100))
            for word in ("Triggered", "Renotify")
        ]

        assert [each["status"] for each in answers] == ["stale", "stale"]
        assert await webhook.signals() == []

    async def test_takes_a_word_of_after_the_end(self, webhook: Webhook) -> None:
        await told(webhook, 200, transition="Recovered")

        assert (await told(webhook, 201))["status"] == "applied"

    @pytest.mark.parametrize("rounds", range(5))
    async def test_is_over_in_whichever_order_two_words_arrive_at_once(
        self, webhook: Webhook, rounds: int
    ) -> None:
        words = [("Triggered", at(0)), ("Recovered", at(1))]
        webhook.clock.time = at(2)

        async def tell(word: str, when: datetime) -> None:
            await webhook.told(transition=word, id=word, at=when)

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            for word, when in words if rounds % 2 else words[::-1]:
                tasks.create_task(tell(word, when))

        assert await live(webhook) == set()


class TestEnds:
    @pytest.mark.parametrize(
        "tags", ["", "null", "monitor", "brownout:extreme", "brownout_scope:galaxy:x", RETAGGED]
    )
    async def test_ends_every_scope_whatever_it_is_tagged(
        self, webhook: Webhook, tags: str
    ) -> None:
        await told(webhook, tags="brownout:soft,brownout_scope:org:acme,brownout_scope:team:search")

        answer = await told(webhook, 60, transition="Recovered", tags=tags)

        assert answer["status"] == "applied"
        assert {each["scope"] for each in answer["signals"]} == {"org:acme", SEARCH}
        assert await live(webhook) == set()
        assert all(each.told_over for each in await webhook.signals())

    async def test_ends_in_datadog_s_own_form(self, webhook: Webhook) -> None:
        webhook.rules = the_rules(m1234567=Meaning(Mode.HARD, "org:acme"))
        await webhook.told(a_default_body())
        webhook.rules = the_rules()
        webhook.clock.time = at(60)
        recovered = a_default_body(id="2", title="[Recovered on {env:prod,service:chat}] Fine")

        answer = await webhook.told(recovered | {"last_updated": int(at(60).timestamp())})

        assert answer["status"] == "applied"
        assert await live(webhook) == set()

    @pytest.mark.parametrize("other", [{"monitor": "7"}, {"scope": "service:other"}])
    async def test_ends_no_other_alert(self, webhook: Webhook, other: dict[str, Any]) -> None:
        await told(webhook)

        answer = await told(webhook, 60, transition="Recovered", **other)

        assert answer["status"] == "ignored"
        assert answer["reason"] == "nothing is known of this alert, so nothing ends"
        assert await live(webhook) == {SEARCH}

    async def test_makes_no_signal(self, webhook: Webhook) -> None:
        answer = await told(webhook, transition="Recovered")

        assert (answer["status"], answer["signals"]) == ("ignored", [])
        assert await webhook.signals() == []
        assert webhook.folds == 0

    async def test_ends_what_the_source_was_asked_for(self, webhook: Webhook) -> None:
        """Such a signal is stored by another way, and by no word of the alert."""
        found = a_signal(scope="org:acme", monitor="1234567", group="env:prod,service:chat")
        await webhook.documents.commit([Put(signal_ref(found), found.to_data())])

        await told(webhook, 60, transition="Recovered", tags="")

        assert await live(webhook) == set()

    async def test_ends_an_incident_without_labels(self, webhook: Webhook) -> None:
        await told_of_incident(webhook, 0)

        answer = await told_of_incident(webhook, 60, state="closed", labels={})

        assert (answer["status"], answer["scope"]) == ("applied", SEARCH)
        assert await live(webhook) == set()


class TestOtherTags:
    @pytest.mark.parametrize("transition", ["Renotify", "Re-Triggered", "Warn"])
    async def test_move_an_alert_to_the_scopes_they_name(
        self, webhook: Webhook, transition: str
    ) -> None:
        await told(webhook)

        answer = await told(webhook, 600, transition=transition, tags=RETAGGED)

        assert [each["scope"] for each in answer["signals"]] == [ASSIST, SEARCH]
        assert await live(webhook) == {ASSIST}

    async def test_end_an_alert_that_asks_for_no_level_any_more(self, webhook: Webhook) -> None:
        await told(webhook)

        answer = await told(webhook, 600, transition="Renotify", tags="monitor,service:chat")

        assert (answer["status"], answer["scope"]) == ("applied", SEARCH)
        assert await live(webhook) == set()

    async def test_lower_an_alert_that_is_renewed(self, webhook: Webhook) -> None:
        await told(webhook)
        soft = "brownout:soft,brownout_scope:team:search"

        await told(webhook, 600, transition="Renotify", tags=soft)

        assert (await webhook.signal()).level == Mode.SOFT

    @pytest.mark.parametrize(
        "unclear",
        [
            {"tags": "brownout:extreme"},
            {"tags": ""},
            {"tags": "brownout:hard,brownout_scope:galaxy:x"},
            {"tags": RETAGGED, "updated": "", "date": ""},
            {"tags": "monitor", "updated": "", "date": ""},
        ],
    )
    async def test_end_nothing_where_it_is_not_sure(
        self, webhook: Webhook, unclear: dict[str, Any]
    ) -> None:
        await told(webhook)

        await told(webhook, 600, transition="Re-Triggered", **unclear)

        assert SEARCH in await live(webhook)

    async def test_end_nothing_that_is_newer(self, webhook: Webhook) -> None:
        await told(webhook, 600)
        webhook.clock.time = at(610)

        answer = await webhook.told(id="late", tags=RETAGGED, at=at(100))

        assert answer["status"] == "stale"
        assert await live(webhook) == {SEARCH}

    async def test_end_nothing_of_another_alert(self, webhook: Webhook) -> None:
        await told(webhook, scope="host:a")
        await told(webhook, 1, scope="host:b", tags=RETAGGED)

        assert await live(webhook) == {SEARCH, ASSIST}

    async def test_move_an_incident_that_is_told_again(self, webhook: Webhook) -> None:
        await told_of_incident(webhook, 0)
        labels = a_label(brownout_scope_name="assist", brownout="soft")

        await told_of_incident(webhook, 600, renotify=True, labels=labels)

        [ended] = [each for each in await webhook.signals() if each.told_over]
        assert (ended.scope, ended.lease_until) == (SEARCH, at(600))
        assert await live(webhook) == {ASSIST}


def test_tells_an_alert_by_its_source_monitor_and_group() -> None:
    ids = {
        a_signal().alert,
        a_signal(scope="org:acme", level=Mode.SOFT, lease_until=T0 + 2 * LEASE).alert,
        a_signal(monitor="18").alert,
        a_signal(group="host:a").alert,
        a_signal(source="rollup").alert,
    }

    assert len(ids) == 4
