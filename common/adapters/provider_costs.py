"""Asking a provider's API of usage and costs, page by page, as its documents say.

What OpenAI and Anthropic have in common: an admin key in a header, buckets of a day, `has_more` and
`next_page`. Numbers are read as the text has them, so an amount never is a binary fraction. A 429
is obeyed within the deadline. The key goes to the one host and stands in no text that is made here.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeAlias
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.gateway.upstream import Upstream, UpstreamError, UpstreamReply, UpstreamRequest
from common.reconciliation.rows import BillsUnavailable

logger = logging.getLogger(__name__)

DEADLINE_S = 120.0
"""For all that is asked of one provider at one time."""
MOST_PAGES = 200
"""Of one question."""
MOST_BYTES = 8 * 1024 * 1024
"""Of one page."""
MOST_WAITS = 5
WAIT_S = 10.0
"""After a 429 that does not say how long."""

DAY = timedelta(days=1)
_OK_STATUS = 200
_TOO_MANY = 429
_NOT_ALLOWED = (401, 403)
_LONGEST_NUMBER = 40
"""Digits, signs and exponents of one amount."""

Count = Annotated[int, Field(ge=0, le=2**62)]
Usd = Annotated[Decimal, Field(ge=-(10**9), le=10**9)]
"""An amount; negative for what is given back. No account's day is worth a thousand million."""

Sleep: TypeAlias = Callable[[float], Awaitable[None]]
Asked: TypeAlias = Sequence[tuple[str, str]]


class Part(BaseModel):
    """Something that a provider sends: more in it is fine."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Page(Part):
    data: list[dict[str, Any]]
    has_more: bool = False
    next_page: str | None = None


@dataclass(frozen=True, slots=True)
class CostApi:
    """One provider's API. `base_url` has no path of its own; `headers` carry the admin key."""

    upstream: Upstream
    base_url: str
    headers: Sequence[tuple[bytes, bytes]]
    allow_private: bool = False
    deadline_s: float = DEADLINE_S
    sleep: Sleep = asyncio.sleep

    async def within_deadline(self, reading: Awaitable[Any]) -> Any:
        """What is read.

        Raises:
            BillsUnavailable: there is no whole answer in time.
        """
        try:
            async with asyncio.timeout(self.deadline_s):
                return await reading
        except TimeoutError:
            raise BillsUnavailable(f"no whole answer within {self.deadline_s:g} s") from None
        except UpstreamError as error:
            raise BillsUnavailable(f"no answer ({error})") from None

    async def buckets(self, path: str, asked: Asked) -> list[dict[str, Any]]:
        """The buckets of all pages.

        Raises:
            BillsUnavailable: the provider answers something else.
            UpstreamError: it does not answer.
        """
        found: list[dict[str, Any]] = []
        cursors: list[str] = []
        for _ in range(MOST_PAGES):
            page = await self._page(path, [*asked, *(("page", each) for each in cursors[-1:])])
            found += page.data
            if not page.has_more:
                return found
            if not page.next_page or page.next_page in cursors:
                raise BillsUnavailable(f"{path} says that there is more, and not where")
            cursors.append(page.next_page)
        raise BillsUnavailable(f"{path} has more than {MOST_PAGES} pages")

    async def _page(self, path: str, asked: Asked) -> _Page:
        body = await self._body(path, asked)
        try:
            return _Page.model_validate(
                json.loads(body, parse_float=_decimal, parse_constant=_no_number)
            )
        except ValidationError:
            raise BillsUnavailable(f"{path} answers no page of buckets") from None
        except (ValueError, RecursionError):
            raise BillsUnavailable(f"{path} answers no JSON") from None

    async def _body(self, path: str, asked: Asked) -> bytes:
        url = f"{self.base_url}{path}?{urlencode(asked, quote_via=quote)}"
        headers = [*self.headers, (b"accept", b"application/json")]
        request = UpstreamRequest("GET", url, headers, b"", allow_private=self.allow_private)
        for _ in range(MOST_WAITS):
            reply = await self.upstream.send(request)
            try:
                if reply.status == _OK_STATUS:
                    return await _whole(path, reply)
            finally:
                await reply.aclose()
            if reply.status != _TOO_MANY:
                break
            wait_s = _wait_s(reply)
            if wait_s > self.deadline_s:
                raise BillsUnavailable(f"{path} answers 429 and asks to wait {wait_s:g} s")
            logger.info("reconciliation.waits", extra={"path": path, "seconds": wait_s})
            await self.sleep(wait_s)
        hint = ": is it an admin key?" if reply.status in _NOT_ALLOWED else ""
        raise BillsUnavailable(f"{path} answers {reply.status}{hint}")


def by_day(
    buckets: Iterable[dict[str, Any]], start: Callable[[dict[str, Any]], datetime]
) -> dict[date, list[dict[str, Any]]]:
    """The results of buckets of a day.

    Raises:
        BillsUnavailable: one cannot be read: a sum without it would be wrong.
    """
    found: dict[date, list[dict[str, Any]]] = {}
    for bucket in buckets:
        try:
            begin = start(bucket)
            results = _Bucket.model_validate(bucket).results
        except (ValueError, KeyError, TypeError, OverflowError, OSError):
            raise BillsUnavailable("a bucket cannot be read") from None
        if begin.time() != datetime.min.time():
            raise BillsUnavailable(f"a bucket begins at {begin:%H:%M:%S}, not at midnight of UTC")
        found.setdefault(begin.date(), []).extend(results)
    return found


def moment(text: str) -> datetime:
    """A moment in RFC 3339, in UTC.

    Raises:
        ValueError: it is none.
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("a moment without a zone")
    return found.astimezone(UTC)


def span(days: Iterable[date]) -> tuple[datetime, datetime, int]:
    """From the first moment of the first day to that after the last, and how many days that is."""
    ordered = sorted(days)
    first = datetime.combine(ordered[0], datetime.min.time(), UTC)
    last = datetime.combine(ordered[-1], datetime.min.time(), UTC) + DAY
    return first, last, (last - first).days


class _Bucket(Part):
    results: list[dict[str, Any]]


async def _whole(path: str, reply: UpstreamReply) -> bytes:
    body = bytearray()
    async for chunk in reply.chunks():
        body += chunk
        if len(body) > MOST_BYTES:
            raise BillsUnavailable(f"{path} answers more than {MOST_BYTES} bytes")
    return bytes(body)


def _wait_s(reply: UpstreamReply) -> float:
    """Seconds; a date is read as none, since nobody here knows the provider's clock."""
    given = [value for name, value in reply.headers if name.lower() == b"retry-after"]
    text = given[0].decode("latin-1").strip() if given else ""
    return float(text) if text.isdecimal() and len(text) < _LONGEST_NUMBER else WAIT_S


def _decimal(text: str) -> Decimal:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a number that is too long")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("no number") from None


def _no_number(_name: str) -> Decimal:
    raise ValueError("not a number")
