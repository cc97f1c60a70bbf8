"""The simulated LLM provider as an ASGI application: three vendors on one port.

    /openai/v1/chat/completions  /openai/v1/models[/{id}]    /openai/v1/embeddings
    /openai/v1/responses...
    /openai/v1/moderations       /openai/v1/files...         /openai/v1/batches...
    /anthropic/v1/messages       /anthropic/v1/models[/{id}]
    /gemini/{v1,v1beta}/models/{id}:{verb}      /gemini/{v1,v1beta}/models[/{id}]
    /simulated/health            /simulated/ledger?after=SEQ    /simulated/behaviour

It exists so that tests, benchmarks and the local stack have a provider that answers, bills and
fails like the real ones, without an account. It says that it is simulated in every answer: by the
header `x-simulated: true`, in ids, and at the beginning of every text. The only key it accepts is
`sim`. Written against raw ASGI because it must not be what a benchmark measures.
"""

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from scripts.simulated import (
    anthropic_messages,
    gemini_border,
    gemini_content,
    model_lists,
    openai_chat,
    openai_embeddings,
    openai_responses,
    recordings,
)
from scripts.simulated.behaviour import RANDOM_FAULTS, Behaviour
from scripts.simulated.delivery import Connection, Delivery, Message, Receive, Send
from scripts.simulated.ledger import Entry, Ledger
from scripts.simulated.models import Vendor
from scripts.simulated.openai_free import FREE, FreeEndpoints
from scripts.simulated.prompt_cache import PrefixCache
from scripts.simulated.recordings import Recordings
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Exchange, Reply
from scripts.simulated.vendors import (
    EVENTS,
    JSON,
    MODELS,
    RESPONSES,
    SIMULATED,
    Call,
    check_key,
    check_route,
    decoded,
    error_body,
    error_event,
    raise_fault,
    reply_headers,
)

MAX_BODY_BYTES = 64 * 1024 * 1024


