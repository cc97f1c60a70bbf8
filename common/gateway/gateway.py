"""The gateway: an ASGI application in front of LLM providers.

`parse -> identify -> forward -> tap -> account`. Everything before the forwarding is in memory, but
for keys not seen lately. Bytes pass through as they come; a call is accounted after the client has
its last byte and before the request ends, because after that an instance may have no CPU.
"""

import asyncio
import json
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlsplit

from common.core.errors import CloudOpsError
from common.core.events import UsageEvent
from common.core.ids import time_ordered_id
from common.core.ports import Bus, Clock
from common.core.secrets import Secret
from common.gateway.access import check_access
from common.gateway.answer import Answer, header
from common.gateway.attribution import attribute
from common.gateway.call import Call
from common.gateway.credentials import (
    Credentials,
    forwarded_headers,
    forwarded_query,
    read_credentials,
)
from common.gateway.deadlines import Deadlines
from common.gateway.incoming import Incoming, Receive, Scope, Send
from common.gateway.key_ring import KeyRing
from common.gateway.refusals import Refusal
from common.gateway.relay import relay
from common.gateway.upstream import (
    Upstream,
    UpstreamDisconnected,
    UpstreamRequest,
    UpstreamUnreachable,
)
from common.llm.facts import CallFacts
from common.llm.paths import Endpoint, NotForwarded, forwarded_by, resolve
from common.llm.price_book import PriceBook
from common.llm.protocol import PROTOCOLS, ErrorText

logger = logging.getLogger(__name__)

