"""No key and no prompt is in an event, a log line or an error of the gateway's own."""

import asyncio
import json
import logging
from collections.abc import Sequence

import pytest

from common.core.errors import PublishFailed
from common.core.secrets import Secret
from common.gateway.gateway import Limits
from common.gateway.upstream import UpstreamDisconnected, UpstreamUnreachable
from common.runtime.logs import JsonLines
from tests.gateway.making import key_text
from tests.streams.conftest import KeptRecords, MakeClient
from tests.streams.fakes import (
    JSON,
    OPENAI_STREAM,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
    Step,
    openai_chunk,
)

PROMPT = "prompt-canary-8141"
ANSWER = "answer-canary-2718"
CALLERS_KEY = "sk-caller-canary-3141"
MANAGED_KEY = "sk-managed-canary-1618"
USER = "jane-canary@example.com"
CANARIES = (PROMPT, ANSWER, CALLERS_KEY, MANAGED_KEY, USER, key_text())

BODIES = {
    "stream": f'{{"model":"gpt-4o-mini","stream":true,"messages":[{{"content":"{PROMPT}"}}]}}',
    "unreadable": f'{{"messages":"{PROMPT}',
    "odd": f'{{"model":["{PROMPT}"],"stream_options":"{PROMPT}","max_tokens":"{PROMPT}"}}',
}
LAST = openai_chunk(ANSWER)
REPLIES: dict[str, ScriptedReply] = {
    "whole": ScriptedReply([LAST, *OPENAI_STREAM]),
    "broken": ScriptedReply([LAST, LAST[:50], UpstreamDisconnected("ReadError")]),
    "silent": ScriptedReply([LAST, asyncio.Event()]),
    "failing": ScriptedReply([LAST, RuntimeError(f"{ANSWER} {CALLERS_KEY} {MANAGED_KEY}")]),
    "garbage": ScriptedReply([f"{ANSWER}".encode()], headers=list(JSON)),
    "odd usage": ScriptedReply(
        [
            json.dumps(
                {
                    "model": "gpt-4o-mini",
                    "usage": {"prompt_tokens": f"{ANSWER} x", "note": f"{ANSWER} in words"},
                }
            ).encode()
        ],
        headers=list(JSON),
    ),
    # Without the managed key in its request a provider cannot repeat it: an error passes as it is.
    "error": ScriptedReply([f"bad {MANAGED_KEY} {ANSWER}".encode()], status=500),
}
BEFORE: dict[str, Sequence[asyncio.Event | Exception]] = {
    "unreachable": [UpstreamUnreachable("ClientConnectorError")],
    "disconnected": [UpstreamDisconnected("ServerDisconnectedError")],
    "unforeseen": [ValueError(f"{PROMPT} {CALLERS_KEY} {MANAGED_KEY}")],
}


def _told(bus: KeepingBus, logged: KeptRecords) -> str:
    lines = [JsonLines().format(record) for record in logged.records]
    plain = [logging.Formatter().format(record) for record in logged.records]
    return "\n".join([*lines, *plain, *(event.payload().decode() for event in bus.events)])


@pytest.mark.parametrize("managed", [False, True])
@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("failure", [*REPLIES, *BEFORE])
async def test_nothing_of_a_caller_is_kept(
    *,
    make_client: MakeClient,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    logged: KeptRecords,
    failure: str,
    body: str,
    published: bool,
    managed: bool,
) -> None:
    client = make_client(Limits(idle_s=0.02), managed_keys={"openai": Secret(MANAGED_KEY)})
    upstream.before = BEFORE.get(failure, ())
    upstream.reply = REPLIES.get(failure, ScriptedReply())
    bus.failure = None if published else PublishFailed("the bus is full")
    steps: list[Step] = [BODIES[body].encode()]
    key = "" if managed else f"Bearer {CALLERS_KEY}"

    exchange = await client.call(body=steps, headers={"authorization": key, "x-gateway-user": USER})

    told = _told(bus, logged)
    assert told != ""
    assert [canary for canary in CANARIES if canary in told] == []
    assert (MANAGED_KEY.encode() in exchange.content) is (failure == "error" and not managed)
    if "x-gateway-error" in exchange.headers:
        assert [canary for canary in CANARIES if canary.encode() in exchange.content] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"x-gateway-key": f"ocg_{PROMPT}", "authorization": f"Bearer {CALLERS_KEY}"},
        {"x-gateway-key": "", "authorization": f"Bearer {CALLERS_KEY}"},
        {"x-gateway-key": key_text("another"), "authorization": f"Bearer {CALLERS_KEY}"},
        {"authorization": ""},
    ],
)
async def test_a_refused_key_is_not_repeated(
    make_client: MakeClient, bus: KeepingBus, logged: KeptRecords, headers: dict[str, str]
) -> None:
    exchange = await make_client().call(headers=headers, body=BODIES["stream"].encode())

    told = _told(bus, logged) + exchange.content.decode() + str(exchange.headers)
    canaries = (*CANARIES, key_text("another"))
    assert exchange.status == 401
    assert [canary for canary in canaries if canary in told] == []
