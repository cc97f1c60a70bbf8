"""Days on which the bills of a provider explain all that our events have of it, and no more.

Which account of a provider a call is billed to, only the bill knows. So a provider's day counts as
proven when the accounts that told of it make up all that our events have of it, to the nano, and
none is billed for more than its calls cost. A day is one of UTC, and a call belongs to the day on
which it ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from common.budgets.sweep import every
from common.core.events import SpendReconciled
from common.core.money import Nanos
from common.core.ports import Clock, Documents, Put, Ref, Value, Write
from common.core.transactions import Entropy, Read, transact

TOLD = "reconciled_days"
TOLD_FOR = timedelta(days=40)
DAY = timedelta(days=1)


class DaySum(Protocol):
    """What the calls of a provider's day cost, and what budgets were charged beyond that."""

    @property
    def priced(self) -> Nanos: ...
    @property
    def unproven(self) -> Nanos: ...


class FlaggedCall(Protocol):
    """A call that was charged beyond its cost. `settlements` are its holds' leases and amounts."""

    @property
    def id(self) -> str: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime: ...
    @property
    def settlements(self) -> Sequence[tuple[str, Nanos]]: ...
    @property
    def unproven(self) -> Nanos: ...


class Ledger(Protocol):
    """What the events of calls say. Every method raises StoreUnavailable: no answer in time."""

    async def day_sums(self, day: date) -> Mapping[str, DaySum]:
        """By provider, of the calls that ended on a day and were sent."""

    async def flagged(
        self, provider: str, since: datetime, until: datetime
    ) -> Sequence[FlaggedCall]:
        """Those that ended from `since` up to, not in, `until`."""

    async def settled_on(
        self, lease: str, since: datetime, recently: datetime
    ) -> tuple[Nanos, Nanos]:
        """What calls settled on a lease, and the unproven part of those that ended `recently`."""


async def keep(documents: Documents, clock: Clock, entropy: Entropy, told: SpendReconciled) -> None:
    """Keep what a bill says, unless a later one said otherwise.

    Raises:
        StoreUnavailable: no answer in time.
    """
    ref = Ref(TOLD, f"{told.day}:{told.provider}:{told.account}")
    data = {
        "day": told.day.isoformat(),
        "provider": told.provider,
        "account": told.account,
        "ours_nanos": told.ours_nanos,
        "theirs_nanos": told.theirs_nanos,
        "unproven_nanos": told.unproven_nanos,
        "told_at": told.event_time,
        "delete_at": clock.now() + TOLD_FOR,
    }

    async def decide(read: Read) -> tuple[Sequence[Write], None]:
        [kept] = await read([ref])
        is_news = kept is None or kept.data["told_at"] < told.event_time
        return ([Put(ref, data)] if is_news else []), None

    await transact(documents, clock, decide, entropy=entropy)


@dataclass(slots=True)
class Days:
    """What is told of days, beside what our events say; each is read once."""

    documents: Documents
    ledger: Ledger
    _sums: dict[date, Mapping[str, DaySum]] = field(default_factory=dict)
    _told: dict[date, Sequence[Mapping[str, Value]]] = field(default_factory=dict)

    async def providers(self, days: Iterable[date]) -> set[str]:
        """Those that anybody called on one of the days."""
        return {provider for day in days for provider in await self._sums_of(day)}

    async def are_proven(self, provider: str, days: Iterable[date]) -> bool:
        """Whether bills explain all that our events have of a provider, and no more than that."""
        return all([await self._is_proven(provider, day) for day in days])

    async def _is_proven(self, provider: str, day: date) -> bool:
        bills = [each for each in await self._told_of(day) if each["provider"] == provider]
        found = (await self._sums_of(day)).get(provider)
        priced, unproven = (0, 0) if found is None else (found.priced, found.unproven)
        return (
            bool(bills)
            and sum(each["ours_nanos"] for each in bills) == priced
            and sum(each["unproven_nanos"] for each in bills) == unproven
            and all(each["theirs_nanos"] <= each["ours_nanos"] for each in bills)
        )

    async def _sums_of(self, day: date) -> Mapping[str, DaySum]:
        if day not in self._sums:
            self._sums[day] = await self.ledger.day_sums(day)
        return self._sums[day]

    async def _told_of(self, day: date) -> Sequence[Mapping[str, Value]]:
        if day not in self._told:
            where = {"day": day.isoformat()}
            self._told[day] = [each.data async for each in every(self.documents, TOLD, where)]
        return self._told[day]


def begin_of(day: date) -> datetime:
    """The first moment of a day."""
    return datetime.combine(day, time(), UTC)


def days_of(since: datetime, until: datetime) -> list[date]:
    """All days of UTC from one moment to another."""
    first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date()
    return [first + number * DAY for number in range((last - first).days + 1)]
