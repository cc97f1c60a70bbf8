"""The public price list of genai-prices (https://github.com/pydantic/genai-prices), as it is today.

Asked for like an upstream: by the one transport there is, which follows no redirect, keeps nothing
and reaches no private address. Its own client is not used: that one has no limit of size, follows
redirects, and reads prices as floats. The form is the package's, so is what reads it.

Only https is spoken; http only with this machine, for tests and for a mirror beside the function.
"""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from genai_prices import types
from pydantic import ValidationError

from common.core.errors import InvalidInput
from common.gateway.upstream import Upstream, UpstreamError, UpstreamRequest
from common.pricing.sources import Listed, SourceFailed

PRICE_SOURCE_URL = (
    "https://raw.githubusercontent.com/pydantic/genai-prices/refs/heads/main"
    "/prices/new_data/v2/data.json"
)
"""Where genai-prices itself looks (`genai_prices.update_prices`)."""
DEADLINE_S = 30.0
MOST_BYTES = 16_000_000
"""Ten times the list of today."""
HERE = "127.0.0.1"
_OK_STATUS = 200


class GenaiPrices:
    """`PriceSource` over that list. One per process."""

    name = "genai-prices"

    def __init__(
        self, upstream: Upstream, url: str = PRICE_SOURCE_URL, *, deadline_s: float = DEADLINE_S
    ) -> None:
        """Take what is needed to ask.

        Args:
            upstream: the connection.
            url: where the list is.
            deadline_s: seconds for the whole of it.

        Raises:
            InvalidInput: the address is none that is asked.
        """
        parts = urlsplit(url)
        self._is_here = parts.scheme == "http" and parts.hostname == HERE
        if not self._is_here and (parts.scheme != "https" or not parts.hostname):
            raise InvalidInput("the price source needs an address with https", field="url")
        if parts.username is not None or parts.password is not None:
            raise InvalidInput("the price source needs an address without a user", field="url")
        self._upstream = upstream
        self._url = url
        self._deadline_s = deadline_s

    async def read(self) -> Listed:
        body = await self._body()
        # Seconds of CPU, while the process may do something else.
        providers = await asyncio.to_thread(read_providers, body)
        return Listed(providers, {"url": self._url, "sha256": sha256(body).hexdigest()})

    async def _body(self) -> bytes:
        headers = [(b"accept", b"application/json")]
        request = UpstreamRequest("GET", self._url, headers, b"", allow_private=self._is_here)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._answered(request)
        except TimeoutError:
            raise SourceFailed(f"no whole answer within {self._deadline_s:g} s") from None
        except UpstreamError as error:
            raise SourceFailed(f"no answer ({error})") from None

    async def _answered(self, request: UpstreamRequest) -> bytes:
        reply = await self._upstream.send(request)
        try:
            if reply.status != _OK_STATUS:
                # Redirects too: prices come from where the address says, and from nowhere else.
                raise SourceFailed(f"it answers {reply.status}")
            body = bytearray()
            async for chunk in reply.chunks():
                body += chunk
                if len(body) > MOST_BYTES:
                    raise SourceFailed(f"an answer of more than {MOST_BYTES:,} bytes")
        finally:
            await reply.aclose()
        return bytes(body)


def read_providers(body: bytes) -> list[types.Provider]:
    """The providers that a list names, with prices as exact as they stand there.

    Raises:
        InvalidInput: it is no such list, or has a price that is no number.
    """
    try:
        raw = json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
        wrong = _wrong_price(raw)
        providers = [] if wrong else types._providers_from_raw(raw)  # noqa: SLF001 - it is pinned
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"]))[:200]
        raise InvalidInput(f"the list is not in its form: {place} {first['type']}") from None
    except _UNREADABLE as error:
        raise InvalidInput(f"the list cannot be read ({type(error).__name__})") from None
    if wrong is not None or not providers:
        raise InvalidInput(wrong or "the list is empty")
    return providers


_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a text of another form meets, wherever it differs."""


def _wrong_price(raw: Any) -> str | None:
    """What is wrong with a price that the form would let pass: text is read as a number there."""
    for named, price in _prices(raw):
        if isinstance(price, bool) or not isinstance(price, int | Decimal):
            return f"{named} has a price that is no number"
    return None


def _prices(raw: Any) -> Iterator[tuple[str, Any]]:
    """Every figure of the list's prices, with its model."""
    for provider in raw:
        for model in provider["models"]:
            named = f"{provider['id']}/{model['id']}"[:200]
            listed = model["prices"]
            sets = [each["prices"] for each in listed] if isinstance(listed, list) else [listed]
            sets += [each["prices"] for each in model.get("price_variants") or ()]
            for prices in sets:
                for price in prices.values():
                    tiers = price.get("tiers", ()) if isinstance(price, dict) else ()
                    figures = [price["base"]] if isinstance(price, dict) else [price]
                    for figure in (*figures, *(tier["price"] for tier in tiers)):
                        if figure is not None:
                            yield named, figure


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
