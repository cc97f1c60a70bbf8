"""One SQLite file used from an event loop: grouped writes, snapshot reads, a deadline on both.

A commit of SQLite waits for the disk, and there is one writer at a time. So all writes of a process
go through one thread, and whatever is waiting when that thread is free becomes one transaction:
fifty callers pay for one flush. When a piece of work fails, all is undone and each piece gets a
transaction of its own, so that none suffers from another. That is seldom, while savepoints, for
which SQLite keeps a journal, would cost each piece as much again as storing it. Readers have
threads of their own; with the write-ahead log they neither wait for the writer nor see half of a
transaction.

Several processes may share a file: a transaction starts with BEGIN IMMEDIATE, so it waits for its
turn at the start and cannot fail in the middle for the lock. Nothing is opened before the first
use, so an object made before a fork is safe.

The writing thread takes its calls from a plain queue: a pool's thread costs several times as much
to call, and whoever writes one thing at a time calls it for each.
"""

import asyncio
import os
import sqlite3
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from common.core.errors import StoreUnavailable

Item = TypeVar("Item")
T = TypeVar("T")

IN_MEMORY = ":memory:"
READER_THREADS = 2


class _Job(NamedTuple):
    """What waits for the writing thread. `answer` is set on its own loop alone.

    Jobs of the same work that are in one transaction are one piece of work on all their items.
    """

    work: Callable[[sqlite3.Connection, list[Any]], Any]
    item: Any
    answer: asyncio.Future[Any]


