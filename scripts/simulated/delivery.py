"""Sending an answer over one connection: pace, faults, and what is charged when it does not arrive.

What is billed, and with which `ending` in the ledger:

- answered in full (`complete`), and `no-usage`, `slow`: everything.
- `garbage`: everything, for the model did generate; nothing readable reaches the client.
- `cut`, `error-event` and `stall` in a stream: the input, and the output tokens of the events sent
  before the fault. `cut` closes the connection without ending the body; `error-event` sends the
  provider's error event and ends the body properly; `stall` holds until the client leaves.
- the same faults on an answer that is no stream: `cut` sends half the body and closes (everything
  is billed); `error-event` is an error 500 (nothing is billed); `stall` sends nothing until the
  client leaves (billed as a disconnect).
- `reset` and every `status-*`: nothing.
- client gone (`client-gone`): with `bill-after-disconnect: stop` the input and the output tokens of
  the events sent so far, which before the first event are none; with `finish` everything.

Generation keeps the pace of the events, so a stream without `chunk-interval-ms` is all but
generated at once. `usage_delivered` is true when everything that tells the usage was written to a
connection that was still open. The row is in the ledger before the last byte is sent.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.replies import Reply

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

STALL_LIMIT_MS = 600_000
_EVENTS_PER_TURN = 16
_GARBAGE = b"<html><body>[simulated] this is not JSON</body></html>"
_WRAPPINGS = 5
_SENDS = ("send", "sender")


class Charge(Protocol):
    """Puts the call on the bill, with its input and so many output tokens."""

    def __call__(self, tokens: int, *, delivered: bool, ending: str) -> None: ...


class Connection:
    """One request's way back to its client."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self.gone = asyncio.Event()

    async def start(self, status: int, headers: Headers) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": data})

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer with its length."""
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
        await self.end(body)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """While this lasts, `gone` is set as soon as the client leaves."""
        watcher = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError):
                await watcher

    async def pause(self, milliseconds: float) -> None:
        """Wait, but not for a client that has left. Needs `watched`."""
        if milliseconds > 0 and not self.gone.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(milliseconds / 1000):
                    await self.gone.wait()

    async def drop(self) -> None:
        """Close the connection as it is, after what was written. Needs `watched`.

        An ASGI server has no message for it. uvicorn's `send` is a method of an object that holds
        the transport; where a framework has wrapped `send`, the wrapping is looked through. Where
        no transport is found, ending without an answer makes the server close or answer 500.
        """
        transport = _transport(self._send)
        if transport is None:
            return
        transport.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self.gone.wait()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone.set()


def _transport(send: Any) -> Any:
    for _ in range(_WRAPPINGS):
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if transport is not None:
            return transport
        cells = [cell.cell_contents for cell in getattr(send, "__closure__", None) or ()]
        inner = [cell for cell in cells if getattr(cell, "__name__", "").endswith(_SENDS)]
        if not inner:
            return None
        send = inner[0]
    return None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One answer on its way: over which connection, how, and where it is charged."""

    connection: Connection
    reply: Reply
    headers: Headers
    knobs: Behaviour
    charge: Charge
    error_event: bytes

    async def whole(self) -> None:
        """Send an answer that is no stream."""
        body = self.reply.body or b""
        latency, _ = self.knobs.pace_ms()
        if not latency and self.knobs.fault is None:
            self._charge_all("complete")
            await self.connection.answer(200, self.headers, body)
            return
        async with self.connection.watched():
            await self.connection.pause(latency)
            if self.knobs.fault == "stall":
                await self.connection.pause(STALL_LIMIT_MS)
            if self.connection.gone.is_set() or self.knobs.fault == "stall":
                self._charge_gone(0)
            elif self.knobs.fault == "garbage":
                self.charge(self.reply.output_tokens, delivered=False, ending="garbage")
                await self.connection.answer(200, self.headers, _GARBAGE)
            elif self.knobs.fault == "cut":
                self.charge(self.reply.output_tokens, delivered=False, ending="cut")
                length = (b"content-length", b"%d" % len(body))
                await self.connection.start(200, [*self.headers, length])
                await self.connection.write(body[: len(body) // 2])
                await self.connection.drop()
            else:
                self._charge_all(self.knobs.fault or "complete")
                await self.connection.answer(200, self.headers, body)

    async def stream(self) -> None:
        """Send a stream of events."""
        latency, interval = self.knobs.pace_ms()
        async with self.connection.watched():
            await self.connection.pause(latency)
            if self.connection.gone.is_set():
                self._charge_gone(0)
                return
            await self.connection.start(200, self.headers)
            if self.knobs.fault == "garbage":
                self.charge(self.reply.output_tokens, delivered=False, ending="garbage")
                await self.connection.end(b"data: " + _GARBAGE + b"\n\n")
                return
            strikes = self.knobs.fault in ("cut", "stall", "error-event")
            tokens = await self._send_events(interval, self.knobs.fault_after if strikes else None)
            if self.connection.gone.is_set():
                self._charge_gone(tokens)
            elif strikes:
                await self._strike(tokens)
            else:
                self._charge_all(self.knobs.fault or "complete")
                await self.connection.end(self.reply.terminal)

    async def _send_events(self, interval: float, most: int | None) -> int:
        """Send the events, or the first of them; the output tokens that those sent stand for."""
        tokens = 0
        for number, (data, generated) in enumerate(islice(self.reply.events or (), most)):
            if interval and number:
                await self.connection.pause(interval)
            elif number % _EVENTS_PER_TURN == _EVENTS_PER_TURN - 1:
                await asyncio.sleep(0)
            if self.connection.gone.is_set():
                break
            await self.connection.write(data)
            tokens = generated
        return tokens

    async def _strike(self, tokens: int) -> None:
        if self.knobs.fault == "stall":
            await self.connection.pause(STALL_LIMIT_MS)
            self._charge_gone(tokens)
            return
        self.charge(tokens, delivered=False, ending=self.knobs.fault or "")
        if self.knobs.fault == "error-event":
            await self.connection.end(self.error_event)
        else:
            await self.connection.drop()

    def _charge_all(self, ending: str) -> None:
        self.charge(self.reply.output_tokens, delivered=self.reply.tells_usage, ending=ending)

    def _charge_gone(self, tokens: int) -> None:
        goes_on = self.knobs.bill_after_disconnect == "finish"
        billed = self.reply.output_tokens if goes_on else tokens
        self.charge(billed, delivered=False, ending="client-gone")
