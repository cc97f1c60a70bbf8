"""Datadog's webhook with the fold that the function has: from an alert to a mode."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from common.brownout.changes import CHANGES
from common.brownout.folding import Folding
from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.runtime.function_settings import WebhookSettings
from tests.api.conftest import KeepingBus
from tests.brownout.scenes import at
from tests.brownout.webhook_scenes import Webhook, a_webhook


@pytest.fixture
def bus() -> KeepingBus:
    return KeepingBus()


@pytest.fixture
async def webhook(tmp_path: Path, bus: KeepingBus) -> AsyncIterator[Webhook]:
    async with a_webhook(tmp_path) as webhook:
        policies = Policies(webhook.documents, shipped_policy, policy_from_data)
        webhook.folding = Folding(webhook.documents, bus, webhook.clock, os.urandom, policies)
        webhook.rules = shipped_policy().signals
        yield webhook


async def test_moves_a_scope_once_for_fifty_groups_that_alert_at_once(
    webhook: Webhook, bus: KeepingBus
) -> None:
    async with asyncio.timeout(30):
        answers = await asyncio.gather(
            *(webhook.told(id=str(n), scope=f"host:{n}") for n in range(50))
        )

    assert {(each["status"], each["mode"]) for each in answers} == {("applied", "hard")}
    assert len(await webhook.all_of(CHANGES)) == 1
    assert [event.type for event in bus.events] == ["brownout.mode_changed"]


async def test_answers_the_mode_that_still_holds_when_an_alert_is_over(webhook: Webhook) -> None:
    """A mode is left by its own ramp, not with the alert."""
    await webhook.told()
    webhook.clock.time = at(10)

    answer = await webhook.told(transition="Recovered", id="2", at=at(10))

    assert (answer["status"], answer["mode"]) == ("applied", "hard")


@pytest.mark.parametrize(
    ("written", "tokens"),
    [
        ("", ()),
        ("0123456789abcdef", ("0123456789abcdef",)),
        (" 0123456789abcdef , fedcba9876543210,", ("0123456789abcdef", "fedcba9876543210")),
    ],
)
def test_takes_one_token_or_two(
    monkeypatch: pytest.MonkeyPatch, written: str, tokens: tuple[str, ...]
) -> None:
    monkeypatch.setenv("BROWNOUT_TOKENS", written)

    settings = WebhookSettings()

    assert settings.brownout_tokens == tuple(SecretStr(token) for token in tokens)


@pytest.mark.parametrize(
    "written",
    [
        "0123456789abcde",
        "0123456789abcdef,short",
        "0123456789abcdéf",
        "0123456789abcdef,1123456789abcdef,2123456789abcdef",
    ],
)
def test_starts_with_no_token_that_could_be_guessed_or_not_be_sent(
    monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("BROWNOUT_TOKENS", written)

    with pytest.raises(ValidationError):
        WebhookSettings()
