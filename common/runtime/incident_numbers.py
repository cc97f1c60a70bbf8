"""The numbers of incidents ask about calls and brownouts: usage and brownouts know, and answer."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from common.brownout.episodes import EPISODES, Episode
from common.brownout.modes import GLOBAL, KINDS, ScopeKind
from common.brownout.policies import Policies
from common.brownout.state import read_state
from common.brownout.totals import total_saving
from common.core.errors import StoreUnavailable
from common.core.ports import Documents, Query, Warehouse
from common.incidents.incidents import Incident
from common.incidents.review import (
    NO_SCOPE,
    CallGroup,
    Found,
    Limits,
    MinuteOfCalls,
    Numbers,
    Saved,
    minutes_around,
    numbers_of,
    span_of,
)
from common.incidents.timeline import Entry
from common.runtime.rollups import scopes_of_cell
from common.usage.minutes import Sums, read_minutes
from common.usage.rollups import KEPT, Cell
from common.usage.treated_calls import Asked, read_treated_calls

TIMEOUT_S = 50.0
NOT_READ = "the minutes could not be read in time"
_NOT_KEPT = f"minutes are kept for {KEPT['minute'].days} days"
_IT = ("the incident",)


@dataclass(frozen=True, slots=True)
class IncidentNumbers:
    """Computes the numbers of incidents. What one source does not tell is said to be unknown."""

    documents: Documents
    warehouse: Warehouse
    policies: Policies

    async def of(self, incident: Incident, entries: Sequence[Entry], now: datetime) -> Numbers:
        """The numbers at `now`.

        Raises:
            StoreUnavailable: the state does not answer.
        """
        minutes, calls, limits, saved = await asyncio.gather(
            self._minutes(incident, now),
            self._calls(incident, now),
            self._limits(incident.scope),
            self._saved(incident),
        )
        return numbers_of(incident, entries, Found(minutes, calls, limits, saved), now)

    async def _minutes(self, incident: Incident, now: datetime) -> list[MinuteOfCalls] | str:
        scopes = frozenset(filter(_is_of_calls, incident.scopes))
        if not scopes:
            return NO_SCOPE
        since, until = minutes_around(incident, now)
        if since < now - KEPT["minute"]:
            return _NOT_KEPT

        def names_of(cell: Cell) -> tuple[str, ...]:
            return () if scopes.isdisjoint(scopes_of_cell(cell)) else _IT

        try:
            async with asyncio.timeout(TIMEOUT_S):
                return [
                    _minute(each.start, sums)
                    async for each in read_minutes(self.documents, since, until, names_of)
                    for sums in each.sums.values()
                ]
        except TimeoutError:
            return NOT_READ

    async def _calls(self, incident: Incident, now: datetime) -> list[CallGroup] | str:
        scopes = list(filter(_is_of_calls, incident.scopes))
        if not scopes:
            return NO_SCOPE
        since, until = span_of(incident, now)
        asked = Asked(
            since,
            until,
            everything=GLOBAL in scopes,
            orgs=_names(scopes, "org"),
            teams=_names(scopes, "team"),
            agents=_names(scopes, "agent"),
            providers=_names(scopes, "provider"),
            models=_names(scopes, "model"),
            episodes=incident.episodes,
        )
        try:
            found = await read_treated_calls(self.warehouse, asked)
        except StoreUnavailable as error:
            return f"the warehouse does not tell: {error.detail}"
        return [
            CallGroup(each.org, each.team, each.outcome, each.edits, each.calls, each.first_at)
            for each in found
        ]

    async def _limits(self, scope: str) -> Limits:
        state = await read_state(self.documents)
        soft = (await self.policies.of(state.policy_version)).limits_for(scope).soft
        latency = soft.latency_p95
        if latency is None:
            return Limits(soft.error_rate)
        return Limits(soft.error_rate, latency.above.total_seconds(), latency.of)

    async def _saved(self, incident: Incident) -> Saved:
        found = [
            Episode.from_document(document)
            for id_ in incident.episodes
            for document in await self.documents.query(Query(EPISODES, {"id": id_}, limit=1))
        ]
        total = total_saving(found)
        return Saved(total.nanos, total.low, total.high, total.method, total.note)


def _minute(start: datetime, sums: Sums) -> MinuteOfCalls:
    return MinuteOfCalls(
        start, sums.calls, sums.failed, sums.priced, sums.first_chunks, sums.durations
    )


def _is_of_calls(scope: str) -> bool:
    return scope.partition(":")[0] in KINDS


def _names(scopes: Iterable[str], kind: ScopeKind) -> list[str]:
    """What the scopes of this kind name."""
    return [scope.partition(":")[2] for scope in scopes if scope.startswith(f"{kind}:")]
