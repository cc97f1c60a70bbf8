"""Measurements and spans by OTLP over HTTP, to Datadog or any collector.

The SDK adds up what is measured between two flushes, and each flush sends the difference to the
one before (delta temporality: instances come and go, and nobody could add up their totals). It is
asked to flush within the request that brought the facts, because an instance has no CPU afterwards;
a request that comes during a flush waits for the next one, which takes all that came meanwhile.

The SDK forgets what an exporter could not send (1.45.2: `force_flush` returns True all the same).
So the exporter it is given keeps batches, and an `Outbox` sends them. What has to be done for that
is done in worker threads: the exporters wait for the network.

Where to send, with which headers and as which resource is read by the SDK itself, from its standard
environment variables.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from common.adapters.telemetry_outbox import Dropped, Outbox
from common.adapters.telemetry_series import Series
from common.core.metrics import (
    INSTRUMENTS,
    TELEMETRY_DROPPED,
    Fact,
    Instrument,
    Measurement,
    Span,
)
from common.core.ports import Clock

logger = logging.getLogger(__name__)

NAME = "open-cloud-ops"
MOST_SPANS = 2_000
"""So many wait for a sink that is down; later ones are dropped and counted."""

_DELTA: dict[type, AggregationTemporality] = dict.fromkeys(
    (sdk.Counter, sdk.Histogram), AggregationTemporality.DELTA
)
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT}

Spans: TypeAlias = list[ReadableSpan]


class OtlpTelemetry:
    """Sends facts of one process. `version` and `instance` tell which it is.

    Args:
        clock: tells how long batches are kept.
        version: of this code.
        instance: a name that no other process has, so that their sums stay apart.
        timeout_s: how long one attempt to send may take.
        sends_spans: False where nobody takes traces.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        version: str,
        instance: str,
        timeout_s: float,
        sends_spans: bool = True,
    ) -> None:
        self._resource = Resource(
            {"service.name": NAME, "service.version": version, "service.instance.id": instance}
        ).merge(OTELResourceDetector().detect())
        self._scope = InstrumentationScope(NAME, version)
        self._spans = _SpanSender(timeout_s, clock) if sends_spans else None
        self._metrics = _MetricSender(self._resource, version, timeout_s, clock)
        self._pending: list[Fact] = []
        self._missed: Dropped = Counter()
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    def record(self, facts: Sequence[Fact]) -> None:
        """Take what is known of some facts; it is sent by the next flush."""
        self._pending += facts

    def miss(self, facts: int, reason: str) -> None:
        """Count facts that happened and of which nobody will tell more."""
        self._missed["metrics", reason] += facts
        logger.warning("telemetry.missed", extra={"reason": reason, "facts": facts})

    async def flush(self) -> None:
        """Return when all that was recorded before is sent, or is kept to be sent later."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        # One caller that leaves must not end the flush of the others.
        await asyncio.shield(self._next)

    async def aclose(self) -> None:
        """Send what can be sent now, and close connections."""
        await self.flush()
        await asyncio.to_thread(self._metrics.close)
        if self._spans is not None:
            await asyncio.to_thread(self._spans.close)

    async def _after(self, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
        self._running, self._next = self._next, None
        facts, self._pending = self._pending, []
        dropped, self._missed = self._missed, Counter()
        if self._spans is not None:
            dropped += self._spans.outbox.take_dropped()
        jobs = [asyncio.to_thread(self._metrics.send, facts, dropped)]
        if self._spans is not None:
            spans = [self._readable(span) for fact in facts for span in fact.spans]
            jobs.append(asyncio.to_thread(self._spans.send, spans))
        for failed in await asyncio.gather(*jobs, return_exceptions=True):
            if failed is not None:
                logger.error("telemetry.crashed", exc_info=failed)

    def _readable(self, span: Span) -> ReadableSpan:
        sampled = TraceFlags(TraceFlags.SAMPLED)
        context = SpanContext(span.trace_id, span.span_id, is_remote=False, trace_flags=sampled)
        parent = None
        if span.parent_id is not None:
            parent = SpanContext(
                span.trace_id, span.parent_id, is_remote=span.kind == "server", trace_flags=sampled
            )
        return ReadableSpan(
            name=span.name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            kind=_KINDS[span.kind],
            status=Status() if span.failed is None else Status(StatusCode.ERROR, span.failed),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )


class _SpanSender:
    """Spans on their way. Used by one thread at a time."""

    def __init__(self, timeout_s: float, clock: Clock) -> None:
        self._exporter = OTLPSpanExporter(timeout=timeout_s)
        self.outbox: Outbox[Spans] = Outbox("spans", self._export, clock)
        self._waiting: Spans = []

    def send(self, spans: Spans) -> None:
        self._waiting += spans
        if (surplus := len(self._waiting) - MOST_SPANS) > 0:
            del self._waiting[:surplus]
            self.outbox.give_up(surplus, "too_many")
        if not self.outbox.is_ready:
            return
        if self._waiting:
            self.outbox.put(self._waiting, len(self._waiting))
            self._waiting = []
        self.outbox.send()

    def close(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call] # untyped there

    def _export(self, spans: Spans) -> bool:
        return self._exporter.export(spans) is SpanExportResult.SUCCESS


class _MetricSender:
    """Sums of measurements on their way. Used by one thread at a time.

    `_facts` and `_told` are what the SDK holds since it last gave out its sums.
    """

    def __init__(self, resource: Resource, version: str, timeout_s: float, clock: Clock) -> None:
        self._exporter = OTLPMetricExporter(timeout=timeout_s, preferred_temporality=_DELTA)
        self._outbox: Outbox[MetricsData] = Outbox("metrics", self._export, clock)
        # An interval without end starts no thread of the SDK's.
        self._reader = PeriodicExportingMetricReader(
            _Keeping(self._keep), export_interval_millis=math.inf
        )
        self._provider = sdk.MeterProvider(
            metric_readers=[self._reader],
            resource=resource,
            shutdown_on_exit=False,
            exemplar_filter=sdk.AlwaysOffExemplarFilter(),
        )
        meter = self._provider.get_meter(NAME, version)
        self._instruments = {each.name: _made(meter, each) for each in INSTRUMENTS}
        self._series = Series()
        self._facts = 0
        self._told: Dropped = Counter()

    def send(self, facts: Sequence[Fact], dropped: Dropped) -> None:
        """Add up facts, and send the sums unless the sink has just failed."""
        for fact in facts:
            for measurement in fact.measurements:
                self._measure(measurement)
            self._facts += 1
        self._tell(dropped + self._outbox.take_dropped())
        if not self._outbox.is_ready:
            return
        self._reader.force_flush()
        self._outbox.send()

    def close(self) -> None:
        self._provider.shutdown()
        self._exporter.shutdown()

    def _measure(self, measurement: Measurement) -> None:
        instrument = measurement.instrument
        attributes = self._series.fold(instrument, measurement.attributes)
        parts, made = instrument.parts, self._instruments[instrument.name]
        value = measurement.value if parts == 1 else measurement.value / parts
        if instrument.kind == "counter":
            made.add(value, attributes)
        elif instrument.kind == "histogram":
            made.record(value, attributes)
        else:
            made.set(value, attributes)

    def _tell(self, dropped: Dropped) -> None:
        for (signal, reason), count in dropped.items():
            told = {"signal": signal, "reason": reason}
            self._measure(Measurement(TELEMETRY_DROPPED, count, told))
        self._told += dropped

    def _keep(self, data: MetricsData) -> None:
        self._outbox.put(data, self._facts, self._told)
        self._facts, self._told = 0, Counter()

    def _export(self, data: MetricsData) -> bool:
        return self._exporter.export(data) is MetricExportResult.SUCCESS


class _Keeping(MetricExporter):
    """What the SDK takes for an exporter: it hands on what was collected, and sends nothing."""

    def __init__(self, keep: Callable[[MetricsData], None]) -> None:
        super().__init__(preferred_temporality=_DELTA)
        self._keep = keep

    def export(self, metrics_data: MetricsData, *_: Any, **__: Any) -> MetricExportResult:
        self._keep(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, *_: Any, **__: Any) -> bool:
        return True

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Close nothing: there is nothing open."""


class _Readings:
    """A gauge whose values are sent once: the SDK's own repeats the last one for ever."""

    def __init__(self) -> None:
        self._read: dict[frozenset[tuple[str, str]], float] = {}

    def set(self, value: float, attributes: Mapping[str, str]) -> None:
        self._read[frozenset(attributes.items())] = value

    def observe(self, _options: CallbackOptions) -> Iterable[Observation]:
        read, self._read = self._read, {}
        return [Observation(value, dict(attributes)) for attributes, value in read.items()]


def _made(meter: Meter, instrument: Instrument) -> Any:
    """The SDK's counter, histogram or gauge."""
    name, unit, about = instrument.name, instrument.unit, instrument.about
    if instrument.kind == "counter":
        return meter.create_counter(name, unit, about)
    if instrument.kind == "gauge":
        readings = _Readings()
        meter.create_observable_gauge(name, [readings.observe], unit, about)
        return readings
    bounds = [bound / instrument.parts for bound in instrument.bounds]
    return meter.create_histogram(name, unit, about, explicit_bucket_boundaries_advisory=bounds)
