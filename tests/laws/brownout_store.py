"""A store in memory, and the way of one process to it, on which everything can go wrong.

The store keeps what every engine promises (`tests/contracts` is held against it too). On the way,
answers are lost, commits arrive late or twice, and a process is killed between any two of its steps
or in the middle of one. All that is drawn from a seed.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from common.adapters.document_rules import INT_MAX, INT_MIN, check_query, check_refs, check_writes
from common.core.errors import InvalidInput, StoreUnavailable
from common.core.ports import (
    Committed,
    Conflict,
    Create,
    Delete,
    Document,
    Documents,
    Increment,
    Outcome,
    Put,
    Query,
    Ref,
    Unknown,
    Value,
    Write,
)

FATES = ("told", "refused", "unanswered", "lost", "late", "repeated")
MOST_YIELDS = 4
MOST_STEPS = 16
"""A process that is to be killed takes at most so many more."""


class Killed(BaseException):
    """The process is gone: no code of it runs any more."""


class MemoryDocuments:
    """Documents in memory. `blind` plants a fault: no precondition is looked at."""

    def __init__(self, *, blind: bool = False) -> None:
        self._stored: dict[str, dict[str, Document]] = {}
        self._blind = blind
        self._versions = 0
        self.written: Counter[str] = Counter()
        """How many documents of each collection were put or created so far."""

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        check_refs(refs)
        return [self.document(ref) for ref in refs]

    async def query(self, query: Query) -> list[Document]:
        check_query(query)
        found = self._stored.get(query.collection, {})
        ids = sorted(found if query.after is None else [id_ for id_ in found if id_ > query.after])
        page = [found[id_] for id_ in ids if _equals(found[id_], query)]
        return page[: query.limit]

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        check_writes(writes)
        overtaken = tuple(write.ref for write in writes if not self._may(write))
        if overtaken:
            return Conflict(overtaken)
        grown = {each.ref: self._grown(each) for each in writes if isinstance(each, Increment)}
        for write in writes:
            collection = self._stored.setdefault(write.ref.collection, {})
            if isinstance(write, Delete):
                collection.pop(write.ref.id, None)
                continue
            data = grown[write.ref] if isinstance(write, Increment) else write.data
            self._versions += 1
            collection[write.ref.id] = Document(write.ref, dict(data), str(self._versions))
            self.written[write.ref.collection] += 1
        return Committed()

    def document(self, ref: Ref) -> Document | None:
        return self._stored.get(ref.collection, {}).get(ref.id)

    def all_of(self, collection: str) -> list[Document]:
        return list(self._stored.get(collection, {}).values())

    def _may(self, write: Write) -> bool:
        if self._blind:
            return True
        there = self.document(write.ref)
        match write:
            case Create():
                return there is None
            case Put(if_version=version) | Delete(if_version=version) if version is not None:
                return there is not None and there.version == version
            case _:
                return True

    def _grown(self, write: Increment) -> dict[str, Value]:
        there = self.document(write.ref)
        data = {} if there is None else dict(there.data)
        for name, amount in write.amounts.items():
            data[name] = data.get(name, 0) + amount
            if not INT_MIN <= data[name] <= INT_MAX:
                raise InvalidInput(f"{name} does not fit 64 bits")
        return data


@dataclass(slots=True)
class Weather:
    """How things stand on all ways at the moment.

    `rough` is the share of commits that go astray. `disturbed` counts whatever has gone wrong.
    """

    chance: random.Random
    down: bool = False
    rough: float = 0.0
    crowded: bool = False
    late: list[Sequence[Write]] = field(default_factory=list)
    disturbed: int = 0


@dataclass(slots=True)
class Way:
    """One process's way to the store. `dies_in` is after how many steps it is killed."""

    inner: Documents
    weather: Weather
    dies_in: int | None = None

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        await self._step()
        self._reach()
        return await self.inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        await self._step()
        self._reach()
        return await self.inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        await self._step()
        outcome = await self._committed(writes)
        await self._step()
        return outcome

    async def _committed(self, writes: Sequence[Write]) -> Outcome:
        weather, fate = self.weather, "told"
        if weather.down:
            fate = weather.chance.choice(("lost", "late"))
        elif weather.rough and weather.chance.random() < weather.rough:
            fate = weather.chance.choice(FATES)
        if fate == "told":
            return await self.inner.commit(writes)
        weather.disturbed += 1
        if fate == "refused":
            return Conflict((writes[0].ref,))
        if fate in {"lost", "late"}:
            if fate == "late":
                weather.late.append(writes)
            return Unknown("no answer in time")
        await self.inner.commit(writes)
        if fate == "repeated":
            return await self.inner.commit(writes)
        return Unknown("no answer in time")

    async def _step(self) -> None:
        """Others come in between, or the end."""
        if self.weather.crowded:
            for _ in range(self.weather.chance.randrange(MOST_YIELDS)):
                await asyncio.sleep(0)
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in < 0:
                self.weather.disturbed += 1
                raise Killed

    def _reach(self) -> None:
        rough = self.weather.rough / 3
        if self.weather.down or (rough and self.weather.chance.random() < rough):
            self.weather.disturbed += 1
            raise StoreUnavailable("no answer in time")


def _equals(document: Document, query: Query) -> bool:
    return all(
        name in document.data
        and type(document.data[name]) is type(value)
        and document.data[name] == value
        for name, value in query.where.items()
    )
