"""The two functions that send: what they are given arrives, and without an address nothing goes."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from functions_framework.aio import create_asgi_app

from common.adapters.bus_subscriptions import Endpoint
from common.adapters.system_clock import SystemClock
from common.brownout.modes import Mode
from common.brownout.signals import signal_ref
from common.core.errors import InvalidSettings
from common.core.metrics import ACTIVATIONS, CURRENT_MODE, SERVICE_REQUESTS
from common.core.ports import Put
from common.runtime.app import app
from common.runtime.function_settings import UsageSettings
from common.runtime.settings import read_settings
from scripts.local_stack.pushes import endpoint
from tests.brownout.scenes import a_signal
from tests.contracts.facts import a_call
from tests.telemetry.sink import Sink

FUNCTIONS = Path(__file__).parents[2] / "functions"


@pytest.fixture
async def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """An App of its own for functions in this process."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    app.cache_clear()
    yield
    await app().aclose()
    app.cache_clear()


def function(name: str) -> Endpoint:
    source = str(FUNCTIONS / name / "main.py")
    return endpoint(create_asgi_app(name, source, "http"))  # type: ignore[no-untyped-call] # untyped there


def pushed(data: bytes, type_: str = "usage.call") -> dict[str, Any]:
    message = {
        "data": base64.b64encode(data).decode(),
        "messageId": "1",
        "attributes": {"type": type_},
        "publishTime": SystemClock().now().isoformat(),
    }
    return {"message": message, "subscription": "projects/p/subscriptions/s"}


async def test_usage_sends_within_the_push(sink: Sink, data_dir: None) -> None:
    usage = function("usage")
    events = [a_call(id=f"c{n}", event_time=SystemClock().now()) for n in range(30)]

    statuses = await asyncio.gather(*(usage(pushed(each.payload())) for each in events))
    statuses += await asyncio.gather(*(usage(pushed(each.payload())) for each in events))

    assert set(statuses) == {204}
    assert sink.total(SERVICE_REQUESTS.name) == 30
    assert len(sink.spans()) == 60


async def test_usage_keeps_the_share_of_traces_that_is_set(
    sink: Sink, data_dir: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    plain = a_call(event_time=SystemClock().now(), edits=())

    await function("usage")(pushed(plain.payload()))

    assert sink.total(SERVICE_REQUESTS.name) == 1
    assert sink.spans() == []


async def test_the_tick_sends_modes_and_changes(sink: Sink, data_dir: None) -> None:
    tick = function("brownout_tick")
    first = await tick(pushed(json.dumps({}).encode(), "brownout.tick"))
    now = SystemClock().now()
    signal = a_signal(
        Mode.HARD,
        "org:acme",
        observed_at=now,
        received_at=now,
        lease_until=now + timedelta(minutes=5),
    )
    await app().documents.commit([Put(signal_ref(signal), signal.to_data())])

    second = await tick(pushed(json.dumps({}).encode(), "brownout.tick"))

    assert (first, second) == (204, 204)
    modes = [(each.attributes["scope"], each.value) for each in sink.points(CURRENT_MODE.name)]
    assert modes == [("global", 0), ("global", 0), ("org:acme", 2)]
    assert [each.attributes for each in sink.points(ACTIVATIONS.name)] == [
        {"scope": "org:acme", "to_mode": "hard", "source": "datadog"}
    ]


async def test_nothing_is_sent_without_an_address(
    sink: Sink, data_dir: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")

    await function("usage")(pushed(a_call(event_time=SystemClock().now()).payload()))
    await function("brownout_tick")(pushed(json.dumps({}).encode(), "brownout.tick"))

    assert sink.asked == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "60"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
    ],
)
def test_a_wrong_variable_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(InvalidSettings, match=name):
        read_settings(UsageSettings)
