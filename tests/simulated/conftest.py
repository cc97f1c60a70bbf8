"""One simulated provider for all tests of a process, and ways to call it.

Tests share the server but no state: each has its own tag, by which it finds its own ledger rows,
and its own words, so that prompt caches do not mix.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn

from scripts.simulated.__main__ import ADDRESS, listen
from scripts.simulated.server import create_app

DEADLINE_S = 10.0

OPENAI = {"authorization": "Bearer sim"}
RESPONSES = "/openai/v1/responses"
ANTHROPIC = {"x-api-key": "sim", "anthropic-version": "2023-06-01"}


@dataclass(frozen=True, slots=True)
class Served:
    """An application on a port of this machine."""

    url: str
    app: Any


def serve(app: Any) -> Iterator[Served]:
    """Serve in a thread of its own, as synchronous clients need it."""
    listener = listen(0)
    config = uvicorn.Config(
        app, loop="uvloop", http="httptools", log_level="critical", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield Served(f"http://{ADDRESS}:{listener.getsockname()[1]}", app)
    server.should_exit = True
    thread.join(DEADLINE_S)


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    yield from serve(create_app())


@pytest.fixture
def served_app() -> Iterator[Callable[[Any], Served]]:
    """Serves an application of the test's own until the test ends."""
    running: list[Iterator[Served]] = []

    def start(app: Any) -> Served:
        running.append(serve(app))
        return next(running[-1])

    yield start
    for server in running:
        next(server, None)


@pytest.fixture
def tag() -> str:
    return uuid4().hex


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls the provider without a client library; every request carries the test's tag."""

    http: httpx.Client
    tag: str

    def openai(self, body: dict[str, Any] | None = None, **knobs: str) -> httpx.Response:
        return self.post("/openai/v1/chat/completions", chat() if body is None else body, **knobs)

    def anthropic(self, body: dict[str, Any] | None = None, **knobs: str) -> httpx.Response:
        return self.post("/anthropic/v1/messages", message() if body is None else body, **knobs)

    def post(self, path: str, body: dict[str, Any], **knobs: str) -> httpx.Response:
        return self.http.post(path, json=body, headers=self.headers(path, **knobs))

    def headers(self, path: str, **knobs: str) -> dict[str, str]:
        named = {f"x-simulated-{name.replace('_', '-')}": value for name, value in knobs.items()}
        key = OPENAI if path.startswith("/openai") else ANTHROPIC
        return {**key, **named, "x-simulated-tag": self.tag}

    def rows(self) -> list[dict[str, Any]]:
        """The test's own rows of the ledger."""
        answer = self.http.get("/simulated/ledger?after=0").json()
        return [row for row in answer["rows"] if row["tag"] == self.tag]

    def row(self) -> dict[str, Any]:
        """The test's only row, waited for because a disconnect is noticed a little later."""
        end = time.monotonic() + DEADLINE_S
        while not (rows := self.rows()) and time.monotonic() < end:
            threading.Event().wait(0.01)
        assert len(rows) == 1
        return rows[0]


@pytest.fixture
def caller(served: Served, tag: str) -> Iterator[Caller]:
    with httpx.Client(base_url=served.url, timeout=DEADLINE_S) as http:
        yield Caller(http, tag)


def chat(**fields: Any) -> dict[str, Any]:
    """A small valid chat completion request."""
    return {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        **fields,
    }


def message(**fields: Any) -> dict[str, Any]:
    """A small valid Messages request."""
    return {
        "model": "claude-sonnet-4-5",
        "max_tokens": 300,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        **fields,
    }


def words(tag: str, tokens: int) -> str:
    """A text of about so many tokens that no other test has."""
    return (tag + " ") * (tokens * 4 // (len(tag) + 1) + 1)


def told(answer: httpx.Response) -> dict[str, Any]:
    """The error of a request that is refused."""
    assert answer.status_code == 400, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


def generate(
    caller: Caller,
    model: str,
    config: dict[str, Any],
    *,
    headers: dict[str, str] | None = None,
    **body: Any,
) -> httpx.Response:
    """Gemini's answer to a greeting under that generation config."""
    return caller.http.post(
        f"/gemini/v1beta/models/{model}:generateContent",
        json={
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
            "generationConfig": config,
            **body,
        },
        headers={"x-goog-api-key": "sim", "x-simulated-tag": caller.tag, **(headers or {})},
    )
