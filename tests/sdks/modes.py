"""A key for each mode of a stack, and what the SDKs sent and got with it."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx

from tests.local_stack.process import Stack

MODES = ("soft", "hard", "emergency")
DEADLINE_S = 30.0
_PAUSE_S = 0.05
_CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}


@dataclass(slots=True)
class Traffic:
    """Requests that a client sends, and headers of the answers, as its hooks are told."""

    sent: list[Any] = field(default_factory=list)
    modes: list[str | None] = field(default_factory=list)

    def on_request(self, request: Any) -> None:
        self.sent.append(request)

    def on_response(self, response: Any) -> None:
        self.modes.append(response.headers.get("x-brownout-mode"))

    async def on_request_async(self, request: Any) -> None:
        self.on_request(request)

    async def on_response_async(self, response: Any) -> None:
        self.on_response(response)

    @property
    def traces(self) -> aiohttp.TraceConfig:
        """The hooks of the client that google-genai awaits."""
        found = aiohttp.TraceConfig()
        found.on_request_end.append(self._on_trace)
        return found

    async def _on_trace(
        self, _session: object, _context: object, ended: aiohttp.TraceRequestEndParams
    ) -> None:
        self.on_request(ended.url)
        self.on_response(ended.response)

    @property
    def hooks(self) -> dict[str, list[Any]]:
        return {"request": [self.on_request], "response": [self.on_response]}

    @property
    def async_hooks(self) -> dict[str, list[Any]]:
        return {"request": [self.on_request_async], "response": [self.on_response_async]}


def keys_in_modes(stack: Stack) -> dict[str, str]:
    """A gateway key for each mode, whose agent a pin holds there, once calls are treated so.

    The policy is the shipped one with a holdout of none: no call is left as it is by chance.
    """
    with httpx.Client(base_url=f"{stack.address}/api/v1", trust_env=False) as api:
        _save_policy(api)
        keys = {mode: _pinned(api, mode) for mode in MODES}
    for mode, key in keys.items():
        _until(stack, key, mode)
    return keys


def _save_policy(api: httpx.Client) -> None:
    current = api.get("/brownout/policies/current").raise_for_status().json()["data"]
    recovery = {**current["policy"]["recovery"], "holdout": "0%"}
    api.post(
        "/brownout/policies",
        json={"policy": {**current["policy"], "recovery": recovery}, "note": "no holdout"},
        headers={"if-match": f'"{current["version"]}"'},
    ).raise_for_status()


def _pinned(api: httpx.Client, mode: str) -> str:
    agent = f"in-{mode}"
    api.post("/agents", json={"org": "demo", "team": "search", "id": agent}).raise_for_status()
    pin = {"scope": f"agent:demo/{agent}", "mode": mode, "reason": "tests", "minutes": 60}
    api.post("/brownout/pins", json=pin).raise_for_status()
    policy = {"priority": "critical", "may_opt_out": True}
    asked = {"org": "demo", "agent": agent, "name": agent, "policy": policy}
    return str(api.post("/keys", json=asked).raise_for_status().json()["data"]["secret"])


def _until(stack: Stack, key: str, mode: str) -> None:
    """Until the gateway has read the pin, which calls make it do."""
    ends_at = time.monotonic() + DEADLINE_S
    with httpx.Client(base_url=stack.address, trust_env=False) as client:
        headers = {"authorization": "Bearer sim", "x-gateway-key": key}
        while time.monotonic() < ends_at:
            answer = client.post("/openai/v1/chat/completions", json=_CHAT, headers=headers)
            if answer.headers.get("x-brownout-mode") == mode:
                return
            threading.Event().wait(_PAUSE_S)
    raise TimeoutError(f"no call is treated as {mode}")
