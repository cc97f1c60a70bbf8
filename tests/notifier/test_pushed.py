"""The function as it is pushed to: every event acknowledged, and told where it is to be."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from functions_framework.aio import create_asgi_app

from common.adapters.bus_subscriptions import Endpoint
from common.core.events import Event, KeyEvent
from common.core.ports import Put, Query
from common.incidents.channels import channel_ref
from common.incidents.notices import NOTICES
from common.runtime.app import app
from scripts.local_stack.pushes import endpoint
from tests.gateway.making import START
from tests.notifier.conftest import HOOK, SECRETS, Receivers, Reply, an_incident

SOURCE = Path(__file__).parents[2] / "functions/notifier/main.py"


@pytest.fixture
async def notifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Endpoint]:
    """The function, on an App of the test's own."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    app.cache_clear()
    await app().documents.commit([Put(channel_ref("hook"), HOOK.to_data())])
    yield endpoint(create_asgi_app("notifier", str(SOURCE), "http"))  # type: ignore[no-untyped-call] # untyped there
    await app().aclose()
    app.cache_clear()


@pytest.fixture
def receivers(monkeypatch: pytest.MonkeyPatch) -> Receivers:
    """What stands where the internet is."""
    receivers = Receivers()

    async def send(_self: object, request: Any) -> Any:
        return await receivers.send(request)

    monkeypatch.setattr("common.adapters.upstream.HttpUpstream.send", send)
    return receivers


def pushed(event: Event) -> dict[str, Any]:
    """What Pub/Sub posts of an event."""
    data = base64.b64encode(event.payload()).decode()
    message = {"data": data, "attributes": {"type": event.type}, "messageId": "7"}
    return {"message": message, "subscription": "projects/p/subscriptions/events-notifier"}


async def test_tells_what_it_is_pushed_once(notifier: Endpoint, receivers: Receivers) -> None:
    statuses = [await notifier(pushed(an_incident())) for _ in range(3)]

    assert statuses == [204, 204, 204]
    assert receivers.hosts() == ["ops.example.com"]


async def test_sends_back_what_a_channel_did_not_take_yet(
    notifier: Endpoint, receivers: Receivers
) -> None:
    receivers.replies["ops.example.com"] = [Reply(503)]

    statuses = [await notifier(pushed(an_incident())) for _ in range(3)]

    assert statuses == [503, 204, 204]
    assert receivers.hosts() == ["ops.example.com"] * 2


async def test_acknowledges_what_nobody_is_to_be_told_of(
    notifier: Endpoint, receivers: Receivers
) -> None:
    event = KeyEvent(
        id="k",
        type="key.created",
        event_time=START,
        org="acme",
        team="search",
        agent="crawler",
        key_id="0123456789ab",
        line="0123456789ab",
        actor="ada@example.com",
    )

    assert await notifier(pushed(event)) == 204
    assert receivers.posted == []
    assert await app().documents.query(Query(NOTICES)) == []
