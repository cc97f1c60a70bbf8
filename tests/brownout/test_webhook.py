"""Datadog's webhook: what becomes of an event, and what is kept of it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from common.brownout.modes import Mode
from common.brownout.policy import Meaning
from common.core.errors import PublishFailed, StoreUnavailable
from tests.brownout.scenes import LEASE, T0, at
from tests.brownout.webhook_scenes import (
    TOKEN,
    Webhook,
    a_default_body,
    a_payload,
    a_webhook,
    the_rules,
)


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Webhook]:
    async with a_webhook(tmp_path) as webhook:
        yield webhook


class TestEffects:
    async def test_stores_a_signal_and_answers_the_mode_it_leads_to(self, webhook: Webhook) -> None:
        answer = await webhook.told()

        signal = await webhook.signal()
        told = {
            "signal": signal.id,
            "scope": "team:acme/search",
            "counts_for": "team:acme/search",
            "mode": "hard",
            "until": "2026-03-02T12:30:00Z",
        }
        said: dict[str, object] = {"status": "applied", "reason": None, "notes": []}
        assert answer == {**said, **told, "signals": [told]}
        assert signal.level == Mode.HARD
        assert signal.lease_until == T0 + LEASE

    async def test_gives_a_signal_as_long_as_the_policy_says(self, webhook: Webhook) -> None:
        webhook.rules = the_rules(timedelta(minutes=7), m1234567=Meaning(Mode.SOFT, "org:x"))

        await webhook.told(a_default_body())

        signal = await webhook.signal()
        assert (signal.level, signal.scope) == (Mode.SOFT, "org:x")
        assert signal.lease_until == T0 + timedelta(minutes=7)

    async def test_stores_a_signal_of_each_scope(self, webhook: Webhook) -> None:
        tags = "brownout:soft,brownout_scope:org:acme,brownout_scope:provider:openai"

        answer = await webhook.told(tags=tags)

        assert [each["scope"] for each in answer["signals"]] == ["org:acme", "provider:openai"]
        assert {each.scope for each in await webhook.signals()} == {"org:acme", "provider:openai"}

    async def test_renews_what_it_knows_and_keeps_its_level(self, webhook: Webhook) -> None:
        await webhook.told(transition="Warn")
        webhook.clock.time = at(600)

        answer = await webhook.told(transition="Renotify", id="2", at=at(600))

        signal = await webhook.signal()
        assert answer["status"] == "renewed"
        assert (signal.level, signal.lease_until) == (Mode.SOFT, at(600) + LEASE)

    async def test_raises_by_a_renewal_of_what_it_does_not_know(self, webhook: Webhook) -> None:
        answer = await webhook.told(transition="Renotify")

        assert (answer["status"], answer["mode"]) == ("applied", "hard")

    async def test_ends_a_signal_when_its_source_says_so(self, webhook: Webhook) -> None:
        await webhook.told()
        webhook.clock.time = at(60)

        answer = await webhook.told(transition="Recovered", id="2", at=at(50))

        signal = await webhook.signal()
        assert (answer["status"], answer["mode"]) == ("applied", "normal")
        assert (signal.lease_until, signal.told_over) == (at(60), True)

    async def test_lets_no_data_change_nothing(self, webhook: Webhook) -> None:
        await webhook.told()
        before = await webhook.signal()
        webhook.clock.time = at(60)

        answer = await webhook.told(transition="No Data", id="2", at=at(60))

        assert answer["status"] == "ignored"
        assert await webhook.signal() == before

    async def test_never_puts_an_older_word_over_a_newer_one(self, webhook: Webhook) -> None:
        webhook.clock.time = at(300)
        await webhook.told(transition="Recovered", id="2", at=at(200))

        answer = await webhook.told(id="1", at=at(100))

        assert answer["status"] == "stale"
        assert await webhook.signals() == []
        assert webhook.folds == 0

    async def test_takes_no_alert_whose_lease_is_over_by_now(self, webhook: Webhook) -> None:
        webhook.clock.time = T0 + LEASE

        answer = await webhook.told()

        assert answer["status"] == "stale"
        assert await webhook.signals() == []

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"tags": "monitor"}, "no level"),
            ({"tags": "brownout:extreme"}, "is no level"),
            ({"tags": "brownout:hard,brownout_scope:galaxy:x"}, "is no scope"),
            ({"transition": "Muted"}, "means nothing here"),
        ],
    )
    async def test_says_why_an_event_has_no_effect(
        self, webhook: Webhook, changed: dict[str, str], reason: str
    ) -> None:
        answer = await webhook.told(**changed)

        assert answer["status"] == "ignored"
        assert reason in answer["reason"]
        assert await webhook.signals() == []


class TestRepetition:
    async def test_answers_an_event_that_comes_again_as_the_first_time(
        self, webhook: Webhook
    ) -> None:
        first = await webhook.told()
        webhook.clock.time = at(60)

        again = await webhook.told(at=at(60), link="https://app.datadoghq.com/another")

        assert again == {**first, "status": "duplicate"}
        assert (await webhook.signal()).observed_at == T0

    async def test_forgets_an_event_after_a_day(self, webhook: Webhook) -> None:
        await webhook.told()
        webhook.clock.time = T0 + timedelta(hours=24)

        assert (await webhook.told(at=webhook.clock.time))["status"] == "applied"

    async def test_takes_one_of_many_copies_that_come_at_once(self, webhook: Webhook) -> None:
        answers = await asyncio.gather(*(webhook.told() for _ in range(12)))

        assert sorted(each["status"] for each in answers) == ["applied", *["duplicate"] * 11]
        assert len(await webhook.signals()) == 1

    async def test_takes_fifty_groups_at_once(self, webhook: Webhook) -> None:
        async with asyncio.timeout(30):
            answers = await asyncio.gather(
                *(webhook.told(id=str(n), scope=f"host:{n}") for n in range(50))
            )

        assert [each["status"] for each in answers] == ["applied"] * 50
        assert len(await webhook.signals()) == 50


class TestFailures:
    @pytest.mark.parametrize("failure", [StoreUnavailable("x"), PublishFailed("x"), KeyError("x")])
    async def test_takes_a_signal_whose_fold_fails(
        self, webhook: Webhook, failure: Exception
    ) -> None:
        webhook.fold_failure = failure

        answer = await webhook.told()

        assert (answer["status"], answer["mode"]) == ("applied", None)
        assert len(await webhook.signals()) == 1

    async def test_folds_when_an_event_comes_again_after_its_fold_failed(
        self, webhook: Webhook
    ) -> None:
        webhook.fold_failure = StoreUnavailable("x")
        await webhook.told()
        webhook.fold_failure = None

        answer = await webhook.told()

        assert (answer["status"], answer["mode"]) == ("duplicate", "hard")

    async def test_asks_for_the_event_again_when_it_is_not_stored(self, webhook: Webhook) -> None:
        webhook.documents.down = True

        refused = await webhook.posts()

        assert refused.status_code == 503
        assert refused.json()["code"] == "store_unavailable"
        webhook.documents.down = False
        assert (await webhook.told())["status"] == "applied"

    async def test_answers_though_the_delivery_cannot_be_kept(self, webhook: Webhook) -> None:
        webhook.documents.lost = "webhook_deliveries"

        assert (await webhook.told())["status"] == "applied"
        assert (await webhook.posts(b"{}")).status_code == 422


class TestDeliveries:
    async def test_keeps_what_was_taken_and_what_was_refused_the_newest_first(
        self, webhook: Webhook
    ) -> None:
        await webhook.told()
        webhook.clock.time = at(1)
        await webhook.posts(transition="")
        webhook.clock.time = at(2)
        await webhook.posts(b" " * 70_000)

        kept = await webhook.deliveries()

        told = [(each["http_status"], each["status"], each["reason"]) for each in kept]
        assert told == [
            (413, "refused", "a body has at most 65536 bytes"),
            (422, "refused", "the body does not say: transition"),
            (200, "applied", None),
        ]
        assert kept[2]["fields"]["tags"] == "monitor,brownout:hard,brownout_scope:team:search"
        assert kept[2]["delete_at"] == T0 + timedelta(days=7)

    async def test_keeps_no_text_that_somebody_wrote(self, webhook: Webhook) -> None:
        await webhook.told(a_default_body() | {"secret": "canary", "title": "[Triggered] canary"})

        [kept] = await webhook.deliveries()

        assert "canary" not in repr(kept)
        assert kept["fields"]["transition"] == "Triggered"

    async def test_never_shows_a_token_wherever_it_came(
        self, webhook: Webhook, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        everywhere = dict.fromkeys(a_payload(), f"{TOKEN},brownout:hard")
        bodies: list[object] = [
            everywhere,
            everywhere | {"transition": "Triggered"},
            everywhere | {"transition": "Triggered", "tags": f"brownout_scope:{TOKEN}"},
            f"{json.dumps(everywhere)}}}".encode(),
            {TOKEN: TOKEN},
        ]

        answers = [await webhook.posts(body) for body in bodies]
        answers.append(await webhook.posts(token=f"{TOKEN}x"))

        stored = [await webhook.all_of(name) for name in ("webhook_deliveries", "brownout_signals")]
        seen = [
            *(f"{each.headers} {each.text}" for each in answers),
            *(repr(record.__dict__) for record in caplog.records),
            repr(stored),
            repr(await webhook.events()),
        ]
        assert [text for text in seen if TOKEN in text] == []
        assert len(await webhook.signals()) == 1
