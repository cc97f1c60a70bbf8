"""What arrives at a collector, and when."""

import asyncio
from dataclasses import replace

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from common.adapters.telemetry import MOST_SPANS, OtlpTelemetry
from common.adapters.telemetry_outbox import FIRST_PAUSE_S, KEPT_S
from common.core.metrics import (
    COST_PER_REQUEST,
    COST_TOTAL,
    CURRENT_MODE,
    OPERATION_DURATION,
    SERVICE_REQUESTS,
    Fact,
    Instrument,
    Measurement,
)
from common.usage.spans import spans_of
from common.usage.telemetry import measurements_of
from tests.contracts.facts import a_call
from tests.gateway.making import SetClock
from tests.telemetry.conftest import Opened
from tests.telemetry.sink import METRICS, OK, REFUSED, TRACES, Sink, told

DELTA = "AGGREGATION_TEMPORALITY_DELTA"


def a_fact(instrument: Instrument = SERVICE_REQUESTS, value: float = 1, **told: str) -> Fact:
    return Fact([Measurement(instrument, value, told)])


async def send(telemetry: OtlpTelemetry, *facts: Fact) -> None:
    telemetry.record(facts)
    await telemetry.flush()


async def test_sends_the_difference_to_the_flush_before(
    telemetry: OtlpTelemetry, sink: Sink
) -> None:
    await send(telemetry, a_fact(outcome="ok"), a_fact(outcome="ok"))
    await send(telemetry, a_fact(outcome="ok"))

    points = sink.points("custom.service.requests")
    assert [(point.value, point.temporality) for point in points] == [(2, DELTA), (1, DELTA)]


async def test_sends_histograms_as_differences_with_the_bounds_of_their_metric(
    telemetry: OtlpTelemetry, sink: Sink
) -> None:
    await send(telemetry, a_fact(OPERATION_DURATION, 2.5))
    await send(telemetry, a_fact(OPERATION_DURATION, 0.5))

    points = sink.points(OPERATION_DURATION.name)
    assert [(each.count, each.value, each.temporality) for each in points] == [
        (1, 2.5, DELTA),
        (1, 0.5, DELTA),
    ]
    assert points[0].bounds == pytest.approx([0.01 * 2**power for power in range(14)])


async def test_sends_money_in_dollars(telemetry: OtlpTelemetry, sink: Sink) -> None:
    await send(telemetry, a_fact(COST_TOTAL, 1_234_567_891), a_fact(COST_PER_REQUEST, 500_000_000))

    assert sink.total(COST_TOTAL.name) == pytest.approx(1.234567891, abs=1e-12)
    [cost] = sink.points(COST_PER_REQUEST.name)
    assert cost.value == 0.5
    assert cost.bounds[0] == 16e-9


async def test_says_a_gauge_when_it_is_told_and_not_again(
    telemetry: OtlpTelemetry, sink: Sink
) -> None:
    await send(telemetry, a_fact(CURRENT_MODE, 2, scope="global"))
    await send(telemetry, a_fact())

    assert [each.value for each in sink.points(CURRENT_MODE.name)] == [2]


async def test_sends_nothing_when_nothing_was_recorded(
    telemetry: OtlpTelemetry, sink: Sink
) -> None:
    await telemetry.flush()

    assert sink.asked == {}


async def test_reads_the_standard_variables(
    open_telemetry: Opened, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "dd-api-key=secret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "dd-otlp-source=llmobs")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")

    await send(open_telemetry(), Fact([*measurements_of(a_call())], spans_of(a_call(), 1.0)))

    [metrics] = [each for each in sink.headers if "dd-api-key" in each]
    [traces] = [each for each in sink.headers if "dd-otlp-source" in each]
    assert metrics["dd-api-key"] == "secret"
    assert traces["dd-otlp-source"] == "llmobs"
    resources = [
        told(sink.metrics[0].resource_metrics[0].resource.attributes),
        told(sink.traces[0].resource_spans[0].resource.attributes),
    ]
    assert resources[0] == resources[1]
    assert resources[0] == {
        "service.name": "gateway",
        "service.version": "0.0.0",
        "service.instance.id": "instance-0",
        "deployment.environment.name": "test",
    }


async def test_sends_the_spans_of_a_call(telemetry: OtlpTelemetry, sink: Sink) -> None:
    event = a_call(outcome="upstream_error", error_code="upstream_500")
    request, call = spans_of(event, 1.0)

    await send(telemetry, Fact((), (request, call)))

    served, asked = sink.spans()
    assert (served.kind, asked.kind) == (SentSpan.SPAN_KIND_SERVER, SentSpan.SPAN_KIND_CLIENT)
    assert int.from_bytes(served.trace_id, "big") == request.trace_id
    assert served.parent_span_id == b""
    assert asked.parent_span_id == served.span_id
    assert (asked.start_time_unix_nano, asked.end_time_unix_nano) == (call.start_ns, call.end_ns)
    assert served.status.code == Status.STATUS_CODE_ERROR
    assert told(asked.attributes) == call.attributes


