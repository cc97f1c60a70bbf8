"""The simulated LLM provider as an ASGI application: many vendors on one port.

    /openai/v1/chat/completions  /openai/v1/models[/{id}]    /openai/v1/embeddings
    /openai/v1/responses...      /openai/v1/completions
    /openai/v1/images/{generations,edits,variations}
    /openai/v1/audio/{speech,transcriptions,translations}
    /openai/v1/moderations       /openai/v1/files...         /openai/v1/batches...
    /openai/v1/organization/{usage/{kind},costs}
    /anthropic/v1/organizations/{usage_report/messages,cost_report}
    /anthropic/v1/messages       /anthropic/v1/models[/{id}]
    /anthropic/v1/messages/{count_tokens,batches...}         /anthropic/v1/files...
    /anthropic/v1/chat/completions
    /gemini/{v1,v1beta}/models/{id}:{verb}      /gemini/{v1,v1beta}/models[/{id}]
    /gemini/{v1,v1beta}/cachedContents[/{id}]
    /gemini/{v1,v1beta}/interactions...
    /gemini/v1beta/openai/{chat/completions,embeddings,models}
    /vertex/v1/projects/{id}/locations/{id}/endpoints/openapi/{chat/completions,...}
    /u/{name}/{chat/completions,embeddings,models}, in the dialect that the name says
    /vertex/{v1,v1beta1}/projects/{id}/locations/{id}/publishers/google/models/{id}:{verb}
    /simulated/health            /simulated/ledger?after=SEQ    /simulated/behaviour

It exists so that tests, benchmarks and the local stack have a provider that answers, bills and
fails like the real ones, without an account. It says that it is simulated in every answer: by the
header `x-simulated: true`, in ids, and at the beginning of every text. The only key it accepts is
`sim`, and `sim-admin` for reports of usage and costs. Written against raw ASGI because it must not
be what a benchmark measures.
"""

import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from scripts.simulated import gemini_border, recordings
from scripts.simulated.behaviour import RANDOM_FAULTS, Behaviour
from scripts.simulated.delivery import Connection, Delivery, Message, Receive, Send
from scripts.simulated.ledger import Entry, Ledger
from scripts.simulated.models import Vendor
from scripts.simulated.recordings import Recordings
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Exchange, Reply
from scripts.simulated.routes import Account, Billed, Found, Route, find
from scripts.simulated.vendors import (
    EVENTS,
    JSON,
    RESPONSES,
    SIMULATED,
    Call,
    check_key,
    check_method,
    error_body,
    error_event,
    raise_fault,
    refuse_member,
    reply_headers,
)

MAX_BODY_BYTES = 64 * 1024 * 1024
_REPLY_IDS: dict[Vendor, str] = {"anthropic": "msg_sim_", "gemini": "msg_sim_"}
"""How the ids of replies begin; elsewhere as OpenAI's."""


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
        self._account = Account()
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
        found = find(path)
        if found is None:
            await self._own(path, scope, receive, connection)
            return
        await self._vendor(found, scope, receive, connection)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                self.ledger.close()
                return

    async def _vendor(
        self, found: Found, scope: Any, receive: Receive, connection: Connection
    ) -> None:
        call = Call(
            vendor=found.vendor,
            method=scope["method"],
            path=found.path,
            headers=dict(scope["headers"]),
            exchange=self._exchange(found.vendor, found.path),
            query=scope["query_string"],
        )
        self.in_flight += 1
        try:
            await self._answer(call, found.route, receive, connection)
        except Refusal as refusal:
            headers = [*reply_headers(call, JSON), *refusal.headers]
            await connection.answer(refusal.status, headers, error_body(call, refusal))
        finally:
            self.in_flight -= 1

    def _exchange(self, vendor: Vendor, path: str) -> Exchange:
        self._serial += 1
        suffix = f"{self._nonce}{self._serial:08x}"
        prefix = _REPLY_IDS.get(vendor, "chatcmpl-sim-")
        if path == RESPONSES:
            prefix = "resp_sim_"
        elif path.endswith(gemini_border.INTERACTIONS):
            prefix = "v1_sim_"
        return Exchange(f"req_sim_{suffix}", f"{prefix}{suffix}", suffix, self._now())

    async def _answer(
        self, call: Call, route: Route | None, receive: Receive, connection: Connection
    ) -> None:
        knobs = self._drawn(self.behaviour.for_request(call.headers))
        check_method(call, () if route is None else route.methods)
        if route is not None and route.report is not None:
            raise_fault(call, knobs.fault)
            report = route.report(call, await self.ledger.rows(), knobs)
            await connection.answer(200, reply_headers(call, JSON), report)
            return
        check_key(call)
        body = b"" if route is not None and route.listing else await _read(receive)
        if route is not None and route.free is not None:
            if not route.listing:
                raise_fault(call, knobs.fault)
            kind, content = route.free(self._account, call, body)
            await connection.answer(200, reply_headers(call, (b"content-type", kind)), content)
        elif route is not None and route.billed is not None:
            await self._bill(call, route.billed, body, knobs, connection)

    async def _bill(
        self, call: Call, answer: Billed, body: bytes, knobs: Behaviour, connection: Connection
    ) -> None:
        recorded = call.headers.get(b"x-simulated-replay")
        if recorded is not None:
            recording = self._recordings.named(recorded.decode("latin-1"))
            await recordings.play(recording, connection, knobs, [SIMULATED])
        elif knobs.fault == "reset":
            async with connection.watched():
                await connection.drop()
        else:
            raise_fault(call, knobs.fault)
            refuse_member(call, body, knobs.refuse_member)
            reply = answer(self._account, call, body, knobs)
            await self._deliver(call, reply, knobs, connection)

    async def _deliver(
        self, call: Call, reply: Reply, knobs: Behaviour, connection: Connection
    ) -> None:
        if (reply.body is not None or reply.content_type) and knobs.fault == "error-event":
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
                return 200, self.behaviour.model_dump(mode="json", by_alias=True)
            case "POST", "/simulated/behaviour":
                await self._change_behaviour(await _read(receive))
                return 200, self.behaviour.model_dump(mode="json", by_alias=True)
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
    if reply.content_type is not None:
        return b"content-type", reply.content_type
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
