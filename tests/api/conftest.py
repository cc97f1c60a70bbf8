"""The API over real SQLite and DuckDB files, called in process as the operator of this machine."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from common.api.app import Api, create_api
from common.api.callers import Authenticator, DevAuthenticator
from common.core.events import Event, UsageEvent
from common.core.ports import Documents, Warehouse
from common.core.transactions import Entropy
from common.incidents.channels import SecretOf
from common.llm.price_book import bundled_book
from common.usage.apply_events import apply_events
from tests.chosen_engines import state_of, warehouse_of

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass(slots=True)
class SetClock:
    """A clock that shows what it is set to."""

    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - NOW).total_seconds()

    def advance(self, duration: timedelta) -> None:
        self.time += duration


@dataclass(slots=True)
class KeepingBus:
    """A bus that keeps what was published."""

    events: list[Event] = field(default_factory=list)

    async def publish(self, topic: str, event: Event) -> None:
        assert topic == event.topic
        self.events.append(event)


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[Documents]:
    engine = state_of(tmp_path)
    yield engine
    await engine.aclose()


@pytest.fixture
async def warehouse(tmp_path: Path) -> AsyncIterator[Warehouse]:
    engine = warehouse_of(tmp_path)
    yield engine
    await engine.aclose()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def bus() -> KeepingBus:
    return KeepingBus()


class MakeApi(Protocol):
    def __call__(
        self,
        authenticate: Authenticator,
        state: Documents | None = None,
        entropy: Entropy = os.urandom,
        default_org: str | None = None,
        local_secret: SecretOf | None = None,
    ) -> Api: ...


@pytest.fixture
def make_api(
    documents: Documents, warehouse: Warehouse, bus: KeepingBus, clock: SetClock
) -> MakeApi:
    """An API for the callers this recognises, over another state or entropy if one is given."""

    def make_api(
        authenticate: Authenticator,
        state: Documents | None = None,
        entropy: Entropy = os.urandom,
        default_org: str | None = None,
        local_secret: SecretOf | None = None,
    ) -> Api:
        return create_api(
            documents=documents if state is None else state,
            bus=bus,
            warehouse=warehouse,
            clock=clock,
            entropy=entropy,
            price_book=bundled_book(),
            authenticate=authenticate,
            version="0.1.0",
            default_org=default_org,
            local_secret=local_secret,
        )

    return make_api


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    return make_api(DevAuthenticator(in_cloud=False))


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
        yield client


async def made(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    """What a POST makes."""
    response = await client.post(f"/api/v1/{path}", json=body)
    assert response.status_code == 201, response.text
    data: dict[str, Any] = response.json()["data"]
    return data


@pytest.fixture
async def acme(client: httpx.AsyncClient) -> None:
    """Organisation acme with teams search and ops and agent crawler of search."""
    await made(client, "orgs", id="acme", name="Acme")
    await made(client, "teams", org="acme", id="search")
    await made(client, "teams", org="acme", id="ops")
    await made(client, "agents", org="acme", id="crawler", team="search", tags={"env": "prod"})


def a_call(number: int = 0, **fields: Any) -> UsageEvent:
    """A call that cost $0.0042, a minute before now. It was sent under the name it is billed by."""
    time = NOW - timedelta(minutes=1)
    asked = fields.get("model_asked", "gpt-x")
    defaults: dict[str, Any] = {
        "id": f"call-{number:05d}",
        "event_time": time,
        "org": "acme",
        "team": "search",
        "agent": "crawler",
        "project": None,
        "key_id": "0123456789ab",
        "line": "0123456789ab",
        "user_hash": None,
        "session_hash": None,
        "tags": {"env": "prod"},
        "protocol": "openai",
        "endpoint": "chat/completions",
        "upstream": "api.openai.com",
        "credential": None,
        "provider": "openai",
        "provider_key_hash": None,
        "model_asked": "gpt-x",
        "model_sent": fields.get("model_billed") or asked,
        "model_billed": "gpt-x",
        "units": {"input_tokens": 100, "output_tokens": 10, "cache_read_tokens": 40},
        "cost_nanos": 4_200_000,
        "cost_reason": None,
        "priced_nanos": 4_200_000,
        "cost_source": "provider",
        "hold_nanos": 0,
        "bound_kind": None,
        "settlements": (),
        "unproven_nanos": 0,
        "policy_epoch": 0,
        "fit": None,
        "book": "b" * 64,
        "card": "openai/gpt-x",
        "service_tier": None,
        "usage_raw": None,
        "mode": "normal",
        "mode_by": None,
        "mode_scope": None,
        "episode": None,
        "arm": None,
        "strategy": None,
        "enforced": False,
        "priority": "normal",
        "edits": (),
        "started_at": time,
        "first_chunk_s": 0.5,
        "duration_s": 1.25,
        "gateway_ms": 0.5,
        "streamed": True,
        "finish_reason": "stop",
        "status": 200,
        "upstream_status": 200,
        "outcome": "ok",
        "error_code": None,
        "client_gone": False,
        "attempts": (),
        "client_retry": 0,
        "simulated": False,
        "usage_anomalies": (),
        "warnings": (),
        "request_bytes": 400,
        "response_bytes": 800,
        "traceparent": None,
    }
    return UsageEvent(**{**defaults, **fields})


Record = Callable[..., Awaitable[None]]


@pytest.fixture
def record(warehouse: Warehouse, documents: Documents, clock: SetClock) -> Record:
    """Write calls as both subscriptions of the bus do, each as often as it is given."""
    written = 0

    async def record(*calls: UsageEvent) -> None:
        nonlocal written
        rows = []
        for call in calls:
            written += 1
            rows.append(
                {
                    **json.loads(call.payload()),
                    "message_id": str(written),
                    "publish_time": NOW.isoformat(),
                    "subscription_name": "usage-raw",
                    "attributes": {},
                }
            )
        await warehouse.append("usage_raw", rows)
        applied = await apply_events(documents, calls, clock)
        assert applied.failed == {}

    return record


async def pages(client: httpx.AsyncClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """The answers of all pages."""
    answers = [(await client.get(f"/api/v1/{path}", params=query)).json()]
    while answers[-1]["next"]:
        query["after"] = answers[-1]["next"]
        answers.append((await client.get(f"/api/v1/{path}", params=query)).json())
    return answers
