"""What every engine of `Documents` promises."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from common.core.errors import InvalidInput
from common.core.ports import (
    Committed,
    Conflict,
    Create,
    Delete,
    Documents,
    Increment,
    Put,
    Query,
    Ref,
    Write,
)
from tests.contracts.stored import A, B, C, data, read

ODD_IDS = [
    "a/b",
    "..",
    ".",
    "__x__",
    "__id7__",
    "a b",
    "%2F",
    "ключ",
    "\U0001f600",
    "'; DROP TABLE documents; --",
    "a\nb",
    "nul\0inside",
    "x" * 400,
    " ",
    "a ",
    "__",
    "__ ",
    "$v",
    "$list",
]


class TestPreconditions:
    async def test_creates_what_is_not_there(self, documents: Documents) -> None:
        outcome = await documents.commit([Create(A, {"n": 1})])

        assert outcome == Committed()
        assert await data(documents, A) == [{"n": 1}]

    async def test_does_not_create_what_is_there(self, documents: Documents) -> None:
        await documents.commit([Put(A, {"n": 1})])

        outcome = await documents.commit([Create(A, {"n": 2})])

        assert outcome == Conflict((A,))
        assert await data(documents, A) == [{"n": 1}]

    async def test_puts_over_the_version_it_read(self, documents: Documents) -> None:
        await documents.commit([Put(A, {"n": 1, "gone": True})])
        version = (await read(documents, A)).version

        outcome = await documents.commit([Put(A, {"n": 2}, if_version=version)])

        assert outcome == Committed()
        assert await data(documents, A) == [{"n": 2}]

    @pytest.mark.parametrize("late", [Put(A, {"n": 3}, "?"), Delete(A, "?")])
    async def test_refuses_a_version_that_is_no_longer_there(
        self, documents: Documents, late: Put | Delete
    ) -> None:
        await documents.commit([Put(A, {"n": 1})])
        version = (await read(documents, A)).version
        await documents.commit([Put(A, {"n": 2})])
        write: Write = Put(A, late.data, version) if isinstance(late, Put) else Delete(A, version)

        outcome = await documents.commit([write])

        assert outcome == Conflict((A,))
        assert await data(documents, A) == [{"n": 2}]

    @pytest.mark.parametrize("change", [Put(A, {"n": 1}), Increment(A, {"n": 1})])
    async def test_changes_the_version_with_every_write(
        self, documents: Documents, change: Write
    ) -> None:
        await documents.commit([change])
        first = (await read(documents, A)).version

        await documents.commit([change])

        assert (await read(documents, A)).version != first

    async def test_shows_no_old_version_on_a_document_made_again(
        self, documents: Documents
    ) -> None:
        await documents.commit([Create(A, {"n": 1})])
        first = (await read(documents, A)).version
        await documents.commit([Delete(A)])
        await documents.commit([Create(A, {"n": 1})])

        outcome = await documents.commit([Put(A, {"n": 2}, first)])

        assert outcome == Conflict((A,))

    async def test_deletes_what_is_there_and_what_is_not(self, documents: Documents) -> None:
        await documents.commit([Put(A, {})])

        outcome = await documents.commit([Delete(A), Delete(B)])

        assert outcome == Committed()
        assert await data(documents, A, B) == [None, None]

    async def test_deletes_the_version_it_read(self, documents: Documents) -> None:
        await documents.commit([Put(A, {})])
        version = (await read(documents, A)).version

        outcome = await documents.commit([Delete(A, version)])

        assert outcome == Committed()
        assert await data(documents, A) == [None]


class TestAtomicity:
    async def test_stores_nothing_of_a_commit_with_a_conflict(self, documents: Documents) -> None:
        await documents.commit([Put(B, {"n": 1}), Put(C, {"n": 1})])

        outcome = await documents.commit(
            [Put(A, {"n": 9}), Increment(C, {"n": 5}), Create(B, {"n": 9})]
        )

        assert outcome == Conflict((B,))
        assert await data(documents, A, B, C) == [None, {"n": 1}, {"n": 1}]

    async def test_lets_a_conflict_hurt_nobody_else(self, documents: Documents) -> None:
        await documents.commit([Put(A, {})])
        others = [Ref("others", str(n)) for n in range(20)]

        outcomes = await asyncio.gather(
            *(
                documents.commit([Create(A, {}), Put(ref, {})] if n % 2 else [Put(ref, {})])
                for n, ref in enumerate(others)
            )
        )

        assert outcomes == [Conflict((A,)) if n % 2 else Committed() for n in range(20)]
        assert await data(documents, *others) == [None if n % 2 else {} for n in range(20)]

    # Firestore's emulator shows half of a commit, in a read-only transaction too: see
    # common/adapters/README.md.
    @pytest.mark.parametrize("documents", ["sqlite"], indirect=True)
    async def test_shows_one_snapshot_of_several_documents(self, documents: Documents) -> None:
        await documents.commit([Put(A, {"n": 500}), Put(B, {"n": 500})])

        async def move() -> None:
            for _ in range(50):
                await documents.commit([Increment(A, {"n": -1}), Increment(B, {"n": 1})])

        async def look() -> set[int]:
            return {sum(found["n"] for found in await data(documents, A, B)) for _ in range(50)}

        *_, sums = await asyncio.gather(move(), move(), look())

        assert sums == {1000}

    async def test_takes_500_writes_at_once(self, documents: Documents) -> None:
        outcome = await documents.commit([Put(Ref("many", str(n)), {}) for n in range(500)])

        assert outcome == Committed()
        assert len(await documents.query(Query("many"))) == 500


class TestConcurrency:
    async def test_lets_one_of_50_creators_win(self, documents: Documents) -> None:
        outcomes = await asyncio.gather(
            *(documents.commit([Create(A, {"winner": n})]) for n in range(50))
        )

        winners = [n for n, outcome in enumerate(outcomes) if outcome == Committed()]
        assert await data(documents, A) == [{"winner": winners[0]}]
        assert outcomes.count(Conflict((A,))) == 49

    async def test_adds_up_blind_increments_exactly(self, documents: Documents) -> None:
        await documents.commit([Put(A, {"name": "kept", "calls": 7})])

        async def count(step: int) -> None:
            for _ in range(10):
                await documents.commit(
                    [Increment(A, {"calls": 1, "nanos": step}), Increment(B, {"calls": 1})]
                )

        await asyncio.gather(*(count(step) for step in range(50)))

        assert await data(documents, A, B) == [
            {"name": "kept", "calls": 507, "nanos": 10 * sum(range(50))},
            {"calls": 500},
        ]

    async def test_lets_one_of_many_writers_of_a_version_win(self, documents: Documents) -> None:
        await documents.commit([Put(A, {"n": -1})])
        version = (await read(documents, A)).version

        outcomes = await asyncio.gather(
            *(documents.commit([Put(A, {"n": n}, version)]) for n in range(20))
        )

        assert outcomes.count(Committed()) == 1
        assert await data(documents, A) == [{"n": outcomes.index(Committed())}]


class TestIds:
    @pytest.mark.parametrize("odd", ODD_IDS)
    async def test_takes_any_text_as_id_collection_and_field(
        self, documents: Documents, odd: str
    ) -> None:
        ref = Ref(odd, odd)

        outcome = await documents.commit([Create(ref, {odd: odd, "in": {odd: 1}})])

        assert outcome == Committed()
        [found] = await documents.query(Query(odd, where={odd: odd}))
        assert (found.ref, found.data) == (ref, {odd: odd, "in": {odd: 1}})

    async def test_tells_collections_and_ids_apart(self, documents: Documents) -> None:
        refs = [Ref("a", "b/c"), Ref("a/b", "c"), Ref("a", "b"), Ref("A", "b"), Ref("a", "B")]

        await documents.commit([Create(ref, {"n": n}) for n, ref in enumerate(refs)])

        assert await data(documents, *refs) == [{"n": n} for n in range(5)]

    @pytest.mark.parametrize(
        "ref",
        [
            Ref("", "a"),
            Ref("a", ""),
            Ref("a", "\ud800"),
            Ref("a", "x" * 1501),
            Ref("x" * 1501, "a"),
            Ref("a", "." * 751),
            Ref("a", "é" * 751),
        ],
        ids=["collection", "id", "unicode", "long", "long_collection", "escaped", "encoded"],
    )
    async def test_refuses_what_is_no_id(self, documents: Documents, ref: Ref) -> None:
        with pytest.raises(InvalidInput):
            await documents.commit([Put(ref, {})])
        with pytest.raises(InvalidInput):
            await documents.get_many([ref])


class TestQueries:
    async def test_orders_ids_by_code_point(self, documents: Documents) -> None:
        ids = ["\U0001f600", "\uffee", "b", "a", "B", "é", "ab", "a\0", "a\x01", "a ", "a!", "a-"]
        ids += [
            "a.",
            "a/",
            "a0",
            ".",
            "..",
            "/",
            "__",
            "__a",
            "__a__",
            "__a__b",
            "__a!",
            "__\0",
            "_",
        ]
        await documents.commit([Put(Ref("x", id_), {}) for id_ in ids])

        page = await documents.query(Query("x"))

        assert [found.ref.id for found in page] == sorted(ids)

    async def test_pages_through_all_that_match(self, documents: Documents) -> None:
        await documents.commit([Put(Ref("x", f"{n:03}"), {"even": n % 2 == 0}) for n in range(25)])

        pages = [
            await documents.query(Query("x", {"even": True}, after=after, limit=5))
            for after in (None, "008", "018", "024", "007")
        ]

        assert [[found.ref.id for found in page] for page in pages] == [
            ["000", "002", "004", "006", "008"],
            ["010", "012", "014", "016", "018"],
            ["020", "022", "024"],
            [],
            ["008", "010", "012", "014", "016"],
        ]

    @pytest.mark.parametrize(
        ("where", "expected"),
        [
            ({}, ["1", "2", "3", "4", "5", "6"]),
            ({"v": 1}, ["1"]),
            ({"v": True}, ["2"]),
            ({"v": None}, ["3"]),
            ({"v": "1"}, ["4"]),
            ({"v": 1, "w": "x"}, ["1"]),
            ({"v": 1, "w": "y"}, []),
            ({"w": "x"}, ["1", "6"]),
            ({"absent": None}, []),
            ({"v": 12}, ["5"]),
        ],
    )
    async def test_filters_by_equal_fields(
        self, documents: Documents, where: dict[str, Any], expected: list[str]
    ) -> None:
        stored: list[dict[str, Any]] = [
            {"v": 1, "w": "x", "in": {"v": True}},
            {"v": True, "in": {"v": 1}},
            {"v": None},
            {"v": "1"},
            {"v": 12, "in": {"v": 1, "w": "y"}},
            {"w": "x", "t": datetime(2026, 1, 1, tzinfo=UTC)},
        ]
        await documents.commit(
            [Put(Ref("x", str(n)), fields) for n, fields in enumerate(stored, 1)]
        )

        page = await documents.query(Query("x", where))

        assert [found.ref.id for found in page] == expected

    async def test_gives_documents_with_their_version(self, documents: Documents) -> None:
        await documents.commit([Put(A, {"n": 1})])

        assert await documents.query(Query("things")) == [await read(documents, A)]

    @pytest.mark.parametrize("limit", [0, 501])
    async def test_refuses_a_page_of_no_or_too_many(self, documents: Documents, limit: int) -> None:
        with pytest.raises(InvalidInput):
            await documents.query(Query("x", limit=limit))

    @pytest.mark.parametrize(
        "where",
        [{"delete_at": None}, {"v": "x" * 1501}, {"v": 1.5}],
        ids=["no_index", "long", "float"],
    )
    async def test_refuses_what_no_index_answers(
        self, documents: Documents, where: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidInput):
            await documents.query(Query("x", where))

    async def test_refuses_to_filter_a_collection_without_indexes(
        self, documents: Documents
    ) -> None:
        await documents.commit([Put(Ref("hour_rollups", "a"), {"n": 1})])

        with pytest.raises(InvalidInput):
            await documents.query(Query("hour_rollups", {"n": 1}))
        assert len(await documents.query(Query("hour_rollups"))) == 1

    async def test_answers_in_the_order_asked_for(self, documents: Documents) -> None:
        await documents.commit([Put(A, {"n": 1}), Put(C, {"n": 3})])

        assert await data(documents, C, B, A, C) == [{"n": 3}, None, {"n": 1}, {"n": 3}]
