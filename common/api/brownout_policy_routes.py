"""The policy of brownouts over HTTP: its versions, another one, and what a mode would do.

A version never changes. Saving names the one that was read (`If-Match`), so nobody overwrites what
somebody else has saved meanwhile.
"""

import json
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from common.api.brownout_models import (
    BrownoutPolicyView,
    DryRunBody,
    DryRunView,
    PolicyBody,
    PolicyVersionView,
)
from common.api.brownout_views import policy_view, trial_view, version_view
from common.api.cursors import Place, make_cursor, read_cursor
from common.api.envelopes import Count, Listing, Single, state_source
from common.api.operations import (
    Answer,
    AnyOperation,
    Call,
    NoBody,
    NoQuery,
    Operation,
    Paging,
)
from common.api.problems import PreconditionRequired
from common.api.versions import is_named
from common.api.writes import Shown, change
from common.brownout.modes import MODES, PRIORITIES
from common.brownout.policies import SHIPPED
from common.brownout.policy_changes import (
    PolicyVersion,
    running_version,
    stored_version,
    stored_versions,
)
from common.brownout.policy_models import policy_from_data
from common.brownout.policy_problems import PolicyInvalid, Problem
from common.brownout.policy_weaknesses import weaknesses
from common.core.errors import InvalidInput, NotFound
from common.gateway.brownout_changes import canonical_scope, change_policy
from common.gateway.brownout_trial import Request, Trial, try_out

CURRENT = "current"
_MOST_DIGITS = 9
_CALLERS = ("org:", "team:", "agent:")


class _VersionPlace(Place):
    version: Annotated[int, Field(ge=SHIPPED)]


def policy_operations() -> list[AnyOperation]:
    return [
        Operation(
            "list_policies", "GET", "/brownout/policies",
            "List the versions of the policy, newest first",
            Listing[PolicyVersionView, Count], _list, Paging, NoBody,
        ),
        Operation(
            "get_policy", "GET", "/brownout/policies/{version}",
            "Read a version of the policy; `current` is the one in force",
            Single[BrownoutPolicyView], _get, NoQuery, NoBody,
        ),
        Operation(
            "save_policy", "POST", "/brownout/policies",
            "Put another version of the policy in force",
            Single[BrownoutPolicyView], _save, NoQuery, PolicyBody, status=201, conditional=True,
        ),
        Operation(
            "dry_run", "POST", "/brownout:dry-run",
            "What a mode would give up of a request; nothing is sent",
            Single[DryRunView], _dry_run, NoQuery, DryRunBody, repeatable=True,
        ),
    ]  # fmt: skip


async def _list(call: Call[Paging, NoBody]) -> Answer:
    services, limit = call.services, call.query.limit
    running = await running_version(services.documents)
    place = read_cursor(call.given, call.query.after, _VersionPlace)
    newest = running if place is None else place.version
    page = await stored_versions(services.documents, services.policies, newest, limit)
    following = newest - limit
    return Answer(
        Listing[PolicyVersionView, Count](
            as_of=call.now,
            query=call.query.model_dump(exclude_none=True),
            answer=f"Version {running} of the policy is in force.",
            data=[version_view(each, running) for each in page],
            total=Count(count=running + 1),
            next=make_cursor(call.given, {"version": following}) if following >= SHIPPED else None,
            sources=[state_source(call.now)],
        )
    )


async def _get(call: Call[NoQuery, NoBody]) -> Answer:
    services, asked = call.services, call.path["version"]
    running = await running_version(services.documents)
    number = running if asked == CURRENT else _number(asked)
    found = await stored_version(services.documents, services.policies, number)
    view = policy_view(found, running, _unwise(found))
    return Answer(
        Single[BrownoutPolicyView](
            as_of=call.now,
            answer=f"Version {number} {'is' if view.running else 'is not'} in force.",
            data=view,
            sources=[state_source(call.now)],
        ),
        headers={"etag": f'"{number}"'},
    )


async def _save(call: Call[NoQuery, PolicyBody]) -> Answer:
    services, seen = call.services, call.if_match
    if seen is None:
        raise PreconditionRequired(
            "send If-Match with the version of the policy that you read", field="If-Match"
        )
    policy = policy_from_data(call.body.policy, services.default_org)
    problems = weaknesses(policy)

    def show(saved: PolicyVersion) -> Shown:
        warned = f", with {len(problems)} warnings" if problems else ""
        view = Single[BrownoutPolicyView](
            as_of=call.now,
            answer=f"Version {saved.version} is in force{warned}.",
            data=policy_view(saved, saved.version, problems),
            sources=[state_source(call.now)],
        )
        return Shown(first=view, repeated=view, etag=str(saved.version))

    plan = change_policy(
        policy,
        call.body.note,
        lambda running: is_named(seen, str(running)),
        services.documents,
        services.policies,
    )
    return await change(call, plan, show)


async def _dry_run(call: Call[NoQuery, DryRunBody]) -> Answer:
    services, asked = call.services, call.body
    version = await running_version(services.documents)
    policy = await services.policies.of(version)
    request = Request(
        path=asked.path,
        body=json.dumps(asked.body, ensure_ascii=False).encode(),
        mode=MODES[asked.mode],
        priority=PRIORITIES[asked.priority],
        scope=_caller(asked.scope, services.default_org),
        failing=asked.failing,
    )
    trial = await try_out(
        request,
        policy,
        documents=services.documents,
        clock=services.clock,
        entropy=services.entropy,
        book=services.price_book,
    )
    body = None if trial.target is None else json.loads(trial.target.body)
    return Answer(
        Single[DryRunView](
            as_of=call.now,
            answer=_told(asked, trial),
            data=trial_view(asked, trial, body, version),
            sources=[state_source(call.now)],
        )
    )


def _caller(scope: str | None, default_org: str | None) -> str | None:
    """Who calls, in canonical form."""
    if scope is None:
        return None
    found = canonical_scope(scope, default_org)
    if not found.startswith(_CALLERS):
        raise InvalidInput("who calls is an org:, a team: or an agent:", field="scope")
    return found


def _told(asked: DryRunBody, trial: Trial) -> str:
    if trial.refusal is not None:
        return f"In {asked.mode} this call is refused: {trial.refusal.message}"
    done = [each for each in trial.edits if each.outcome == "applied"]
    given = ", ".join(f"{each.name}={each.told}" if each.told else each.name for each in done)
    part = "" if trial.let_in >= 1 else f" {trial.let_in:.0%} of such calls are served."
    return f"In {asked.mode} this call goes out {f'with {given}' if given else 'as it is'}.{part}"


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise NotFound(
            f"there is no version {text[:80]!r} of the policy: write a number, or current"
        )
    return int(text)


def _unwise(version: PolicyVersion) -> tuple[Problem, ...]:
    """What a stored version weakens; nothing of one that this code cannot read."""
    try:
        return weaknesses(policy_from_data(version.policy))
    except PolicyInvalid as error:
        return tuple(replace(each, line=None) for each in error.problems)
