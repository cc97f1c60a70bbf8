"""A live API on an ephemeral port, with real engines, and the command line that talks to it."""

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from typer.testing import CliRunner, Result

from common.adapters.system_clock import SystemClock
from common.api.app import create_api
from common.api.callers import DevAuthenticator
from common.core.events import UsageEvent
from common.llm.price_book import bundled_book
from common.usage.apply_events import apply_events
from scripts.commands.cloudops import app
from tests.api.conftest import KeepingBus, a_call
from tests.chosen_engines import state_of, warehouse_of

DEADLINE_S = 20


class ServingClock(SystemClock):
    """The system's clock, moved by as much as a test wants."""

    def __init__(self) -> None:
        self.moved = timedelta()

    def now(self) -> datetime:
        return super().now() + self.moved


@dataclass(slots=True)
class Installation:
    """A running API. `record` writes calls into its stores.

    `authorizations` and `paths` are those sent, as they came.
    """

    url: str
    clock: ServingClock
    record: Callable[..., None]
    authorizations: list[str]
    paths: list[str]


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    documents = state_of(tmp_path)
    warehouse = warehouse_of(tmp_path)
    clock = ServingClock()
    api = create_api(
        documents=documents,
        bus=KeepingBus(),
        warehouse=warehouse,
        clock=clock,
        entropy=os.urandom,
        price_book=bundled_book(),
        authenticate=DevAuthenticator(in_cloud=False),
        version="0.1.0",
    )

    authorizations: list[str] = []
    paths: list[str] = []

    async def stack(scope: Scope, receive: Receive, send: Send) -> None:
        sent = Headers(scope=scope).get("authorization")
        authorizations.extend([] if sent is None else [sent])
        paths.append(scope["raw_path"].decode())
        if scope["path"] == "/gateway/v1/health":
            told = {"status": "ok", "version": "0.1.0", "book": bundled_book().digest}
            await JSONResponse(told)(scope, receive, send)
        else:
            await api(scope, receive, send)

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(stack, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        await server.serve(sockets=[listener])
        await documents.aclose()
        await warehouse.aclose()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))

    def record(*calls: UsageEvent) -> None:
        rows = [
            {**json.loads(call.payload()), "message_id": call.id, "publish_time": call.event_time}
            for call in calls
        ]
        asyncio.run_coroutine_threadsafe(store(rows, calls), loop).result(DEADLINE_S)

    async def store(rows: list[dict[str, Any]], calls: tuple[UsageEvent, ...]) -> None:
        await warehouse.append("usage_raw", rows)
        await apply_events(documents, calls, clock)

    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield Installation(url, clock, record, authorizations, paths)
    server.should_exit = True
    thread.join(DEADLINE_S)
    loop.close()
    listener.close()


Cloudops = Callable[..., Result]


@pytest.fixture
def cloudops(installation: Installation) -> Cloudops:
    """Run a command against the installation."""

    def cloudops(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["--url", installation.url, *arguments])

    return cloudops


@pytest.fixture
def acme(cloudops: Cloudops) -> None:
    """Organisation acme with team search and its agent crawler."""
    for command in (
        ["orgs", "create", "acme", "--name", "Acme"],
        ["teams", "create", "search", "--org", "acme"],
        ["agents", "create", "crawler", "--org", "acme", "--team", "search", "--tag", "env=prod"],
    ):
        assert cloudops(*command).exit_code == 0


def a_recent_call(number: int, **fields: Any) -> UsageEvent:
    """A call a minute ago."""
    return a_call(number, event_time=datetime.now(UTC) - timedelta(minutes=1), **fields)
