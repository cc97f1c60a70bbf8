"""The four ports every domain is written over, and what travels through them.

Each has one engine for a laptop and one for the cloud (`common/adapters`), and one contract suite
(`tests/contracts`) that every engine passes. A domain is handed ports; it opens nothing itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from common.core.events import Event

Value: TypeAlias = Any
"""What a document holds: None, bool, int (64 bits), float, str, aware datetime, and lists and
dicts (with text keys) of these. Money is int, never float."""


@dataclass(frozen=True, slots=True)
class Ref:
    """The address of a document. Both parts are any non-empty text; the engine escapes them."""

    collection: str
    id: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read. `version` changes with every write and is compared, never read."""

    ref: Ref
    data: Mapping[str, Value]
    version: str


@dataclass(frozen=True, slots=True)
class Query:
    """Documents of one collection whose top-level fields equal `where`, ordered by id.

    `after` is the id behind which the page starts; `limit` is 1 to 500.
    """

    collection: str
    where: Mapping[str, str | int | bool | None] = field(default_factory=dict)
    after: str | None = None
    limit: int = 500


@dataclass(frozen=True, slots=True)
class Create:
    """Write a document that must not exist yet; if it does, the whole commit is a Conflict."""

    ref: Ref
    data: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Put:
    """Replace a document, or make it. With `if_version` only if that is still its version."""

    ref: Ref
    data: Mapping[str, Value]
    if_version: str | None = None


@dataclass(frozen=True, slots=True)
class Increment:
    """Add to top-level integer fields without reading; absent fields and documents count from 0."""

    ref: Ref
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a document; one that is not there stays not there. With `if_version` only that one."""

    ref: Ref
    if_version: str | None = None


Write: TypeAlias = Create | Put | Increment | Delete


@dataclass(frozen=True, slots=True)
class Committed:
    """All writes are stored."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """No write is stored: a precondition of `refs` did not hold."""

    refs: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """The store did not answer in time: all writes are stored, or none, now or a little later."""

    cause: str


Outcome: TypeAlias = Committed | Conflict | Unknown


class Documents(Protocol):
    """State: documents in collections, optimistic and atomic over several of them."""

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        """The documents in the order asked for, None where there is none; one consistent snapshot.

        Raises:
            StoreUnavailable: no answer in time.
        """

    async def query(self, query: Query) -> list[Document]:
        """One page, ordered by id (code point order).

        Raises:
            StoreUnavailable: no answer in time.
        """

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        """Store all writes or none. At most 500, each document at most once."""


class Bus(Protocol):
    """Events to whoever subscribed, at least once, in no promised order."""

    async def publish(self, topic: str, event: Event) -> None:
        """Return when the event is accepted and cannot be lost any more.

        Raises:
            PublishFailed: it was not accepted, or not in time, for which each engine has a deadline
                of seconds; the caller must not pretend that it was.
        """


Row: TypeAlias = dict[str, Any]


class Warehouse(Protocol):
    """Tables of facts, asked in BigQuery SQL (see `common/warehouse` for tables and views)."""

    async def query(self, sql: str, parameters: Mapping[str, Value] | None = None) -> list[Row]:
        """Rows of one statement with named parameters (``@name``).

        NUMERIC comes as Decimal, TIMESTAMP as aware UTC datetime.

        Raises:
            StoreUnavailable: no answer in time.
        """

    async def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows to a table, all or none. Unknown columns are dropped, missing ones are null.

        Raises:
            InvalidInput: a value does not fit its column; nothing is added.
            StoreUnavailable: no answer in time; the rows may or may not be there.
        """


class Clock(Protocol):
    """The time. Nothing else in the project asks the operating system for it."""

    def now(self) -> datetime:
        """Aware UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, for durations."""
