"""How a change to what operators own is planned, stored, audited and told.

A change is planned by a plain function that reads documents and answers a `Change`: the writes, the
result, and what the audit entry says. Plan and audit entry are stored in one commit, so nothing
changes without a trace and no trace lies. When somebody else was faster, the plan runs again on
what is there now. Events follow the commit; one that cannot be published is logged whole, and the
change stands, because nothing that enforces a key waits for its event.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from common.core.audit import audit_entry
from common.core.errors import PublishFailed
from common.core.events import Event
from common.core.ports import Bus, Clock, Create, Documents, Value, Write
from common.core.transactions import Entropy, Read, transact

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change: the email of a person or service account, and where it came from."""

    email: str
    origin: str


@dataclass(frozen=True, slots=True)
class Moment:
    """What a plan may know besides documents."""

    now: datetime
    actor: Actor
    entropy: Entropy


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """A planned change. `before` and `after` are what the audit entry shows; never a secret.

    Without writes there is nothing to store, no audit entry and no event.
    """

    result: T
    action: str
    target: str
    before: Mapping[str, Value] | None
    after: Mapping[str, Value] | None
    writes: tuple[Write, ...]
    events: tuple[Event, ...] = ()


class Plan(Protocol[T]):
    """Reads, decides and answers a change. Runs again when a document it relied on has changed."""

    async def __call__(self, read: Read, moment: Moment) -> Change[T]: ...


async def apply_change(
    plan: Plan[T], actor: Actor, *, documents: Documents, bus: Bus, clock: Clock, entropy: Entropy
) -> T:
    """Store what `plan` decides together with its audit entry, then publish its events.

    Raises:
        CloudOpsError: whatever the plan refuses with; nothing is stored then.
        StoreUnavailable: it is not known whether the change is stored.
    """
    moment = Moment(now=clock.now(), actor=actor, entropy=entropy)

    async def attempt(read: Read) -> tuple[Sequence[Write], Change[T]]:
        change = await plan(read, moment)
        if not change.writes:
            return (), change
        entry = _entry(
            moment,
            what=change.action,
            target=change.target,
            before=change.before,
            after=change.after,
        )
        return (*change.writes, entry), change

    change = await transact(documents, clock, attempt, entropy=entropy)
    for event in change.events:
        await _publish(bus, event)
    return change.result


def refused_entry(action: str, code: str, moment: Moment) -> Create:
    """The audit entry of a request that was refused: `action` did not happen because of `code`."""
    return _entry(moment, what="refused", target=action, before=None, after={"code": code})


def _entry(
    moment: Moment,
    *,
    what: str,
    target: str,
    before: Mapping[str, Value] | None,
    after: Mapping[str, Value] | None,
) -> Create:
    return audit_entry(
        moment.now,
        moment.entropy,
        who=moment.actor.email,
        what=what,
        target=target,
        before=before,
        after=after,
        origin=moment.actor.origin,
    )


async def _publish(bus: Bus, event: Event) -> None:
    try:
        await bus.publish(event.topic, event)
    except PublishFailed as error:
        logger.error(  # noqa: TRY400 - the cause is in `detail`; a traceback says no more
            "event.unpublished",
            extra={"detail": error.detail, "key_event": event.model_dump(mode="json")},
        )
