"""Where a dry run says that a call goes is where the gateway sends it: the whole chain, each time.

Every upstream fails, so that a call goes along all of its chain; its client counts its own tries,
so that each place is asked once.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.accounts import period_ref
from common.budgets.budgets import Budget, budget_ref
from common.budgets.calendar import Calendar
from common.core.errors import InvalidInput
from common.core.ports import Put
from common.core.secrets import Secret
from common.gateway.attribution import attribute
from common.gateway.brownouts import even_draw
from common.gateway.control import CONTROL
from common.gateway.destinations import VENDOR_VARIABLES
from common.gateway.identity import agent_ref, org_ref, project_ref, team_ref
from common.gateway.keys import KeyPolicy, key_ref
from common.gateway.route_book import ROUTES_CHANGED, routes_ref
from common.gateway.route_trial import Request, Trial, try_route
from common.gateway.upstream import UpstreamRequest
from common.llm.price_book import bundled_book
from common.routing.rules import read_table
from tests.gateway.building import build_gateway
from tests.gateway.making import START, a_key
from tests.routing.drawn import Drawn, request, rules
from tests.streams.fakes import JSON, Client, KeepingBus, LoopClock, ScriptedReply

SEED = 20_261_122
CASES = 300
INSTALLATION = b"installation"
KEYS = {variable: Secret(f"sk-{name}") for name, variable in VENDOR_VARIABLES.items()}
LIMIT = 10**15
"""A million dollars: so much that every hold has room."""
WHO = (
    org_ref("acme"),
    team_ref("acme", "search"),
    agent_ref("acme", "crawler"),
    agent_ref("acme", "indexer"),
    project_ref("acme", "site"),
)
Place = tuple[str, str | None]


@dataclass(slots=True)
class Failing:
    """Keeps upstream and model of each request, and serves none."""

    asked: list[Place] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> ScriptedReply:
        vendors = {"api.openai.com": "openai", "api.anthropic.com": "anthropic"}
        model = json.loads(request.body).get("model")
        if model is None:
            model = request.url.partition("/models/")[2].partition(":")[0]
        self.asked.append((vendors.get(request.host, "gemini"), model))
        return ScriptedReply([b"{}"], 503, list(JSON))


@dataclass(slots=True)
class Installation:
    """One store; each call meets a gateway that knows nothing of those before."""

    documents: SqliteDocuments
    written: int = 0

    async def write(self, drawn: Drawn, table: Sequence[dict[str, Any]]) -> None:
        self.written += 1
        named = json.dumps(read_table({"rules": table}).to_data()["rules"])
        hard = drawn.budget_percent is not None
        budget = Budget("b", "acme", "org:acme", Calendar("day"), LIMIT, "hard" if hard else "soft")
        settled = LIMIT * (drawn.budget_percent or 0) // 100
        period = replace(budget.period_at(START), settled=settled)
        key = self.key(drawn)
        await self.documents.commit(
            [
                Put(routes_ref("acme"), {"rules": named}),
                Put(CONTROL, {ROUTES_CHANGED: self.written}),
                Put(budget_ref("b"), budget.to_data()),
                Put(period_ref(period.id), period.to_data()),
                Put(key_ref(key.digest), key.to_data()),
                *(Put(each, {}) for each in WHO),
            ]
        )

    def key(self, drawn: Drawn) -> Any:
        return a_key(project=drawn.project, policy=KeyPolicy(tags=("feature",)))

    async def live(self, drawn: Drawn) -> list[Place]:
        """Where a gateway sends it, one place after the other."""
        upstream = Failing()
        gateway = build_gateway(self.documents, upstream, KeepingBus(), LoopClock(), KEYS)
        headers = {**self.headers(drawn), "authorization": "", "x-stainless-retry-count": "1"}
        await Client(gateway).call(drawn.path, drawn.body, headers=headers)
        return upstream.asked

    async def dry(self, drawn: Drawn, table: Sequence[dict[str, Any]]) -> Trial | None:
        """The dry run; None where nothing serves the call."""
        who = attribute(self.key(drawn), self.headers(drawn), INSTALLATION)
        asked = Request(
            path=drawn.path,
            body=drawn.body,
            org="acme",
            team="search",
            agent=who.agent,
            project=drawn.project,
            tags=who.tags,
            session=who.session_hash,
            budget_used=(drawn.budget_percent or 0) / 100,
        )
        try:
            return await try_route(
                asked,
                read_table({"rules": table}),
                documents=self.documents,
                clock=LoopClock(),
                entropy=bytes,
                book=bundled_book(),
                draw=even_draw(INSTALLATION),
            )
        except InvalidInput:
            return None

    def headers(self, drawn: Drawn) -> dict[str, str]:
        return {
            "x-gateway-agent": drawn.agent,
            "x-gateway-tags": f"feature={drawn.feature}",
            "x-gateway-session": drawn.session,
        }


def places(trial: Trial | None) -> list[Place]:
    if trial is None:
        return []
    return [(each.destination.name, each.facts.model) for each in trial.chain]


@pytest.mark.slow
async def test_goes_where_the_dry_run_says_whatever_the_rules_are(tmp_path: Path) -> None:
    installation = Installation(SqliteDocuments(tmp_path / "state.sqlite"))
    chance = Random(SEED)
    apart: list[tuple[int, list[Place], list[Place]]] = []
    seen: Counter[str] = Counter()
    for number in range(CASES):
        drawn = request(chance)
        table = rules(chance, drawn)
        await installation.write(drawn, table)

        live, trial = await installation.live(drawn), await installation.dry(drawn, table)

        if live != places(trial):
            apart.append((number, live, places(trial)))
        seen.update(_kinds(trial))
    await installation.documents.aclose()

    assert apart == []
    # The law is held against every kind of rule, and not by calls that no rule is for.
    assert min(seen[kind] for kind in KINDS) >= CASES // 30, seen
    assert seen["several places"] >= CASES // 5, seen


KINDS = ("fixed", "cheapest", "weighted", "of", "complexity", "no rule", "shadow", "nobody")
"""What `why` begins with, or what else there is; "of" is a ladder's: 30 % of a budget used."""


def _kinds(trial: Trial | None) -> list[str]:
    if trial is None:
        return ["nobody"]
    several = ["several places"] if len(trial.chain) > 1 else []
    if trial.route is None:
        return ["no rule", *several]
    why = "of" if trial.route.why.endswith("used") else trial.route.why.partition(" ")[0]
    return [why, *several, *(["shadow"] if trial.route.shadow else [])]
