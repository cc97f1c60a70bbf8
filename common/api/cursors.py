"""Paging cursors: a place in a list, bound to the question it was given for.

A cursor is opaque to callers. Its checksum covers the place and the question's parameters, so a
cursor that was cut, changed or used with another question is refused instead of skipping rows.
It is no secret and proves nothing about the caller: anybody can make one, so each list says which
form its places have, and another form is refused too.
"""

import binascii
import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from common.core.errors import InvalidInput

_CHECKSUM_BYTES = 9
PAGING = frozenset({"after", "limit"})
"""Parameters that may differ between the pages of one question."""


class Place(BaseModel):
    """The form of the places of one list."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


P = TypeVar("P", bound=Place)
T = TypeVar("T")


def make_cursor(question: Mapping[str, str], place: Mapping[str, str | int]) -> str:
    text = json.dumps(place, sort_keys=True, separators=(",", ":")).encode()
    return urlsafe_b64encode(_checksum(question, text) + text).decode().rstrip("=")


def read_cursor(question: Mapping[str, str], cursor: str | None, form: type[P]) -> P | None:
    """The place a cursor was made of; None without a cursor, on the first page.

    Raises:
        InvalidInput: it is no cursor of this question, or its place has another form.
    """
    if cursor is None:
        return None
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    checksum, text = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if checksum == _checksum(question, text):
        try:
            return form.model_validate_json(text)
        except ValidationError:
            pass
    raise InvalidInput(
        "not a cursor of this question: send `next` of the page before with the same parameters",
        field="after",
    )


async def stored_page(
    question: Mapping[str, str],
    after: str | None,
    limit: int,
    read: Callable[..., Awaitable[Sequence[T]]],
    id_of: Callable[[T], str],
    *,
    name: str = "id",
) -> tuple[Sequence[T], str | None]:
    """One page of a stored list, and the cursor of what follows; None where nothing does.

    `limit` may be the most that a store answers at once, so whether more follows is asked apart.

    Args:
        question: what the cursor is bound to.
        after: the id behind which the page begins; None: the first page.
        limit: rows on it.
        read: gives `limit` rows behind the id `after`, in its order; both are named.
        id_of: the id of a row.
        name: what a place calls it.
    """
    page = await read(after=after, limit=limit)
    if len(page) < limit:
        return page, None
    last = id_of(page[-1])
    return page, make_cursor(question, {name: last}) if await read(after=last, limit=1) else None


def first_page(
    question: Mapping[str, str],
    left: Sequence[T],
    limit: int,
    place_of: Callable[[T], Mapping[str, str | int]],
) -> tuple[Sequence[T], str | None]:
    """The first rows of what is left of a list, and the cursor of what follows, if anything."""
    page = left[:limit]
    following = make_cursor(question, place_of(page[-1])) if len(left) > len(page) else None
    return page, following


def _checksum(question: Mapping[str, str], text: bytes) -> bytes:
    asked = {name: value for name, value in question.items() if name not in PAGING}
    covered = json.dumps(asked, sort_keys=True).encode() + b"\n" + text
    return hashlib.sha256(covered).digest()[:_CHECKSUM_BYTES]