class SqliteFile:
    """Runs functions over a connection: `write` wholly or not at all, `read` on one snapshot.

    They run on another thread, what is written perhaps twice until it is stored once. They must not
    return a cursor: SQLite reports misuse at random when one is freed on one thread while the other
    executes the same statement.
    """

    def __init__(self, path: str | Path, schema: str, *, deadline_s: float) -> None:
        """Note the address; nothing is opened yet.

        Args:
            path: file, made with its folders on first use, or ``:memory:``.
            schema: statements that may run on every opening (CREATE ... IF NOT EXISTS).
            deadline_s: seconds that any answer may take, waiting for other processes included.
        """
        self._path = str(path)
        self._schema = schema
        self._deadline_s = deadline_s
        self._jobs: deque[_Job] = deque()
        self._is_called = False
        self._is_closed = False
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="sqlite-reader")
        self._opening = threading.Lock()
        self._connections: dict[int, sqlite3.Connection] = {}

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, once it is on the disk. What it raises, once it is undone.

        Raises:
            StoreUnavailable: no answer in time; `work` is stored wholly or not at all, now or
                later.
        """
        return await self.write_together(lambda connection, _: work(connection), None)

    async def write_together(
        self, work: Callable[[sqlite3.Connection, list[Item]], T], item: Item
    ) -> T:
        """As `write`, where all that waits for the same `work` is done by one call of it.

        It gets the items of all these callers; they have its answer in common, or its failure.
        """
        if self._is_closed:
            raise self._closed()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        deadline = loop.call_later(self._deadline_s, self._give_up, answer)
        self._jobs.append(_Job(work, item, answer))
        if not self._is_called:
            self._is_called = True  # before the thread can say that it has come
            self._call_writer()
        try:
            return await answer
        finally:
            deadline.cancel()

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns over one snapshot of the file.

        Raises:
            StoreUnavailable: no answer in time.
        """
        if self._path == IN_MEMORY:  # a database in memory has one connection
            return await self.write(work)
        try:
            future = self._readers.submit(self._read, work)
        except RuntimeError:
            raise self._closed() from None
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise self._late() from None

    async def aclose(self) -> None:
        """Finish what was asked for and close; every later call raises StoreUnavailable."""
        self._is_closed = True
        await asyncio.to_thread(self._close)

    def _call_writer(self) -> None:
        with self._starting:
            if self._writer is None:
                self._writer = threading.Thread(
                    target=_serve, args=[self._calls], name="sqlite-writer", daemon=True
                )
                self._writer.start()
                weakref.finalize(self, self._calls.put, None)
        self._calls.put(self._write_waiting)

    def _write_waiting(self) -> None:
        # First: whoever comes behind what is taken now calls again.
        self._is_called = False
        pieces: dict[Callable[..., Any], list[_Job]] = {}
        while self._jobs:
            job = self._jobs.popleft()
            pieces.setdefault(job.work, []).append(job)
        if pieces:
            self._write(list(pieces.values()))

    def _write(self, pieces: list[list[_Job]]) -> None:
        """One transaction for all pieces of work, or one for each when one of them fails."""
        try:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
        except (sqlite3.Error, OSError) as error:
            self._fail(pieces, error)
            return
        try:
            results = [_answer(connection, jobs) for jobs in pieces]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 -- it belongs to the caller who brought the work
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(pieces) == 1:
                self._fail(pieces, error)
            else:
                for jobs in pieces:
                    self._write([jobs])
            return
        _tell(pieces, results, None)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(str(error)) from error

    def _connection(self) -> sqlite3.Connection:
        thread = threading.get_ident()
        with self._opening:
            if thread not in self._connections:
                self._connections[thread] = self._open()
            return self._connections[thread]

    def _open(self) -> sqlite3.Connection:
        if self._path != IN_MEMORY:
            Path(self._path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made here, the file is its owner's alone; SQLite makes the log beside it alike. One
            # that is there is never opened: closing it would drop the locks of this process, and
            # another one that ends would delete the log that this one still writes to.
            with suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(
            self._path,
            timeout=self._deadline_s,
            isolation_level=None,
            check_same_thread=False,  # `aclose` closes from another thread, after the work
        )
        give_up = time.monotonic() + self._deadline_s
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError:
                # SQLite does not wait for its busy timeout while another process changes the mode.
                if time.monotonic() > give_up:
                    connection.close()
                    raise
                time.sleep(0.01)
        # An answered commit survives the loss of power, not only the end of the process.
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(self._schema)
        return connection

    def _close(self) -> None:
        if self._writer is not None:
            self._calls.put(None)
            self._writer.join()
        self._readers.shutdown()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _fail(self, pieces: list[list[_Job]], error: Exception) -> None:
        if isinstance(error, sqlite3.Error | OSError):
            error = self._unavailable(str(error))
        _tell(pieces, [None] * len(pieces), error)

    def _unavailable(self, cause: str) -> StoreUnavailable:
        return StoreUnavailable(f"{self._path}: {cause}")

    def _give_up(self, answer: asyncio.Future[Any]) -> None:
        if not answer.done():
            answer.set_exception(self._late())

    def _late(self) -> StoreUnavailable:
        return self._unavailable(f"no answer within {self._deadline_s:g} s")

    def _closed(self) -> StoreUnavailable:
        return self._unavailable("is closed")


def _serve(calls: "SimpleQueue[Callable[[], None] | None]") -> None:
    """Do one call after the other until there is None."""
    while (call := calls.get()) is not None:
        call()
        del call  # whose object may go while this thread waits


def _answer(connection: sqlite3.Connection, jobs: list[_Job]) -> Any:
    """What the work answers that these jobs have in common."""
    # Callers who gave up while this thread waited for the lock are skipped, never late.
    items = [job.item for job in jobs if not job.answer.done()]
    return jobs[0].work(connection, items) if items else None


def _tell(pieces: list[list[_Job]], results: list[Any], failure: Exception | None) -> None:
    """Hand answers over to the loops that wait for them, to each in one go."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for jobs, result in zip(pieces, results, strict=True):
        for job in jobs:
            by_loop.setdefault(job.answer.get_loop(), []).append((job.answer, result))
    for loop, answers in by_loop.items():
        with suppress(RuntimeError):  # it is closed: nobody waits
            loop.call_soon_threadsafe(_set_answers, answers, failure)


def _set_answers(answers: list[tuple[asyncio.Future[Any], Any]], failure: Exception | None) -> None:
    for answer, result in answers:
        if answer.done():  # its caller has given up
            continue
        if failure is None:
            answer.set_result(result)
        elif isinstance(failure, StoreUnavailable):
            # Each caller has an exception of its own, since raising writes into it.
            answer.set_exception(StoreUnavailable(failure.detail))
        else:
            answer.set_exception(failure)
