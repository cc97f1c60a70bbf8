"""How much of a call's tightest hard budget is used: what rules step down by.

Read from the store every few seconds at most, and only for organisations whose rules ask for it.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass, field

from common.budgets.standing import Standing
from common.core.ports import Clock
from common.gateway.call import Call
from common.gateway.keys import Key
from common.gateway.refusals import Refusal
from common.gateway.spending import Spending

logger = logging.getLogger(__name__)

KEPT_S = 2.0
MOST_KEPT = 1_000


@dataclass(slots=True)
class BudgetUse:
    """One per process."""

    spending: Spending
    clock: Clock
    _known: OrderedDict[tuple[str, ...], tuple[float, float]] = field(default_factory=OrderedDict)

    async def of(self, call: Call, key: Key, model: str | None) -> float:
        """The share of the tightest hard budget that is spent or held, 0 to 1; 0 without one.

        Where nobody can tell it is 0: whether there is room is decided later.
        """
        now, used = self.clock.monotonic(), 0.0
        try:
            to = await self.spending.applicable(call, key, model)
            due_s, used = self._known.get(to.scope_set, (0.0, 0.0))
            if now >= due_s:
                standings = await self.spending.standings(to)
                used = max(map(self._share, standings), default=0.0)
                self._known[to.scope_set] = (now + KEPT_S, used)
                if len(self._known) > MOST_KEPT:
                    self._known.popitem(last=False)
        except Refusal:
            logger.warning("budget_use.unread")
        return used

    def _share(self, standing: Standing) -> float:
        """What other instances lease counts as used: calls there may be about to spend it."""
        period, now = standing.period, self.clock.now()
        limit = period.limit_at(now)
        free = period.room(now) + self.spending.own_free(period)
        return min(max(1 - free / limit, 0.0), 1.0) if limit > 0 else 1.0
