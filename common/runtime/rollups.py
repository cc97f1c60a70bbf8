"""Brownouts ask for the sums of scopes, and usage adds up cells: neither knows the other."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from common.brownout.baselines import BaselineKeeping
from common.brownout.folding import Folding
from common.brownout.minute_sums import HourCosts, Minute, MinuteSums
from common.brownout.modes import scope_of, scopes_of_call
from common.brownout.rollup_evaluation import RollupEvaluation
from common.brownout.ticks import Part
from common.core.ports import Documents
from common.usage.minutes import Sums, read_hours, read_minutes
from common.usage.rollups import Cell


@dataclass(frozen=True, slots=True)
class DocumentRollups:
    """The rollups of a store, by scope."""

    documents: Documents

    async def minutes(self, since: datetime, until: datetime) -> AsyncIterator[Minute]:
        async for each in read_minutes(self.documents, since, until, scopes_of_cell):
            yield Minute(each.start, {name: _minute(sums) for name, sums in each.sums.items()})

    async def hours(self, since: datetime, until: datetime) -> AsyncIterator[HourCosts]:
        async for each in read_hours(self.documents, since, until, scopes_of_cell):
            yield HourCosts(each.start, {name: sums.priced for name, sums in each.sums.items()})


def judging_rollups(folding: Folding) -> Mapping[str, Part]:
    """What judges the rollups once a minute, in order: by what is usual, which comes first."""
    rollups = DocumentRollups(folding.documents)
    judging = RollupEvaluation(
        folding.documents, folding.clock, folding.entropy, folding.policies, rollups
    )
    return {"baselines": BaselineKeeping(folding.documents, rollups), "rollups": judging}


@lru_cache(maxsize=10_000)
def scopes_of_cell(cell: Cell) -> tuple[str, ...]:
    """The scopes that the calls of a cell lie in; a name that makes no scope is left out."""
    scopes = scopes_of_call(
        org=cell.org or "",
        team=cell.team or "",
        agent=cell.agent or "",
        provider=cell.provider,
        model=cell.model if cell.sent is None else cell.sent,
    )
    return tuple(scope for scope in scopes if scope_of(scope) == scope and not scope.endswith("/"))


def _minute(sums: Sums) -> MinuteSums:
    return MinuteSums(
        calls=sums.calls,
        failed=sums.failed,
        cost=sums.priced,
        first_chunks=sums.first_chunks,
        awaited=sums.awaited,
        durations=sums.durations,
    )
