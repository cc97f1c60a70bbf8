"""What Firestore adds to the contract: lost answers, forks, deadlines and what it makes of a write.

The answers of the emulator are lost by a proxy in front of it. `transact` must settle each commit
once, and a commit that was stored must never be called a conflict.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from os import urandom

import pytest
from grpc import StatusCode  # type: ignore[import-untyped]  # grpcio ships no types
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.adapters.document_ids import MAX_ID_BYTES, escape_id, unescape_id
from common.adapters.firestore_documents import FirestoreDocuments
from common.adapters.system_clock import SystemClock
from common.core.errors import InvalidInput, StoreUnavailable, VersionConflict
from common.core.ports import (
    Committed,
    Conflict,
    Create,
    Delete,
    Document,
    Increment,
    Outcome,
    Put,
    Query,
    Ref,
    Unknown,
    Write,
)
from common.core.transactions import Read, transact
from tests.contracts.stored import A, B, C, data, read
from tests.contracts.test_transactions import COUNTER, LOG, at_once, counted, one_more
from tests.document_engines import DEADLINE_S
from tests.emulators import a_project
from tests.engines import processes
from tests.engines.cutting_proxy import CuttingProxy, Fate
from tests.engines.scripted_firestore import ScriptedFirestore

CLOCK = SystemClock()
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
awkward = st.text("\0\x1f !-./0:@_`a$", min_size=1, max_size=6)


@pytest.fixture
async def proxy(firestore_emulator: str) -> AsyncIterator[CuttingProxy]:
    async with CuttingProxy(firestore_emulator).running() as running:
        yield running


@pytest.fixture
async def stores(
    firestore_emulator: str, proxy: CuttingProxy
) -> AsyncIterator[tuple[FirestoreDocuments, FirestoreDocuments]]:
    """One database, asked directly and through the proxy."""
    project = a_project()
    direct = FirestoreDocuments(
        project, "state", emulator=firestore_emulator, deadline_s=DEADLINE_S
    )
    cut = FirestoreDocuments(project, "state", emulator=proxy.address, deadline_s=DEADLINE_S)
    yield direct, cut
    await cut.aclose()
    await direct.aclose()


class Fated:
    """The store behind a proxy; commits meet the given fates, reads are forwarded."""

    def __init__(self, documents: FirestoreDocuments, proxy: CuttingProxy, *fates: Fate) -> None:
        self._documents = documents
        self._proxy = proxy
        self._fates = list(fates)
        self.outcomes: list[Outcome] = []

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self._documents.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self._documents.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        if self._fates:
            self._proxy.fates.append(self._fates.pop(0))
        outcome = await self._documents.commit(writes)
        self._proxy.fates.clear()
        self.outcomes.append(outcome)
        return outcome


Stores = tuple[FirestoreDocuments, FirestoreDocuments]


class TestLostAnswers:
    @pytest.mark.parametrize(("fate", "stored"), [("silent", {"n": 1}), ("lost", None)])
    async def test_does_not_know_what_became_of_a_commit(
        self, stores: Stores, proxy: CuttingProxy, fate: Fate, stored: dict[str, int] | None
    ) -> None:
        direct, cut = stores
        proxy.fates.append(fate)

        outcome = await cut.commit([Create(A, {"n": 1})])

        assert isinstance(outcome, Unknown)
        assert await data(direct, A) == [stored]

    @pytest.mark.parametrize(
        "fates",
        [
            ["silent"],
            ["lost"],
            ["silent", "lost", "silent", "lost"],
            ["lost", "lost", "silent"],
            ["late", "forwarded"],
            ["late", "silent"],
        ],
        ids=" / ".join,
    )
    async def test_applies_a_transaction_once(
        self, stores: Stores, proxy: CuttingProxy, fates: list[Fate]
    ) -> None:
        direct, cut = stores
        store = Fated(cut, proxy, *fates)

        answer = await transact(store, CLOCK, one_more, entropy=urandom, sleep=at_once)
        await proxy.let_late_ones_through()

        assert answer == 1
        assert await counted(direct) == (1, 1)
        assert isinstance(store.outcomes[0], Unknown)

    async def test_adopts_a_late_commit_that_came_before_the_fence(
        self, stores: Stores, proxy: CuttingProxy
    ) -> None:
        direct, cut = stores

        class LateOnesFirst(Fated):
            async def commit(self, writes: Sequence[Write]) -> Outcome:
                await proxy.let_late_ones_through()
                return await super().commit(writes)

        async def add(_: Read) -> tuple[list[Write], str]:
            return [Increment(LOG, {"n": 1}), Increment(COUNTER, {"n": 1})], "done"

        store = LateOnesFirst(cut, proxy, "late")

        assert await transact(store, CLOCK, add, entropy=urandom, sleep=at_once) == "done"
        assert await counted(direct) == (1, 1)
        assert len(store.outcomes) == 2

    @settings(
        max_examples=25,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(fates=st.lists(st.sampled_from(["forwarded", "lost", "silent", "late"]), max_size=10))
    async def test_applies_at_most_once_whatever_is_cut(
        self, stores: Stores, proxy: CuttingProxy, fates: list[Fate]
    ) -> None:
        direct, cut = stores
        await direct.commit([Delete(COUNTER), Delete(LOG)])
        store = Fated(cut, proxy, *fates)
        finished = open_ends = 0

        for _ in range(3):
            try:
                await transact(store, CLOCK, one_more, entropy=urandom, attempts=3, sleep=at_once)
                finished += 1
            except StoreUnavailable:
                open_ends += 1
            except VersionConflict:
                pass
        await proxy.let_late_ones_through()

        first, second = await counted(direct)
        assert first == second
        assert finished <= first <= finished + open_ends

    async def test_asks_again_when_the_answer_to_a_read_is_lost(
        self, stores: Stores, proxy: CuttingProxy
    ) -> None:
        direct, cut = stores
        await direct.commit([Create(A, {"n": 1})])
        proxy.fates.extend(["silent", "lost"])

        assert await data(cut, A, B) == [{"n": 1}, None]

        proxy.fates.extend(["lost", "silent"])
        assert [found.ref for found in await cut.query(Query("things"))] == [A]


class TestConflicts:
    async def test_names_every_document_that_stood_in_the_way(self, stores: Stores) -> None:
        direct, _ = stores
        await direct.commit([Put(A, {}), Put(B, {})])
        version = (await read(direct, B)).version
        await direct.commit([Put(B, {"n": 1})])

        outcome = await direct.commit(
            [Create(A, {}), Put(B, {}, version), Create(C, {}), Delete(Ref("things", "d"), version)]
        )

        assert outcome == Conflict((A, B, Ref("things", "d")))

    async def test_commits_when_nothing_stands_in_the_way_any_more(
        self, stores: Stores, proxy: CuttingProxy
    ) -> None:
        direct, cut = stores
        await direct.commit([Put(A, {"n": 1})])
        proxy.fates.extend(["forwarded", "paused"])

        commit = asyncio.create_task(cut.commit([Create(A, {"n": 2})]))
        async with asyncio.timeout(DEADLINE_S):
            await proxy.is_paused.wait()  # it was refused and looks why
        await direct.commit([Delete(A)])
        proxy.resumed.set()

        assert await commit == Committed()
        assert await data(direct, A) == [{"n": 2}]

    @pytest.mark.parametrize("version", ["", "7", "1.5", "-1.000000000", "x" * 50, "01.000000000"])
    async def test_holds_no_version_of_another_engine_for_its_own(
        self, stores: Stores, version: str
    ) -> None:
        direct, _ = stores
        await direct.commit([Put(A, {"n": 1})])

        outcomes = [
            await direct.commit([Put(A, {}, version)]),
            await direct.commit([Delete(B, version), Put(C, {})]),
        ]

        assert outcomes == [Conflict((A,)), Conflict((B,))]
        assert await data(direct, A, C) == [{"n": 1}, None]

    async def test_increments_under_contention_without_a_conflict(self, stores: Stores) -> None:
        direct, _ = stores

        outcomes = await asyncio.gather(
            *(direct.commit([Increment(A, {"n": 1})]) for _ in range(60))
        )

        assert set(outcomes) == {Committed()}
        assert await data(direct, A) == [{"n": 60}]


class TestAvailability:
    async def test_gives_up_at_the_deadline(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            documents = FirestoreDocuments("p", "d", emulator=address, deadline_s=0.2)

            with pytest.raises(StoreUnavailable, match="no answer within"):
                await documents.get_many([A])
            with pytest.raises(StoreUnavailable, match="no answer within"):
                await documents.query(Query("things"))
            assert isinstance(await documents.commit([Put(A, {})]), Unknown)
            await documents.aclose()

    async def test_answers_nothing_after_it_was_closed(self, firestore_emulator: str) -> None:
        documents = FirestoreDocuments(a_project(), "state", emulator=firestore_emulator)
        await documents.commit([Put(A, {})])
        await documents.aclose()

        with pytest.raises(StoreUnavailable, match="is closed"):
            await documents.get_many([A])
        assert isinstance(await documents.commit([Put(A, {})]), Unknown)

    async def test_serves_in_a_process_forked_after_it_was_made(
        self, firestore_emulator: str
    ) -> None:
        code, output = await processes.run("fork_and_commit", firestore_emulator, a_project())

        assert (code, output) == (0, "Committed()\n")


class TestIds:
    @given(texts | awkward, texts | awkward)
    def test_keeps_the_order_of_any_two(self, first: str, second: str) -> None:
        assert (escape_id(first) < escape_id(second)) == (first < second)

    @given(texts | awkward)
    def test_escapes_what_firestore_refuses_and_nothing_is_lost(self, text: str) -> None:
        escaped = escape_id(text)

        assert unescape_id(escaped) == text
        assert "/" not in escaped
        assert escaped not in {"", ".", ".."}
        assert not (escaped.startswith("__") and escaped.endswith("__"))
        assert min(escaped) >= " "

    def test_leaves_an_ordinary_id_as_it_is(self) -> None:
        assert escape_id("org:acme_key-7") == "org:acme_key-7"
        assert MAX_ID_BYTES == 1500


class TestAnswers:
    async def test_repeats_a_commit_that_was_aborted(self) -> None:
        async with ScriptedFirestore(StatusCode.ABORTED, StatusCode.ABORTED).running() as firestore:
            documents = FirestoreDocuments(
                "p", "d", emulator=firestore.address, deadline_s=DEADLINE_S
            )

            outcome = await documents.commit([Create(A, {"n": 1}), Increment(B, {"n": 1})])
            await documents.aclose()

        assert outcome == Committed()
        assert len(firestore.commits) == 3

    @pytest.mark.parametrize(
        "code",
        [
            StatusCode.UNAVAILABLE,
            StatusCode.DEADLINE_EXCEEDED,
            StatusCode.INTERNAL,
            StatusCode.UNKNOWN,
            StatusCode.CANCELLED,
            StatusCode.RESOURCE_EXHAUSTED,
            StatusCode.PERMISSION_DENIED,
            StatusCode.UNAUTHENTICATED,
        ],
    )
    async def test_repeats_no_commit_whose_fate_it_does_not_know(self, code: StatusCode) -> None:
        async with ScriptedFirestore(code).running() as firestore:
            documents = FirestoreDocuments(
                "p", "d", emulator=firestore.address, deadline_s=DEADLINE_S
            )

            outcome = await documents.commit([Create(A, {"n": 1})])
            await documents.aclose()

        assert isinstance(outcome, Unknown)
        assert len(firestore.commits) == 1

    async def test_calls_what_firestore_takes_for_wrong_an_invalid_input(self) -> None:
        async with ScriptedFirestore(StatusCode.INVALID_ARGUMENT).running() as firestore:
            documents = FirestoreDocuments(
                "p", "d", emulator=firestore.address, deadline_s=DEADLINE_S
            )

            with pytest.raises(InvalidInput, match="scripted"):
                await documents.commit([Create(A, {"n": 1})])
            await documents.aclose()

        assert len(firestore.commits) == 1

    async def test_does_not_know_why_when_it_cannot_look(self) -> None:
        async with ScriptedFirestore(StatusCode.ALREADY_EXISTS).running() as firestore:
            firestore.reads_fail = True
            documents = FirestoreDocuments(
                "p", "d", emulator=firestore.address, deadline_s=DEADLINE_S
            )

            outcome = await documents.commit([Create(A, {"n": 1})])
            await documents.aclose()

        assert isinstance(outcome, Unknown)

    async def test_reads_several_documents_in_one_transaction_that_only_reads(self) -> None:
        """The emulator does not keep this promise, so what is asked for is looked at."""
        async with ScriptedFirestore().running() as firestore:
            documents = FirestoreDocuments(
                "p", "d", emulator=firestore.address, deadline_s=DEADLINE_S
            )

            found = [await documents.get_many([A, B, A]), await documents.get_many([A])]
            await documents.aclose()

        assert found == [[None, None, None], [None]]
        assert [
            (len(read.documents), read.new_transaction.WhichOneof("mode"))
            for read in firestore.reads
        ] == [(2, "read_only"), (1, None)]