class SimulatedProvider:
    """The application. State: knobs, ledger, prompt caches and the number of calls in flight."""

    def __init__(
        self, behaviour: Behaviour, ledger: Ledger, now: Callable[[], datetime], replies: str | None
    ) -> None:
        self.behaviour = behaviour
        self.ledger = ledger
        self.in_flight = 0
        self._now = now
        self._recordings = Recordings(replies)
        self._draws = random.Random(behaviour.seed)  # noqa: S311 - repeatable on purpose
        self._free = FreeEndpoints()
        self._responses = openai_responses.Responses()
        self._caches: dict[Vendor, PrefixCache] = {
            "openai": PrefixCache(),
            "anthropic": PrefixCache(),
            "gemini": PrefixCache(),
        }
        # Ids stay unique when a ledger file outlives the process.
        self._nonce = os.urandom(4).hex()
        self._serial = 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        connection = Connection(receive, send)
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.startswith("/openai/v1/"):
            await self._vendor("openai", path[7:], scope, receive, connection)
        elif path.startswith("/anthropic/v1/"):
            await self._vendor("anthropic", path[10:], scope, receive, connection)
        elif path.startswith("/gemini/v1"):
            await self._vendor("gemini", path[7:], scope, receive, connection)
        else:
            await self._own(path, scope, receive, connection)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                self.ledger.close()
                return

    async def _vendor(
        self, vendor: Vendor, path: str, scope: Any, receive: Receive, connection: Connection
    ) -> None:
        call = Call(
            vendor=vendor,
            method=scope["method"],
            path=path,
            headers=dict(scope["headers"]),
            exchange=self._exchange(vendor, path),
            query=scope["query_string"],
        )
        self.in_flight += 1
        try:
            await self._answer(call, receive, connection)
        except Refusal as refusal:
            headers = [*reply_headers(call, JSON), *refusal.headers]
            await connection.answer(refusal.status, headers, error_body(call, refusal))
        finally:
            self.in_flight -= 1

    def _exchange(self, vendor: Vendor, path: str) -> Exchange:
        self._serial += 1
        suffix = f"{self._nonce}{self._serial:08x}"
        prefix = "chatcmpl-sim-" if vendor == "openai" else "msg_sim_"
        if path == RESPONSES:
            prefix = "resp_sim_"
        return Exchange(f"req_sim_{suffix}", f"{prefix}{suffix}", suffix, self._now())

    async def _answer(self, call: Call, receive: Receive, connection: Connection) -> None:
        knobs = self._drawn(self.behaviour.for_request(call.headers))
        check_route(call)
        check_key(call)
        if call.vendor == "gemini" and call.method == "GET":
            body = gemini_content.free_answer(call.path, None)
            await connection.answer(200, reply_headers(call, JSON), body)
            return
        if call.vendor != "gemini" and call.path.startswith(MODELS):
            body = model_lists.answer(call.vendor, call.path.removeprefix(MODELS).strip("/"))
            await connection.answer(200, reply_headers(call, JSON), body)
            return
        body = await _read(receive)
        if call.path.startswith(FREE):
            raise_fault(call, knobs.fault)
            kind, content = self._free.answer(call, body)
            await connection.answer(200, reply_headers(call, (b"content-type", kind)), content)
            return
        if call.path.endswith(":countTokens"):
            raise_fault(call, knobs.fault)
            content = gemini_content.free_answer(call.path, decoded(call, body))
            await connection.answer(200, reply_headers(call, JSON), content)
            return
        if call.path.startswith(f"{RESPONSES}/"):
            raise_fault(call, knobs.fault)
            content = self._responses.free(call, body)
            await connection.answer(200, reply_headers(call, JSON), content)
            return
        recorded = call.headers.get(b"x-simulated-replay")
        if recorded is not None:
            recording = self._recordings.named(recorded.decode("latin-1"))
            await recordings.play(recording, connection, knobs, [SIMULATED])
        elif knobs.fault == "reset":
            async with connection.watched():
                await connection.drop()
        else:
            raise_fault(call, knobs.fault)
            await self._generate(call, body, knobs, connection)

    async def _generate(
        self, call: Call, body: bytes, knobs: Behaviour, connection: Connection
    ) -> None:
        parsed = decoded(call, body)
        cache = self._caches[call.vendor]
        if call.vendor == "gemini":
            array = gemini_content.is_array(call.query)
            reply = gemini_content.answer(
                call.path, body, parsed, call.exchange, knobs, array=array
            )
        elif call.path == openai_embeddings.PATH:
            reply = openai_embeddings.answer(parsed, knobs)
        elif call.path == RESPONSES:
            reply = self._responses.answer(body, parsed, call.exchange, knobs, cache)
        else:
            protocol = openai_chat if call.vendor == "openai" else anthropic_messages
            reply = protocol.answer(body, parsed, call.exchange, knobs, cache)
        if reply.body is not None and knobs.fault == "error-event":
            raise_fault(call, "status-500")
        delivery = Delivery(
            connection,
            reply,
            reply_headers(call, _content_type(call, reply)),
            knobs,
            partial(self._charge, call, reply),
            error_event(call),
        )
        await (delivery.stream() if reply.body is None else delivery.whole())

    def _charge(
        self, call: Call, reply: Reply, tokens: int, *, delivered: bool, ending: str
    ) -> None:
        tag = call.headers.get(b"x-simulated-tag")
        self.ledger.add(
            Entry(
                request_id=call.exchange.request_id,
                reply_id=call.exchange.reply_id,
                received_at=call.exchange.received_at,
                protocol=call.vendor,
                model=reply.model,
                price_context=reply.price_context,
                usage=reply.usage_at(tokens),
                usage_delivered=delivered,
                streamed=reply.body is None,
                ending=ending,
                tag=None if tag is None else tag.decode("latin-1"),
            )
        )

    async def _own(self, path: str, scope: Any, receive: Receive, connection: Connection) -> None:
        try:
            status, answer = await self._own_answer(path, scope, receive)
        except Refusal as refusal:
            status, answer = refusal.status, {"error": {"message": refusal.message}}
        await connection.answer(status, [SIMULATED, JSON], orjson.dumps(answer))

    async def _own_answer(self, path: str, scope: Any, receive: Receive) -> tuple[int, Any]:
        match scope["method"], path:
            case "GET", "/simulated/health":
                return 200, {"status": "ok", "simulated": True, "in_flight": self.in_flight}
            case "GET", "/simulated/ledger":
                return 200, await self._ledger_page(scope["query_string"])
            case "GET", "/simulated/behaviour":
                return 200, self.behaviour.model_dump(by_alias=True)
            case "POST", "/simulated/behaviour":
                await self._change_behaviour(await _read(receive))
                return 200, self.behaviour.model_dump(by_alias=True)
            case _, "/simulated/health" | "/simulated/ledger" | "/simulated/behaviour":
                raise Refusal(405, f"{scope['method']} is not allowed on {path}")
        raise Refusal(404, f"[simulated] nothing is served at {path}")

    async def _ledger_page(self, query: bytes) -> dict[str, Any]:
        text = query.decode("latin-1").removeprefix("after=") or "0"
        if not text.isdecimal():
            raise Refusal(400, "[simulated] the only parameter is `after`, a row's `seq`")
        rows = await self.ledger.rows(int(text))
        total = sum(row["billed_nanos"] or 0 for row in rows)
        return {"rows": rows, "total_nanos": total, "count": len(rows), "simulated": True}

    async def _change_behaviour(self, body: bytes) -> None:
        try:
            values = orjson.loads(body)
        except orjson.JSONDecodeError:
            values = None
        if not isinstance(values, dict):
            raise Refusal(400, "[simulated] send an object of knobs")
        self.behaviour = self.behaviour.changed(values)
        if "seed" in values:
            self._draws = random.Random(self.behaviour.seed)  # noqa: S311 - repeatable on purpose

    def _drawn(self, knobs: Behaviour) -> Behaviour:
        """The knobs with the fault of this request decided, where it is left to chance."""
        rate = knobs.fault_rate
        if rate is None:
            return knobs
        strikes = self._draws.random() < rate
        named = knobs.fault or self._draws.choice(RANDOM_FAULTS)
        return knobs.model_copy(update={"fault": named if strikes else None})


def _content_type(call: Call, reply: Reply) -> tuple[bytes, bytes]:
    in_pieces = call.vendor == "gemini" and gemini_border.answers_array(call.path, call.query)
    return EVENTS if reply.body is None and not in_pieces else JSON


def create_app(
    behaviour: Behaviour | None = None,
    *,
    ledger_file: str | None = None,
    now: Callable[[], datetime] | None = None,
    replies: str | None = None,
) -> SimulatedProvider:
    """The provider as an ASGI application, to be served or mounted under any prefix.

    Args:
        behaviour: the knobs of the process; none is a provider that answers at once.
        ledger_file: where the SQLite ledger is; none keeps it in memory.
        now: the time, which prices depend on; none is the system's.
        replies: the folder with recorded replies for `x-simulated-replay`; none has none.
    """
    return SimulatedProvider(
        behaviour or Behaviour(), Ledger(ledger_file), now or _system_time, replies
    )


def _system_time() -> datetime:
    return datetime.now(UTC)


async def _read(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "The client left before its request was complete")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise Refusal(413, "Request exceeds the maximum size")
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