async def test_sends_no_spans_where_nobody_takes_them(open_telemetry: Opened, sink: Sink) -> None:
    await send(open_telemetry(sends_spans=False), Fact((), spans_of(a_call(), 1.0)), a_fact())

    assert set(sink.asked) == {METRICS}


async def test_sends_in_one_flush_what_comes_during_another(
    telemetry: OtlpTelemetry, sink: Sink
) -> None:
    await asyncio.gather(*(send(telemetry, a_fact()) for _ in range(50)))

    assert sink.total(SERVICE_REQUESTS.name) == 50
    assert sink.asked[METRICS] <= 2


async def test_sends_one_thing_at_a_time(open_telemetry: Opened, sink: Sink) -> None:
    telemetry = open_telemetry(sends_spans=False)
    sink.slow_s = 0.2
    first = asyncio.create_task(send(telemetry, a_fact()))
    async with asyncio.timeout(10):
        await sink.came.wait()
    await send(telemetry, a_fact())
    await first

    assert not sink.met
    assert sink.asked[METRICS] == 2


async def test_goes_on_although_the_caller_of_a_flush_leaves(
    telemetry: OtlpTelemetry, sink: Sink
) -> None:
    telemetry.record([a_fact()])
    leaving = asyncio.create_task(telemetry.flush())
    await asyncio.sleep(0)
    leaving.cancel()

    await telemetry.flush()

    assert sink.total(SERVICE_REQUESTS.name) == 1


async def test_keeps_what_the_sink_refuses_and_sends_it_later(
    telemetry: OtlpTelemetry, sink: Sink, clock: SetClock
) -> None:
    sink.status = lambda _path, number: REFUSED if number == 0 else OK
    spans = spans_of(a_call(), 1.0)
    await send(telemetry, Fact(a_fact().measurements, spans))
    assert (sink.metrics, sink.traces) == ([], [])

    clock.advance(FIRST_PAUSE_S)
    await send(telemetry, a_fact())

    assert [each.value for each in sink.points(SERVICE_REQUESTS.name)] == [1, 1]
    assert len(sink.spans()) == len(spans)


async def test_asks_a_sink_that_failed_not_before_a_pause_and_adds_up_meanwhile(
    telemetry: OtlpTelemetry, sink: Sink, clock: SetClock
) -> None:
    sink.status = lambda _path, number: REFUSED if number == 0 else OK
    for _ in range(10):
        await send(telemetry, a_fact())
    assert sink.asked[METRICS] == 1

    clock.advance(FIRST_PAUSE_S)
    await telemetry.flush()

    assert [each.value for each in sink.points(SERVICE_REQUESTS.name)] == [1, 9]


async def test_counts_what_it_has_to_drop(
    telemetry: OtlpTelemetry, sink: Sink, clock: SetClock
) -> None:
    sink.status = lambda path, _number: REFUSED if path == METRICS else OK
    await send(telemetry, a_fact(), a_fact(), a_fact())
    clock.advance(KEPT_S + 1)
    sink.status = lambda _path, _number: OK
    await send(telemetry, a_fact())
    await telemetry.flush()

    assert sink.total(SERVICE_REQUESTS.name) == 1
    assert sink.total("custom.telemetry.dropped", signal="metrics", reason="too_old") == 3


async def test_bounds_the_spans_that_wait(
    telemetry: OtlpTelemetry, sink: Sink, clock: SetClock
) -> None:
    sink.status = lambda path, _number: REFUSED if path == TRACES else OK
    [span, _] = spans_of(a_call(), 1.0)
    await send(telemetry, Fact((), [span]))
    many = [replace(span, span_id=number + 1) for number in range(MOST_SPANS + 10)]
    await send(telemetry, Fact((), many))
    sink.status = lambda _path, _number: OK
    clock.advance(FIRST_PAUSE_S)
    await telemetry.flush()

    assert len(sink.spans()) == MOST_SPANS + 1
    assert sink.total("custom.telemetry.dropped", signal="spans", reason="too_many") == 10


async def test_says_what_nobody_could_measure(telemetry: OtlpTelemetry, sink: Sink) -> None:
    telemetry.miss(4, "unknown_outcome")

    await telemetry.flush()

    assert sink.total("custom.telemetry.dropped", reason="unknown_outcome") == 4
