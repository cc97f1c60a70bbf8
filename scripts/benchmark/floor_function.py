"""What a call costs where there is no gateway: two functions in its place, for `floors.py`.

`framework` answers by itself; `exchange` sends each body on over the gateway's own transport and
passes the reply on whole. They stand beside the bundle's code.
"""

import os
from functools import cache
from typing import cast

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.adapters.upstream import HttpUpstream
from common.gateway.upstream import UpstreamRequest

_ANSWER = (
    b'{"id":"chatcmpl-sim-0000000000000001","object":"chat.completion","choices":[{"index":0,"message":{"role":'
    b'"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,'
    b'"completion_tokens":1,"total_tokens":2}}'
)
_JSON = (b"content-type", b"application/json")


async def _body(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


async def _answer(send: Send, body: bytes) -> None:
    headers = [_JSON, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _answer_oneself(_scope: Scope, receive: Receive, send: Send) -> None:
    await _body(receive)
    await _answer(send, _ANSWER)


@cache
def _upstream() -> HttpUpstream:
    return HttpUpstream()


async def _pass_on(_scope: Scope, receive: Receive, send: Send) -> None:
    url = f"{os.environ['SIMULATED_PROVIDER_URL']}/openai/v1/chat/completions"
    headers = [_JSON, (b"authorization", b"Bearer sim")]
    request = UpstreamRequest("POST", url, headers, await _body(receive), allow_private=True)
    reply = await _upstream().send(request)
    try:
        await _answer(send, b"".join([chunk async for chunk in reply.chunks()]))
    finally:
        await reply.aclose()


@functions_framework.aio.http
async def framework(_request: Request) -> Response:
    return cast("Response", _answer_oneself)


@functions_framework.aio.http
async def exchange(_request: Request) -> Response:
    return cast("Response", _pass_on)
