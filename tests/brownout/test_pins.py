"""Pins that may not be set, and the one that always may."""

from datetime import timedelta

import pytest

from common.brownout.modes import Mode
from common.brownout.pins import MOST_PINS, check_pin, set_pin
from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data, policy_from_data
from common.brownout.policy_problems import PolicyInvalid
from common.brownout.state import STATE, Pin, State
from common.core.errors import InvalidInput
from common.core.ports import Documents, Put
from tests.brownout.scenes import T0

CONTROLS = ["\x00", "\x1b[31mred", "\x7f", "\r", "\u202e", "\u2028", "\ud800"]


def a_pin(scope: str = "global", reason: str = "why", id_: str = "p") -> Pin:
    return Pin(id_, scope, Mode.NORMAL, reason, "ann", T0, T0 + timedelta(minutes=30))


@pytest.mark.parametrize("control", CONTROLS)
def test_refuses_a_reason_that_cannot_be_shown(control: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_pin(a_pin(reason=f"load {control} test"))

    assert (refused.value.status, refused.value.field) == (422, "reason")


@pytest.mark.parametrize("reason", ["", " ", "x" * 501])
def test_refuses_a_reason_of_no_or_too_many_characters(reason: str) -> None:
    with pytest.raises(InvalidInput):
        check_pin(a_pin(reason=reason))


@pytest.mark.parametrize("reason", ["first line\n\tsecond", "Grüße 👋", "x" * 500])
def test_takes_every_reason_that_can_be_shown(reason: str) -> None:
    check_pin(a_pin(reason=reason))


@pytest.mark.parametrize("control", CONTROLS)
def test_refuses_a_hint_that_cannot_be_shown(control: str) -> None:
    policy = policy_data(shipped_policy()) | {"hints": {"short": f"Be {control} brief."}}

    with pytest.raises(PolicyInvalid) as refused:
        policy_from_data(policy)

    assert "has a character that does not show" in refused.value.detail


def so_many(number: int) -> list[Pin]:
    return [a_pin(f"model:m{each}", id_=str(each)) for each in range(number)]


async def set_one(documents: Documents, *others: Pin, scope: str) -> State:
    """The state once a pin is set beside others."""
    state = State(pins=others)
    await documents.commit([Put(STATE, state.to_data())])
    policies = Policies(documents, shipped_policy, policy_from_data)
    moved = await set_pin(documents.get_many, a_pin(scope), policies)
    [stored] = [each for each in moved.writes if each.ref == STATE and isinstance(each, Put)]
    return State(pins=tuple(Pin.from_data(each) for each in stored.data["pins"]))


async def test_finds_room_for_everything_at_once(documents: Documents) -> None:
    state = await set_one(documents, *so_many(MOST_PINS), scope="global")

    assert state.pins[-1].scope == "global"
    assert len(state.pins) == MOST_PINS + 1


async def test_takes_no_room_from_others_by_the_one_of_everything(documents: Documents) -> None:
    state = await set_one(documents, *so_many(MOST_PINS - 1), a_pin(), scope="org:acme")

    assert len(state.pins) == MOST_PINS + 1


@pytest.mark.parametrize("with_global", [True, False])
async def test_refuses_one_too_many(documents: Documents, *, with_global: bool) -> None:
    others = [*so_many(MOST_PINS), *([a_pin()] if with_global else [])]

    with pytest.raises(InvalidInput) as refused:
        await set_one(documents, *others, scope="org:acme")

    assert refused.value.field == "scope"
