"""There is room for so many scopes off rest, and nobody is treated because it is used up."""

import logging
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from common.brownout.fold import KEPT_FREE, MOST_SCOPES, folded
from common.brownout.folding import Folding
from common.brownout.modes import Mode
from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.brownout.signals import Signal, signal_ref
from common.brownout.state import STATE, State
from common.core.ports import Put
from tests.brownout.scenes import T0, a_signal
from tests.brownout.test_folding import KeepingBus
from tests.brownout.webhook_scenes import Webhook, a_webhook

POLICY = shipped_policy()
NARROW = MOST_SCOPES - KEPT_FREE
MODELS = [a_signal(Mode.SOFT, f"model:m{number:03}") for number in range(NARROW)]


def folds(signals: Sequence[Signal], state: State | None = None) -> State:
    """The state once folds of these signals change nothing any more."""
    state = state or State()
    for _ in range(20):
        state, changes = folded(state, signals, POLICY, T0)
        if not changes:
            return state
    raise AssertionError("it never comes to rest")


FULL = folds(MODELS)


def modes_with(*signals: Signal) -> dict[str, Mode]:
    """The modes beside those of the models that had all the room there is for models."""
    after = folds([*MODELS, *signals], FULL)
    assert set(FULL.scopes) <= set(after.scopes)
    return {name: each.mode for name, each in after.scopes.items() if name not in FULL.scopes}


def test_has_room_for_so_many_models() -> None:
    assert len(FULL.scopes) == NARROW


@pytest.mark.parametrize(
    ("scope", "moved"),
    [
        ("model:zz", None),
        ("team:acme/zz", "org:acme"),
        ("agent:acme/zz", "org:acme"),
        ("org:acme", "org:acme"),
        ("provider:openai", "provider:openai"),
        ("global", "global"),
    ],
)
def test_moves_nobody_but_an_organisation_for_another_scope(scope: str, moved: str | None) -> None:
    assert modes_with(a_signal(Mode.HARD, scope)) == ({moved: Mode.HARD} if moved else {})


def test_refuses_everybody_but_global_once_all_room_is_used_up() -> None:
    providers = [a_signal(Mode.HARD, f"provider:p{number:03}") for number in range(KEPT_FREE + 5)]
    others = ("team:acme/zz", "org:acme", "global")

    after = modes_with(*providers, *(a_signal(Mode.SOFT, scope) for scope in others))

    assert len(after) == KEPT_FREE
    assert [scope for scope in others if scope in after] == ["global"]


def test_keeps_the_room_for_organisations_free_however_many_there_are() -> None:
    orgs = [a_signal(Mode.HARD, f"org:o{number:03}") for number in range(KEPT_FREE - 1)]

    after = folds([*orgs, *MODELS])

    assert len(after.scopes) == MOST_SCOPES - 1


def test_gives_room_to_the_highest_levels() -> None:
    after = folds([*MODELS, a_signal(Mode.EMERGENCY, "model:zz")]).scopes

    assert after["model:zz"].mode == Mode.EMERGENCY
    assert len(after) == NARROW


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Webhook]:
    """A webhook with the fold that the function has."""
    async with a_webhook(tmp_path) as webhook:
        policies = Policies(webhook.documents, shipped_policy, policy_from_data)
        bus = KeepingBus()
        webhook.folding = Folding(webhook.documents, bus, webhook.clock, os.urandom, policies)
        yield webhook


def tags(level: str, *scopes: str) -> str:
    return ",".join([f"brownout:{level}", *(f"brownout_scope:{scope}" for scope in scopes)])


async def fill(webhook: Webhook) -> None:
    """All the room there is for models is used."""
    signals = [Put(signal_ref(each), each.to_data()) for each in MODELS]
    await webhook.documents.commit([*signals, Put(STATE, FULL.to_data())])


async def test_moves_nobody_by_an_alert_of_hundreds_of_scopes(webhook: Webhook) -> None:
    names = [f"model:gpt-{number:03}" for number in range(300)]

    await webhook.told(tags=tags("soft", *names))
    answer = await webhook.told(tags=tags("hard", *names), id="2")

    assert [each["counts_for"] for each in answer["signals"]] == names[:20]
    assert {each["mode"] for each in answer["signals"]} == {"hard"}
    [note] = answer["notes"]
    assert "at most 20 scopes" in note
    assert "model:gpt-020" in note
    assert (await webhook.deliveries())[0]["notes"] == answer["notes"]
    assert sorted((await webhook.fold()).state.scopes) == names[:20]


async def test_says_how_many_are_refused(
    webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await fill(webhook)

    await webhook.told(tags=tags("soft", "model:zz", "model:zy", "team:search"))

    [told] = [each.__dict__ for each in caplog.records if each.msg == "brownout.no_room"]
    assert (told["number"], told["scopes"]) == (2, ["model:zy", "model:zz"])


async def test_answers_which_scope_moves_where_there_is_no_room(webhook: Webhook) -> None:
    await fill(webhook)

    answer = await webhook.told(tags=tags("hard", "team:search", "model:zz", "provider:openai"))

    told = [(each["scope"], each["counts_for"], each["mode"]) for each in answer["signals"]]
    assert told == [
        ("team:acme/search", "org:acme", "hard"),
        ("model:zz", None, "normal"),
        ("provider:openai", "provider:openai", "hard"),
    ]
    assert answer["counts_for"] == "org:acme"
    assert answer["notes"] == [
        "team:acme/search finds no room among the scopes off rest: it counts for org:acme",
        "model:zz finds no room among the scopes off rest: it has no effect",
    ]
    assert (await webhook.deliveries())[0]["notes"] == answer["notes"]
    assert len(await webhook.signals()) == NARROW + 3
