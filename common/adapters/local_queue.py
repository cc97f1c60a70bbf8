"""The rows of the local bus: one per message and subscription, until it is acknowledged.

A row knows how often it was refused, when it is due again and, at the end, that it is dead. All
times are stored as microseconds since 1970, so that they compare as numbers.
"""

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from common.adapters.bus_subscriptions import DeadLetter, Message, Redelivery
from common.adapters.sqlite_file import SqliteFile

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deliveries (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    data BLOB NOT NULL,
    attributes TEXT NOT NULL,
    publish_time INTEGER NOT NULL,
    refusals INTEGER NOT NULL DEFAULT 0,
    due INTEGER NOT NULL,
    error TEXT,
    dead INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (subscription, dead, due, position);
"""
_ADD = """
INSERT INTO deliveries (subscription, message_id, data, attributes, publish_time, due)
VALUES
"""
# A message has the position of its first delivery as its id: no position is used twice.
_ADDED = """(
    ?,
    (SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'deliveries') + ?,
    ?, ?, ?, ?
)"""
_TOGETHER = 32
"""Messages in one statement: so few that the statements of all lengths are compiled once."""
_NEXT = """
SELECT position, message_id, data, attributes, publish_time, refusals, due
FROM deliveries
WHERE subscription = ? AND dead = 0
ORDER BY due, position
LIMIT ?
"""
_WAITING = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE subscription = ? AND dead = 0)"
_ACKNOWLEDGE = "DELETE FROM deliveries WHERE position = ?"
_REFUSALS = "SELECT refusals FROM deliveries WHERE position = ? AND dead = 0"
_REFUSE = "UPDATE deliveries SET refusals = ?, due = ?, error = ?, dead = ? WHERE position = ?"
_DEAD = """
SELECT subscription, message_id, data, attributes, publish_time, refusals, error
FROM deliveries
WHERE dead = 1
ORDER BY position
"""
_REVIVE = """
UPDATE deliveries SET dead = 0, refusals = 0, due = ?, error = NULL
WHERE dead = 1 AND subscription = ? AND message_id = ?
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class LocalQueue:
    """Messages on their way, in a SQLite file.

    Every method raises StoreUnavailable when the file does not answer in time.
    """

    def __init__(self, path: str | Path, redelivery: Redelivery, *, deadline_s: float) -> None:
        self._file = SqliteFile(path, _SCHEMA, deadline_s=deadline_s)
        self.redelivery = redelivery

    async def add(
        self,
        subscriptions: Sequence[str],
        data: bytes,
        attributes: dict[str, str],
        now: datetime,
    ) -> None:
        """Store one message for each subscription, due at once."""
        time, text = _micros(now), orjson.dumps(attributes).decode()
        await self._file.write_together(_add, (subscriptions, data, text, time))

    async def next(self, subscription: str, limit: int) -> list[Message]:
        """The messages that are due first, now or later."""
        rows = await self._file.read(
            lambda connection: connection.execute(_NEXT, (subscription, limit)).fetchall()
        )
        return [_message(row) for row in rows]

    async def waiting(self, subscriptions: Sequence[str]) -> bool:
        """Whether any of the subscriptions has a message that is neither acknowledged nor dead."""
        return await self._file.read(
            lambda connection: any(
                connection.execute(_WAITING, (name,)).fetchone()[0] for name in subscriptions
            )
        )

    async def acknowledge(self, positions: Sequence[int]) -> None:
        """Forget the deliveries."""

        def forget(connection: sqlite3.Connection) -> None:
            connection.executemany(_ACKNOWLEDGE, [(position,) for position in positions])

        await self._file.write(forget)

    async def refuse(self, positions: Sequence[int], error: str, now: datetime) -> None:
        """Put the deliveries off, or give them up after their last attempt."""

        def put_off(connection: sqlite3.Connection) -> None:
            for position in positions:
                row = connection.execute(_REFUSALS, (position,)).fetchone()
                if row is None:  # acknowledged meanwhile by a second delivery of the same message
                    continue
                refusals = row[0] + 1
                due = _micros(now + self.redelivery.pause(refusals))
                dead = refusals >= self.redelivery.attempts
                connection.execute(_REFUSE, (refusals, due, error, dead, position))

        await self._file.write(put_off)

    async def dead_letters(self) -> list[DeadLetter]:
        """What was given up, oldest first."""
        rows = await self._file.read(lambda connection: connection.execute(_DEAD).fetchall())
        return [
            DeadLetter(
                subscription=row[0],
                message_id=str(row[1]),
                data=row[2],
                attributes=json.loads(row[3]),
                publish_time=_time(row[4]),
                attempts=row[5],
                error=row[6],
            )
            for row in rows
        ]

    async def revive(self, letter: DeadLetter, now: datetime) -> None:
        """Make a dead letter a message that is due at once and was never refused."""
        row = (_micros(now), letter.subscription, int(letter.message_id))
        await self._file.write(lambda connection: connection.execute(_REVIVE, row).close())

    async def aclose(self) -> None:
        await self._file.aclose()


def _add(
    connection: sqlite3.Connection, messages: list[tuple[Sequence[str], bytes, str, int]]
) -> None:
    """Store messages, `_TOGETHER` by one statement: it costs less than half of one for each."""
    for start in range(0, len(messages), _TOGETHER):
        values: list[str | int | bytes] = []
        rows = 0
        for subscriptions, data, attributes, time in messages[start : start + _TOGETHER]:
            first = rows + 1
            for subscription in subscriptions:
                values += subscription, first, data, attributes, time, time
                rows += 1
        connection.execute(_ADD + ",".join([_ADDED] * rows), values)


def _message(row: tuple[int, int, bytes, str, int, int, int]) -> Message:
    return Message(
        position=row[0],
        message_id=str(row[1]),
        data=row[2],
        attributes=json.loads(row[3]),
        publish_time=_time(row[4]),
        attempt=row[5] + 1,
        due=_time(row[6]),
    )


def _micros(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
