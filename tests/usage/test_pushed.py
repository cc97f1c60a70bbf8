"""The function as it is pushed to: what it takes, acknowledges and sends back."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from functions_framework.aio import create_asgi_app

from common.adapters.bus_subscriptions import Endpoint
from common.adapters.system_clock import SystemClock
from common.core.events import UsageEvent
from common.runtime.app import app
from scripts.local_stack.pushes import endpoint
from tests.api.conftest import a_call
from tests.emulators import a_project, firestore_emulator
from tests.usage.sums import expected, stored

SOURCE = Path(__file__).parents[2] / "functions/usage/main.py"


@pytest.fixture(params=["sqlite", "firestore"])
async def usage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Endpoint]:
    """The function in this process, with an App of its own, once on each engine."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    if request.param == "firestore":
        emulator = request.getfixturevalue(firestore_emulator.__name__)
        monkeypatch.setenv("STATE_URL", f"firestore://{a_project()}/state")
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator)
    app.cache_clear()
    yield endpoint(create_asgi_app("usage", str(SOURCE), "http"))  # type: ignore[no-untyped-call] # untyped there
    await app().aclose()
    app.cache_clear()


def pushed(data: bytes) -> dict[str, Any]:
    message = {"data": base64.b64encode(data).decode(), "messageId": "1", "attributes": {}}
    return {"message": message, "subscription": "projects/p/subscriptions/usage-usage"}


def calls(count: int) -> list[UsageEvent]:
    return [a_call(number, event_time=SystemClock().now()) for number in range(count)]


async def test_counts_each_event_once_however_often_it_is_pushed(usage: Endpoint) -> None:
    events = calls(30)

    statuses = await asyncio.gather(*(usage(pushed(e.payload())) for e in [*events, *events[:9]]))
    statuses += await asyncio.gather(*(usage(pushed(e.payload())) for e in events[::-1]))

    assert set(statuses) == {204}
    assert await stored(app().documents, "hour") == expected(events, "hour")


@pytest.mark.parametrize(
    "envelope",
    [
        pushed(b"{}"),
        pushed(b"not JSON"),
        pushed(json.dumps({"type": "usage.mended", "id": "x"}).encode()),
        pushed(json.dumps({**json.loads(a_call(1).payload()), "v": 99}).encode()),
        pushed(json.dumps({"type": "usage.call", "id": "x"}).encode()),
        {"no": "envelope"},
    ],
)
async def test_acknowledges_what_it_cannot_use_and_counts_the_rest(
    usage: Endpoint, envelope: dict[str, Any]
) -> None:
    events = calls(5)

    statuses = await asyncio.gather(usage(envelope), *(usage(pushed(e.payload())) for e in events))

    assert statuses == [204] * 6
    assert await stored(app().documents, "hour") == expected(events, "hour")


async def test_sends_back_what_is_not_counted(usage: Endpoint) -> None:
    [event] = calls(1)
    await app().documents.aclose()

    assert await usage(pushed(event.payload())) >= 500


async def test_sends_back_a_poisonous_event_alone(usage: Endpoint) -> None:
    events, poison = calls(5), a_call(9, event_time=SystemClock().now(), priced_nanos=1 << 64)

    statuses = await asyncio.gather(*(usage(pushed(e.payload())) for e in [poison, *events]))

    assert statuses[0] >= 500
    assert statuses[1:] == [204] * 5
    assert await stored(app().documents, "hour") == expected(events, "hour")
