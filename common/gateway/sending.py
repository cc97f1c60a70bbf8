"""Sending one call: again where that helps, with another key, or without the usage flag.

Every try comes before the first byte to the client. What is known to be unbilled is tried again
freely; after what may be billed (a connection that broke, a provider's own failure) the next try
takes a hold of its own, and without room for one the client gets the first failure. A reply that is
no HTTP would come again, so it is not asked for twice. Of a client that counts its tries (the SDKs
do, in `x-stainless-retry-count`) the first one is tried again here, and none of its later ones. A
caller's own key goes to the upstream the call names, and nowhere else.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import ldexp
from typing import Protocol
from urllib.parse import quote

from common.core.events import Attempt, CredentialEvent
from common.core.ports import Clock
from common.core.secrets import Secret
from common.gateway.call import Call
from common.gateway.choice import Target
from common.gateway.credentials import (
    Payer,
    ProviderKey,
    bearer,
    forwarded_headers,
    forwarded_query,
    managed_key,
)
from common.gateway.destinations import Credential, Destination, Simulated
from common.gateway.incoming import Incoming
from common.gateway.pool import (
    Pool,
    failure_of,
    names_objects,
    retry_after_s,
)
from common.gateway.refusals import Refusal
from common.gateway.upstream import (
    AMBIGUOUS_STATUSES,
    Upstream,
    UpstreamDisconnected,
    UpstreamMalformed,
    UpstreamReply,
    UpstreamRequest,
    UpstreamUnreachable,
)
from common.llm.paths import Endpoint

MOST_TRIES = 3
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 20.0
"""A provider that wants a longer one is obeyed by passing its answer on."""
FLAG_REFUSED_FOR_S = 3600.0
ERROR_BYTES = 64 * 1024
"""How much of an error is read to understand it."""
_PATH_SAFE = "/:@!$&'()*+,;=-._~"
"""What RFC 3986 lets stand in a path."""
SIMULATED = b"x-simulated"
"""The header by which a simulated provider says what it is."""
_ERROR = 400
_BAD_REQUESTS = frozenset({400, 422})
PASSING = frozenset({429, 500, 503, 529, *AMBIGUOUS_STATUSES})
"""Failures that another try may not meet."""


class Identity(Protocol):
    """The function's own identity at Google."""

    async def token(self) -> Secret:
        """An access token with minutes left.

        Raises:
            IdentityUnavailable: none can be had.
        """


class IdentityUnavailable(Exception):
    """No token. Its text says why, without a secret."""


@dataclass(slots=True)
class Order:
    """One call to send, and how often.

    `call` is told of every attempt. `own` is the provider key of the caller, if one was sent: then
    no other is tried. `before` is called before each request leaves, and before each pause with its
    seconds. `hold_again` is called before a request that follows a try that may be billed: it
    answers whether there is room for another.
    """

    call: Call
    endpoint: Endpoint
    target: Target
    own: ProviderKey | None
    incoming: Incoming
    before: Callable[[float], None]
    hold_again: Callable[[], Awaitable[bool]]
    once: bool = False
    """Something else is tried after a failure."""

    @property
    def tries(self) -> int:
        """How often it may be sent. What is free or unmetered may make something, but once."""
        facts = self.target.facts
        own = self.endpoint.metered and not facts.asynchronous and facts.unmetered is None
        if not own or self.call.client_retry or self.once:
            return 1
        treatment = self.call.treatment
        if treatment is None or treatment.retries is None:
            return MOST_TRIES
        return min(MOST_TRIES, 1 + treatment.retries)


@dataclass(slots=True)
class Sent:
    """The reply to pass on, the key it was asked with, and whether its stream is stripped."""

    reply: UpstreamReply
    key: ProviderKey
    strip: bool


