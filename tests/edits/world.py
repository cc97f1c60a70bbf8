"""A gateway in some mode before the simulated provider, and what it makes of requests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from common.brownout.modes import Mode
from common.brownout.policies import policy_ref
from common.brownout.policy import ModelMap, PlannedEdit, Policy, Strategy
from common.brownout.policy_models import policy_data
from common.brownout.state import STATE, State
from common.brownout.trajectory import ScopeState
from common.core.events import UsageEvent
from common.core.ports import Documents, Put
from common.core.secrets import Secret
from common.gateway.destinations import Simulated
from common.gateway.keys import KeyPolicy
from common.gateway.upstream import UpstreamRequest
from tests.edits.provider import ADDRESS, ServedProvider, own_key
from tests.gateway.building import build_gateway
from tests.gateway.making import a_key, key_text, store
from tests.streams.brownouts import ENFORCED
from tests.streams.fakes import Client, Exchange, KeepingBus, LoopClock

STRATEGIES = ("default", "support", "moved", "older")
"""Both that are shipped, and the first one with a map of models for each vendor, or another map."""

_CHEAPER = ModelMap(
    "everywhere",
    {
        "gpt-4*": "gpt-4o-mini",
        "gpt-5*": "gpt-5-mini",
        "gpt-6*": "gpt-5-mini",
        "o?*": "o3-mini",
        "claude-*": "claude-haiku-4-5",
        "gemini-*": "gemini-2.5-flash-lite",
    },
)
_OLDER = ModelMap(
    "older",
    {
        "gpt-*": "gpt-4.1-nano",
        "o?*": "gpt-4.1-nano",
        "claude-*": "claude-sonnet-4-5",
        "gemini-*": "gemini-2.0-flash",
    },
)


def policy_of_all() -> Policy:
    """The shipped policy, enforced for all, with two strategies more. A team has each of them."""
    more = {"moved": _with_map(_CHEAPER), "older": _with_map(_OLDER)}
    return replace(
        ENFORCED,
        strategies={**ENFORCED.strategies, **more},
        maps={**ENFORCED.maps, _CHEAPER.name: _CHEAPER, _OLDER.name: _OLDER},
        assigned={f"team:acme/{name}": name for name in STRATEGIES[1:]},
    )


def _with_map(models: ModelMap) -> Strategy:
    """The first strategy with these models in place of its own."""

    def edits(mode: Mode) -> tuple[PlannedEdit, ...]:
        return tuple(
            replace(each, edit=models) if isinstance(each.edit, ModelMap) else each
            for each in ENFORCED.strategies["default"].of(mode)
        )

    return Strategy(edits(Mode.SOFT), edits(Mode.HARD), edits(Mode.EMERGENCY))


@dataclass(frozen=True, slots=True)
class Treated:
    """One call: what its client got, what was sent for it, and what was told of it."""

    exchange: Exchange
    sent: tuple[UpstreamRequest, ...]
    event: UsageEvent

    @property
    def rejected(self) -> list[str]:
        return [each.name for each in self.event.edits if each.outcome == "rejected"]

    @property
    def applied(self) -> dict[str, str]:
        return {each.name: each.told for each in self.event.edits if each.outcome == "applied"}


@dataclass(frozen=True, slots=True)
class World:
    """A gateway, and the provider behind it."""

    client: Client
    provider: ServedProvider
    bus: KeepingBus

    async def treat(
        self,
        path: str,
        body: bytes,
        strategy: str = "default",
        headers: Mapping[str, str] | None = None,
    ) -> Treated:
        """The call as the gateway makes it with the key that has this strategy."""
        self.provider.requests.clear()
        self.bus.events.clear()
        shown = {"x-gateway-key": key_text(strategy), **own_key(path), **(headers or {})}
        exchange = await self.client.call(path, body, headers=shown)
        return Treated(exchange, tuple(self.provider.requests), self.bus.only)


async def world_in(
    documents: Documents, scopes: Mapping[str, ScopeState], policy: Policy | None = None
) -> World:
    """A gateway whose state holds these scopes, with a key for each strategy that may do all."""
    chosen = policy or policy_of_all()
    for name in STRATEGIES:
        allowed = KeyPolicy(priority="critical", may_opt_out=True)
        await store(documents, a_key(key_text(name), team=name, policy=allowed))
    state = State(seq=1, policy_version=1, scopes=dict(scopes), pins=())
    await documents.commit(
        [Put(STATE, state.to_data()), Put(policy_ref(1), {"policy": policy_data(chosen)})]
    )
    provider, bus = ServedProvider(), KeepingBus()
    gateway = build_gateway(
        documents,
        provider,
        bus,
        LoopClock(),
        {"GEMINI_API_KEY": Secret("sim")},
        simulated=Simulated(ADDRESS),
    )
    return World(Client(gateway), provider, bus)


def members(body: bytes) -> dict[str, Any]:
    parsed = json.loads(body)
    assert isinstance(parsed, dict)
    return parsed
