"""An installation behind Cloud Run, as far as a caller can tell: names, tokens, pages of refusal.

The API is the real one, over real engines, with the caller that the token names. Before it stands
what checks tokens: it refuses with a page of its own, and lets those in who may invoke the service.
The proxy is what its two addresses for the doctor answer, behind the same.
"""

import asyncio
import base64
import json
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.sqlite_documents import SqliteDocuments
from common.adapters.system_clock import SystemClock
from common.api.app import create_api
from common.api.callers import IamAuthenticator
from common.budgets.sweep import SWEPT
from common.core.events import UsageEvent
from common.core.ports import Put
from common.llm.price_book import bundled_book
from common.usage.apply_events import apply_events
from tests.api.conftest import KeepingBus

DEADLINE_S = 20
ADA = "ada@example.com"
VERSION = "0.1.0"
TOKEN_HEADERS = ("x-serverless-authorization", "authorization")
"""The first that is there is checked (https://cloud.google.com/run/docs/authenticating/service-to-service)."""

Answer: TypeAlias = tuple[int, dict[str, Any]]


def a_token(email: str | None = ADA, *, genuine: bool = True, lives_s: int = 3600) -> str:
    """An identity token as `gcloud auth print-identity-token` prints one."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    expires = datetime.now(UTC) + timedelta(seconds=lives_s)
    claims = {"exp": int(expires.timestamp())} | ({} if email is None else {"email": email})
    return f"{part({'alg': 'RS256'})}.{part(claims)}.{'signed' if genuine else 'forged'}"


class MovedClock(SystemClock):
    moved = timedelta()

    def now(self) -> datetime:
        return super().now() + self.moved


@dataclass(slots=True)
class Cloud:
    """What is wrong with it is what a test sets. `api_broken` is the status of a page instead."""

    documents: SqliteDocuments
    warehouse: DuckdbWarehouse
    clock: MovedClock
    loop: asyncio.AbstractEventLoop
    api_url: str = ""
    proxy_url: str = ""
    invokers: set[str] = field(default_factory=lambda: {ADA})
    administrators: set[str] = field(default_factory=lambda: {ADA})
    proxy_invokers: set[str] | None = None
    api_broken: int | None = None
    proxy_health: Answer = (200, {})
    proxy_status: Answer = (200, {"upstreams": []})
    seen: list[Headers] = field(default_factory=list)

    def do(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let something happen in its stores."""
        asyncio.run_coroutine_threadsafe(work, self.loop).result(DEADLINE_S)

    def sweep(self, ago: timedelta) -> None:
        done = Put(SWEPT, {"finished_at": datetime.now(UTC) - ago})
        self.do(self.documents.commit([done]))

    def record(self, *calls: UsageEvent, counted: bool = True, stored: bool = True) -> None:
        """Calls as they arrive where they are counted, and in the warehouse."""
        rows = [
            {**json.loads(call.payload()), "message_id": call.id, "publish_time": call.event_time}
            for call in calls
        ]
        if stored:
            self.do(self.warehouse.append("usage_raw", rows))
        if counted:
            self.do(apply_events(self.documents, calls, self.clock))


@contextmanager
def a_cloud(folder: Path) -> Iterator[Cloud]:
    """A sound installation, until the block ends."""
    loop = asyncio.new_event_loop()
    documents = SqliteDocuments(folder / "state.sqlite")
    warehouse = DuckdbWarehouse(folder / "warehouse.duckdb")
    cloud = Cloud(documents, warehouse, MovedClock(), loop)
    book = bundled_book()
    cloud.proxy_health = (200, {"status": "ok", "version": VERSION, "book": book.digest})
    with _listening() as api, _listening() as proxy:
        servers = [_server(_api(cloud)), _server(_proxy(cloud))]

        async def serve() -> None:
            await asyncio.gather(servers[0].serve([api]), servers[1].serve([proxy]))
            await documents.aclose()
            await warehouse.aclose()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        cloud.api_url = f"http://oco-api.run.test:{api.getsockname()[1]}"
        cloud.proxy_url = f"http://oco-proxy.run.test:{proxy.getsockname()[1]}"
        cloud.sweep(ago=timedelta(seconds=30))
        try:
            yield cloud
        finally:
            for server in servers:
                server.should_exit = True
            thread.join(DEADLINE_S)
            loop.close()


def resolves_here(name: str) -> bool:
    return name.endswith(".run.test")


@contextmanager
def _listening() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))


def _api(cloud: Cloud) -> ASGIApp:
    async def api(scope: Scope, receive: Receive, send: Send) -> None:
        program: ASGIApp = create_api(
            documents=cloud.documents,
            bus=KeepingBus(),
            warehouse=cloud.warehouse,
            clock=cloud.clock,
            entropy=os.urandom,
            price_book=bundled_book(),
            authenticate=IamAuthenticator(cloud.administrators),
            version=VERSION,
        )
        if cloud.api_broken is not None:
            program = HTMLResponse("<h1>Error</h1>", cloud.api_broken)
        await _admitted(cloud, cloud.invokers, program)(scope, receive, send)

    return api


def _proxy(cloud: Cloud) -> ASGIApp:
    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        found = {
            "/gateway/v1/health": cloud.proxy_health,
            "/gateway/v1/status": cloud.proxy_status,
        }
        status, body = found.get(scope["path"], (404, {"error": {"message": "nothing here"}}))
        program: ASGIApp = JSONResponse(body, status)
        await _admitted(cloud, cloud.proxy_invokers, program)(scope, receive, send)

    return proxy


def _admitted(
    cloud: Cloud, invokers: set[str] | None, program: ASGIApp
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The program, for those who may invoke it; None is everybody."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        cloud.seen.append(headers)
        sent = next((headers[name] for name in TOKEN_HEADERS if name in headers), None)
        refusal = None if invokers is None else _refusal(sent, invokers)
        await (program if refusal is None else refusal)(scope, receive, send)

    return checked


def _refusal(sent: str | None, invokers: set[str]) -> Response | None:
    forbidden = HTMLResponse("<title>403 Forbidden</title>", 403)
    if sent is None:
        return forbidden
    try:
        _, payload, signature = sent.removeprefix("Bearer ").split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return HTMLResponse("<title>401 Unauthorized</title>", 401)
    if signature != "signed" or claims["exp"] < datetime.now(UTC).timestamp():
        return HTMLResponse("<title>401 Unauthorized</title>", 401)
    return None if claims.get("email", "nobody") in invokers else forbidden
