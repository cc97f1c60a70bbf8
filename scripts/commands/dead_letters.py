"""`scripts/dead_letters`: see what was given up after ten attempts, and have it delivered again.

In the cloud a dead letter is a message of the subscription PREFIX-dead-letter. `replay` publishes
what it holds to the topic it came from, and acknowledges it when that has succeeded. Whoever had
the event knows it by its marker, so that a letter that is replayed twice, or that only one of
several consumers had refused, changes nothing there. On a laptop a dead letter belongs to one
subscription, which gets it as if it were new.

What is older than markers are kept is left alone on both. Pub/Sub lends messages for as long as a
command runs: others see none of them meanwhile, and those of a command that was killed after ten
minutes. It may hold some back, so an empty list says that none was handed out; how many there are
tells the metric `num_undelivered_messages` of the subscription.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Protocol

import typer
from pydantic import ValidationError

from common.adapters.bus_subscriptions import DeadLetter
from common.core.errors import CloudOpsError
from common.core.event_types import EVENT_TYPES, parse_event
from common.runtime.app import app
from common.runtime.settings import BusSettings, read_settings
from scripts.commands.cloudops_tables import Column, print_table
from scripts.commands.replay_events import TOO_OLD, is_too_old
from scripts.pubsub_http import DEAD_LETTERS, PubsubFailed, PubsubHttp, Received

SOURCE = "CloudPubSubDeadLetterSource"
"""Pub/Sub adds attributes that begin so when it forwards a message.

