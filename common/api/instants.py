"""Times as people send them: RFC 3339 with an offset, and nothing that only looks like a time.

A number or a time without an offset would be read as a moment that nobody meant, so both are
refused. Every accepted time is in UTC and far enough from the ends of the calendar that spans can
be taken off it.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

from pydantic import AwareDatetime, BeforeValidator

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_FORM = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)


def _in_utc(sent: Any) -> datetime:
    if isinstance(sent, str) and _FORM.fullmatch(sent):
        try:
            time = datetime.fromisoformat(sent.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            time = None
        if time is not None and time >= _EARLIEST:
            return time
    raise ValueError(
        "write an RFC 3339 time with an offset, such as 2026-11-01T12:00:00Z, from 1970 on"
    )


Instant: TypeAlias = Annotated[AwareDatetime, BeforeValidator(_in_utc)]
"""A field that takes such a time; in UTC."""
