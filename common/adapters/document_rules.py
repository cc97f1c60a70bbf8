"""What the `Documents` port accepts, checked in one place before any engine sees it.

Every engine calls these functions first, so that a value which the cloud would refuse is refused on
a laptop too, with the same words. Engines then only translate.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from common.core.errors import InvalidInput
from common.core.ports import Create, Increment, Put, Query, Ref, Value, Write

MAX_WRITES = 500
MAX_PAGE = 500
INT_MIN = -(1 << 63)
INT_MAX = (1 << 63) - 1


def check_refs(refs: Iterable[Ref]) -> None:
    """Refuse addresses that no engine can hold.

    Raises:
        InvalidInput: a collection or an id is empty or not valid Unicode.
    """
    for ref in refs:
        for part in (ref.collection, ref.id):
            _check_text(part)
            if not part:
                raise InvalidInput(f"{ref}: collection and id must not be empty")


def check_writes(writes: Sequence[Write]) -> None:
    """Refuse a commit that an engine would refuse, or would store changed.

    Raises:
        InvalidInput: no or more than 500 writes, a document twice, a value of no known type.
    """
    if not 1 <= len(writes) <= MAX_WRITES:
        raise InvalidInput(f"a commit has 1 to {MAX_WRITES} writes, not {len(writes)}")
    refs = [write.ref for write in writes]
    check_refs(refs)
    if len(set(refs)) < len(refs):
        twice = next(ref for ref in refs if refs.count(ref) > 1)
        raise InvalidInput(f"{twice} is written twice in one commit")
    for write in writes:
        if isinstance(write, Create | Put):
            check_value(dict(write.data))
        elif isinstance(write, Increment):
            _check_amounts(write.amounts)


def check_query(query: Query) -> None:
    """Refuse a query that not every engine can answer.

    Raises:
        InvalidInput: the limit is not 1 to 500, a filter is not text, int, bool or None.
    """
    if not 1 <= query.limit <= MAX_PAGE:
        raise InvalidInput(f"a page has 1 to {MAX_PAGE} documents, not {query.limit}")
    check_refs([Ref(query.collection, query.after or "-")])
    for name, value in query.where.items():
        if value is not None and not isinstance(value, str | int):
            raise InvalidInput(f"{name}: a filter is text, int, bool or None, not {value!r}")
        check_value({name: value})


def check_value(value: Value) -> None:
    """Refuse what not every engine gives back unchanged.

    Raises:
        InvalidInput: something in `value` is of no type that every engine gives back unchanged.
    """
    match value:
        case None | bool() | float():
            pass
        case str():
            _check_text(value)
        case int():
            check_int(value)
        case datetime():
            _check_time(value)
        case list():
            for item in value:
                check_value(item)
        case dict():
            for name, item in value.items():
                if not isinstance(name, str):
                    raise InvalidInput(f"a key of a dict is text, not {name!r}")
                _check_text(name)
                check_value(item)
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
    for name, amount in amounts.items():
        _check_text(name)
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


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{text!r} is not valid Unicode") from None
