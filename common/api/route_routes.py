"""Rules for which model serves a call, over HTTP: those in force, others, earlier ones, a trial.

An organisation's rules are replaced whole (`PUT`), by whoever has read the version in force
(`If-Match`, 0 where there are none yet). What a body says wrongly is named all at once.
"""

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from common.api.envelopes import Single, Time, View, state_source
from common.api.operations import Answer, AnyOperation, Asked, Call, NoBody, NoQuery, Operation
from common.api.problems import PreconditionRequired
from common.api.versions import is_named
from common.api.writes import Shown, change
from common.core.errors import NotFound
from common.gateway.brownouts import even_draw
from common.gateway.choice import Target
from common.gateway.route_changes import RouteVersion, put_routes, route_version, routes_of
from common.gateway.route_trial import Request, Trial, try_route
from common.pricing.overrides import book_of
from common.routing.rules import read_table

_MOST_DIGITS = 9
_DRAW = even_draw(b"trial")
"""The installation's own draw is the proxy's secret: of a weighted choice this is one draw."""

Rules = Annotated[
    list[dict[str, Any]], Field(description="in order; the first that matches counts")
]


class RoutesBody(Asked):
    rules: Rules


class RoutesView(View):
    org: str
    version: int
    rules: list[dict[str, Any]]
    author: str | None
    written_at: Time | None


class TrialBody(Asked):
    org: str
    team: str
    agent: str
    project: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    session: str | None = None
    path: Annotated[str, Field(min_length=1, max_length=2_000)] = Field(
        description="of the proxy", examples=["/openai/v1/chat/completions"]
    )
    body: dict[str, Any] = Field(description="the request, as it would be sent")
    budget_used: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="percent of the tightest hard budget, for rules that ask for it"
    )
    rules: list[dict[str, Any]] | None = Field(
        None, description="rules to try in place of those in force"
    )


class HopView(View):
    """One place that a call is sent to, if all before it fail."""

    upstream: str
    model: str | None


class TrialView(View):
    rule: str | None
    why: str | None
    model: str | None = Field(description="the model that the rule chose first")
    shadow: bool = Field(description="the rule only records what it would choose")
    chain: list[HopView]
    left_out: list[str]


def route_operations() -> list[AnyOperation]:
    return [
        Operation(
            "get_routes", "GET", "/routes/{org}", "Read the rules of an organisation",
            Single[RoutesView], _get, NoQuery, NoBody,
        ),
        Operation(
            "put_routes", "PUT", "/routes/{org}", "Replace the rules of an organisation",
            Single[RoutesView], _put, NoQuery, RoutesBody,
        ),
        Operation(
            "get_routes_version", "GET", "/routes/{org}/versions/{version}",
            "Read an earlier version of the rules", Single[RoutesView], _version, NoQuery, NoBody,
        ),
        Operation(
            "try_route", "POST", "/routes:dry-run",
            "Where a request would go; nothing is sent",
            Single[TrialView], _try, NoQuery, TrialBody, repeatable=True,
        ),
    ]  # fmt: skip


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    found = await routes_of(call.services.documents, call.path["org"])
    return Answer(_single(call.now, found, "in force"), headers={"etag": f'"{found.version}"'})


async def _version(call: Call[NoQuery, NoBody]) -> Answer:
    asked = call.path["version"]
    if not asked.isascii() or not asked.isdigit() or len(asked) > _MOST_DIGITS:
        raise NotFound(f"there is no version {asked[:80]!r}: write a number")
    found = await route_version(call.services.documents, call.path["org"], int(asked))
    return Answer(_single(call.now, found, "kept"))


async def _put(call: Call[NoQuery, RoutesBody]) -> Answer:
    seen = call.if_match
    if seen is None:
        raise PreconditionRequired(
            "send If-Match with the version of the rules that you read, 0 where there are none",
            field="If-Match",
        )
    table = read_table({"rules": call.body.rules})
    plan = put_routes(call.path["org"], table, lambda version: is_named(seen, str(version)))

    def show(stored: RouteVersion) -> Shown:
        view = _single(call.now, stored, "in force")
        return Shown(first=view, repeated=view, etag=str(stored.version))

    return await change(call, plan, show)


async def _try(call: Call[NoQuery, TrialBody]) -> Answer:
    services, asked = call.services, call.body
    table = (
        (await routes_of(services.documents, asked.org)).table
        if asked.rules is None
        else read_table({"rules": asked.rules})
    )
    trial = await try_route(
        Request(
            path=asked.path,
            body=json.dumps(asked.body, ensure_ascii=False).encode(),
            org=asked.org,
            team=asked.team,
            agent=asked.agent,
            project=asked.project,
            tags=asked.tags,
            session=asked.session,
            budget_used=asked.budget_used / 100,
        ),
        table,
        documents=services.documents,
        clock=services.clock,
        entropy=services.entropy,
        book=await book_of(
            services.documents, await services.books.in_force(), asked.org, call.now
        ),
        draw=_DRAW,
    )
    view = Single[TrialView](
        as_of=call.now,
        answer=_told(trial),
        data=_trial_view(trial),
        sources=[state_source(call.now)],
    )
    return Answer(view)


def _single(now: datetime, found: RouteVersion, state: str) -> Single[RoutesView]:
    count = len(found.table.rules)
    return Single[RoutesView](
        as_of=now,
        answer=f"{count} {'rule' if count == 1 else 'rules'} of {found.org}, version "
        f"{found.version}, {state}.",
        data=RoutesView(
            org=found.org,
            version=found.version,
            rules=found.table.to_data().get("rules", []),
            author=found.author,
            written_at=found.written_at,
        ),
        sources=[state_source(now)],
    )


def _told(trial: Trial) -> str:
    places = ", then ".join(_place(each) for each in trial.chain)
    if trial.route is None:
        return f"No rule is for this call. It goes to {places}."
    chosen = f"Rule {trial.route.rule} chooses {trial.route.model} ({trial.route.why})"
    if trial.route.shadow:
        return f"{chosen}, in shadow: the call goes to {places}."
    return f"{chosen}. The call goes to {places}."


def _place(target: Target) -> str:
    return f"{target.facts.model or 'no model'} at {target.destination.name}"


def _trial_view(trial: Trial) -> TrialView:
    route = trial.route
    return TrialView(
        rule=route.rule if route else None,
        why=route.why if route else None,
        model=route.model if route else None,
        shadow=route.shadow if route else False,
        chain=[
            HopView(upstream=each.destination.name, model=each.facts.model) for each in trial.chain
        ],
        left_out=list(trial.left_out),
    )
