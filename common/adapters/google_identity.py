"""The function's own identity at Google, as access tokens.

On Cloud Run they come from the metadata server, elsewhere from application default credentials;
google-auth knows both, and is imported when the first token is asked for. A token is kept until
300 s before its end and renewed once for all callers, in the background while the old one serves.

google-auth blocks, so it runs in a thread, one at most. Its requests leave by the connection to
providers and not by its own: that one follows redirects, obeys proxy variables, and has a limit
between bytes but none for the whole. It retries nothing either, because it sleeps in between.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from common.core.ports import Clock
from common.core.secrets import Secret
from common.gateway.sending import IdentityUnavailable
from common.gateway.upstream import Upstream, UpstreamError, UpstreamRequest

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

logger = logging.getLogger(__name__)

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
RENEWED_BEFORE_S = 300.0
USABLE_BEFORE_S = 10.0
"""A token nearer to its end is not sent: it could end on its way."""
RENEWAL_S = 10.0
RETRY_AFTER_S = 5.0
"""Between two renewals: one may fail, or bring the old token again."""
_RETRIED_BY_GOOGLE = frozenset({408, 429})
_SERVER_ERROR = 500


class GoogleIdentity:
    """`Identity` over google-auth. One per process.

    `renewal_s` is the time for a whole renewal, and for a caller who has to wait for one.
    """

    def __init__(self, clock: Clock, upstream: Upstream, *, renewal_s: float = RENEWAL_S) -> None:
        self._clock = clock
        self._upstream = upstream
        self._renewal_s = renewal_s
        self._credentials: Credentials | None = None
        self._token: Secret | None = None
        self._ends_at: datetime | None = None
        self._tried_at: float | None = None
        self._renewal: asyncio.Task[None] | None = None

    async def token(self) -> Secret:
        """A token that is valid for a while yet.

        Raises:
            IdentityUnavailable: there is none, and none could be had.
        """
        if self._left_s() < RENEWED_BEFORE_S:
            if self._renewal is None and not self._just_tried():
                self._renewal = asyncio.create_task(self._renew())
            if self._renewal is not None and self._left_s() <= USABLE_BEFORE_S:
                await asyncio.wait([self._renewal], timeout=self._renewal_s)
        if self._token is None or self._left_s() <= USABLE_BEFORE_S:
            raise IdentityUnavailable("the identity's token could not be renewed")
        return self._token

    def _left_s(self) -> float:
        if self._ends_at is None:
            return 0.0
        return (self._ends_at - self._clock.now()).total_seconds()

    def _just_tried(self) -> bool:
        return self._tried_at is not None and (
            self._clock.monotonic() - self._tried_at < RETRY_AFTER_S
        )

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        exchange = _Exchange(self._upstream, loop, loop.time() + self._renewal_s)
        try:
            text, ends_at = await asyncio.to_thread(self._fetched, exchange)
        except IdentityUnavailable as error:
            logger.warning("identity.unavailable", extra={"cause": str(error)})
        except Exception as error:  # noqa: BLE001 - google-auth raises what it meets
            # Its text may hold a reply's body.
            logger.warning("identity.unavailable", extra={"cause": type(error).__name__})
        else:
            self._token, self._ends_at = Secret(text), ends_at
        finally:
            self._tried_at = self._clock.monotonic()
            self._renewal = None

    def _fetched(self, exchange: "_Exchange") -> tuple[str, datetime]:
        """A new token and its end. Blocks; called in a thread."""
        import google.auth

        if self._credentials is None:
            self._credentials, _ = google.auth.default(
                scopes=[SCOPE],
                request=exchange,  # type: ignore[arg-type] # what it calls is all it needs
            )
        self._credentials.refresh(exchange)  # type: ignore[no-untyped-call] # google-auth has no types here
        token, expiry = self._credentials.token, self._credentials.expiry
        if not isinstance(token, str) or expiry is None:
            raise IdentityUnavailable("a reply without a token")
        # google-auth keeps naive UTC.
        return token, expiry.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A reply as google-auth reads it."""

    status: int
    headers: Mapping[str, str]
    data: bytes


@dataclass(frozen=True, slots=True)
class _Exchange:
    """google-auth's transport for one renewal. Called in its thread; the loop does the work."""

    upstream: Upstream
    loop: asyncio.AbstractEventLoop
    ends_at: float

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - google-auth's; ours is for the whole renewal
        **_others: object,
    ) -> _Answer:
        """Send one request, once.

        Raises:
            IdentityUnavailable: no usable answer; google-auth does not try again after this one.
        """
        request = UpstreamRequest(
            method,
            url,
            [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
            body.encode() if isinstance(body, str) else body or b"",
            allow_private=True,
            to_metadata=True,
        )
        answer = asyncio.run_coroutine_threadsafe(self._answer(request), self.loop).result()
        if answer.status in _RETRIED_BY_GOOGLE or answer.status >= _SERVER_ERROR:
            raise IdentityUnavailable(f"{request.host} answered {answer.status}")
        return answer

    async def _answer(self, request: UpstreamRequest) -> _Answer:
        try:
            async with asyncio.timeout_at(self.ends_at):
                reply = await self.upstream.send(request)
                try:
                    data = b"".join([chunk async for chunk in reply.chunks()])
                finally:
                    await reply.aclose()
        except TimeoutError:
            raise IdentityUnavailable(f"{request.host} did not answer in time") from None
        except UpstreamError as error:
            raise IdentityUnavailable(f"{request.host} did not answer ({error})") from None
        named = {name.decode().lower(): value.decode("latin-1") for name, value in reply.headers}
        return _Answer(reply.status, named, data)
