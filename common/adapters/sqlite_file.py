"""One SQLite file used from an event loop: grouped writes, snapshot reads, a deadline on both.

A commit of SQLite waits for the disk, and there is one writer at a time. So all writes of a process
go through one thread, and whatever is waiting when that thread is free becomes one transaction with
a savepoint per piece of work: fifty callers pay for one flush, and work that fails undoes itself
alone. Readers have threads of their own; with the write-ahead log they neither wait for the writer
nor see half of a transaction.

Several processes may share a file: a transaction starts with BEGIN IMMEDIATE, so it waits for its
turn at the start and cannot fail in the middle for the lock. Nothing is opened before the first
use, so an object made before a fork is safe.
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from common.core.errors import StoreUnavailable

T = TypeVar("T")

IN_MEMORY = ":memory:"
READER_THREADS = 2


@dataclass(frozen=True, slots=True)
class _Job(Generic[T]):
    """A piece of work that waits for the writing thread. `answer` is set on its own loop alone."""

    work: Callable[[sqlite3.Connection], T]
    answer: asyncio.Future[T]


class SqliteFile:
    """Runs functions over a connection: `write` inside a savepoint, `read` on one snapshot.

    They run on another thread and must not return a cursor: SQLite reports misuse at random when
    one is freed on one thread while the other executes the same statement.
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
        self._jobs: deque[_Job[Any]] = deque()
        self._is_called = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="sqlite-reader")
        self._opening = threading.Lock()
        self._connections: dict[int, sqlite3.Connection] = {}

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns, once it is on the disk. What it raises, once it is undone.

        Raises:
            StoreUnavailable: no answer in time; `work` is stored wholly or not at all, now or
                later.
        """
        job: _Job[T] = _Job(work, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        if not self._is_called:
            self._is_called = True  # before the thread can say that it has come
            try:
                self._writer.submit(self._write_waiting)
            except RuntimeError:
                self._is_called = False
                raise self._closed() from None
        return await self._answer(job.answer)

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
        return await self._answer(asyncio.wrap_future(future))

    async def aclose(self) -> None:
        """Finish what was asked for and close; every later call raises StoreUnavailable."""
        await asyncio.to_thread(self._close)

    async def _answer(self, future: asyncio.Future[T]) -> T:
        try:
            async with asyncio.timeout(self._deadline_s):
                return await future
        except TimeoutError:
            raise self._unavailable(f"no answer within {self._deadline_s:g} s") from None

    def _write_waiting(self) -> None:
        # First: whoever comes behind what is taken now calls again.
        self._is_called = False
        jobs: list[_Job[Any]] = []
        while self._jobs:
            jobs.append(self._jobs.popleft())
        if not jobs:
            return
        try:
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
        except (sqlite3.Error, OSError) as error:
            self._fail(jobs, error)
            return
        # Callers who gave up while this thread waited for the lock are skipped, never late.
        jobs = [job for job in jobs if not job.answer.cancelled()]
        try:
            answers = [_attempt(connection, job.work) for job in jobs]
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._fail(jobs, error)
            return
        _tell(
            (job, result, self._unavailable(str(e)) if isinstance(e, sqlite3.Error) else e)
            for job, (result, e) in zip(jobs, answers, strict=True)
        )

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
        self._writer.shutdown()
        self._readers.shutdown()
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def _fail(self, jobs: list[_Job[Any]], error: Exception) -> None:
        _tell((job, None, self._unavailable(str(error))) for job in jobs)

    def _unavailable(self, cause: str) -> StoreUnavailable:
        return StoreUnavailable(f"{self._path}: {cause}")

    def _closed(self) -> StoreUnavailable:
        return self._unavailable("is closed")


def _tell(told: Iterable[tuple[_Job[Any], Any, Exception | None]]) -> None:
    """Hand answers over to the loops that wait for them, to each in one go."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job[Any], Any, Exception | None]]] = {}
    for each in told:
        by_loop.setdefault(each[0].answer.get_loop(), []).append(each)
    for loop, those in by_loop.items():
        with suppress(RuntimeError):  # it is closed: nobody waits
            loop.call_soon_threadsafe(_set_answers, those)


def _set_answers(told: list[tuple[_Job[Any], Any, Exception | None]]) -> None:
    for job, result, failure in told:
        if job.answer.done():  # its caller has given up
            continue
        if failure is None:
            job.answer.set_result(result)
        else:
            job.answer.set_exception(failure)


def _attempt(
    connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]
) -> tuple[T | None, Exception | None]:
    """What the work returned or raised; when it raised, nothing of it is left."""
    connection.execute("SAVEPOINT work")
    try:
        answer: tuple[T | None, Exception | None] = (work(connection), None)
    except Exception as error:  # noqa: BLE001 -- it belongs to the caller who brought the work
        connection.execute("ROLLBACK TO work")
        answer = (None, error)
    connection.execute("RELEASE work")
    return answer