@dataclass(slots=True)
class Sender:
    """Sends calls to their destinations. One per process; it remembers which keys rest."""

    upstream: Upstream
    clock: Clock
    pool: Pool
    hash_key: bytes
    entropy: Callable[[int], bytes]
    simulated: Simulated | None = None
    identity: Identity | None = None
    test_upstream: str | None = None
    """The upstream of tests: what it answers as simulated is simulated."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _flag_refused: dict[str, float] = field(default_factory=dict)

    async def send(self, order: Order) -> Sent:
        """Send a call, again after a failure that passes.

        Raises:
            Refusal: missing_provider_key, upstream_credential_unavailable.
            UpstreamError: no reply.
        """
        for number in range(1, order.tries):
            asked_s: float | None = None
            try:
                sent = await self._with_any_key(order)
            except UpstreamUnreachable:
                pass
            except UpstreamMalformed:
                raise
            except UpstreamDisconnected:
                if not await order.hold_again():
                    raise
            else:
                status = sent.reply.status
                if status not in PASSING:
                    return sent
                asked_s = retry_after_s(sent.reply, self.clock)
                if asked_s is not None and asked_s > LONGEST_PAUSE_S:
                    return sent
                if status in AMBIGUOUS_STATUSES and not await order.hold_again():
                    return sent
                await sent.reply.aclose()
            pause_s = self._drawn_pause_s(number) if asked_s is None else asked_s
            order.before(pause_s)
            await self.sleep(pause_s)
        return await self._with_any_key(order)

    def payer(
        self, call: Call, endpoint: Endpoint, target: Target, own: ProviderKey | None
    ) -> Payer:
        """What is going to pay for a call, unless it fails and another credential is tried."""
        if own is not None:
            return Payer(own.secret.fingerprint(self.hash_key), own=True)
        ranked = self._ranked(call, endpoint, target)
        return Payer(ranked[0].name if ranked else "", own=False)

    async def error_of(self, sent: Sent) -> bytes:
        """The beginning of what an error says, and the end of its reply."""
        try:
            return (await _begun(sent.reply)).beginning
        except UpstreamDisconnected:
            return b""
        finally:
            await sent.reply.aclose()

    async def _with_any_key(self, order: Order) -> Sent:
        """One try, with the next key where one is refused."""
        keys = [order.own] if order.own is not None else await self._installation_keys(order)
        for key in keys[:-1]:
            sent = await self._with_key(order, key)
            judged, failed = await self._judged(order, sent)
            if not failed:
                return judged
            await judged.reply.aclose()
        judged, _ = await self._judged(order, await self._with_key(order, keys[-1]))
        return judged

    async def _installation_keys(self, order: Order) -> Sequence[ProviderKey]:
        destination = order.target.destination
        if destination.place is not None and self.identity is not None:
            try:
                return [bearer(await self.identity.token())]
            except IdentityUnavailable as error:
                raise Refusal(
                    "upstream_credential_unavailable",
                    f"The gateway has no token for {destination.name} ({error}). Nothing was sent.",
                ) from None
        if not destination.credentials:
            raise _nothing_pays(destination)
        ranked = self._ranked(order.call, order.endpoint, order.target)
        return [managed_key(credential, order.endpoint.protocol) for credential in ranked]

    def _ranked(self, call: Call, endpoint: Endpoint, target: Target) -> Sequence[Credential]:
        """The installation's credentials in the order in which they are tried."""
        bound, loyalty = False, call.id
        if len(target.destination.credentials) > 1:
            bound = names_objects(endpoint, target.body)
            loyalty = _loyalty(call, bound=bound)
        return self.pool.order(target.destination, loyalty, bound=bound)

    async def _with_key(self, order: Order, key: ProviderKey) -> Sent:
        """One request, and a second without the usage flag where the upstream does not know it."""
        name = order.target.destination.name
        plain = self._outgoing(order, key)
        body, strip = plain.body, False
        form = order.call.form
        if form is not None and self._flag_refused.get(name, 0.0) <= self.clock.monotonic():
            body, strip = form.prepare(plain.body, order.target.facts)
        prepared = plain if body is plain.body else replace(plain, body=body)
        reply = await self._attempt(order, key, prepared)
        if strip and reply.status in _BAD_REQUESTS:
            reply = await _begun(reply)
            if b"stream_options" in reply.beginning:
                await reply.aclose()
                self._flag_refused[name] = self.clock.monotonic() + FLAG_REFUSED_FOR_S
                return Sent(await self._attempt(order, key, plain), key, strip=False)
        return Sent(reply, key, strip)

    def _outgoing(self, order: Order, key: ProviderKey) -> UpstreamRequest:
        destination = order.target.destination
        base = destination.base_url
        simulated = self.simulated if self.simulated and key.secret == self.simulated.key else None
        if simulated is not None:
            base = simulated.base_url(destination)
        order.call.simulated = simulated is not None
        path = quote(order.target.path, safe=_PATH_SAFE)
        query = forwarded_query(order.incoming.query, key, order.endpoint.protocol)
        return UpstreamRequest(
            order.endpoint.method,
            f"{base}{path}?{query}" if query else f"{base}{path}",
            forwarded_headers(order.incoming.raw_headers, key),
            order.target.body,
            allow_private=destination.allow_private or simulated is not None,
        )

    async def _attempt(
        self, order: Order, key: ProviderKey, request: UpstreamRequest
    ) -> UpstreamReply:
        call = order.call
        order.before(0.0)
        started = self.clock.monotonic()
        call.sent_s = started if call.sent_s is None else call.sent_s
        call.tried_s = started
        call.credential, call.managed = key.credential, key.managed
        call.provider_key_hash = key.secret.fingerprint(self.hash_key)
        call.upstream_host = request.host
        call.upstream_status = status = None
        of_tests = order.target.destination.name == self.test_upstream
        call.is_test = of_tests and call.simulated
        try:
            reply = await self.upstream.send(request)
            call.upstream_status = status = reply.status
            call.simulated = call.simulated or (of_tests and says_simulated(reply.headers))
            call.is_test = of_tests and call.simulated
        finally:
            call.attempts.append(
                Attempt(
                    upstream=order.target.destination.name,
                    credential=key.credential,
                    status=status,
                    ms=round((self.clock.monotonic() - started) * 1000, 3),
                )
            )
        return reply

    def _drawn_pause_s(self, number: int) -> float:
        """Seconds up to a bound that doubles with every try, so that callers spread out."""
        bound = ldexp(FIRST_PAUSE_S, number - 1)
        return bound * int.from_bytes(self.entropy(4), "big") / (1 << 32)

    async def _judged(self, order: Order, sent: Sent) -> tuple[Sent, bool]:
        """What a reply says about the installation's key it was asked with: whether it failed."""
        name = sent.key.credential
        if name is None or sent.reply.status < _ERROR:
            return sent, False
        reply = await _begun(sent.reply)
        failure = failure_of(reply, reply.beginning, self.clock)
        if failure is not None:
            destination = order.target.destination
            self.pool.rest(destination, name, failure.rests_s)
            if failure.lasting:
                order.call.findings.append(
                    CredentialEvent.failed(destination.name, name, reply.status, self.clock.now())
                )
        return replace(sent, reply=reply), failure is not None


