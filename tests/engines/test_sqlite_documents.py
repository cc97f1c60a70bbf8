"""What a SQLite file adds to the contract: processes, crashes, locks and opening."""

import asyncio
import gc
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.errors import InvalidInput, StoreUnavailable
from common.core.ports import Committed, Increment, Put, Ref, Unknown
from tests.engines import processes

A, B = Ref("things", "a"), Ref("things", "b")
COUNTER = Ref("counters", "a")


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "folder" / "state.sqlite"


@pytest.fixture
async def documents(path: Path) -> AsyncIterator[SqliteDocuments]:
    engine = SqliteDocuments(path)
    yield engine
    await engine.aclose()


async def test_opens_nothing_before_the_first_use(tmp_path: Path, path: Path) -> None:
    documents = SqliteDocuments(path)
    before = names_in(tmp_path)

    found = await documents.get_many([A])
    await documents.aclose()

    assert (before, found, names_in(tmp_path)) == ([], [None], ["new"])


async def test_makes_files_for_their_owner_alone(documents: SqliteDocuments, path: Path) -> None:
    await documents.commit([Put(A, {"n": 1})])

    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert modes == dict.fromkeys(("state.sqlite", "state.sqlite-shm", "state.sqlite-wal"), 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_leaves_a_folder_that_is_there_as_it_is(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o750)
    documents = SqliteDocuments(path)
    await documents.get_many([A])
    await documents.aclose()

    assert path.parent.stat().st_mode & 0o777 == 0o750


async def test_keeps_documents_and_versions_when_opened_again(path: Path) -> None:
    first = SqliteDocuments(path)
    await first.commit([Put(A, {"n": 1})])
    before = await first.get_many([A])
    await first.aclose()

    second = SqliteDocuments(path)
    after = await second.get_many([A])
    await second.aclose()

    assert after == before != [None]


async def test_keeps_what_was_committed_when_the_process_is_killed(
    documents: SqliteDocuments, path: Path
) -> None:
    code, _ = await processes.run("commit_and_die", path)

    [found] = await documents.get_many([A])
    assert code == -9
    assert found is not None
    assert found.data == {"n": 1}


@pytest.mark.slow
async def test_adds_up_what_several_processes_count(documents: SqliteDocuments, path: Path) -> None:
    await asyncio.gather(
        *(processes.run("increments", path) for _ in range(3)),
        *(documents.commit([Increment(COUNTER, {"n": 1})]) for _ in range(50)),
    )

    [found] = await documents.get_many([COUNTER])
    assert found is not None
    assert found.data == {"n": 3 * 200 + 50}


async def test_opens_one_new_file_from_many_engines_at_once(path: Path) -> None:
    engines = [SqliteDocuments(path) for _ in range(8)]

    outcomes = await asyncio.gather(
        *(engine.commit([Increment(COUNTER, {"n": 1})]) for engine in engines)
    )
    [found] = await engines[0].get_many([COUNTER])
    for engine in engines:
        await engine.aclose()

    assert outcomes == [Committed()] * 8
    assert found is not None
    assert found.data == {"n": 8}


async def test_keeps_its_locks_when_it_opens_the_file_once_more(
    documents: SqliteDocuments, path: Path
) -> None:
    """Whoever holds none loses the log, and what is committed to it, when another process ends."""
    await documents.commit([Increment(COUNTER, {"n": 1})])
    await documents.get_many([COUNTER])  # by a thread of its own, with a connection of its own
    _, second = await processes.run("count_and_end", path)
    await documents.commit([Increment(COUNTER, {"n": 1})])
    _, fourth = await processes.run("count_and_end", path)

    assert (second, fourth) == ("2\n", "4\n")


async def test_answers_unknown_while_another_process_holds_the_file(path: Path) -> None:
    documents = SqliteDocuments(path, deadline_s=0.1)
    await documents.commit([Put(A, {"n": 1})])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    outcome = await documents.commit([Put(A, {"n": 2})])
    during = await documents.get_many([A])
    holder.execute("ROLLBACK")
    holder.close()
    await documents.commit([Put(B, {"n": 3})])  # behind whatever was still to come
    after = await documents.get_many([A])
    await documents.aclose()

    assert isinstance(outcome, Unknown)
    assert [found and found.data for found in during + after] == [{"n": 1}, {"n": 1}]


async def test_waits_for_its_turn_within_the_deadline(
    documents: SqliteDocuments, path: Path
) -> None:
    await documents.commit([Put(A, {"n": 1})])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    commit = asyncio.ensure_future(documents.commit([Put(A, {"n": 2})]))
    await documents.get_many([A])  # long enough for the commit to meet the lock
    holder.execute("ROLLBACK")
    holder.close()

    assert await commit == Committed()


async def test_lets_a_failing_write_hurt_nobody_else(documents: SqliteDocuments) -> None:
    await documents.commit([Put(A, {"n": "text"}), Put(B, {"n": (1 << 63) - 1})])

    answers = await asyncio.gather(
        documents.commit([Increment(COUNTER, {"n": 1}), Increment(A, {"n": 1})]),
        documents.commit([Increment(COUNTER, {"n": 10})]),
        documents.commit([Increment(COUNTER, {"n": 100}), Increment(B, {"n": 1})]),
        documents.commit([Increment(COUNTER, {"n": 1000})]),
        return_exceptions=True,
    )

    [found] = await documents.get_many([COUNTER])
    assert [type(answer) for answer in answers] == [InvalidInput, Committed] * 2
    assert found is not None
    assert found.data == {"n": 1010}


async def test_says_which_file_cannot_be_read(path: Path) -> None:
    documents = SqliteDocuments(path / "no" / "..", deadline_s=0.2)  # a folder

    with pytest.raises(StoreUnavailable, match=r"state\.sqlite"):
        await documents.get_many([A])
    assert isinstance(await documents.commit([Put(A, {})]), Unknown)
    await documents.aclose()


async def test_answers_nothing_after_it_was_closed(documents: SqliteDocuments) -> None:
    await documents.commit([Put(A, {})])

    await documents.aclose()

    with pytest.raises(StoreUnavailable, match="closed"):
        await documents.get_many([A])
    assert isinstance(await documents.commit([Put(A, {})]), Unknown)


async def test_stores_what_was_asked_for_before_closing(path: Path) -> None:
    documents = SqliteDocuments(path)
    commits = [asyncio.ensure_future(documents.commit([Put(A, {"n": 1})])) for _ in range(5)]
    await asyncio.sleep(0)

    await documents.aclose()

    assert await asyncio.gather(*commits) == [Committed()] * 5


async def test_ends_its_thread_when_nobody_has_it_any_more(path: Path) -> None:
    others = set(threading.enumerate())
    documents = SqliteDocuments(path)
    await documents.commit([Put(A, {})])
    [writer] = set(threading.enumerate()) - others

    del documents
    gc.collect()
    await asyncio.to_thread(writer.join, 10)

    assert not writer.is_alive()


async def test_does_not_hold_up_the_event_loop(path: Path) -> None:
    documents = SqliteDocuments(path, deadline_s=5)
    await documents.commit([Put(A, {})])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    commit = asyncio.ensure_future(documents.commit([Put(A, {"n": 2})]))
    turns = 0
    while turns < 1000 and not commit.done():
        await asyncio.sleep(0)
        turns += 1
    holder.execute("ROLLBACK")
    holder.close()
    await commit
    await documents.aclose()

    assert turns == 1000
