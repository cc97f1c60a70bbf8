"""A brownout from an alert to its end, in `scripts/dev` as a newcomer sees it."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.local_stack.demo import BROWNOUT_TOKEN
from tests.local_stack.process import ROOT, Stack

ENFORCED_S = 20.0
ASKED = {
    "model": "gpt-5",
    "service_tier": "priority",
    "messages": [{"role": "user", "content": "Hello"}],
}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "data") as running:
        yield running


def test_asks_for_less_from_an_alert_until_normal_is_pinned(stack: Stack) -> None:
    before = _call(stack)
    raised = _alert(stack, "emergency")
    edited = _until(lambda: _call(stack), lambda reply: "x-brownout-mode" in reply.headers)
    pin = httpx.post(
        f"{stack.address}/api/v1/brownout/pins",
        json={"scope": "global", "mode": "normal", "reason": "enough seen", "minutes": 5},
    )
    after = _until(lambda: _call(stack), lambda reply: "x-brownout-mode" not in reply.headers)

    assert "x-brownout-mode" not in before.headers
    assert (raised["status"], raised["mode"]) == ("applied", "emergency")
    assert edited.headers["x-brownout-mode"] == "emergency"
    assert edited.headers["x-brownout-original-model"] == "gpt-5"
    assert edited.json()["model"].startswith("gpt-5-mini")
    assert pin.status_code == 201
    assert after.json()["model"] == before.json()["model"]


def test_prints_an_alert_to_paste(stack: Stack) -> None:
    pasted = re.search(r"pin normal mode:\n\n(.*?)\n\n", stack.printed, re.DOTALL)
    assert pasted is not None
    alert, status, pin = re.split(r"\n  (?=scripts/)", pasted[1].strip())

    raised = _pasted(alert)
    told = _pasted(status)
    pinned = _pasted(pin)

    assert json.loads(raised)["mode"] == "soft"
    assert told.splitlines()[-1] == (
        "The mode is soft; 1 scope is off normal. Version 1 of the policy is enforced."
    )
    assert pinned.startswith("global is pinned to normal until ")
    assert _modes(stack) == {"global": "normal"}


def test_enforces_from_the_start_and_keeps_what_was_saved(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as first:
        policy = _policy(first)
        assert (policy["version"], policy["enforcement"]) == (1, "enforce")
        shadow = {**policy["policy"], "enforcement": "shadow"}
        saved = httpx.post(
            f"{first.address}/api/v1/brownout/policies",
            json={"policy": shadow, "note": "only look"},
            headers={"if-match": '"1"'},
        )
        assert saved.status_code == 201
        assert first.stop() == 0

    with Stack(tmp_path / "data") as second:
        policy = _policy(second)
        assert (policy["version"], policy["enforcement"]) == (2, "shadow")


def test_prints_no_token_of_the_environment(tmp_path: Path) -> None:
    secret = "a-token-of-somebody-1"
    with Stack(tmp_path / "data", env={"BROWNOUT_TOKENS": secret}) as stack:
        raised = _alert(stack, "soft", token=secret)

    assert raised["mode"] == "soft"
    assert secret not in stack.printed
    assert BROWNOUT_TOKEN not in stack.printed


def _call(stack: Stack) -> httpx.Response:
    reply = httpx.post(
        f"{stack.address}/openai/v1/chat/completions",
        json=ASKED,
        headers={"authorization": f"Bearer {stack.key}"},
    )
    return reply.raise_for_status()


def _until(
    ask: Callable[[], httpx.Response], is_there: Callable[[httpx.Response], bool]
) -> httpx.Response:
    """The first reply that shows it, or the last one before the deadline."""
    ends_at = time.monotonic() + ENFORCED_S
    while True:
        reply = ask()
        if is_there(reply) or time.monotonic() > ends_at:
            return reply


def _alert(stack: Stack, level: str, token: str = BROWNOUT_TOKEN) -> dict[str, Any]:
    raised = httpx.post(
        f"{stack.address}/api/webhooks/datadog/brownout",
        json={"id": "1", "monitor": "7", "transition": "Triggered", "tags": f"brownout:{level}"},
        headers={"x-brownout-token": token},
    )
    answer: dict[str, Any] = raised.raise_for_status().json()
    return answer


def _policy(stack: Stack) -> dict[str, Any]:
    answer = httpx.get(f"{stack.address}/api/v1/brownout/policies/current")
    data: dict[str, Any] = answer.raise_for_status().json()["data"]
    return data


def _modes(stack: Stack) -> dict[str, str]:
    modes: dict[str, str] = httpx.get(f"{stack.address}/api/brownout").json()["scopes"]
    return modes


def _pasted(command: str) -> str:
    environment = {**os.environ, "HOME": str(ROOT)}
    ran = subprocess.run(
        ["sh", "-c", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return ran.stdout
