"""States of brownouts for tests of calls: what is off rest, under which policy."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from common.brownout.modes import Mode
from common.brownout.policies import policy_ref
from common.brownout.policy import Policy
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data
from common.brownout.state import STATE, Pin, State
from common.brownout.trajectory import Lease, ScopeState
from common.core.ports import Documents, Put
from tests.gateway.making import START

ENFORCED = replace(shipped_policy(), enforcement="enforce", holdout=0.0)
Begin: TypeAlias = Callable[..., Awaitable[None]]


def a_scope(mode: Mode, about: Any = None) -> ScopeState:
    """A scope that went into the mode a second ago, for a long time."""
    lease = Lease(mode, START.replace(year=START.year + 1), about)
    return ScopeState(mode, START, START, START, mode, (lease,))


@pytest.fixture
def brownout(documents: Documents) -> Begin:
    """Put scopes into modes under a policy, before the first call reads it."""

    async def begin(
        mode: Mode | None = None,
        *,
        scopes: Mapping[str, ScopeState] | None = None,
        pins: tuple[Pin, ...] = (),
        policy: Policy = ENFORCED,
    ) -> None:
        off_rest = scopes or ({"global": a_scope(mode)} if mode is not None else {})
        state = State(seq=1, policy_version=1, scopes=dict(off_rest), pins=pins)
        await documents.commit(
            [Put(STATE, state.to_data()), Put(policy_ref(1), {"policy": policy_data(policy)})]
        )

    return begin
