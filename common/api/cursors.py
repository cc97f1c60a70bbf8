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
from collections.abc import Mapping
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


def _checksum(question: Mapping[str, str], text: bytes) -> bytes:
    asked = {name: value for name, value in question.items() if name not in PAGING}
    covered = json.dumps(asked, sort_keys=True).encode() + b"\n" + text
    return hashlib.sha256(covered).digest()[:_CHECKSUM_BYTES]
