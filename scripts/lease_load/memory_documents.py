"""Documents in memory that take as long as a store does, and refuse what was overtaken."""

import asyncio
from collections.abc import Mapping, Sequence

from common.core.ports import (
    Committed,
    Conflict,
    Create,
    Document,
    Outcome,
    Put,
    Query,
    Ref,
    Value,
    Write,
)

READ_S = 0.005
COMMIT_S = 0.010


class MemoryDocuments:
    """Creates and puts under versions; counts what it is asked."""

    def __init__(self) -> None:
        self.commits = 0
        self.conflicts = 0
        self._data: dict[Ref, tuple[Mapping[str, Value], int]] = {}

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        await asyncio.sleep(READ_S)
        return [self._document(ref) for ref in refs]

    async def query(self, query: Query) -> list[Document]:
        raise NotImplementedError(f"{query.collection}: leases ask by id only")

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        await asyncio.sleep(COMMIT_S / 2)
        outcome = self._apply(writes)
        await asyncio.sleep(COMMIT_S / 2)
        return outcome

    def store(self, ref: Ref, data: Mapping[str, Value]) -> None:
        _, version = self._data.get(ref, ({}, 0))
        self._data[ref] = (data, version + 1)

    def _apply(self, writes: Sequence[Write]) -> Outcome:
        self.commits += 1
        overtaken = [write.ref for write in writes if not self._as_read(write)]
        if overtaken:
            self.conflicts += 1
            return Conflict(tuple(overtaken))
        for write in writes:
            assert isinstance(write, Create | Put), "leases are created and replaced, no more"
            self.store(write.ref, write.data)
        return Committed()

    def _as_read(self, write: Write) -> bool:
        found = self._document(write.ref)
        version = write.if_version if isinstance(write, Put) else None
        return (found.version if found is not None else None) == version

    def _document(self, ref: Ref) -> Document | None:
        found = self._data.get(ref)
        return None if found is None else Document(ref, found[0], str(found[1]))
