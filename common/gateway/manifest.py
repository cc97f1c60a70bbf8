"""A manifest: what an installation is to hold, planned whole and then applied, object by object.

The plan is made by running every change against a staged copy of the state, in order of
dependence, so what would be refused is refused before anything is written. Applying plans again,
compares that with what the caller has seen, and commits each object by itself, on condition that
it is what it was planned from. Applying what is so already writes nothing.

`manifests/{name}` says what applies of this name have made, in the commit that makes it, so that
pruning ends that and nothing else.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

from common.core.errors import CloudOpsError, InvalidInput, VersionConflict
from common.core.events import Event
from common.core.ports import Bus, Clock, Create, Document, Put, Ref, Value, Write
from common.core.transactions import Entropy, Read
from common.gateway.changes import Actor, Change, Moment, Plan, apply_change
from common.gateway.key_changes import NewKey
from common.gateway.key_updates import line_of
from common.gateway.keys import Key, refusal
from common.gateway.manifest_objects import (
    KINDS,
    Ground,
    Kind,
    Step,
    WantedKey,
    absence_steps,
    key_budget_step,
)
from common.gateway.staged_documents import StagedDocuments

MANIFESTS = "manifests"
PRUNED: tuple[Kind, ...] = ("budget", "key", "routes", "upstream")
"""What pruning ends, in this order. Organisations, teams, agents and projects stay: spend is
theirs."""

LONGEST_S = 40.0
"""An apply begins no object later than this: a request that is cut off would lose the texts of the
keys it has made. Function `api` has 60 s."""

Action: TypeAlias = Literal["create", "update", "keep", "absent"]


class PlanStale(CloudOpsError):
    code = "plan_stale"
    status = 412


class ApplyUnfinished(CloudOpsError):
    code = "apply_unfinished"
    status = 503


@dataclass(frozen=True, slots=True)
class Manifest:
    """A file: its name, its objects in order of dependence, and the keys among them."""

    name: str
    steps: tuple[Step, ...]
    keys: tuple[tuple[WantedKey, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """One object and what becomes of it. `version` is that of `before`, None where it is new."""

    step: Step
    action: Action
    before: Mapping[str, Value] | None
    after: Mapping[str, Value] | None
    warning: str | None = None

    @property
    def version(self) -> str | None:
        if self.before is None:
            return None
        text = json.dumps(self.before, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def seen(self) -> tuple[str, str, str, str | None]:
        """What the one who applies a plan must have seen."""
        return self.step.kind, self.step.id, self.action, self.version


@dataclass(frozen=True, slots=True)
class Hands:
    """With whom and with what changes are applied."""

    actor: Actor
    bus: Bus
    clock: Clock
    entropy: Entropy


@dataclass(slots=True)
class Applied:
    """What an apply has done, the new keys among it, and what stopped it, if anything did."""

    done: list[Planned] = field(default_factory=list)
    keys: list[NewKey] = field(default_factory=list)
    failed: tuple[Planned, CloudOpsError] | None = None


class _Silent:
    """The bus of a plan: nothing has happened."""

    async def publish(self, topic: str, event: Event) -> None:
        """Tell nobody."""


async def plan_manifest(
    manifest: Manifest, ground: Ground, hands: Hands, *, prune: bool
) -> list[Planned]:
    """What applying would do, in its order; nothing is stored.

    Raises:
        InvalidInput: an object cannot be made so; `field` begins with its path.
        StoreUnavailable: no answer in time.
    """
    staged = replace(ground, documents=StagedDocuments(ground.documents))
    quiet = replace(hands, bus=_Silent())
    planned: list[Planned] = []
    for step in await _steps(manifest, ground, prune=prune):
        try:
            change = await _run(step, staged, quiet)
        except CloudOpsError as error:
            raise _at(step, error) from None
        planned.append(_planned(step, change, ground.now))
    return planned


async def apply_manifest(
    manifest: Manifest,
    ground: Ground,
    hands: Hands,
    *,
    prune: bool,
    seen: Sequence[tuple[str, str, str, str | None]],
) -> Applied:
    """Apply what was planned and seen, one commit for each object, until one fails.

    Raises:
        PlanStale: the plan is another one by now; nothing is stored.
        InvalidInput, StoreUnavailable: as of the plan; nothing is stored.
    """
    began_s = hands.clock.monotonic()
    planned = await plan_manifest(manifest, ground, hands, prune=prune)
    if [each.seen for each in planned] != list(seen):
        raise PlanStale("what is stored, or the file, has changed since the plan; plan again")
    applied = Applied()
    for each in planned:
        if each.action == "keep":
            continue
        if hands.clock.monotonic() - began_s > LONGEST_S:
            late = ApplyUnfinished(f"no more than {LONGEST_S:g} s in one request; apply again")
            applied.failed = each, late
            break
        try:
            change = await _run(each.step, ground, hands, expected=each, owner=manifest.name)
        except CloudOpsError as error:
            applied.failed = each, error
            break
        applied.done.append(each)
        if isinstance(change.result, NewKey):
            applied.keys.append(change.result)
    return applied


async def _steps(manifest: Manifest, ground: Ground, *, prune: bool) -> list[Step]:
    """The objects of the file, the budgets of keys that exist, and what the file has dropped."""
    steps = list(manifest.steps)
    for wanted, path in manifest.keys:
        line = await line_of(ground.documents, wanted.request.org, wanted.request.name)
        if line is not None and wanted.budget is not None:
            steps.append(key_budget_step(wanted.budget, wanted.request.org, line, f"{path}.budget"))
    steps.sort(key=lambda step: KINDS.index(step.kind))
    if not prune:
        return steps
    held = {(step.kind, step.id) for step in steps}
    [record] = await ground.documents.get_many([_record_ref(manifest.name)])
    for kind in PRUNED:
        for id_ in [] if record is None else record.data.get(kind, []):
            if (kind, id_) not in held:
                steps += await absence_steps(ground.documents, kind, id_)
    return steps


async def _run(
    step: Step,
    ground: Ground,
    hands: Hands,
    *,
    expected: Planned | None = None,
    owner: str | None = None,
) -> Change[Any]:
    """Commit one object, on condition that it is what was expected; the change it was."""
    plan: Plan[Any] = await step.make(ground)

    async def planned(read: Read, moment: Moment) -> Change[Change[Any]]:
        try:
            change = await plan(read, moment)
        except VersionConflict as error:
            raise PlanStale(error.detail) from None
        if expected is not None and change.before != expected.before:
            raise PlanStale(f"{step.kind} {step.id} has changed since the plan; plan again")
        writes = change.writes
        if owner is not None and writes and step.kind in PRUNED:
            writes = (*writes, *await _recorded(read, owner, step, change))
        return _holding(change, writes)

    result: Change[Any] = await apply_change(
        planned,
        hands.actor,
        documents=ground.documents,
        bus=hands.bus,
        clock=hands.clock,
        entropy=hands.entropy,
    )
    return result


def _holding(change: Change[Any], writes: tuple[Write, ...]) -> Change[Change[Any]]:
    return Change(
        result=change,
        action=change.action,
        target=change.target,
        before=change.before,
        after=change.after,
        writes=writes,
        events=change.events,
    )


async def _recorded(read: Read, owner: str, step: Step, change: Change[Any]) -> tuple[Write, ...]:
    """The record of what this name's applies have made, where the change alters it."""
    made, gone = change.before is None, change.after is None
    if not made and not gone:
        return ()
    ref = _record_ref(owner)
    [document] = await read([ref])
    data = {} if document is None else dict(document.data)
    ids = [each for each in data.get(step.kind, []) if each != step.id]
    data[step.kind] = [*ids, step.id] if made else ids
    return (_stored(ref, data, document),)


def _stored(ref: Ref, data: Mapping[str, Value], found: Document | None) -> Write:
    return Create(ref, data) if found is None else Put(ref, data, if_version=found.version)


def _record_ref(name: str) -> Ref:
    return Ref(MANIFESTS, name)


def _planned(step: Step, change: Change[Any], now: datetime) -> Planned:
    action: Action = "keep"
    if change.writes and not step.path:
        action = "absent"
    elif change.writes:
        action = "create" if change.before is None else "update"
    warning = None
    if action == "keep" and isinstance(change.result, Key):
        reason = refusal(change.result, now)
        if reason is not None:
            warning = f"key {step.id} is {reason} and stays so: choose another name"
    return Planned(step, action, change.before, change.after, warning)


def _at(step: Step, error: CloudOpsError) -> CloudOpsError:
    """The error, with the place in the file where it arose."""
    if not isinstance(error, InvalidInput) or not step.path:
        return error
    place = step.path if error.field is None else f"{step.path}.{error.field}"
    return InvalidInput(error.detail, field=place)