def says_simulated(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a reply says of itself that no real provider made it."""
    return any(name.lower() == SIMULATED and value == b"true" for name, value in headers)


@dataclass(slots=True)
class _BegunReply:
    """A reply whose first bytes were read already."""

    reply: UpstreamReply
    status: int
    headers: list[tuple[bytes, bytes]]
    beginning: bytes
    rest: AsyncIterator[bytes]

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.beginning:
            yield self.beginning
        async for chunk in self.rest:
            yield chunk

    async def aclose(self) -> None:
        await self.reply.aclose()


async def _begun(reply: UpstreamReply) -> _BegunReply:
    """The reply with the beginning of its body, which can still be passed on whole."""
    if isinstance(reply, _BegunReply):
        return reply
    rest = reply.chunks()
    pieces: list[bytes] = []
    try:
        async for chunk in rest:
            pieces.append(chunk)
            if sum(map(len, pieces)) >= ERROR_BYTES:
                break
    except BaseException:
        await reply.aclose()
        raise
    return _BegunReply(reply, reply.status, reply.headers, b"".join(pieces), rest)


def _loyalty(call: Call, *, bound: bool) -> str:
    """What a call keeps its key by: objects belong to the gateway key that made them.

    Else its session, or what its prompt begins with, which a provider's cache is kept by.
    """
    who, prefix = call.attribution, call.facts.prefix
    if bound and who is not None:
        return who.key.line
    if who is not None and who.session_hash is not None:
        return who.session_hash
    return prefix.digest.hex() if prefix is not None else call.id


def _nothing_pays(destination: Destination) -> Refusal:
    unset = f" (not set here: {', '.join(destination.unset)})" if destination.unset else ""
    return Refusal(
        "missing_provider_key",
        f"No {destination.name} key: send your own in the SDK's header beside x-gateway-key, or "
        f"have one set where the gateway runs{unset}.",
    )
