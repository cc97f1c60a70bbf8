"""What the `Documents` port accepts, checked in one place before any engine sees it.

Every engine calls these functions first, so that a value which the cloud would refuse is refused on
a laptop too, with the same words. Engines then only translate. The limits are Firestore's
(https://cloud.google.com/firestore/quotas), or less where it counts what it makes of a document:
1 MiB for each, 10 MiB for a request, 40,000 entries of indexes, where a value takes two.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from common.adapters.document_ids import MAX_ID_BYTES, escape_id
from common.core.errors import InvalidInput
from common.core.ports import Create, Increment, Put, Query, Ref, Value, Write

MAX_WRITES = 500
MAX_PAGE = 500
MAX_COMMIT_BYTES = 9_000_000
MAX_DOCUMENT_BYTES = 1_000_000
MAX_DOCUMENT_VALUES = 10_000
MAX_DEPTH = 20
MAX_INCREMENTS = 500
"""Fields of one document."""
MAX_NAME_BYTES = 1499
"""Of a field; one byte is left for escaping it."""
MAX_FILTER_BYTES = 1500
"""An index holds no more of a text."""
UNINDEXED = frozenset({"delete_at"})
"""Fields without an index (`terraform/state.yaml`): an index of rising times is a hot spot."""
UNINDEXED_COLLECTIONS = frozenset({"episode_sums", "hour_rollups", "minute_rollups"})
"""Collections without any index but that of ids: of thousands of fields none is asked for."""
INT_MIN = -(1 << 63)
INT_MAX = (1 << 63) - 1


def check_refs(refs: Iterable[Ref]) -> None:
    """Refuse addresses that no engine can hold.

    Raises:
        InvalidInput: a collection or an id is empty, too long or not valid Unicode.
    """
    for ref in refs:
        for part in (ref.collection, ref.id):
            _check_text(part)
            if not part:
                raise InvalidInput(f"{ref}: collection and id must not be empty")
            if len(part) > MAX_ID_BYTES // 4 and _size(escape_id(part)) > MAX_ID_BYTES:
                raise InvalidInput(f"{part[:40]}... is too long: {MAX_ID_BYTES} bytes at most")


def check_writes(writes: Sequence[Write]) -> None:
    """Refuse a commit that an engine would refuse, or would store changed.

    Raises:
        InvalidInput: no or more than 500 writes, a document twice, a value of no known type, too
            much of anything.
    """
    if not 1 <= len(writes) <= MAX_WRITES:
        raise InvalidInput(f"a commit has 1 to {MAX_WRITES} writes, not {len(writes)}")
    refs = [write.ref for write in writes]
    check_refs(refs)
    if len(set(refs)) < len(refs):
        twice = next(ref for ref in refs if refs.count(ref) > 1)
        raise InvalidInput(f"{twice} is written twice in one commit")
    commit_bytes = 0
    for write in writes:
        if isinstance(write, Create | Put):
            commit_bytes += _check_document(write.ref, write.data)
        elif isinstance(write, Increment):
            _check_amounts(write.amounts)
    if commit_bytes > MAX_COMMIT_BYTES:
        raise InvalidInput(f"a commit has {MAX_COMMIT_BYTES} bytes at most, not {commit_bytes}")


def check_query(query: Query) -> None:
    """Refuse a query that not every engine can answer.

    Raises:
        InvalidInput: the limit is not 1 to 500, a filter is not text, int, bool or None, or its
            field has no index.
    """
    if not 1 <= query.limit <= MAX_PAGE:
        raise InvalidInput(f"a page has 1 to {MAX_PAGE} documents, not {query.limit}")
    check_refs([Ref(query.collection, query.after or "-")])
    for name, value in query.where.items():
        if value is not None and not isinstance(value, str | int):
            raise InvalidInput(f"{name}: a filter is text, int, bool or None, not {value!r}")
        if name in UNINDEXED or query.collection in UNINDEXED_COLLECTIONS:
            raise InvalidInput(f"{name} has no index: it cannot be a filter")
        if isinstance(value, str) and _size(value) > MAX_FILTER_BYTES:
            raise InvalidInput(f"{name}: a filter has {MAX_FILTER_BYTES} bytes at most")
        _check_value({name: value}, 0, _Tally())


@dataclass(slots=True)
class _Tally:
    """What a document takes in the store and on the way to it, rather more than less."""

    bytes: int = 0
    values: int = 0


def _check_document(ref: Ref, data: Mapping[str, Value]) -> int:
    """Its bytes."""
    tally = _Tally()
    _check_value(dict(data), 0, tally)
    if tally.bytes > MAX_DOCUMENT_BYTES:
        raise InvalidInput(f"{ref} has {tally.bytes} bytes; {MAX_DOCUMENT_BYTES} are allowed")
    if tally.values > MAX_DOCUMENT_VALUES:
        raise InvalidInput(f"{ref} has {tally.values} values; {MAX_DOCUMENT_VALUES} are allowed")
    return tally.bytes


def _check_value(value: Value, depth: int, tally: _Tally) -> None:
    """Refuse what not every engine gives back unchanged.

    Raises:
        InvalidInput: something in `value` is of no type that every engine gives back unchanged, or
            lies too deep.
    """
    if depth > MAX_DEPTH:
        raise InvalidInput(f"lists and dicts lie at most {MAX_DEPTH} deep in each other")
    tally.values += 1
    tally.bytes += 16
    match value:
        case None | bool() | float():
            pass
        case str():
            _check_text(value)
            tally.bytes += _size(value)
        case int():
            check_int(value)
        case datetime():
            _check_time(value)
        case list():
            for item in value:
                # Firestore keeps a list in a list inside a map.
                _check_value(item, depth + (2 if isinstance(item, list) else 1), tally)
        case dict():
            for name, item in value.items():
                tally.bytes += _check_name(name)
                _check_value(item, depth + 1, tally)
        case _:
            raise InvalidInput(
                f"{type(value).__name__} cannot be stored: use None, bool, int, float, str, aware "
                "datetime, list or dict"
            )


def check_int(value: int) -> None:
    """Refuse what does not fit 64 bits.

    Raises:
        InvalidInput: the number does not fit 64 bits.
    """
    if not INT_MIN <= value <= INT_MAX:
        raise InvalidInput(f"{value} does not fit 64 bits")


def _check_amounts(amounts: Mapping[str, int]) -> None:
    if len(amounts) > MAX_INCREMENTS:
        raise InvalidInput(f"{len(amounts)} fields are incremented; {MAX_INCREMENTS} are allowed")
    for name, amount in amounts.items():
        _check_name(name)
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise InvalidInput(f"{name}: an increment is an int, not {amount!r}")
        check_int(amount)


def _check_time(value: datetime) -> None:
    if value.tzinfo is None:
        raise InvalidInput(f"{value} has no time zone: use aware UTC")
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(f"{value} lies outside the years 1 to 9999 in UTC") from None


def _check_name(name: object) -> int:
    """Its bytes."""
    if not isinstance(name, str):
        raise InvalidInput(f"a key of a dict is text, not {name!r}")
    _check_text(name)
    size = _size(name)
    if size > MAX_NAME_BYTES:
        raise InvalidInput(f"{name[:40]}... is too long: {MAX_NAME_BYTES} bytes at most")
    return size


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{text!r} is not valid Unicode") from None
