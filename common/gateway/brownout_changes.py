"""What operators change of brownouts, planned with its audit entry: pins, and the policy.

Changes of a mode are stored with the pin that makes them and published by `publish_changes`, like
those that signals make.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from common.brownout.modes import Mode, NoScope, scope_of
from common.brownout.pins import OVERRIDES, PinMoved, PinRecord, end_pin, set_pin
from common.brownout.policies import POLICIES, Policies
from common.brownout.policy import Policy
from common.brownout.policy_changes import PolicyVersion, save_policy
from common.brownout.state import Pin
from common.core.brownout_events import BrownoutPolicyChanged
from common.core.errors import InvalidInput, VersionConflict
from common.core.ids import time_ordered_id
from common.core.ports import Documents
from common.core.transactions import Read
from common.gateway.changes import Change, Moment, Plan

_ID_BYTES = 10


@dataclass(frozen=True, slots=True)
class PinAsked:
    """A pin as an operator asks for it. `scope` in canonical form."""

    scope: str
    mode: Mode
    reason: str
    lasts: timedelta


def canonical_scope(text: str, default_org: str | None) -> str:
    """A scope as it is stored.

    Raises:
        InvalidInput: the text names none.
    """
    found = scope_of(text, default_org)
    if isinstance(found, NoScope):
        raise InvalidInput(found.detail, field="scope")
    return found


def pin_scope(asked: PinAsked, policies: Policies) -> Plan[PinRecord]:
    """Plan a pin, in place of another one of its scope.

    The plan raises InvalidInput: wrong reason or length, or one pin too many.
    """

    async def plan(read: Read, moment: Moment) -> Change[PinRecord]:
        pin = Pin(
            id=time_ordered_id(moment.now, moment.entropy(_ID_BYTES)),
            scope=asked.scope,
            mode=asked.mode,
            reason=asked.reason.strip(),
            actor=moment.actor.email,
            created_at=moment.now,
            until=moment.now + asked.lasts,
        )
        return _moved("brownout.pin", await set_pin(read, pin, policies))

    return plan


def unpin_scope(
    id_: str, is_expected: Callable[[Pin], bool], policies: Policies
) -> Plan[PinRecord]:
    """Plan the end of a pin. One that has ended stays as it is.

    The plan raises NotFound and, if it is not the expected one, VersionConflict.
    """

    async def plan(read: Read, moment: Moment) -> Change[PinRecord]:
        actor = moment.actor.email
        moved = await end_pin(read, id_, policies, actor=actor, now=moment.now)
        if not is_expected(moved.record.pin):
            raise VersionConflict(f"pin {id_[:80]!r} is another one than the one that was read")
        return _moved("brownout.unpin", moved)

    return plan


def change_policy(
    policy: Policy,
    note: str,
    is_expected: Callable[[int], bool],
    documents: Documents,
    policies: Policies,
) -> Plan[PolicyVersion]:
    """Plan another version of the policy, if the one in force is expected.

    The plan raises InvalidInput (no note) and VersionConflict.
    """

    async def plan(read: Read, moment: Moment) -> Change[PolicyVersion]:
        made = await save_policy(
            read,
            policy,
            note,
            is_expected=is_expected,
            author=moment.actor.email,
            now=moment.now,
            documents=documents,
            policies=policies,
        )
        told = BrownoutPolicyChanged(
            id=time_ordered_id(moment.now, moment.entropy(_ID_BYTES)),
            event_time=moment.now,
            version=made.saved.version,
            before=made.before,
            enforcement=policy.enforcement,
            note=made.saved.note,
            actor=moment.actor.email,
        )
        return Change(
            result=made.saved,
            action="brownout.policy",
            target=f"{POLICIES}/{made.saved.version}",
            before={"version": made.before},
            after=made.saved.to_data(),
            writes=made.writes,
            events=(told,),
        )

    return plan


def _moved(action: str, moved: PinMoved) -> Change[PinRecord]:
    record = moved.record
    return Change(
        result=record,
        action=action,
        target=f"{OVERRIDES}/{record.pin.id}",
        before=None if moved.was is None else moved.was.to_data(),
        after=record.to_data(),
        writes=moved.writes,
    )
