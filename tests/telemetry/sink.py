"""A server on this machine that takes metrics and traces as a collector does, and decodes them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

METRICS = "/v1/metrics"
TRACES = "/v1/traces"
OK = 200
REFUSED = 400
"""A status that the exporters take for final: they try no second time by themselves."""


@dataclass(frozen=True, slots=True)
class Point:
    """One data point: of a counter or gauge its value, of a histogram its sum."""

    name: str
    attributes: dict[str, str]
    value: float
    count: int
    bounds: tuple[float, ...]
    temporality: str


@dataclass(slots=True)
class Sink:
    """Takes what `status` lets it take, told the path and how many requests came before."""

    status: Callable[[str, int], int] = field(default=lambda _path, _number: OK)
    asked: Counter[str] = field(default_factory=Counter)
    headers: list[dict[str, str]] = field(default_factory=list)
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)
    traces: list[ExportTraceServiceRequest] = field(default_factory=list)
    port: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by the first request."""
    slow_s: float = 0.0
    """How long an answer is held back, unless another request comes meanwhile."""
    met: bool = False
    """Whether a request came while another waited for its answer."""
    _waiting: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def points(self, name: str) -> list[Point]:
        """All data points of a metric, in the order in which they came."""
        return [
            point
            for request in self.metrics
            for of_resource in request.resource_metrics
            for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics
            for point in _points(metric)
            if metric.name == name
        ]

    def total(self, name: str, **attributes: str) -> float:
        """The sum over the points that have these attributes."""
        chosen = attributes.items()
        return sum(each.value for each in self.points(name) if chosen <= each.attributes.items())

    def names(self) -> set[str]:
        return {
            metric.name
            for request in self.metrics
            for of_resource in request.resource_metrics
            for of_scope in of_resource.scope_metrics
            for metric in of_scope.metrics
        }

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.traces
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    async def _hold(self) -> None:
        if self._waiting is not None:
            self.met = True
            self._waiting.set()
            return
        self._waiting = asyncio.Event()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._waiting.wait(), self.slow_s)
        self._waiting = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        pairs = (line.partition(": ") for line in head[1:] if line)
        headers = {name.lower(): value for name, _, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
        status = self.status(path, self.asked[path])
        self.asked[path] += 1
        self.came.set()
        self.headers.append(headers)
        if status == OK and path == METRICS:
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        elif status == OK:
            self.traces.append(ExportTraceServiceRequest.FromString(body))
        if self.slow_s:
            await self._hold()
        writer.write(b"HTTP/1.1 %d Said\r\ncontent-length: 0\r\n" % status)
        writer.write(b"connection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def a_sink() -> AsyncIterator[Sink]:
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    async with server:
        yield sink


def told(attributes: Any) -> dict[str, Any]:
    """Attributes as they were before they were encoded."""
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)


def _points(metric: Metric) -> Iterator[Point]:
    kind = str(metric.WhichOneof("data"))
    data: Any = getattr(metric, kind)
    temporality = (
        "" if kind == "gauge" else AggregationTemporality.Name(data.aggregation_temporality)
    )
    for each in data.data_points:
        value, count, bounds = 0.0, 0, ()
        if kind == "histogram":
            value, count, bounds = each.sum, each.count, tuple(each.explicit_bounds)
        else:
            value = getattr(each, str(each.WhichOneof("value")))
        yield Point(metric.name, told(each.attributes), value, count, bounds, temporality)
