"""Manifests over HTTP: planned whole, and applied as planned.

Both answer 200 for a file that is right. An apply that could not finish says what it has done, what
stopped it, and the keys it has made, whose texts are nowhere else: applying again finishes.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from common.api.envelopes import Single, View, state_source
from common.api.manifest_models import read_manifest
from common.api.operations import Answer, AnyOperation, Asked, Call, NoQuery, Operation
from common.core.ports import Value
from common.gateway.manifest import (
    Action,
    Applied,
    Hands,
    Planned,
    apply_manifest,
    plan_manifest,
)
from common.gateway.manifest_objects import Ground, Kind

_UNSHOWN = frozenset(
    {"key_id", "line", "created_by", "created_at", "revoked_at", "epoch", "began_at"}
)
"""What nobody asks for, and what a plan cannot know of a key that is not made yet."""


class PlanBody(Asked):
    manifest: dict[str, Any] = Field(
        description="name, orgs, teams, projects, agents, upstreams, routes, keys, budgets"
    )
    prune: bool = Field(
        default=False,
        description="also end what applies of this name have made and the file no longer holds:"
        " budgets are paused, keys revoked, upstreams and rules removed",
    )


class SeenChange(Asked):
    kind: Kind
    id: str
    action: Action
    version: str | None


class ApplyBody(PlanBody):
    plan: list[SeenChange] = Field(description="the changes that the plan answered")


class ChangeView(View):
    kind: Kind
    id: str
    action: Action = Field(description="absent: ended, because the file no longer holds it")
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    version: str | None = Field(description="of what is there before; null: nothing is")


class PlanView(View):
    name: str
    changes: list[ChangeView] = Field(description="in the order in which they are applied")
    warnings: list[str]


class MadeKeyView(View):
    org: str
    name: str
    key_id: str
    secret: str = Field(description="the key; shown once")


class FailureView(View):
    kind: Kind
    id: str
    code: str
    detail: str


class AppliedView(View):
    name: str
    changes: list[ChangeView] = Field(description="those that are made")
    keys: list[MadeKeyView]
    failed: FailureView | None = Field(description="what stopped the apply; null: all is made")


def manifest_operations() -> list[AnyOperation]:
    return [
        Operation(
            "plan_manifest", "POST", "/manifest:plan", "Say what applying a manifest would change",
            Single[PlanView], _plan, NoQuery, PlanBody, repeatable=True,
        ),
        Operation(
            "apply_manifest", "POST", "/manifest:apply", "Apply a manifest as it was planned",
            Single[AppliedView], _apply, NoQuery, ApplyBody, repeatable=True,
        ),
    ]  # fmt: skip


async def _plan(call: Call[NoQuery, PlanBody]) -> Answer:
    manifest = read_manifest(call.body.manifest)
    planned = await plan_manifest(manifest, _ground(call), _hands(call), prune=call.body.prune)
    view = PlanView(
        name=manifest.name,
        changes=[_view(each) for each in planned],
        warnings=[each.warning for each in planned if each.warning is not None],
    )
    return Answer(
        Single[PlanView](
            as_of=call.now,
            answer=f"{_counted(planned)} to apply.",
            data=view,
            sources=[state_source(call.now)],
        )
    )


async def _apply(call: Call[NoQuery, ApplyBody]) -> Answer:
    manifest = read_manifest(call.body.manifest)
    seen = [(each.kind, each.id, each.action, each.version) for each in call.body.plan]
    applied = await apply_manifest(
        manifest, _ground(call), _hands(call), prune=call.body.prune, seen=seen
    )
    view = AppliedView(
        name=manifest.name,
        changes=[_view(each) for each in applied.done],
        keys=[
            MadeKeyView(
                org=new.key.org,
                name=new.key.name,
                key_id=new.key.key_id,
                secret=new.secret.reveal(),
            )
            for new in applied.keys
        ],
        failed=_failure(applied),
    )
    return Answer(
        Single[AppliedView](
            as_of=call.now,
            answer=f"{_counted(applied.done)} applied{_stopped(applied)}.",
            data=view,
            sources=[state_source(call.now)],
        )
    )


def _ground(call: Call[Any, Any]) -> Ground:
    services = call.services
    return Ground(services.documents, services.spent, services.price_book.providers, call.now)


def _hands(call: Call[Any, Any]) -> Hands:
    services = call.services
    return Hands(call.actor, services.bus, services.clock, services.entropy)


def _view(planned: Planned) -> ChangeView:
    return ChangeView(
        kind=planned.step.kind,
        id=planned.step.id,
        action=planned.action,
        before=_shown(planned.step.kind, planned.before),
        after=_shown(planned.step.kind, planned.after),
        version=planned.version,
    )


def _shown(kind: Kind, data: Mapping[str, Value] | None) -> dict[str, Any] | None:
    if data is None:
        return None
    if kind == "routes":
        # Stored as text, each version with its author and time.
        return {"org": data["org"], "rules": json.loads(data["rules"])}
    shown = {name: value for name, value in data.items() if name not in _UNSHOWN}
    budget = shown.get("budget")
    if isinstance(budget, Mapping):
        # Its scope is the line of a key that is not made yet.
        shown["budget"] = {
            name: value for name, value in budget.items() if name not in {*_UNSHOWN, "scope"}
        }
    return shown


def _counted(planned: list[Planned]) -> str:
    count = sum(each.action != "keep" for each in planned)
    return f"{count} {'change' if count == 1 else 'changes'}"


def _failure(applied: Applied) -> FailureView | None:
    if applied.failed is None:
        return None
    planned, error = applied.failed
    return FailureView(
        kind=planned.step.kind, id=planned.step.id, code=error.code, detail=error.detail
    )


def _stopped(applied: Applied) -> str:
    if applied.failed is None:
        return ""
    planned, _ = applied.failed
    return f", then {planned.step.kind} {planned.step.id} failed; apply again to finish"
