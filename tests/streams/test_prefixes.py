"""A call's event names what its prompt begins with by a hash that needs the installation's key."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.streams.conftest import MakeClient
from tests.streams.fakes import JSON, Client, KeepingBus, ScriptedReply, ScriptedUpstream

CANARY = "instructions-canary-577"
SAID = {"role": "system", "content": CANARY}
REPLY = b'{"model":"gpt-4o-mini","usage":{"prompt_tokens":100,"completion_tokens":20}}'


@pytest.fixture
def ask(make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus) -> Any:
    async def ask(*turns: dict[str, str], hash_key: bytes = b"installation") -> Any:
        upstream.reply = ScriptedReply([REPLY], headers=list(JSON))
        client = Client(replace(make_client().gateway, hash_key=hash_key))
        body = json.dumps({"model": "gpt-4o-mini", "messages": turns}).encode()
        before = len(bus.events)
        await client.call(body=body)
        [event] = bus.events[before:]
        return event

    return ask


async def test_names_the_same_beginning_alike(ask: Any) -> None:
    asked = {"role": "user", "content": "Hi"}

    first = await ask(SAID, asked)
    second = await ask(SAID, asked, asked)
    other = await ask({**SAID, "content": "else"}, asked)

    assert first.prefix_hash == second.prefix_hash != other.prefix_hash
    assert len(first.prefix_hash) == 32
    assert first.prefix_bytes == second.prefix_bytes > len(CANARY)


async def test_keeps_nothing_of_it(ask: Any) -> None:
    event = await ask(SAID)

    assert CANARY not in event.payload().decode()


async def test_names_it_otherwise_in_another_installation(ask: Any) -> None:
    here, elsewhere = await ask(SAID), await ask(SAID, hash_key=b"another")

    assert here.prefix_hash != elsewhere.prefix_hash


async def test_names_none_without_instructions(ask: Any) -> None:
    event = await ask({"role": "user", "content": "Hi"})

    assert (event.prefix_hash, event.prefix_bytes) == (None, 0)