https://cloud.google.com/pubsub/docs/handling-failures
"""
LOOKS = 3
PAUSE_S = 0.5
"""So many pulls without a new message, so far apart, and nothing seems to wait."""

REPLAYED = "replayed"
UNKNOWN = "of a type that this release does not know: replay it with the one that is deployed"

cli = typer.Typer(add_completion=False, no_args_is_help=True)
BusUrl = Annotated[
    str | None,
    typer.Option("--bus", help="pubsub://PROJECT/PREFIX; BUS_URL, or the local bus, if not given"),
]
Data = Annotated[Path | None, typer.Option(help="folder of a local stack; DATA_DIR if not given")]
Limit = Annotated[int, typer.Option(min=1, help="how many at most")]


class DeadLetters(Protocol):
    """Where dead letters are kept."""

    async def look(self, most: int) -> Sequence[DeadLetter]:
        """At most so many of those there are."""

    async def replay(self, letter: DeadLetter) -> str:
        """Have one of them delivered again; what became of it, in words."""

    async def aclose(self) -> None:
        """Leave the others to whoever looks next."""


class LocalDeadLetters:
    """Those of the local bus."""

    async def look(self, most: int) -> Sequence[DeadLetter]:
        return (await app().local_bus.dead_letters())[:most]

    async def replay(self, letter: DeadLetter) -> str:
        await app().local_bus.deliver_again(letter)
        return REPLAYED

    async def aclose(self) -> None:
        await app().local_bus.aclose()


class PubsubDeadLetters:
    """Those of one installation on Pub/Sub."""

    def __init__(self, pubsub: PubsubHttp) -> None:
        self._pubsub = pubsub
        self._lent: dict[str, Received] = {}

    async def look(self, most: int) -> Sequence[DeadLetter]:
        await asyncio.to_thread(self._borrow, most)
        return [_letter(received) for received in self._lent.values()]

    async def replay(self, letter: DeadLetter) -> str:
        known = EVENT_TYPES.get(letter.attributes.get("type", ""))
        if known is None:
            return UNKNOWN
        topic, lent = known.topic, self._lent[letter.message_id]
        await asyncio.to_thread(self._pubsub.publish, topic, letter.data, letter.attributes)
        await asyncio.to_thread(self._pubsub.acknowledge, DEAD_LETTERS, lent.handle)
        del self._lent[letter.message_id]
        return REPLAYED

    async def aclose(self) -> None:
        handles = [received.handle for received in self._lent.values()]
        try:
            await asyncio.to_thread(self._pubsub.release, DEAD_LETTERS, handles)
        finally:
            self._pubsub.close()

    def _borrow(self, most: int) -> None:
        in_vain = 0
        while len(self._lent) < most and in_vain < LOOKS:
            had = len(self._lent)
            for each in self._pubsub.pull(DEAD_LETTERS, most - had):
                self._lent[each.message_id] = each
            if len(self._lent) == had:
                in_vain += 1
                time.sleep(PAUSE_S)


@cli.command("list")
def list_letters(*, bus: BusUrl = None, data: Data = None, limit: Limit = 1000) -> None:
    """Print what was given up, without what it says."""
    letters, _ = asyncio.run(_run(bus, data, limit, replaying=False))
    names = ["published", "type", "id", "given up by"]
    columns = [*map(Column, names), Column("attempts", is_number=True), Column("last error")]
    print_table(columns, [_cells(letter) for letter in letters])
    typer.echo(f"{len(letters):,} dead {'letter' if len(letters) == 1 else 'letters'}.")
    _tell_limit(letters, limit)


@cli.command("replay")
def replay_letters(*, bus: BusUrl = None, data: Data = None, limit: Limit = 1000) -> None:
    """Have it delivered again. Exit code 1 if anything was left where it is."""
    letters, done = asyncio.run(_run(bus, data, limit, replaying=True))
    for what, count in sorted(done.items()):
        typer.echo(f"{count:,} {what}")
    if not done:
        typer.echo("0 dead letters.")
    _tell_limit(letters, limit)
    raise typer.Exit(0 if set(done) <= {REPLAYED} else 1)


async def _run(
    bus: str | None, data: Path | None, limit: int, *, replaying: bool
) -> tuple[Sequence[DeadLetter], Counter[str]]:
    done: Counter[str] = Counter()
    try:
        kept = _kept(bus, data)
        try:
            letters = await kept.look(limit)
            for letter in letters if replaying else ():
                what = TOO_OLD if _is_old(letter) else await kept.replay(letter)
                done[what] += 1
                if what != REPLAYED:
                    typer.echo(
                        f"{letter.attributes.get('id', letter.message_id)}: {what}", err=True
                    )
        finally:
            await kept.aclose()
    except (CloudOpsError, PubsubFailed) as error:
        if done:
            typer.echo(f"{done[REPLAYED]:,} {REPLAYED}")
        typer.echo(f"Nothing more is done: {error}", err=True)
        raise typer.Exit(2) from None
    return letters, done


def _kept(bus: str | None, data: Path | None) -> DeadLetters:
    """Where the dead letters are.

    Raises:
        InvalidSettings: the bus has no such address.
    """
    if bus is not None:
        os.environ["BUS_URL"] = bus
    if data is not None:
        os.environ["DATA_DIR"] = str(data)
    pubsub = PubsubHttp.of(read_settings(BusSettings))
    return LocalDeadLetters() if pubsub is None else PubsubDeadLetters(pubsub)


def _letter(received: Received) -> DeadLetter:
    """The message as it was before Pub/Sub gave it up."""
    told = received.attributes
    published = told.get(f"{SOURCE}TopicPublishTime")
    return DeadLetter(
        subscription=told.get(f"{SOURCE}Subscription", "unknown"),
        message_id=received.message_id,
        data=received.data,
        attributes={name: text for name, text in told.items() if not name.startswith(SOURCE)},
        publish_time=datetime.fromisoformat(published) if published else received.publish_time,
        attempts=int(told.get(f"{SOURCE}DeliveryCount", 0)),
        error=told.get(f"{SOURCE}DeliveryErrorMessage", ""),
    )


def _is_old(letter: DeadLetter) -> bool:
    """Whether its event may have been counted without leaving a trace.

    What is no event that this release knows, or a command without a time, is as old as its message.
    """
    try:
        event = parse_event(json.loads(letter.data))
    except (ValidationError, ValueError, TypeError, RecursionError):
        event = None
    time = letter.publish_time if event is None else event.event_time
    return is_too_old(time, app().clock.now())


def _cells(letter: DeadLetter) -> list[str]:
    published = letter.publish_time.isoformat(timespec="seconds").replace("+00:00", "Z")
    told = letter.attributes
    return [
        published,
        told.get("type", "-"),
        told.get("id", "-"),
        letter.subscription,
        str(letter.attempts or "-"),
        letter.error.partition("\n")[0][:200] or "-",
    ]


def _tell_limit(letters: Sequence[DeadLetter], limit: int) -> None:
    if len(letters) == limit:
        typer.echo("There may be more: run it again, or with a larger --limit.")


if __name__ == "__main__":
    cli()
