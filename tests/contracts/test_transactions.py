"""`transact` over every engine: once or not at all, whatever the store answers."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from os import urandom
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.adapters.system_clock import SystemClock
from common.core.errors import StoreUnavailable, VersionConflict
from common.core.ports import (
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
    Write,
)
from common.core.transactions import MARKERS, Read, transact

COUNTER, LOG, OTHER = Ref("counters", "a"), Ref("counters", "log"), Ref("counters", "other")
CLOCK = SystemClock()

FATES = ["stored", "lost", "silent", "late", "stored, then late ones", "late ones first"]
"""What becomes of a commit. lost: Unknown, never stored. silent: stored, and yet Unknown. late:
Unknown, and stored only when a later commit lets it through, before or after itself."""


class Unreliable:
    """A store whose commits meet the given fates, one after another, and then are stored."""

    def __init__(self, documents: Documents, *fates: str) -> None:
        self._documents = documents
        self._fates = list(fates)
        self._late: list[Sequence[Write]] = []

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self._documents.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self._documents.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        fate = self._fates.pop(0) if self._fates else "stored"
        if fate == "late ones first":
            await self.let_late_ones_through()
        if fate == "late":
            self._late.append(writes)
        outcome: Outcome = Unknown(fate)
        if fate not in ("late", "lost"):
            outcome = await self._documents.commit(writes)
        if fate == "stored, then late ones":
            await self.let_late_ones_through()
        return Unknown(fate) if fate == "silent" else outcome

    async def let_late_ones_through(self) -> None:
        for writes in self._late:
            await self._documents.commit(writes)
        self._late.clear()


async def at_once(_: float) -> None:
    await asyncio.sleep(0)


async def one_more(read: Read) -> tuple[list[Write], int]:
    """Count in two ways, of which only one depends on what is there."""
    [found] = await read([COUNTER])
    count = (found.data["n"] if found else 0) + 1
    return [Put(COUNTER, {"n": count}), Increment(LOG, {"n": 1})], count


async def counted(documents: Documents) -> tuple[int, int]:
    found = await documents.get_many([COUNTER, LOG])
    first, second = (document.data["n"] if document else 0 for document in found)
    return first, second


class TestOutcomes:
    async def test_returns_the_answer_of_the_decision(self, documents: Documents) -> None:
        answer = await transact(documents, CLOCK, one_more, entropy=urandom)

        assert answer == 1
        assert await counted(documents) == (1, 1)

    async def test_commits_nothing_when_nothing_is_to_be_written(
        self, documents: Documents
    ) -> None:
        async def look(read: Read) -> tuple[list[Write], list[Document | None]]:
            return [], await read([COUNTER])

        assert await transact(documents, CLOCK, look, entropy=urandom) == [None]
        assert await documents.query(Query(MARKERS)) == []

    @pytest.mark.parametrize(
        "fates",
        [
            ["silent"],
            ["silent", "lost", "silent", "lost"],
            ["lost"],
            ["lost", "silent"],
            ["lost", "lost", "silent"],
            ["late", "stored, then late ones"],
            ["late", "late ones first"],
            ["late", "lost", "late ones first"],
            ["late", "late", "late ones first"],
        ],
        ids=" / ".join,
    )
    async def test_applies_once_after_an_unknown_outcome(
        self, documents: Documents, fates: list[str]
    ) -> None:
        store = Unreliable(documents, *fates)

        answer = await transact(store, CLOCK, one_more, entropy=urandom, sleep=at_once)
        await store.let_late_ones_through()

        assert answer == 1
        assert await counted(documents) == (1, 1)

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(fates=st.lists(st.sampled_from(FATES), max_size=12))
    async def test_applies_at_most_once_whatever_happens(
        self, documents: Documents, fates: list[str]
    ) -> None:
        await documents.commit([Delete(COUNTER), Delete(LOG)])
        store = Unreliable(documents, *fates)
        finished = open_ends = 0

        for _ in range(3):
            try:
                await transact(store, CLOCK, one_more, entropy=urandom, attempts=3, sleep=at_once)
                finished += 1
            except StoreUnavailable:
                open_ends += 1
            except VersionConflict:
                pass
        await store.let_late_ones_through()

        first, second = await counted(documents)
        assert first == second
        assert finished <= first <= finished + open_ends

    async def test_says_when_it_cannot_know(self, documents: Documents) -> None:
        store = Unreliable(documents, *["lost"] * 4)

        with pytest.raises(StoreUnavailable):
            await transact(store, CLOCK, one_more, entropy=urandom, attempts=3, sleep=at_once)

    async def test_adopts_a_commit_that_the_store_repeated_by_itself(
        self, documents: Documents
    ) -> None:
        class Repeating(Unreliable):
            async def commit(self, writes: Sequence[Write]) -> Outcome:
                await super().commit(writes)
                return await super().commit(writes)

        async def add(_: Read) -> tuple[list[Write], None]:
            return [Increment(LOG, {"n": 1})], None

        await transact(Repeating(documents), CLOCK, add, entropy=urandom, sleep=at_once)

        assert await counted(documents) == (0, 1)


class TestConflicts:
    async def test_decides_anew_on_what_others_wrote(self, documents: Documents) -> None:
        answers = await asyncio.gather(
            *(
                transact(documents, CLOCK, one_more, entropy=urandom, attempts=100)
                for _ in range(20)
            )
        )

        assert sorted(answers) == list(range(1, 21))
        assert await counted(documents) == (20, 20)

    async def test_gives_up_when_others_are_always_faster(self, documents: Documents) -> None:
        pauses: list[float] = []

        async def note(pause_s: float) -> None:
            pauses.append(pause_s)

        async def overtaken(read: Read) -> tuple[list[Write], None]:
            await read([COUNTER])
            await documents.commit([Increment(COUNTER, {"n": 1})])
            return [Put(COUNTER, {"n": -1})], None

        with pytest.raises(VersionConflict, match="9 times"):
            await transact(
                documents,
                CLOCK,
                overtaken,
                attempts=9,
                sleep=note,
                entropy=lambda size: b"\x80" + bytes(size - 1),
            )

        assert (await documents.get_many([COUNTER]))[0].data == {"n": 9}  # type: ignore[union-attr] # it is there
        assert pauses == [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5]

    @pytest.mark.parametrize("before", [None, {"n": 1}])
    async def test_binds_a_put_and_a_delete_to_what_was_read(
        self, documents: Documents, before: dict[str, int] | None
    ) -> None:
        writes: list[Write] = [Create(ref, before or {}) for ref in (COUNTER, OTHER) if before]
        await documents.commit([*writes, Put(LOG, {})])
        tries: list[int] = []

        async def replace(read: Read) -> tuple[list[Write], None]:
            found = await read([COUNTER, OTHER])
            if not tries:
                await documents.commit([Put(COUNTER, {"n": 5}), Put(OTHER, {"n": 5})])
            tries.append(sum(document.data["n"] if document else 0 for document in found))
            return [Put(COUNTER, {"n": 6}), Delete(OTHER)], None

        await transact(documents, CLOCK, replace, entropy=urandom, sleep=at_once)

        assert tries == [2 if before else 0, 10]
        [counter, other] = await documents.get_many([COUNTER, OTHER])
        assert (counter and counter.data, other) == ({"n": 6}, None)

    async def test_deletes_nothing_where_nothing_was_read(self, documents: Documents) -> None:
        async def remove(read: Read) -> tuple[list[Write], None]:
            await read([OTHER])
            return [Delete(OTHER), Increment(LOG, {"n": 1})], None

        await transact(documents, CLOCK, remove, entropy=urandom)

        assert await counted(documents) == (0, 1)

    async def test_refuses_to_write_what_was_not_read(self, documents: Documents) -> None:
        async def careless(_: Read) -> tuple[list[Write], None]:
            return [Put(COUNTER, {"n": 1})], None

        with pytest.raises(LookupError, match="without having been read"):
            await transact(documents, CLOCK, careless, entropy=urandom)

        assert await counted(documents) == (0, 0)


async def test_marks_every_commit_with_the_day_it_may_be_forgotten(documents: Documents) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)

    class Noon(SystemClock):
        def now(self) -> datetime:
            return noon

    await transact(documents, Noon(), one_more, entropy=urandom)

    [marker] = await documents.query(Query(MARKERS))
    expected: dict[str, Any] = {
        "state": "applied",
        "delete_at": datetime(2026, 3, 2, 12, tzinfo=UTC),
    }
    assert marker.data == expected
