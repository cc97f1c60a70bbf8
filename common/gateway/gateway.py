"""The gateway: an ASGI application in front of LLM providers.

`parse -> identify -> forward -> tap -> account`. Everything before the forwarding is in memory, but
for keys not seen lately. Bytes pass through as they come; a call is accounted after the client has
its last byte and before the request ends, because after that an instance may have no CPU.
"""

import asyncio
import json
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from common.core.errors import CloudOpsError
from common.core.events import Event
from common.core.ids import time_ordered_id
from common.core.ports import Bus, Clock
from common.core.secrets import keyed_hash
from common.gateway.access import check_access
from common.gateway.answer import Answer, header
from common.gateway.attribution import attribute
from common.gateway.call import Call
from common.gateway.call_log import log_call
from common.gateway.candidates import Movable
from common.gateway.choice import choose_target, forwardable
from common.gateway.credentials import Shown, read_credentials
from common.gateway.deadlines import Deadlines
from common.gateway.directory import Directory
from common.gateway.feedback import FEEDBACK_PATHS, FeedbackDesk
from common.gateway.forwarding import Forwarding, Going
from common.gateway.incoming import Incoming, Receive, Scope, Send
from common.gateway.key_ring import KeyRing
from common.gateway.keys import Key
from common.gateway.models import entry_body, list_body, model_list
from common.gateway.override_copy import OverrideCopy
from common.gateway.own_answers import OwnAnswers
from common.gateway.price_copy import PriceCopy
from common.gateway.refusals import Refusal
from common.gateway.relay import relay
from common.gateway.routing import Routing
from common.gateway.upstream import UpstreamError, UpstreamUnreachable
from common.gateway.upstream_refusals import refusal_of
from common.llm.facts import CallFacts
from common.llm.multipart import is_announced, is_form
from common.llm.openai_format import RequestBody
from common.llm.paths import Endpoint, NotForwarded, resolve
from common.llm.protocol import PROTOCOLS, ErrorText, protocol_of
from common.llm.unmetered import NONE, UnmeteredPaths
from common.routing.rules import AUTO

logger = logging.getLogger(__name__)

