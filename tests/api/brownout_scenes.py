"""Brownouts for tests of the API: what is off rest, under which policy, and what was told."""

from datetime import datetime, timedelta
from typing import Any

import httpx

from common.brownout.changes import Change
from common.brownout.modes import Mode
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data
from common.brownout.signals import Signal, signal_ref
from common.brownout.state import STATE, State
from common.brownout.trajectory import Lease, ScopeState
from common.core.ports import Documents, Put, Query
from tests.api.conftest import NOW

PINS = "/api/v1/brownout/pins"
POLICIES = "/api/v1/brownout/policies"
PIN: dict[str, Any] = {
    "scope": "global",
    "mode": "normal",
    "reason": "load test",
    "minutes": 30,
}


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def a_scope(mode: Mode = Mode.HARD, *, lease_s: float = 600, since_s: float = -30) -> ScopeState:
    """A scope that went into the mode half a minute ago and is held there for ten more."""
    since = at(since_s)
    lease = Lease(mode, at(lease_s), "errors")
    return ScopeState(mode, since, since, since, mode, (lease,))


async def begin(documents: Documents, **fields: Any) -> None:
    """Store a state."""
    await documents.commit([Put(STATE, State(**fields).to_data())])


async def tell(documents: Documents, *signals: Signal) -> None:
    await documents.commit([Put(signal_ref(each), each.to_data()) for each in signals])


async def keep(documents: Documents, *changes: Change) -> None:
    await documents.commit([Put(each.ref, each.to_data()) for each in changes])


def a_change(seq: int, scope: str = "global", **fields: Any) -> Change:
    """Of soft to hard, as many seconds from now as its number."""
    defaults: dict[str, Any] = {
        "scope": scope,
        "seq": seq,
        "event_time": at(seq),
        "before": Mode.SOFT,
        "after": Mode.HARD,
        "cause": "signal",
        "episode": "e",
        "signals": (),
        "policy_version": 0,
        "enforced": False,
    }
    return Change(**{**defaults, **fields})


async def state_of(documents: Documents) -> State:
    [document] = await documents.get_many([STATE])
    return State.from_document(document)


async def audited(documents: Documents) -> list[tuple[str, str]]:
    """What was done to what, oldest first."""
    return [
        (each.data["what"], each.data["target"]) for each in await documents.query(Query("audit"))
    ]


async def pinned(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """What a pin is answered."""
    answer = await client.post(PINS, json={**PIN, **fields})
    assert answer.status_code == 201, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def a_policy(**members: Any) -> dict[str, Any]:
    """The policy that ships with the code, with other members."""
    return {**policy_data(shipped_policy()), **members}


async def saved(
    client: httpx.AsyncClient, seen: str = '"0"', note: str = "why", **members: Any
) -> httpx.Response:
    """The answer to another version of the policy."""
    body = {"policy": a_policy(**members), "note": note}
    return await client.post(POLICIES, json=body, headers={"if-match": seen})
