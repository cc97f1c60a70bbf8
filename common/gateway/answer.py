"""The answer to a client, as ASGI messages.

The last, empty message is sent by `end`, after the call is accounted: by then the client has every
byte, and the server still sees a running request.
"""

from common.gateway.credentials import RawHeaders
from common.gateway.incoming import Send
from common.gateway.refusals import Refusal
from common.llm.protocol import WireProtocol

_PRINTABLE = range(0x20, 0x7F)


class Answer:
    """One response. `started` and `event_stream` decide in which form a late error can be told.

    `has_end`: the provider's own end of an event stream was passed on, behind which is nothing.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.event_stream = False
        self.has_end = False

    async def start(self, status: int, headers: RawHeaders) -> None:
        self.started = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(self, data: bytes) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def whole(self, status: int, body: bytes, request_id: str) -> None:
        """A JSON answer of the gateway's own."""
        await self.start(
            status,
            [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"x-gateway-request-id", request_id.encode()),
            ],
        )
        await self.body(body)

    async def refuse(self, refusal: Refusal, protocol: WireProtocol, request_id: str) -> bool:
        """Answer with an error of the gateway's own, in the form of the caller's API.

        Once a stream has begun, the error is its last event. Of a JSON reply that has begun nothing
        more can be said: False then, and the answer must stay without its end, which the server
        turns into a broken connection.
        """
        if not self.started:
            body = protocol.error_body(refusal.text, request_id)
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                (b"x-gateway-request-id", request_id.encode()),
                (b"x-gateway-error", refusal.code.encode()),
            ]
            if not refusal.retriable:
                headers.append((b"x-should-retry", b"false"))
            if refusal.allow:
                headers.append((b"allow", ", ".join(refusal.allow).encode()))
            if refusal.budget is not None:
                headers.append((b"x-gateway-budget", refusal.budget.encode()))
            if refusal.resets_in_s is not None:
                seconds = str(refusal.resets_in_s).encode()
                headers.append((b"x-gateway-budget-resets-in-s", seconds))
            if refusal.limit is not None:
                headers.append((b"x-gateway-limit", refusal.limit.encode()))
            if refusal.brownout is not None:
                headers += brownout_headers(*refusal.brownout)
            if refusal.retry_after_s is not None:
                headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
            await self.start(refusal.status, headers)
            await self.body(body)
        elif self.event_stream:
            # An event that the provider left unfinished must not swallow this one.
            await self.body(b"\n\n" + protocol.error_event(refusal.text, request_id))
        else:
            return False
        return True


def brownout_headers(mode: str, episode: str) -> RawHeaders:
    """In which mode a call was treated, and in which episode of it."""
    return [header("x-brownout-mode", mode), header("x-brownout-episode", episode)]


def header(name: str, value: str) -> tuple[bytes, bytes]:
    """A response header; what is not printable ASCII becomes ``?``."""
    shown = value[:512]
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(c if ord(c) in _PRINTABLE else "?" for c in shown)
    return name.encode(), shown.encode()
