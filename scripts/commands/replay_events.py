"""`scripts/replay_events`: publish events again that were logged because the bus took them not.

Reads JSON, one object a line: log lines `usage.unpublished` and `event.unpublished` (as written, or
as Cloud Logging exports them), messages pulled from a subscription, push envelopes, and bare
events. What was published and then given up is for `scripts/dead_letters`. Consumers know an event
they have had by its marker, so that replaying the same lines twice changes nothing. Markers live 40
days: what is older is refused, because nobody could tell.
"""

import asyncio
import base64
import binascii
import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from common.core.errors import CloudOpsError, PublishFailed
from common.core.event_types import parse_event
from common.core.events import Event
from common.core.ports import Bus
from common.runtime.app import app
from common.runtime.settings import BusSettings, read_settings
from common.usage.apply_events import MARKER_LIFE
from scripts.local_stack.pushes import push_subscriptions
from scripts.pubsub_http import HttpBus, PubsubHttp

OLDEST = MARKER_LIFE - timedelta(days=1)
"""A day less than markers live, for clocks that differ and for deliveries that take long."""

_LOGGED = ("usage_event", "key_event")
"""Fields of log lines that hold an event, as text or as an object."""

PUBLISHED = "published"
TOO_OLD = f"refused: older than {OLDEST.days} days, so it may have been counted"

cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    files: Annotated[list[Path], typer.Argument(help="JSON lines; - is standard input")],
    *,
    data: Annotated[
        Path | None, typer.Option(help="Folder of a local stack (default: DATA_DIR).")
    ] = None,
) -> None:
    """Publish events again, and say what became of them. Exit code 1 if any was not published."""
    if data is not None:
        os.environ["DATA_DIR"] = str(data)
    try:
        done = asyncio.run(_run(files))
    except (OSError, CloudOpsError) as error:
        typer.echo(f"Nothing more is read: {error}", err=True)
        raise typer.Exit(2) from None
    for what, count in sorted(done.items()):
        typer.echo(f"{count:,} {what}")
    raise typer.Exit(0 if set(done) <= {PUBLISHED} else 1)


async def _run(files: list[Path]) -> Counter[str]:
    app().push_subscriptions = list(push_subscriptions())
    pubsub = PubsubHttp.of(read_settings(BusSettings))
    bus = app().bus if pubsub is None else HttpBus(pubsub)
    try:
        done: Counter[str] = Counter()
        for file in files:
            lines = sys.stdin if str(file) == "-" else file.read_text("utf-8").splitlines()
            done += await replay(lines, bus, app().clock.now())
        return done
    finally:
        if pubsub is not None:
            pubsub.close()
        await app().aclose(drain_s=0)


async def replay(lines: Iterable[str], bus: Bus, now: datetime) -> Counter[str]:
    """Publish the events of `lines`, and count what became of them, in words.

    A line without an event, one that is too old, or one the bus does not take is told on standard
    error by its number and, where it is known, the event's id.
    """
    done: Counter[str] = Counter()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        event = _event(line)
        if isinstance(event, str):
            what = event
        elif is_too_old(event.event_time, now):
            what = TOO_OLD
        else:
            what = await _published(event, bus)
        done[what] += 1
        if what != PUBLISHED:
            id_ = "" if isinstance(event, str) else f" ({event.id})"
            typer.echo(f"line {number}{id_}: {what}", err=True)
    return done


def is_too_old(event_time: datetime, now: datetime) -> bool:
    return now - event_time > OLDEST


async def _published(event: Event, bus: Bus) -> str:
    try:
        await bus.publish(event.topic, event)
    except PublishFailed:
        return "not taken by the bus: replay them again"
    return PUBLISHED


def _event(line: str) -> Event | str:
    """The event of a line, or why there is none."""
    try:
        found = next(_candidates(json.loads(line)), None)
        if found is None:
            return "without an event"
        return parse_event(found) or "of a type or version this release does not know"
    except ValidationError:
        return "not of the form of their type"
    except (ValueError, RecursionError, TypeError):  # binascii.Error is a ValueError
        return "unreadable"


def _candidates(line: Any) -> Iterator[Any]:
    """Where in a line an event may be: itself, in a log line, in a message."""
    if not isinstance(line, dict):
        return
    if isinstance(line.get("type"), str) and "event_time" in line:
        yield line
    payload = line.get("jsonPayload", line)
    for name in _LOGGED:
        if name in payload:
            held = payload[name]
            yield json.loads(held) if isinstance(held, str) else held
    message = line.get("message")
    if isinstance(message, dict) and "data" in message:
        yield json.loads(_decoded(message["data"]))


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        raise ValueError("the data is not base64") from None


if __name__ == "__main__":
    cli()
