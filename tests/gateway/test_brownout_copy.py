"""The copy of the brownout's state: its policy is there when it is needed, and no call waits."""

import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from common.brownout.modes import Mode
from common.brownout.policies import Policies, policy_ref
from common.brownout.policy import Policy
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data, policy_from_data
from common.brownout.state import STATE, State
from common.core.errors import StoreUnavailable
from common.core.ports import Document, Documents, Put
from common.gateway.brownout_copy import BrownoutCopy
from tests.chosen_engines import state_of
from tests.gateway.making import WatchedDocuments
from tests.streams.brownouts import a_scope

SHIPPED = shipped_policy()
STORED = replace(SHIPPED, enforcement="enforce")


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[WatchedDocuments]:
    """A store with version 1 of the policy."""
    state = state_of(tmp_path)
    await state.commit([Put(policy_ref(1), {"policy": policy_data(STORED)})])
    yield WatchedDocuments(state)
    await state.aclose()


def a_copy(documents: Documents) -> BrownoutCopy:
    return BrownoutCopy(Policies(documents, lambda: SHIPPED, policy_from_data))


def a_state(version: int, mode: Mode | None = None) -> Document:
    scopes = {} if mode is None else {"global": a_scope(mode)}
    return Document(STATE, State(policy_version=version, scopes=scopes).to_data(), "")


async def loaded(copy: BrownoutCopy) -> Policy | None:
    assert copy.loading is not None
    await copy.loading
    return copy.policy


async def test_loads_the_shipped_policy_beside_the_calls_while_everything_is_at_rest(
    documents: WatchedDocuments,
) -> None:
    read = threading.Event()

    def slowly() -> Policy:
        assert read.wait(5)
        return SHIPPED

    copy = BrownoutCopy(Policies(documents, slowly, policy_from_data))

    await copy.learn(None)
    before = copy.policy
    read.set()

    assert (before, await loaded(copy)) == (None, SHIPPED)
    assert documents.reads == []


async def test_reads_a_policy_once_for_as_long_as_its_version_stays(
    documents: WatchedDocuments,
) -> None:
    copy = a_copy(documents)

    for _ in range(3):
        await copy.learn(a_state(1))
        assert await loaded(copy) == STORED

    assert documents.reads == [policy_ref(1)]


async def test_reads_another_version_when_the_state_names_it(documents: WatchedDocuments) -> None:
    copy = a_copy(documents)
    await copy.learn(None)
    await loaded(copy)

    await copy.learn(a_state(1))

    assert await loaded(copy) == STORED


async def test_takes_no_state_off_rest_without_its_policy(documents: WatchedDocuments) -> None:
    copy = a_copy(documents)
    await copy.learn(None)
    await loaded(copy)
    documents.down = True

    with pytest.raises(StoreUnavailable):
        await copy.learn(a_state(1, Mode.HARD))
    kept = copy.state.at_rest, copy.policy
    documents.down = False
    await copy.learn(a_state(1, Mode.HARD))

    assert kept == (True, SHIPPED)
    assert (copy.state.at_rest, copy.policy) == (False, STORED)


async def test_tries_again_with_the_next_reading_when_the_store_does_not_answer(
    documents: WatchedDocuments,
) -> None:
    copy = a_copy(documents)
    documents.down = True

    await copy.learn(a_state(1))
    without = await loaded(copy)
    documents.down = False
    await copy.learn(a_state(1))

    assert (without, await loaded(copy)) == (None, STORED)


async def test_never_goes_back_to_a_policy_that_was_still_being_loaded(
    documents: WatchedDocuments,
) -> None:
    read = threading.Event()

    def slowly() -> Policy:
        assert read.wait(5)
        return SHIPPED

    copy = BrownoutCopy(Policies(documents, slowly, policy_from_data))
    await copy.learn(None)

    await copy.learn(a_state(1, Mode.HARD))
    read.set()

    assert await loaded(copy) == STORED