HEALTH_PATH = "/gateway/v1/health"
ADDRESSES = ("/openai/v1/...", "/anthropic/v1/...", "/gemini/v1beta/...", "/v1/...")
_PATH_SAFE = "/:@!$&'()*+,;=-._~"
"""What RFC 3986 lets stand in a path."""
SIMULATED_KEY = Secret("sim")
"""The provider key that reaches the simulated provider, where one is configured."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body_bytes: int = 32 * 1024 * 1024
    body_s: float = 120.0
    first_byte_s: float = 300.0
    idle_s: float = 120.0
    call_s: float = 3600.0
    finish_s: float = 60.0
    publish_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """The application. One per process; its parts are handed in by the wiring.

    `managed_keys` are the installation's own provider keys by protocol; `simulated_url` is the
    address of a simulated provider, None in production; `hash_key` makes fingerprints of provider
    keys, users and sessions comparable here and useless elsewhere.
    """

    keys: KeyRing
    upstream: Upstream
    bus: Bus
    clock: Clock
    entropy: Callable[[int], bytes]
    book: PriceBook
    hash_key: bytes
    version: str
    managed_keys: Mapping[str, Secret] = field(default_factory=dict)
    simulated_url: str | None = None
    limits: Limits = field(default_factory=Limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming = Incoming.of(scope, receive)
        endpoint = resolve(incoming.method, incoming.path, incoming.headers)
        if endpoint is None:
            await self._elsewhere(incoming.path, Answer(send))
            return
        call = Call(
            id=time_ordered_id(self.clock.now(), self.entropy(10)),
            started_at=self.clock.now(),
            arrived_s=self.clock.monotonic(),
            protocol=PROTOCOLS[endpoint.protocol],
            endpoint=endpoint,
            book=self.book,
        )
        call.note_request_headers(incoming.headers)
        answer = Answer(send)
        finished = False
        try:
            await self._serve(call, endpoint, incoming, answer)
            finished = True
        except Refusal as refusal:
            finished = await self._refuse(call, refusal, answer)
        finally:
            # Also when the server cancels the request: what was sent upstream is accounted.
            await self._account(call)
        if finished:
            await answer.end()

    async def _serve(
        self, call: Call, endpoint: Endpoint | NotForwarded, incoming: Incoming, answer: Answer
    ) -> None:
        """Forward one call and relay its reply. Every failure leaves as a Refusal."""
        deadlines = Deadlines(self.limits.call_s)
        watch: asyncio.Task[None] | None = None
        try:
            async with deadlines:
                credentials = await self._identify(call, incoming, deadlines)
                forwarded = _forwardable(endpoint)
                body = await incoming.body(deadlines, self.limits.body_bytes, self.limits.body_s)
                watch = asyncio.create_task(incoming.watch(lambda: _left(call, answer, deadlines)))
                unread = CallFacts(readable=False, size_bytes=len(body))
                call.facts = call.form.read_facts(body) if call.form is not None else unread
                if forwarded.model is not None:
                    call.facts = replace(call.facts, model=forwarded.model)
                if call.attribution is not None:
                    check_access(
                        call.attribution.key,
                        call.protocol,
                        call.facts,
                        body,
                        metered=forwarded.metered,
                    )
                request, strip = self._outgoing(call, forwarded, credentials, incoming, body)
                deadlines.expect("first_byte", self.limits.first_byte_s)
                call.sent_s = self.clock.monotonic()
                reply = await self.upstream.send(request)
                try:
                    call.upstream_status = reply.status
                    secret = credentials.provider_key if credentials.managed else None
                    await relay(
                        call,
                        reply,
                        answer,
                        deadlines,
                        idle_s=self.limits.idle_s,
                        clock=self.clock,
                        strip=strip,
                        masked=secret,
                    )
                finally:
                    await reply.aclose()
        except TimeoutError:
            raise self._overdue(call, deadlines) from None
        except UpstreamUnreachable as error:
            call.sent_s = None
            raise Refusal(
                "upstream_unreachable",
                f"No connection to {call.upstream_host} ({error}). Nothing was sent; try again, "
                "and look at the provider's status page if it goes on.",
            ) from None
        except UpstreamDisconnected as error:
            raise Refusal(
                "upstream_disconnected",
                f"{call.upstream_host} closed the connection before the reply was complete "
                f"({error}). What it generated until then may be billed.",
            ) from None
        except Refusal:
            raise
        except asyncio.CancelledError:
            # Only a server that shuts down cancels a request.
            call.outcome, call.error_code = "gateway_error", "gateway_stopped"
            raise
        except Exception as error:  # noqa: BLE001 - the one place that owns a call
            # Whatever else goes wrong is told without its text, which could hold something of the
            # caller's.
            logger.error(  # noqa: TRY400 - the message of an unknown error is not safe to log
                "call.failed",
                extra={
                    "request_id": call.id,
                    "error": type(error).__name__,
                    "frames": traceback.format_tb(error.__traceback__),
                },
            )
            raise Refusal(
                "internal_error",
                f"The gateway failed on this call. Give its operator the request id {call.id}.",
            ) from None
        finally:
            call.client_gone = deadlines.client_gone
            if watch is not None:
                watch.cancel()

    async def _identify(self, call: Call, incoming: Incoming, deadlines: Deadlines) -> Credentials:
        credentials = read_credentials(
            incoming.headers, incoming.query, call.protocol.name, self.managed_keys
        )
        key = await self.keys.find(credentials.digest)
        call.attribution = attribute(key, incoming.headers, self.hash_key)
        call.warnings = call.attribution.warnings
        self.keys.require_usable(key)
        if key.policy.on_disconnect == "finish":
            deadlines.finish_within_s = self.limits.finish_s
        call.provider_key_hash = credentials.provider_key.fingerprint(self.hash_key)
        call.simulated = (
            self.simulated_url is not None and credentials.provider_key == SIMULATED_KEY
        )
        return credentials

    def _outgoing(
        self,
        call: Call,
        endpoint: Endpoint,
        credentials: Credentials,
        incoming: Incoming,
        body: bytes,
    ) -> tuple[UpstreamRequest, bool]:
        """The request as the provider gets it, and whether its stream must be stripped."""
        base = call.protocol.default_url
        if call.simulated:
            base = f"{self.simulated_url}/{call.protocol.name}"
        call.upstream_host = urlsplit(base).netloc
        path = quote(endpoint.path, safe=_PATH_SAFE)
        query = forwarded_query(incoming.query, credentials)
        sent, strip = call.form.prepare(body, call.facts) if call.form else (body, False)
        headers = forwarded_headers(incoming.raw_headers, credentials)
        url = f"{base}{path}?{query}" if query else f"{base}{path}"
        return UpstreamRequest(endpoint.method, url, headers, sent), strip

    def _overdue(self, call: Call, deadlines: Deadlines) -> Refusal:
        if deadlines.client_gone:
            return Refusal("incomplete_request", "The client left.")
        if deadlines.waiting_for == "body":
            return Refusal(
                "incomplete_request",
                f"The request's body was not there within {self.limits.body_s:g} s. Send it again.",
            )
        return Refusal(
            "upstream_timeout",
            f"{call.upstream_host} did not answer in time "
            f"(waited for its {deadlines.waiting_for.replace('_', ' ')}). Try again; if it goes "
            "on, with a smaller request.",
        )

    async def _refuse(self, call: Call, refusal: Refusal, answer: Answer) -> bool:
        """Tell the client, if it is still there; whether the answer is complete by that."""
        if call.client_gone:
            call.unanswered = not answer.started
            return False
        call.outcome, call.error_code = refusal.outcome, refusal.code
        if not answer.started:
            call.status = refusal.status
        return await answer.refuse(refusal, call.protocol, call.id)

    async def _account(self, call: Call) -> None:
        """Publish the call's event, even while the request is being cancelled."""
        event = call.event(self.clock.now(), self.clock.monotonic())
        publishing = asyncio.create_task(self._publish(event))
        try:
            await asyncio.shield(publishing)
        except asyncio.CancelledError:
            await publishing
            raise

    async def _publish(self, event: UsageEvent) -> None:
        try:
            async with asyncio.timeout(self.limits.publish_s):
                await self.bus.publish("usage", event)
        except Exception as error:  # noqa: BLE001 - whatever a bus raises, the event is not lost
            # Whole, in one line, so that it can be sent again.
            logger.error(  # noqa: TRY400 - the event is the message
                "usage.unpublished",
                extra={"cause": _cause(error), "usage_event": event.payload().decode()},
            )

    async def _elsewhere(self, path: str, answer: Answer) -> None:
        if path == HEALTH_PATH:
            status = 200
            told = {"status": "ok", "version": self.version, "book": self.book.digest}
            body = json.dumps(told).encode()
        else:
            status = 404
            message = f"There is nothing at {path[:200]}. Use {' or '.join(ADDRESSES)}."
            # In the form most clients read; who else comes here is no client of a provider.
            body = PROTOCOLS["openai"].error_body(ErrorText(404, "not_found", message), "")
        content_type = header("content-type", "application/json")
        await answer.start(status, [content_type, header("content-length", str(len(body)))])
        await answer.body(body)
        await answer.end()


def _left(call: Call, answer: Answer, deadlines: Deadlines) -> None:
    call.unanswered = not answer.started
    deadlines.client_left()


def _forwardable(endpoint: Endpoint | NotForwarded) -> Endpoint:
    if isinstance(endpoint, Endpoint):
        return endpoint
    if endpoint.allowed_methods:
        allowed = ", ".join(endpoint.allowed_methods)
        raise Refusal(
            "method_not_allowed",
            f"{endpoint.path} takes {allowed} only.",
            allow=endpoint.allowed_methods,
        )
    raise Refusal(
        "endpoint_not_supported",
        f"The gateway does not forward {endpoint.protocol}{endpoint.path[:200]}, because it could "
        f"not account for it. It forwards {', '.join(forwarded_by(endpoint.protocol))}; for "
        "anything else call the provider directly.",
    )


def _cause(error: Exception) -> str:
    """Why, from errors whose texts are ours; the kind alone of others."""
    return error.detail if isinstance(error, CloudOpsError) else type(error).__name__
