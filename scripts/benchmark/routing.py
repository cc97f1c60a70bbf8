"""What rules cost a call on its way: without any, with one, with twenty, and where prices decide.

Runs of whole calls cannot tell so little apart, so it is measured alone and in this process, and
stands beside the CPU time of a whole call.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import process_time
from typing import Any

from common.core.secrets import Secret
from common.gateway.brownouts import even_draw
from common.gateway.call import Call
from common.gateway.candidates import Movable
from common.gateway.choice import choose_target, forwardable
from common.gateway.destinations import VENDORS, Credential
from common.gateway.expected_costs import ExpectedCosts
from common.gateway.keys import Key, KeyPolicy
from common.gateway.routing import Routing
from common.gateway.upstream_health import UpstreamHealth
from common.llm.openai_format import RequestBody
from common.llm.paths import resolve
from common.llm.price_book import bundled_book
from common.llm.protocol import protocol_of
from common.routing.rules import RouteTable, read_table
from scripts.benchmark.measures import CONNECTIONS, Figure
from scripts.benchmark.rows import cpu_of, small_row
from scripts.benchmark.shapes import MODEL, PATH

_TIMES, _RUNS = 2_000, 5
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_ONE = {"name": "one", "use": {"fixed": "gpt-4.1-mini"}}
_OTHERS = [
    {
        "name": f"other-{number}",
        "match": {"team": f"team-{number}*", "model": "gpt-*", "stream": False},
        "use": {"fixed": "gpt-4.1"},
    }
    for number in range(19)
]
_CHEAPEST = {
    "name": "cheapest",
    "use": {"cheapest": ["gpt-4.1-mini", "gemini/gemini-2.5-flash", "anthropic/claude-haiku-4-5"]},
}
_TABLES: Mapping[str, list[dict[str, Any]]] = {
    "no rules": [],
    "1 rule": [_ONE],
    "20 rules, the last matches": [*_OTHERS, _ONE],
    "cheapest of 3": [_CHEAPEST],
}
_KEY = Key(
    digest="",
    key_id="",
    name="bench",
    line="line",
    org="acme",
    team="search",
    agent="crawler",
    project=None,
    tags={},
    may_act_as=(),
    policy=KeyPolicy(),
    created_by="",
    created_at=_NOW,
    expires_at=None,
    revoked_at=None,
)


@dataclass(frozen=True, slots=True)
class _Fixed:
    rules: RouteTable

    async def table(self, _org: str) -> RouteTable:
        return self.rules


class _Still:
    """A clock that stands."""

    def now(self) -> datetime:
        return _NOW

    def monotonic(self) -> float:
        return 0.0


def measure_routing(figures: Mapping[Figure, float]) -> dict[Figure, float]:
    """Microseconds of CPU by table, of several runs the least, and shares of a whole call's.

    Args:
        figures: those of the same repetition, with a whole call's CPU time among them.
    """
    found: dict[Figure, float] = {}
    whole_us = _whole_call_us(figures)
    for name, rules in _TABLES.items():
        spent_us = asyncio.run(_fastest_us(read_table({"rules": rules})))
        found[Figure("routing", "gateway", name, "us/call")] = spent_us
        if whole_us:
            share = 100 * spent_us / whole_us
            found[Figure("routing", "gateway", f"{name}, of a call's CPU", "%")] = share
    return found


def _whole_call_us(figures: Mapping[Figure, float]) -> float | None:
    """CPU time of a small call through the gateway, one at a time."""
    found = figures.get(cpu_of(small_row(CONNECTIONS[0]), "gateway"))
    return None if found is None else 1_000 * found


async def _fastest_us(table: RouteTable) -> float:
    routing = Routing(
        _Fixed(table), _unused, UpstreamHealth(_Still()), ExpectedCosts(), even_draw(b"bench")
    )
    make = _maker()
    runs = []
    for _ in range(_RUNS):
        calls = [make() for _ in range(_TIMES)]
        began_s = process_time()
        for call, movable in calls:
            await routing.chain(call, movable, {})
        runs.append(process_time() - began_s)
    return min(runs) / _TIMES * 1_000_000


def _maker() -> Callable[[], tuple[Call, Movable]]:
    """Makes calls that are new to routing: what one finds out no other knows."""
    endpoint = resolve("POST", PATH, {})
    assert endpoint is not None
    forwarded = forwardable(endpoint)
    messages = [{"role": "user", "content": "why " * 60}]
    body = json.dumps({"model": MODEL, "messages": messages}).encode()
    destinations = {
        name: replace(vendor, credentials=(Credential(name, Secret("sk-bench")),))
        for name, vendor in VENDORS.items()
    }
    call = Call(
        id="call",
        started_at=_NOW,
        arrived_s=0.0,
        protocol=protocol_of(endpoint),
        endpoint=endpoint,
        book=bundled_book(),
    )
    assert call.form is not None
    facts = call.form.read_facts(body)
    asked = choose_target(forwarded, facts, RequestBody(body), destinations, _KEY.policy)
    return lambda: (
        replace(call),
        Movable(_KEY, forwarded, RequestBody(body), asked, None, destinations),
    )


async def _unused(_call: Call, _key: Key, _model: str | None) -> float:
    return 0.0
