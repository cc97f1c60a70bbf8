"""The hard budgets this instance knows, in memory: which of them apply to a call.

An organisation's budgets are read at its first call, when `gateway/control` says that what applies
has changed, and once a minute. While the store is down the last ones stay, and an organisation
whose budgets were never read cannot be served: nobody knows what limits it.
"""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, field

from common.budgets.budgets import BUDGETS, Applicable, Budget, Spender, budgets_of
from common.budgets.calendar import FOREVER
from common.budgets.holdings import BudgetUnavailable
from common.core.errors import StoreUnavailable
from common.core.paging import every_document
from common.core.ports import Clock, Documents, Query
from common.gateway.control import POLICY_EPOCH, Control

logger = logging.getLogger(__name__)

KEPT_FOR_S = 60.0
RETRY_AFTER_S = 2.0
ORGANISATIONS = 1_000
REMEMBERED = 2_000
"""Answers kept for each organisation; models' names come from callers."""
PAGE = 500
_NONE = Applicable((), (), FOREVER)


@dataclass(slots=True)
class _Known:
    """The hard budgets of one organisation, as they were read.

    All that began up to `epoch` are there, and none that began later; `told` is what the control
    said when they were last asked for.
    """

    budgets: tuple[Budget, ...]
    epoch: int
    told: int
    due_s: float
    answers: OrderedDict[tuple[Spender, str | None], Applicable] = field(
        default_factory=OrderedDict
    )


class BudgetBook:
    """Budgets by organisation. One per process."""

    def __init__(self, documents: Documents, clock: Clock, control: Control) -> None:
        self._documents = documents
        self._clock = clock
        self._control = control
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._reading: dict[str, asyncio.Task[None]] = {}

    async def applicable(self, spender: Spender, model: str | None) -> Applicable:
        """The hard budgets that apply to a call, with their periods of now.

        Raises:
            BudgetUnavailable: they were never read, and cannot be.
        """
        known = self._known.get(spender.org)
        told = self._told()
        if known is None or known.told != told or self._clock.monotonic() >= known.due_s:
            reading = self._read_once(spender.org, told)
            if known is None or known.told != told:
                await asyncio.shield(reading)
            known = self._known.get(spender.org)
        if known is None:
            raise BudgetUnavailable
        if not known.budgets:
            return _NONE
        return self._answer(known, spender, model)

    def _answer(self, known: _Known, spender: Spender, model: str | None) -> Applicable:
        now = self._clock.now()
        found = known.answers.get((spender, model))
        if found is None or now >= found.ends_at:
            budgets = budgets_of(known.budgets, spender, model)
            found = known.answers[spender, model] = Applicable.at(budgets, now, known.epoch)
            if len(known.answers) > REMEMBERED:
                known.answers.popitem(last=False)
        return found

    def _told(self) -> int:
        return int(self._control.data.get(POLICY_EPOCH, 0))

    def _read_once(self, org: str, told: int) -> "asyncio.Task[None]":
        reading = self._reading.get(org)
        if reading is None or reading.done():
            reading = self._reading[org] = asyncio.create_task(self._read(org, told))
            reading.add_done_callback(lambda _: self._reading.pop(org, None))
        return reading

    async def _read(self, org: str, told: int) -> None:
        now_s = self._clock.monotonic()
        try:
            budgets, epoch = await self._complete(org, told)
        except StoreUnavailable:
            logger.warning("budgets.unread", extra={"org": org})
            if (known := self._known.get(org)) is not None:
                # The last ones stay, and calls do not wait for the store each time.
                known.told, known.due_s = told, now_s + RETRY_AFTER_S
            return
        hard = tuple(budget for budget in budgets if budget.hard)
        self._known[org] = _Known(hard, epoch, told, now_s + KEPT_FOR_S)
        self._known.move_to_end(org)
        if len(self._known) > ORGANISATIONS:
            self._known.popitem(last=False)

    async def _complete(self, org: str, told: int) -> tuple[list[Budget], int]:
        """All budgets up to the newest of them, and its epoch.

        Who finds one that is newer than was told reads again: another that is older than that one
        may have been made where pages were read already.
        """
        epoch = told
        while True:
            budgets = await self._all(org)
            newest = max((budget.epoch for budget in budgets), default=0)
            if newest <= epoch:
                return budgets, epoch
            epoch = newest

    async def _all(self, org: str) -> list[Budget]:
        stored = every_document(self._documents, Query(BUDGETS, {"org": org}, limit=PAGE))
        return [Budget.from_document(document) async for document in stored]
