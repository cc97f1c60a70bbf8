"""A gateway key for one test, what the gateway recorded of it, and what the provider billed."""

import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from tests.local_stack.process import Stack

DEADLINE_S = 20.0
LEDGER = "/simulated/simulated/ledger"
BEHAVIOUR = "/simulated/simulated/behaviour"


@dataclass(frozen=True, slots=True)
class Account:
    """`key_id` is its key's, `before` where the provider's ledger ended when it was made."""

    address: str
    key: str
    key_id: str
    before: int

    def calls(self) -> list[dict[str, Any]]:
        """Every call with the key, oldest first.

        A call made now is waited for: events arrive in order, so that those before it are there.
        """
        with httpx.Client(base_url=self.address) as http:
            last = http.get("/openai/v1/models", headers={"authorization": f"Bearer {self.key}"})
            last_id = last.raise_for_status().headers["x-gateway-request-id"]
            ends_at = time.monotonic() + DEADLINE_S
            while True:
                asked = {"key": self.key_id, "since": "2026-01-01T00:00:00Z", "limit": "500"}
                answer = http.get("/api/v1/usage/calls", params=asked).raise_for_status()
                rows: list[dict[str, Any]] = answer.json()["data"]
                if any(row["id"] == last_id for row in rows):
                    return [row for row in reversed(rows) if row["id"] != last_id]
                assert time.monotonic() < ends_at, "the last call was not recorded in time"

    def billed(self) -> list[int]:
        """What the provider has billed since the account was made, in nano-USD, sorted."""
        rows = httpx.get(f"{self.address}{LEDGER}", params={"after": self.before}).json()["rows"]
        return sorted(row["billed_nanos"] for row in rows)


def open_account(stack: Stack) -> Account:
    """A new key of the demo agent `assistant`."""
    body = {"org": "demo", "agent": "assistant", "name": f"client-{uuid4().hex[:12]}"}
    made = httpx.post(f"{stack.address}/api/v1/keys", json=body).raise_for_status().json()["data"]
    rows = httpx.get(f"{stack.address}{LEDGER}").raise_for_status().json()["rows"]
    before = max((row["seq"] for row in rows), default=0)
    return Account(stack.address, made["secret"], made["key_id"], before)


def paid(calls: list[dict[str, Any]]) -> list[int]:
    """The costs of calls that were answered, in nano-USD, sorted; each told by the provider."""
    answered = [call for call in calls if call["endpoint"] != "unsupported"]
    for call in answered:
        assert (call["outcome"], call["cost_source"]) == ("ok", "provider"), call
        assert (call["org"], call["team"], call["agent"]) == ("demo", "search", "assistant"), call
    return sorted(call["cost_nanos"] for call in answered)
