"""A store with changes that are not made: what is written stays in memory, what is read is as if.

A plan of many changes runs against it as it would run against the store, so a rule that holds for
the changes themselves holds for their plan, with nothing written twice.
"""

from collections.abc import Sequence
from dataclasses import replace

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
    Write,
)


class StagedDocuments:
    """`inner` with commits on top that nobody else sees."""

    def __init__(self, inner: Documents) -> None:
        self._inner = inner
        self._staged: dict[Ref, Document | None] = {}
        self._commits = 0

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        unread = [ref for ref in refs if ref not in self._staged]
        found = dict(zip(unread, await self._inner.get_many(unread), strict=True)) if unread else {}
        return [self._staged[ref] if ref in self._staged else found[ref] for ref in refs]

    async def query(self, query: Query) -> list[Document]:
        found: list[Document] = []
        after = query.after
        while len(found) < query.limit:
            page = await self._inner.query(replace(query, after=after))
            found += [document for document in page if document.ref not in self._staged]
            if len(page) < query.limit:
                break
            after = page[-1].ref.id
        found += [each for each in self._staged.values() if each and _answers(each, query)]
        return sorted(found, key=lambda document: document.ref.id)[: query.limit]

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        refs = [write.ref for write in writes]
        found = dict(zip(refs, await self.get_many(refs), strict=True))
        broken = tuple(write.ref for write in writes if not _holds(write, found[write.ref]))
        if broken:
            return Conflict(broken)
        self._commits += 1
        for write in writes:
            self._staged[write.ref] = self._after(write, found[write.ref])
        return Committed()

    def _after(self, write: Write, found: Document | None) -> Document | None:
        if isinstance(write, Delete):
            return None
        data = dict(write.data) if isinstance(write, Create | Put) else {}
        if isinstance(write, Increment):
            data = dict(found.data) if found is not None else {}
            data |= {name: data.get(name, 0) + more for name, more in write.amounts.items()}
        return Document(write.ref, data, f"staged-{self._commits}")


def _answers(document: Document, query: Query) -> bool:
    return (
        document.ref.collection == query.collection
        and (query.after is None or document.ref.id > query.after)
        and all(document.data.get(name) == value for name, value in query.where.items())
    )


def _holds(write: Write, found: Document | None) -> bool:
    """Whether the precondition of a write holds."""
    if isinstance(write, Create):
        return found is None
    if isinstance(write, Put | Delete) and write.if_version is not None:
        return found is not None and found.version == write.if_version
    return True
