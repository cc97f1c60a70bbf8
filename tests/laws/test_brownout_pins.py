"""A person's pin over what signals say, on two proxies and the webhook as processes."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from common.adapters.system_clock import SystemClock
from common.brownout.modes import Mode
from common.brownout.policies import policy_ref
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_data
from common.brownout.state import STATE, Pin, State
from common.core.ports import Committed, Documents, Put
from common.core.transactions import Read, transact
from tests.chosen_engines import chosen, state_of
from tests.laws.test_accounting import law_settings
from tests.local_stack.process import ServerProcess, Simulator, Stack

TOKEN = "a-token-of-this-law-1"
POLICY_VERSION = 4_711
PINNED_FOR = timedelta(seconds=10)
EFFECTIVE_S = 2.5
BETWEEN_CALLS_S = 0.02
WITHIN_S = 30.0
QUIET_S = 6
"""The tick of a minute writes down that a pin has ended, so none ends so shortly before one."""

PATH = "/openai/v1/chat/completions"
BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
ALERT = {"id": "1", "monitor": "17", "transition": "Triggered", "tags": "brownout:hard"}


@dataclass(frozen=True, slots=True)
class Call:
    """When a call was sent, when it was answered, and the mode that its answer names."""

    sent_at: datetime
    answered_at: datetime
    mode: str


@dataclass(slots=True)
class Caller:
    """Calls one proxy, again and again."""

    address: str
    key: str
    calls: list[Call] = field(default_factory=list)

    async def until(self, mode: str, after: datetime) -> None:
        """Call until the answer to a call that was sent after a moment names the mode."""
        headers = {"x-gateway-key": self.key, "authorization": "Bearer sim"}
        async with httpx.AsyncClient(base_url=self.address, headers=headers, timeout=30) as client:
            while not any(each.mode == mode for each in self.calls if each.sent_at > after):
                sent_at = datetime.now(UTC)
                answer = (await client.post(PATH, json=BODY)).raise_for_status()
                told = answer.headers.get("x-brownout-mode", "normal")
                self.calls.append(Call(sent_at, datetime.now(UTC), told))
                await asyncio.sleep(BETWEEN_CALLS_S)


@pytest.mark.slow
async def test_a_pin_decides_on_every_proxy_and_is_gone_at_its_end_without_a_write(
    tmp_path: Path, simulator: Simulator
) -> None:
    data = tmp_path / "data"
    settings = {**law_settings(simulator), "BROWNOUT_TOKENS": TOKEN, **chosen(data)}
    with Stack(data, env=settings) as stack, _second(tmp_path, settings) as second:
        documents = state_of(data)
        callers = [Caller(each.address, stack.key) for each in (stack, second)]
        await _enforce(documents)
        await _alert(stack)
        await _all(callers, "hard", after=datetime.now(UTC))

        pin, pinned_at = await _pin(documents)
        [pinned] = await documents.get_many([STATE])
        await _all(callers, "soft", after=pinned_at)
        await _all(callers, "hard", after=pin.until)
        [ended] = await documents.get_many([STATE])

        await documents.aclose()
        for server in (second, stack):
            server.stop()
    late = [_late(each, pinned_at, pin.until) for each in callers]
    assert late == [[], []], "the pin came too late"
    assert [_wrong(each, pin.until) for each in callers] == [[], []]
    assert ended == pinned, "the end of the pin needed a write"


def _late(caller: Caller, pinned_at: datetime, until: datetime) -> list[Call]:
    """Calls that the pin ought to have decided; what a call itself takes here is allowed for."""
    since = [call for call in caller.calls if pinned_at < call.sent_at and call.answered_at < until]
    longest = max(call.answered_at - call.sent_at for call in since)
    effective_at = pinned_at + timedelta(seconds=EFFECTIVE_S) + longest
    within = [call for call in since if effective_at < call.sent_at]
    assert within, "no call shows anything"
    return [call for call in within if call.mode != "soft"]


def _wrong(caller: Caller, until: datetime) -> list[Call]:
    """Calls that the pin decided after its end."""
    after = [call for call in caller.calls if call.sent_at > until]
    assert after, "no call shows anything"
    return [call for call in after if call.mode != "hard"]


async def _enforce(documents: Documents) -> None:
    """The shipped policy is enforced, and spares nobody."""
    policy = replace(shipped_policy(), enforcement="enforce", holdout=0.0)
    put = Put(policy_ref(POLICY_VERSION), {"policy": policy_data(policy)})
    assert await documents.commit([put]) == Committed()
    await _change(documents, lambda state: replace(state, policy_version=POLICY_VERSION))


async def _pin(documents: Documents) -> tuple[Pin, datetime]:
    """A pin of everything to soft, and when it was stored."""
    now = datetime.now(UTC)
    until = now + PINNED_FOR
    if until.second >= 60 - QUIET_S:
        until = until.replace(second=0) + timedelta(seconds=60 + QUIET_S)
    pin = Pin("p1", "global", Mode.SOFT, "a law", "ann@example.com", now, until)
    await _change(documents, lambda state: replace(state, pins=(pin,)))
    return pin, datetime.now(UTC)


async def _change(documents: Documents, change: Callable[[State], State]) -> None:
    async def decide(read: Read) -> tuple[list[Put], None]:
        [found] = await read([STATE])
        return [Put(STATE, change(State.from_document(found)).to_data())], None

    await transact(documents, SystemClock(), decide, entropy=os.urandom)


async def _alert(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.address, timeout=30) as client:
        headers = {"x-brownout-token": TOKEN}
        answer = await client.post("/api/webhooks/datadog/brownout", json=ALERT, headers=headers)
    assert (answer.status_code, answer.json()["mode"]) == (200, "hard"), answer.text


async def _all(callers: list[Caller], mode: str, *, after: datetime) -> None:
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as tasks:
        for caller in callers:
            tasks.create_task(caller.until(mode, after))


def _second(folder: Path, settings: Mapping[str, str]) -> ServerProcess:
    env = {**settings, "DATA_DIR": str(folder / "data")}
    return ServerProcess("tests.laws.second_proxy", log=folder / "second.log", env=env)
