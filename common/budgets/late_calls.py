"""Calls that were under way when a hard budget began: charged to it when they have ended.

A budget opens with what its scope has spent in the period by then. Calls that have left before, or
that an instance lets through which has not heard of it yet, hold nothing of it, and no lease of it
tells what they cost. Their events do, and say how new the budgets were that applied: older than
this one. So for as long as such an event can arrive, what they cost in all is asked for, and what
of it is not charged yet (`Period.uncharged`) is charged.

An answer may be late, so it only ever raises what is charged, and the same answer raises it once.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from common.budgets.accounts import Period, period_ref
from common.budgets.budgets import Budget
from common.budgets.thresholds import Watched
from common.core.errors import StoreUnavailable, VersionConflict
from common.core.money import Nanos
from common.core.ports import Clock, Documents, Put, Write
from common.core.transactions import Entropy, Read, transact

logger = logging.getLogger(__name__)

LONGEST_CALL = timedelta(hours=1)
HEARD_WITHIN = timedelta(minutes=30)
"""From a change until every instance has heard of it, and from the end of a call until its event is
in the warehouse."""


@dataclass(frozen=True, slots=True)
class Before:
    """What did those calls cost, from `since` up to, not in, `until`, that no budget as new held?

    Of a budget's scope and models. Up to `ended` that is all of them: they had ended by then.
    """

    budget: Budget
    since: datetime
    ended: datetime
    until: datetime


SpentBefore: TypeAlias = Callable[[Sequence[Before]], Awaitable[Sequence[Nanos]]]
"""Answers in the order asked, in nano-USD. Raises StoreUnavailable."""


def began_within(budget: Budget, time: timedelta, now: datetime) -> bool:
    """Whether a hard budget began so short a while ago to apply to calls that may be under way."""
    return budget.hard and budget.began_at is not None and now < budget.began_at + time


async def charge_late_calls(
    documents: Documents,
    clock: Clock,
    periods: Sequence[Watched],
    spent_before: SpentBefore,
    *,
    entropy: Entropy,
) -> dict[str, Nanos]:
    """Charge what calls cost that left before a budget applied; what was added, by period.

    Nothing is asked where no budget is new. What has no answer is for the next sweep.
    """
    now = clock.now()
    new = [
        (each, before)
        for each in periods
        if began_within(each.budget, LONGEST_CALL + HEARD_WITHIN, now)
        and (before := _before(each)) is not None
    ]
    if not new:
        return {}
    added: dict[str, Nanos] = {}
    try:
        sums = await spent_before([before for _, before in new])
    except StoreUnavailable as error:
        logger.warning("budgets.late_calls_unknown", extra={"cause": error.detail})
        return added
    for (each, _), nanos in zip(new, sums, strict=True):
        if nanos > each.period.uncharged:
            try:
                added[each.period.id] = await _charge(documents, clock, each, nanos, entropy)
            except (StoreUnavailable, VersionConflict):
                logger.warning("budgets.late_calls_uncharged", extra={"period": each.period.id})
    return added


def _before(each: Watched) -> Before | None:
    """What to ask for a period, None for one that was over when the budget began."""
    began_at, until = each.budget.began_at, each.period.ends_at
    if began_at is None or until <= began_at:
        return None
    # Whole hours are the same question for many budgets; the last one is asked for anew each time.
    ended = began_at.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    return Before(each.budget, each.starts_at, max(ended, each.starts_at), until)


async def _charge(
    documents: Documents, clock: Clock, each: Watched, spent: Nanos, entropy: Entropy
) -> Nanos:
    """Raise what a period has charged of these calls to `spent`; by how much."""

    async def decide(read: Read) -> tuple[Sequence[Write], Nanos]:
        ref = period_ref(each.period.id)
        [document] = await read([ref])
        period = each.period if document is None else Period.from_document(document)
        more = spent - period.uncharged
        # Of another epoch: the budget is for other calls since it was asked.
        if more <= 0 or period.epoch != each.budget.epoch:
            return (), 0
        charged = replace(period, settled=period.settled + more, uncharged=spent)
        return [Put(ref, charged.to_data())], more

    added = await transact(documents, clock, decide, entropy=entropy)
    if added:
        charged = {"period": each.period.id, "nanos": added}
        logger.info("budgets.late_calls_charged", extra=charged)
    return added
