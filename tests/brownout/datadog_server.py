"""A server on this machine that answers as Datadog's API of monitors does."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from common.adapters.datadog_monitors import DatadogMonitors
from common.adapters.upstream import HttpUpstream
from common.core.secrets import Secret
from common.gateway.upstream import UpstreamReply, UpstreamRequest

API_KEY = "api-key-of-the-test"
APP_KEY = "application-key-of-the-test"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: its query with one value each, and its headers in lower case."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(slots=True)
class DatadogServer:
    """Answers from `monitors`, by level, unless `answers` says otherwise for a request.

    An answer of None is no answer: the connection stays open.
    """

    monitors: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    answers: Callable[[Asked], tuple[int, bytes] | None] | None = None
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    def answer(self, asked: Asked) -> tuple[int, bytes] | None:
        if self.answers is not None:
            return self.answers(asked)
        found = self.monitors.get(asked.query["monitor_tags"].removeprefix("brownout:"), [])
        page, size = int(asked.query["page"]), int(asked.query["page_size"])
        return 200, json.dumps(found[page * size : (page + 1) * size]).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        target = urlsplit(head[0].split(" ")[1])
        pairs = (line.partition(": ") for line in head[1:] if line)
        asked = Asked(
            target.path,
            {name: values[0] for name, values in parse_qs(target.query).items()},
            {name.lower(): value for name, _, value in pairs},
        )
        self.asked.append(asked)
        answer = self.answer(asked)
        if answer is None:
            await reader.read()
        else:
            status, body = answer
            writer.write(
                f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
                f"location: https://example.com/\r\ncontent-length: {len(body)}\r\n"
                "connection: close\r\n\r\n".encode()
            )
            writer.write(body)
        writer.close()


class Redirected:
    """The connection to a server on this machine, in place of the one in the Internet."""

    def __init__(self, inner: HttpUpstream, port: int) -> None:
        self.inner = inner
        self._port = port
        self.hosts: list[str] = []

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        assert not request.allow_private
        self.hosts.append(request.host)
        target = urlsplit(request.url)
        url = f"http://127.0.0.1:{self._port}{target.path}?{target.query}"
        return await self.inner.send(replace(request, url=url, allow_private=True))


@asynccontextmanager
async def a_datadog() -> AsyncIterator[tuple[DatadogServer, Redirected]]:
    datadog = DatadogServer()
    server = await asyncio.start_server(datadog.serve, "127.0.0.1", 0)
    datadog.port = server.sockets[0].getsockname()[1]
    inner = HttpUpstream()
    async with server:
        yield datadog, Redirected(inner, datadog.port)
        await inner.aclose()


def monitors_of(
    upstream: Redirected, *, site: str = "datadoghq.eu", deadline_s: float = 10.0
) -> DatadogMonitors:
    return DatadogMonitors(
        upstream,
        site=site,
        api_key=Secret(API_KEY),
        app_key=Secret(APP_KEY),
        default_org="acme",
        deadline_s=deadline_s,
    )


def a_monitor(number: int = 1234567, **changed: Any) -> dict[str, Any]:
    """A monitor as the API shows it: two groups of three alert, one of them a warning."""
    return {
        "id": number,
        "name": "Chat is slow",
        "message": "",
        "query": "p95:chat.latency{*} by {host} > 5",
        "type": "query alert",
        "multi": True,
        "tags": ["brownout:hard", "brownout_scope:team:search", "team:chat"],
        "overall_state": "Alert",
        "options": {"silenced": {}, "thresholds": {"critical": 5.0, "warning": 2.0}},
        "matching_downtimes": [],
        "state": {"groups": {"host:a": a_group("Alert"), "host:b": a_group("Warn")}},
    } | changed


def a_group(status: str) -> dict[str, Any]:
    return {
        "last_nodata_ts": None,
        "last_notified_ts": 1772452800,
        "last_resolved_ts": None,
        "last_triggered_ts": 1772452800,
        "status": status,
    }
