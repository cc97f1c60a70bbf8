"""Feedback as the function `usage` is pushed it: measured once, with what is known of its call."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from functions_framework.aio import create_asgi_app

from common.adapters.bus_subscriptions import Endpoint
from common.adapters.system_clock import SystemClock
from common.core.events import Event
from common.core.feedback_events import CallFeedback
from common.core.ids import time_ordered_id
from common.core.metrics import QUALITY_SCORE
from common.runtime.app import app
from scripts.local_stack.pushes import endpoint
from tests.contracts.facts import a_call
from tests.telemetry.sink import Sink

SOURCE = Path(__file__).parents[2] / "functions/usage/main.py"


@pytest.fixture
async def usage(
    sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Endpoint]:
    """The function in this process, with an App of its own."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    app.cache_clear()
    yield endpoint(create_asgi_app("usage", str(SOURCE), "http"))  # type: ignore[no-untyped-call] # untyped there
    await app().aclose()
    app.cache_clear()


def pushed(event: Event) -> dict[str, Any]:
    message = {
        "data": base64.b64encode(event.payload()).decode(),
        "messageId": "1",
        "attributes": {"type": event.type},
        "publishTime": SystemClock().now().isoformat(),
    }
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


async def test_measures_each_rating_once(usage: Endpoint, sink: Sink) -> None:
    now = SystemClock().now()
    call = a_call(id=time_ordered_id(now, bytes(10)), event_time=now)
    feedback = CallFeedback.given(
        call.id, 0.75, (), org="acme", team="search", agent="crawler", line=call.line or "", now=now
    )

    early = await usage(pushed(feedback))
    statuses = [await usage(pushed(each)) for each in (call, feedback, feedback)]

    assert early == 503
    assert statuses == [204, 204, 204]
    assert sink.total(QUALITY_SCORE.name) == 0.75
    [point] = sink.points(QUALITY_SCORE.name)
    assert point.attributes == {
        "source": "feedback",
        "provider": call.provider,
        "model": call.model_billed,
        "mode": call.mode,
    }
