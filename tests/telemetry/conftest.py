"""A sink, telemetry that sends to it, an empty store and a clock that tests set."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.adapters.telemetry import OtlpTelemetry
from tests.gateway.making import SetClock
from tests.telemetry.sink import Sink, a_sink

VARIABLES = (
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER_ARG",
)
TIMEOUT_S = 30.0
"""So long that a busy machine is not taken for a sink that is down."""

Opened = Callable[..., OtlpTelemetry]


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocuments]:
    engine = SqliteDocuments(tmp_path / "state.sqlite")
    yield engine
    await engine.aclose()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def sink(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sink]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    async with a_sink() as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "10")
        yield sink


@pytest.fixture
async def open_telemetry(sink: Sink, clock: SetClock) -> AsyncIterator[Opened]:
    """Makes telemetry that sends to the sink, by the variables that are set then."""
    opened: list[OtlpTelemetry] = []

    def make(*, sends_spans: bool = True) -> OtlpTelemetry:
        opened.append(
            OtlpTelemetry(
                clock,
                version="0.0.0",
                instance=f"instance-{len(opened)}",
                timeout_s=TIMEOUT_S,
                sends_spans=sends_spans,
            )
        )
        return opened[-1]

    yield make
    for each in opened:
        await each.aclose()


@pytest.fixture
def telemetry(open_telemetry: Opened) -> OtlpTelemetry:
    return open_telemetry()
