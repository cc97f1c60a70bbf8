"""The life of a budget: made, replaced, paused, given more money; and a lease put right.

A budget, its current period and the number that tells busy instances of the proxy that other
budgets apply (`policy_epoch`) are one commit. Leases renew meanwhile under the same versions, so a
limit and a renewal never overwrite each other: one of them is planned again. A hard budget that
begins in the middle of a period opens with what its scope has spent in it already; calls that are
under way then are added when they have ended (`common/budgets/late_calls.py`).

Every change of what applies to calls writes `gateway/control`, which is read first. So whatever is
asked of other budgets after that is still true at the commit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from common.budgets.accounts import LEASES, Lease, LeaseState, Period, TopUp, lease_ref, period_ref
from common.budgets.budgets import BUDGETS, MOST_NANOS, Budget, budget_ref, check_budget
from common.budgets.corrections import corrected_event
from common.budgets.settlement import correct, correctable_at
from common.budgets.standing import Standing
from common.core.errors import AlreadyExists, InvalidInput, NotFound, VersionConflict
from common.core.events import BudgetChanged
from common.core.ids import time_ordered_id
from common.core.money import Nanos, usd_text
from common.core.ports import Create, Document, Documents, Put, Ref, Write
from common.core.transactions import Read
from common.gateway.budget_scopes import check_meeting
from common.gateway.changes import Change, Moment, Plan
from common.gateway.control import CONTROL, POLICY_EPOCH, control_with
from common.gateway.names import check_slug

MAX_REASON_CHARS = 200
MOST_TOP_UPS = 100
SKEW = timedelta(seconds=60)
"""An instance whose clock is ahead may have begun the next period already."""

Spent = Mapping[str, Nanos]
"""What scopes have spent, by the id of the period; absent periods have just begun."""
Action = Literal["create", "update", "pause", "top_up"]


@dataclass(frozen=True, slots=True)
class Extra:
    """What an operator adds to one period."""

    nanos: Nanos
    reason: str
    expires_at: datetime | None = None


def create_budget(budget: Budget, spent: Spent, documents: Documents) -> Plan[Standing]:
    """Plan a new budget.

    The plan raises InvalidInput (a wrong value, one hard budget too many) and AlreadyExists.

    Args:
        budget: its scope exists.
        spent: by its scope in the current period.
        documents: asked for the organisation's other budgets.
    """
    check_slug(budget.id, "id")
    check_budget(budget)

    async def plan(read: Read, moment: Moment) -> Change[Standing]:
        [existing] = await read([budget_ref(budget.id)])
        if existing is not None:
            raise AlreadyExists(f"budget {budget.id} exists; change it with PUT", field="id")
        made, writes = await written(read, None, budget, spent, moment.now)
        if budget.hard:
            await check_meeting(documents, budget, moment.now)
        after = made.budget.to_data()
        return _change(made, moment, "create", writes, before=None, after=after)

    return plan


def update_budget(
    budget: Budget, is_expected: Callable[[Budget], bool], spent: Spent, documents: Documents
) -> Plan[Standing]:
    """Plan to replace a budget; one that was paused limits again.

    The plan raises NotFound, InvalidInput (a wrong value, another organisation, one hard budget too
    many) and, if the stored one is not expected, VersionConflict.
    """
    check_budget(budget)

    async def plan(read: Read, moment: Moment) -> Change[Standing]:
        stored = await _expected(read, budget.id, is_expected)
        if stored.org != budget.org:
            raise InvalidInput(f"budget {budget.id} stays in {stored.org}", field="scope")
        made, writes = await written(read, stored, budget, spent, moment.now)
        if _begins(stored, budget):
            await check_meeting(documents, budget, moment.now)
        before, after = stored.to_data(), made.budget.to_data()
        return _change(made, moment, "update", writes, before=before, after=after)

    return plan


def pause_budget(id_: str, is_expected: Callable[[Budget], bool]) -> Plan[Standing]:
    """Plan that a budget limits nothing until it is replaced. Its periods stay as they are.

    The plan raises NotFound and, if the stored one is not expected, VersionConflict.
    """

    async def plan(read: Read, moment: Moment) -> Change[Standing]:
        stored = await _expected(read, id_, is_expected)
        made, writes = await written(read, stored, replace(stored, paused=True), {}, moment.now)
        before, after = stored.to_data(), made.budget.to_data()
        return _change(made, moment, "pause", writes, before=before, after=after)

    return plan


def top_up(id_: str, extra: Extra) -> Plan[Standing]:
    """Plan to add money to a budget's current period, at once; its limit stays.

    The plan raises NotFound and InvalidInput.
    """
    _check_reason(extra.reason)
    if not 0 < extra.nanos <= MOST_NANOS:
        raise InvalidInput("a top-up is above 0 and at most 1,000,000,000 USD", field="usd")

    async def plan(read: Read, moment: Moment) -> Change[Standing]:
        stored = await _expected(read, id_, lambda _: True)
        if extra.expires_at is not None and extra.expires_at <= moment.now:
            raise InvalidInput("a top-up must expire in the future", field="expires_at")
        period = stored.period_at(moment.now)
        [document] = await read([period_ref(period.id)])
        period = period if document is None else Period.from_document(document)
        added = TopUp(extra.nanos, extra.expires_at, extra.reason, moment.actor.email)
        topped = replace(period, top_ups=(*period.top_ups, added))
        _check_top_ups(topped)
        return _change(
            Standing(stored, topped),
            moment,
            "top_up",
            (_stored_as(period_ref(period.id), topped.to_data(), document),),
            before={"period": period.id, "top_ups": period.to_data()["top_ups"]},
            after={"period": period.id, "top_ups": topped.to_data()["top_ups"]},
            top_up_nanos=extra.nanos,
        )

    return plan


def correct_lease(id_: str, refund: Nanos, reason: str) -> Plan[Lease]:
    """Plan that `refund` of what was written off of a lease was not spent, and the rest was.

    Once for each lease, and not before every call of its owner has ended.

    The plan raises NotFound and InvalidInput.
    """
    _check_reason(reason)

    async def plan(read: Read, moment: Moment) -> Change[Lease]:
        [document] = await read([lease_ref(id_)])
        if document is None:
            raise NotFound(f"there is no lease {id_[:80]!r}")
        lease = Lease.from_document(document)
        _check_refund(lease, refund, moment.now)
        found = await read([period_ref(name) for name in lease.periods])
        kept = [each for each in found if each is not None]
        spent = lease.written_off - refund
        commit = time_ordered_id(moment.now, moment.entropy(10))
        corrected, periods = correct(lease, [Period.from_document(p) for p in kept], spent, commit)
        told = corrected_event(
            corrected, periods, spent, now=moment.now, reason=reason, actor=moment.actor.email
        )
        return Change(
            result=corrected,
            action="lease.correct",
            target=f"{LEASES}/{id_}",
            before=lease.to_data(),
            after={**corrected.to_data(), "refund_nanos": refund, "reason": reason},
            writes=(
                _stored_as(document.ref, corrected.to_data(), document),
                *(
                    _stored_as(each.ref, period.to_data(), each)
                    for each, period in zip(kept, periods, strict=True)
                ),
            ),
            events=(told,),
        )

    return plan


async def written(
    read: Read, stored: Budget | None, budget: Budget, spent: Spent | None, now: datetime
) -> tuple[Standing, tuple[Write, ...]]:
    """A budget as it will be, and what is to be stored for it; nothing where nothing changes.

    `spent` None says that its scope is new too, so that no call of it is under way.
    """
    document, control = await read([budget_ref(budget.id), CONTROL])
    writes: list[Write] = []
    begins = _begins(stored, budget)
    epoch, began_at = (0, None) if stored is None else (stored.epoch, stored.began_at)
    if begins or _is_told(stored, budget):
        told = (0 if control is None else control.data.get(POLICY_EPOCH, 0)) + 1
        writes.append(control_with(control, {POLICY_EPOCH: told}))
        if begins:
            epoch, began_at = told, None if spent is None else now
    budget = replace(budget, epoch=epoch, began_at=began_at, version=None)
    changes = stored is None or replace(stored, version=None) != budget
    if changes:
        writes.append(_stored_as(budget_ref(budget.id), budget.to_data(), document))
    periods = {}
    for at in (now, now + SKEW):
        fresh = budget.period_at(at)
        if fresh.id not in periods:
            [found] = await read([period_ref(fresh.id)])
            old = None if found is None else Period.from_document(found)
            period = _period(old, fresh, stored, budget, (spent or {}).get(fresh.id, 0))
            periods[fresh.id] = period
            # A period that is made here cannot be begun with the limit that was, by a renewal
            # that read the budget before.
            if period != old and (old is not None or (budget.hard and changes)):
                writes.append(_stored_as(period_ref(fresh.id), period.to_data(), found))
    return Standing(budget, next(iter(periods.values()))), tuple(writes)


def _period(
    old: Period | None, fresh: Period, stored: Budget | None, budget: Budget, spent: Nanos
) -> Period:
    """A period under a changed budget.

    What it has settled counts on, unless the budget is for other calls now. What was written off is
    in no sum of usage, so it comes on top of these. Where the budget begins, all that was spent
    before is a sum of usage: leases of before tell no more of it than what is unproven.
    """
    begins = _begins(stored, budget)
    if old is None:
        opened = spent if begins else 0
        return replace(fresh, settled=opened, uncharged=opened)
    # Its key is its time, so another calendar alone leaves the calls that it adds up the same.
    moved = stored is not None and _callers(stored) != _callers(budget)
    proven = 0 if moved else old.settled - old.unproven
    if not (begins or moved):
        return replace(old, limit=fresh.limit)
    uncharged = max(proven, spent)
    return replace(
        old,
        limit=fresh.limit,
        settled=uncharged + old.unproven,
        uncharged=uncharged,
        epoch=budget.epoch,
    )


def _callers(budget: Budget) -> tuple[object, ...]:
    """What says whose calls a budget adds up."""
    return budget.scope, budget.models


def _covered(budget: Budget) -> tuple[object, ...]:
    """What says which calls a budget adds up, and into which periods."""
    return *_callers(budget), budget.calendar


def _begins(stored: Budget | None, budget: Budget) -> bool:
    """Whether the budget applies to calls that it did not apply to before."""
    if not budget.hard:
        return False
    return stored is None or not stored.hard or _covered(stored) != _covered(budget)


def _is_told(stored: Budget | None, budget: Budget) -> bool:
    """Whether calls are to be treated otherwise than before, by what they know of the budget."""
    if stored is None or not (stored.hard or budget.hard):
        return False

    def known(of: Budget) -> tuple[object, ...]:
        return of.hard, _covered(of), of.fit, of.tool_allowance, of.strict

    return known(stored) != known(budget)


async def _expected(read: Read, id_: str, is_expected: Callable[[Budget], bool]) -> Budget:
    [document] = await read([budget_ref(id_)])
    if document is None:
        raise NotFound(f"there is no budget {id_[:80]!r}")
    stored = Budget.from_document(document)
    if not is_expected(stored):
        raise VersionConflict(f"budget {id_} has changed since it was read; read it again")
    return stored


def _change(
    made: Standing,
    moment: Moment,
    action: Action,
    writes: tuple[Write, ...],
    *,
    before: Mapping[str, object] | None,
    after: Mapping[str, object],
    top_up_nanos: Nanos = 0,
) -> Change[Standing]:
    event = changed_event(made.budget, moment, action, top_up_nanos=top_up_nanos)
    return Change(
        result=made,
        action=f"budget.{action}",
        target=f"{BUDGETS}/{made.budget.id}",
        before=before,
        after=after,
        writes=writes,
        events=(event,) if writes else (),
    )


def changed_event(
    budget: Budget, moment: Moment, action: Action, *, top_up_nanos: Nanos = 0
) -> BudgetChanged:
    return BudgetChanged(
        id=time_ordered_id(moment.now, moment.entropy(10)),
        event_time=moment.now,
        budget_id=budget.id,
        org=budget.org,
        scope=budget.scope,
        action=action,
        limit_nanos=budget.limit,
        top_up_nanos=top_up_nanos,
        enforcement=budget.enforcement,
        actor=moment.actor.email,
    )


def _check_refund(lease: Lease, refund: Nanos, now: datetime) -> None:
    if lease.state is not LeaseState.WRITTEN_OFF:
        return  # `correct` says what is wrong
    if not 0 <= refund <= lease.written_off:
        raise InvalidInput(
            f"${usd_text(lease.written_off)} was written off: a refund is 0 to that",
            field="refund_usd",
        )
    since = correctable_at(lease)
    if now < since:
        raise InvalidInput(
            f"lease {lease.id} can be corrected from {since:%Y-%m-%dT%H:%M:%SZ} on, when the"
            " provider's bill can be known",
            field="lease",
        )


def _check_reason(reason: str) -> None:
    if not 1 <= len(reason) <= MAX_REASON_CHARS or not reason.isprintable() or not reason.strip():
        raise InvalidInput(
            f"a reason is 1 to {MAX_REASON_CHARS} printable characters", field="reason"
        )


def _check_top_ups(period: Period) -> None:
    if len(period.top_ups) > MOST_TOP_UPS:
        raise InvalidInput(
            f"a period has at most {MOST_TOP_UPS} top-ups: raise the limit instead", field="usd"
        )
    if period.limit + sum(each.nanos for each in period.top_ups) > MOST_NANOS:
        raise InvalidInput(
            "a limit and its top-ups are at most 1,000,000,000 USD together", field="usd"
        )


def _stored_as(ref: Ref, data: Mapping[str, object], found: Document | None) -> Write:
    return Create(ref, data) if found is None else Put(ref, data, if_version=found.version)