HEALTH_PATH = "/gateway/v1/health"
ADDRESSES = (
    "/openai/v1/...",
    "/anthropic/v1/...",
    "/gemini/v1beta/...",
    "/vertex/v1/...",
    "/u/UPSTREAM/v1/...",
    "/v1/...",
)
_UNPUBLISHED = {"usage": "usage.unpublished", "events": "event.unpublished"}
_OWN_LIST = ("openai", "models")
"""Upstream and name of the endpoint that is answered here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body_bytes: int = 32 * 1024 * 1024
    body_s: float = 120.0
    first_byte_s: float = 300.0
    idle_s: float = 120.0
    call_s: float = 3600.0
    finish_s: float = 60.0
    tell_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """The application. One per process; its parts are handed in by the wiring.

    `hash_key` makes fingerprints of provider keys, users and sessions comparable here and useless
    elsewhere.
    """

    keys: KeyRing
    directory: Directory
    routing: Routing
    forwarding: Forwarding
    bus: Bus
    clock: Clock
    entropy: Callable[[int], bytes]
    prices: PriceCopy
    overrides: OverrideCopy
    hash_key: bytes
    version: str
    limits: Limits = field(default_factory=Limits)
    unmetered: UnmeteredPaths = NONE
    _running: set[Deadlines] = field(default_factory=set)

    def stop(self) -> None:
        """End all calls that run: their clients are told, and they are accounted."""
        for deadlines in tuple(self._running):
            deadlines.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        incoming = Incoming.of(scope, receive)
        endpoint = resolve(incoming.method, incoming.path, incoming.headers, self.unmetered)
        if endpoint is None or incoming.path in FEEDBACK_PATHS:
            if not await self._own_answers().answered(incoming, Answer(send)):
                await self._elsewhere(incoming.path, Answer(send))
            return
        now = self.clock.now()
        call = Call(
            id=time_ordered_id(now, self.entropy(10)),
            started_at=now,
            arrived_s=self.clock.monotonic(),
            protocol=protocol_of(endpoint),
            endpoint=endpoint,
            book=self.prices.book,
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
        watches: list[asyncio.Task[None]] = []
        going: Going | None = None
        try:
            self._running.add(deadlines)
            with deadlines:
                shown = read_credentials(incoming.headers, incoming.query, call.protocol.name)
                key = await self._identify(call, shown, incoming, deadlines)
                forwarded = forwardable(endpoint)
                body = await incoming.body(deadlines, self.limits.body_bytes, self.limits.body_s)
                deadlines.look(lambda: watches.append(_watch(call, incoming, answer, deadlines)))
                if (forwarded.upstream, forwarded.name) == _OWN_LIST:
                    await self._list_models(call, forwarded, key, shown, answer)
                    return
                movable = await self._aimed(call, key, shown, incoming, body)
                chain = await self.routing.chain(call, movable, incoming.headers)
                going = Going(call, movable, chain, incoming)
                sent = await self.forwarding.send(going, deadlines, self.limits.first_byte_s)
                try:
                    await relay(
                        call,
                        sent.reply,
                        answer,
                        deadlines,
                        idle_s=self.limits.idle_s,
                        clock=self.clock,
                        strip=sent.strip,
                        masked=sent.key.secret if sent.key.managed else None,
                    )
                finally:
                    await sent.reply.aclose()
        except TimeoutError:
            raise self._overdue(call, deadlines) from None
        except UpstreamError as error:
            if isinstance(error, UpstreamUnreachable):
                call.sent_s = None
            raise refusal_of(error, call.upstream_name) from None
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
            self._running.discard(deadlines)
            if going is not None:
                self.forwarding.release(going)
            call.client_gone = deadlines.client_gone
            call.client_awaited = deadlines.waiting_for == "client"
            for watch in watches:
                watch.cancel()

    async def _identify(
        self, call: Call, shown: Shown, incoming: Incoming, deadlines: Deadlines
    ) -> Key:
        key = await self.keys.find(shown.digest)
        call.attribution = attribute(key, incoming.headers, self.hash_key)
        call.warnings = call.attribution.warnings
        call.priority = call.attribution.priority.word
        self.keys.require_usable(key)
        call.book = await self.overrides.book_for(call.book, key.org, call.started_at)
        if key.policy.on_disconnect == "finish":
            deadlines.finish_within_s = self.limits.finish_s
        return key

    async def _aimed(
        self, call: Call, key: Key, shown: Shown, incoming: Incoming, body: bytes
    ) -> Movable:
        """The call and where its client sends it, once it is known that the key may."""
        endpoint = forwardable(call.endpoint)
        content_type = incoming.headers.get("content-type", "")
        if call.form is not None and (not is_form(body) or is_announced(body, content_type)):
            call.facts = call.form.read_facts(body)
        else:
            call.facts = CallFacts(readable=False, size_bytes=len(body))
        if endpoint.model is not None:
            call.facts = replace(call.facts, model=endpoint.model)
        if endpoint.unmetered is not None:
            call.facts = replace(call.facts, unmetered=endpoint.unmetered)
        destinations = await self.directory.current()
        written = RequestBody(body)
        target = choose_target(endpoint, call.facts, written, destinations, key.policy)
        call.destination, call.facts, call.model_asked = (
            target.destination,
            target.facts,
            target.asked,
        )
        call.warnings += target.warnings
        if target.facts.model != AUTO:  # of which the rules decide, and then what the key covers
            check_access(key, target.destination, target.facts, body, metered=endpoint.metered)
        return Movable(key, endpoint, written, target, shown.own, destinations)

    def _own_answers(self) -> OwnAnswers:
        return OwnAnswers(
            identify=self._identify,
            aim=self._aimed,
            directory=self.directory,
            spending=self.forwarding.spending,
            pool=self.forwarding.sender.pool,
            clock=self.clock,
            entropy=self.entropy,
            book=self.prices.book,
            body_bytes=self.limits.body_bytes,
            body_s=self.limits.body_s,
            unmetered=self.unmetered,
            feedback=FeedbackDesk(self.bus, self.forwarding.rates, self.clock),
        )

    async def _list_models(
        self, call: Call, endpoint: Endpoint, key: Key, shown: Shown, answer: Answer
    ) -> None:
        """Answer with what this key may use, in OpenAI's form."""
        destinations = await self.directory.current()
        models = model_list(destinations, key.policy, self.prices.book, shown.own)
        _, _, asked = endpoint.path.partition("/v1/models/")
        body = entry_body(models, asked) if asked else list_body(models)
        call.status, call.response_bytes = 200, len(body)
        await answer.whole(200, body, call.id)

    def _overdue(self, call: Call, deadlines: Deadlines) -> Refusal:
        if deadlines.client_gone:
            return Refusal("incomplete_request", "The client left.")
        if deadlines.stopped:
            return Refusal(
                "gateway_stopped",
                "The instance of the gateway that had this call was ended. Send it again: another "
                "one takes it.",
            )
        if deadlines.waiting_for == "body":
            return Refusal(
                "incomplete_request",
                f"The request's body was not there within {self.limits.body_s:g} s. Send it again.",
            )
        return Refusal(
            "upstream_timeout",
            f"{call.upstream_name} did not answer in time "
            f"(waited for its {deadlines.waiting_for.replace('_', ' ')}). Try again; if it goes "
            "on, with a smaller request.",
        )

    async def _refuse(self, call: Call, refusal: Refusal, answer: Answer) -> bool:
        """Tell the client, if it is still there; whether the answer is complete by that."""
        if call.client_gone:
            call.unanswered = not answer.started
            return False
        if answer.event_stream and answer.has_end:
            return True  # Behind the provider's own end there is nothing to tell.
        call.outcome, call.error_code = refusal.outcome, refusal.code
        if not answer.started:
            call.status = refusal.status
        try:
            async with asyncio.timeout(self.limits.tell_s):
                return await answer.refuse(refusal, call.protocol, call.id)
        except TimeoutError:  # It reads nothing, and the call waits to be accounted.
            return False

    async def _account(self, call: Call) -> None:
        """Publish the call's event, even while the request is being cancelled."""
        self.forwarding.spending.settle(call)
        if (prefix := call.facts.prefix) is not None:
            call.prefix_hash = keyed_hash(prefix.digest, self.hash_key, purpose=b"prefix")
        ended_s = self.clock.monotonic()
        ended = call.event(self.clock.now(), ended_s)
        log_call(ended)
        events = [ended, *call.findings]
        try:
            await self._end(call, events)
        except asyncio.CancelledError:
            # What was on its way may be accepted or not: consumers know an event by its id.
            await self._end(call, events)
            raise
        finally:
            self.forwarding.brownouts.observe(call, ended_s)
            self.routing.remember(call)

    async def _end(self, call: Call, events: list[Event]) -> None:
        for event in events:
            await self._publish(event)
        await self.forwarding.spending.leave(call)

    async def _publish(self, event: Event) -> None:
        try:
            await self.bus.publish(event.topic, event)
        except Exception as error:  # noqa: BLE001 - whatever a bus raises, nothing is lost
            # Whole, in one line, so that it can be sent again.
            logger.error(  # noqa: TRY400 - the event is the message
                _UNPUBLISHED[event.topic],
                extra={"cause": _cause(error), "usage_event": event.payload().decode()},
            )

    async def _elsewhere(self, path: str, answer: Answer) -> None:
        headers = [header("content-type", "application/json")]
        if path == HEALTH_PATH:
            status = 200
            told = {"status": "ok", "version": self.version, "book": self.prices.book.digest}
            body = json.dumps(told).encode()
        else:
            status = 404
            headers.append(header("x-gateway-error", "not_found"))
            message = f"There is nothing at {path[:200]}. Use {' or '.join(ADDRESSES)}."
            # In the form most clients read; who else comes here is no client of a provider.
            body = PROTOCOLS["openai"].error_body(ErrorText(404, "not_found", message), "")
        headers.append(header("content-length", str(len(body))))
        await answer.start(status, headers)
        await answer.body(body)
        await answer.end()


def _watch(
    call: Call, incoming: Incoming, answer: Answer, deadlines: Deadlines
) -> asyncio.Task[None]:
    """A task that ends the call when its client leaves."""

    def left() -> None:
        call.unanswered = not answer.started
        deadlines.client_left()

    return asyncio.create_task(incoming.watch(left))


def _cause(error: Exception) -> str:
    """Why, from errors whose texts are ours; the kind alone of others."""
    return error.detail if isinstance(error, CloudOpsError) else type(error).__name__
