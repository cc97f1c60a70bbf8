"""Events to functions: every `topic` trigger of the table as a subscription of the local bus.

A function gets the request that Pub/Sub would send it, without a socket between.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Scope

from common.adapters.bus_subscriptions import Endpoint, Subscription
from scripts.functions_table import TopicTrigger, read_functions

ROOT = Path(__file__).parents[2]


def push_subscriptions(functions: Mapping[str, ASGIApp] | None = None) -> Iterator[Subscription]:
    """One for each `topic` trigger of these functions.

    Without `functions` for a process that only publishes: it must know who subscribed, so that a
    message is kept for them, and the process that has the functions delivers.
    """
    for name, row in read_functions(ROOT).items():
        for trigger in row.triggers:
            is_asked_for = functions is None or name in functions
            if is_asked_for and isinstance(trigger, TopicTrigger):
                yield Subscription(
                    trigger.subscription(name),
                    trigger.topic,
                    trigger.types,
                    _not_here if functions is None else endpoint(functions[name]),
                    concurrency=row.concurrency,
                )


def endpoint(function: ASGIApp) -> Endpoint:
    """Post envelopes to an ASGI application."""

    async def post(envelope: dict[str, Any]) -> int:
        body = json.dumps(envelope).encode()
        arriving = [{"type": "http.request", "body": body, "more_body": False}]
        statuses: list[int] = []

        async def receive() -> Message:
            return arriving.pop() if arriving else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await function(_scope(len(body)), receive, send)
        return statuses[0]

    return post


async def _not_here(_envelope: dict[str, Any]) -> int:
    return 503


def _scope(length: int) -> Scope:
    headers = [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", str(length).encode()),
    ]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }
