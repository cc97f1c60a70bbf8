"""The hourly and the daily run: read, detect, merge, tell.

A run judges what is complete by now, whatever the time of the command that asks for it. So a
command that comes late or twice finds what the one before found, or more, and changes what is
stored accordingly; nothing is ever added twice. What a run has decided to tell and could not is
told by the next one, first of all.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from common.core.insight_events import RunInsights
from common.core.ports import Bus, Clock, Documents, Query, Warehouse
from common.core.transactions import Entropy
from common.insights import burns, changes, drifts, newcomers, waste
from common.insights.batching import batchable
from common.insights.caching import cacheable
from common.insights.findings import PASSING, Finding, Window
from common.insights.keeping import Latest, keep, read_latest, tell
from common.insights.loops import loops
from common.insights.reading import Reading, spike_span
from common.insights.series import HOUR
from common.insights.spikes import spikes
from common.insights.standing import BudgetAt, Budgets, Question
from common.insights.unused import (
    KEY_IDLE,
    BudgetUse,
    KeyUse,
    unused_budgets,
    unused_keys,
)
from common.insights.what_if import cheaper_models
from common.llm.price_book import PriceBook

logger = logging.getLogger(__name__)

SETTLED_AFTER = timedelta(minutes=5)
"""When the calls of an hour count as complete in the warehouse."""
LEDGER_OVER = timedelta(days=7)
KEYS = "keys"
PAGE = 500


@dataclass(frozen=True, slots=True)
class Runs:
    """The parts that a run works with. `read_book` answers with the prices in force."""

    documents: Documents
    warehouse: Warehouse
    bus: Bus
    clock: Clock
    entropy: Entropy
    read_book: Callable[[], Awaitable[PriceBook]]
    budgets: Budgets

    async def run(self, command: RunInsights) -> None:
        """Do one run. It can be repeated at any time.

        Raises:
            StoreUnavailable: no answer in time; the next run finds the same.
            PublishFailed: an event was not accepted; it waits for the next run.
        """
        await self._tell()
        now = self.clock.now()
        latest = await read_latest(self.documents)
        if command.type == "insights.hourly":
            found = await self._hourly(now, latest)
        else:
            found = await self._daily(now)
        changed = await keep(self.documents, self.clock, self.entropy, found, latest)
        logger.info(
            "insights.run",
            extra={"type": command.type, "found": len(found), "changed": changed},
        )
        await self._tell()

    async def _tell(self) -> None:
        await tell(self.documents, self.bus, self.clock, self.entropy)

    async def _hourly(self, now: datetime, latest: Latest) -> list[Finding]:
        until = _hour(now - SETTLED_AFTER)
        since, judged = spike_span(until)
        reading = Reading(self.warehouse)
        series, served, repeated, habits = await asyncio.gather(
            reading.series(since, until),
            reading.served(judged - changes.COMPARED - changes.RUNNING * HOUR, until),
            reading.repeated(judged, until),
            reading.habits(judged),
        )
        found = [finding for each in series for finding in spikes(each, judged, until)]
        found += [finding for each in served for finding in changes.changes(each, judged, until)]
        found += loops(repeated, habits)
        found += await self._burns(now.replace(second=0, microsecond=0))
        # Older than what is judged: no run has seen the end of these.
        found += [
            replace(each.finding, over=True)
            for each in latest.values()
            if each.finding.kind in PASSING
            and not each.finding.over
            and each.finding.window.until <= judged
        ]
        return found

    async def _daily(self, now: datetime) -> list[Finding]:
        until = Window.day_of(now - SETTLED_AFTER).since
        weeks = drifts.WEEK * (drifts.WEEKS + 1)
        since = until - LEDGER_OVER
        reading = Reading(self.warehouse)
        known = newcomers.NEW_FOR + newcomers.LOOKED_BACK
        daily, spent, spending, ledger, sharing, used = await asyncio.gather(
            reading.daily(until - weeks, until),
            reading.spent(until - waste.LOOKED_AT, until),
            reading.spending(until - known, until),
            reading.ledger(since, until),
            reading.sharing(since, until),
            reading.key_uses(now - KEY_IDLE),
        )
        found = [finding for each in daily for finding in drifts.drifts(each, until)]
        found += waste.waste(spent, until)
        found += newcomers.newcomers(spending, until)
        book = await self.read_book()
        found += cheaper_models(ledger, book, since, until)
        found += batchable(ledger, book, since, until)
        found += cacheable(sharing, book, since, until)
        keys = await self._keys(now)
        found += unused_keys(
            [replace(key, used_at=used.get(key.line)) for key in keys],
            now,
        )
        found += unused_budgets(await self._budget_uses(now), now)
        return found

    async def _burns(self, now: datetime) -> list[Finding]:
        watched = [
            each
            for each in await self.budgets.standing(now)
            if each.period.until - each.period.since >= burns.LEAST_PERIOD
        ]
        spent = await self.budgets.spent([part for each in watched for part in _paces(each, now)])
        found = []
        for number, each in enumerate(watched):
            pace = burns.Pace(*spent[number * _PARTS : (number + 1) * _PARTS])
            state = burns.Watched(each.id, each.org, each.scope, each.period, each.limit)
            finding = burns.burn(state, pace, now)
            if finding is not None:
                found.append(finding)
        return found

    async def _budget_uses(self, now: datetime) -> list[BudgetUse]:
        standing = await self.budgets.standing(now)
        spent = await self.budgets.spent([Question(e.id, e.idle_since, now) for e in standing])
        silent = [each for each, nanos in zip(standing, spent, strict=True) if not nanos]
        if not silent:
            return []
        since = min(each.idle_since for each in silent)
        refused = await Reading(self.warehouse).refused(since, now)
        began = await self.budgets.began([each.id for each in silent])
        return [
            BudgetUse(e.id, e.org, e.scope, e.idle_since, 0, began_at, refused.get(e.scope))
            for e, began_at in zip(silent, began, strict=True)
        ]

    async def _keys(self, now: datetime) -> list[KeyUse]:
        """Keys that work now; of a line that was rotated the oldest, which tells its age."""
        lines: dict[str, KeyUse] = {}
        after = None
        while True:
            page = await self.documents.query(Query(KEYS, after=after, limit=PAGE))
            for each in page:
                data = each.data
                ends = [data[name] for name in ("expires_at", "revoked_at") if data[name]]
                use = KeyUse(data["line"], data["name"], data["org"], data["created_at"], None)
                known = lines.get(use.line)
                if all(now < end for end in ends) and (
                    known is None or use.created_at < known.created_at
                ):
                    lines[use.line] = use
            if len(page) < PAGE:
                return list(lines.values())
            after = page[-1].ref.id


_PARTS = 7


def _paces(budget: BudgetAt, now: datetime) -> list[Question]:
    """What Pace is made of, in its order."""
    day, week, three = burns.DAY, burns.WEEK, burns.THREE_DAYS
    spans = (
        (budget.period.since, now),
        (now - week, now),
        burns.rest_span(budget.period, now),
        (now - day, now),
        (now - week - day, now - week),
        (now - three, now),
        (now - week - three, now - week),
    )
    return [Question(budget.id, since, until) for since, until in spans]


def _hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)
