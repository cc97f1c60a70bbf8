"""`scripts/cloudops channels`: who is told of incidents, budgets and failures, and how that goes.

A channel names a variable of the notifier; the secret in it never comes near this command.
"""

import time
from typing import Annotated, Any

import typer

from scripts.commands.cloudops_client import fail, segment
from scripts.commands.cloudops_session import Session, cell, command, print_answer, print_list
from scripts.commands.cloudops_tables import Column, print_table

channels = typer.Typer(help="Channels: where people are told what happened.", no_args_is_help=True)

_TEST = "notification.test"
_PAUSE_S = 0.3

ChannelName = Annotated[str, typer.Argument(help="a-z, 0-9 and -")]


@command(channels, "list")
def list_channels(session: Session) -> None:
    """Channels, and how the last message of each went."""
    rows, last = session.client.rows("channels", {})
    if session.as_json:
        print_list(rows, last["total"])
        return
    names = ("name", "kind", "secret", "wants", "from", "quiet", "an hour", "last", "state")
    print_table([Column(name) for name in names], [_cells(row) for row in rows])
    typer.echo(last["answer"])


@command(channels, "add")
def add_channel(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    name: ChannelName,
    kind: Annotated[str, typer.Option(help="slack, teams, pagerduty or webhook")],
    secret: Annotated[
        str, typer.Option(help="the notifier's variable with its secret, as CHANNEL_OPS")
    ],
    address: Annotated[
        str | None,
        typer.Option(
            help="where a webhook of your own is: https://..., or http://127.0.0.1:PORT on a laptop"
        ),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(help="a type of events, or all below one: incident. ; repeatable"),
    ] = None,
    min_severity: Annotated[str, typer.Option(help="info, warning, error or critical")] = "info",
    scope: Annotated[
        list[str] | None, typer.Option(help="glob of scopes, as team:acme/*; repeatable")
    ] = None,
    quiet: Annotated[
        str | None, typer.Option(help="22:00-07:00, with / and a time zone perhaps; UTC if not")
    ] = None,
    per_hour: Annotated[int | None, typer.Option(min=1, help="messages it takes")] = None,
) -> None:
    """Make a channel, or replace it whole: what is not given here is not kept."""
    body = {
        "kind": kind,
        "secret": secret,
        "url": address,
        "types": event or [],
        "min_severity": min_severity,
        "scopes": scope or [],
        "quiet": None if quiet is None else _quiet(quiet),
        "per_hour": per_hour,
    }
    there = session.client.find(_path(name))
    version = None if there is None else there["data"]["version"]
    print_answer(session, session.client.put(_path(name), body, version=version))


@command(channels, "remove")
def remove_channel(session: Session, name: ChannelName) -> None:
    """Remove a channel."""
    print_answer(session, session.client.delete(_path(name)))


@command(channels, "test")
def try_channel(
    session: Session,
    name: ChannelName,
    wait: Annotated[
        int, typer.Option(min=0, max=60, help="seconds to wait for how that went")
    ] = 10,
) -> None:
    """Send a message to a channel, and say how that went."""
    there = session.client.find(_path(name))
    before = None if there is None else there["data"]["last"]
    answer = session.client.post(f"{_path(name)}:test", {})
    print_answer(session, answer)
    if answer["data"]["secret_set"] is False:
        raise typer.Exit(1)
    last = _tried(session, name, before, wait)
    if session.as_json or last is None:
        return
    if last["status"] != "sent":
        fail(f"Channel {name} did not take it ({last['status']}): {cell(last['reason'])}")
    typer.echo(f"Channel {name} has taken it.")


def _path(name: str) -> str:
    return f"channels/{segment(name)}"


def _quiet(text: str) -> dict[str, str]:
    hours, _, zone = text.partition("/")
    start, separator, end = hours.partition("-")
    if not separator:
        fail(f"--quiet {text!r} is not START-END: write 22:00-07:00 or 22:00-07:00/Europe/Berlin")
    return {"start": start.strip(), "end": end.strip(), "zone": zone or "UTC"}


def _tried(
    session: Session, name: str, before: dict[str, Any] | None, wait: int
) -> dict[str, Any] | None:
    """How the next message to a channel went, None where that is not known in time."""
    until = time.monotonic() + wait
    while time.monotonic() < until:
        last: dict[str, Any] | None = session.client.get(_path(name), {})["data"]["last"]
        if last is not None and last != before and last["type"] == _TEST:
            return last
        time.sleep(_PAUSE_S)
    return None


def _cells(row: dict[str, Any]) -> list[str]:
    wants, quiet, last = ", ".join([*row["types"], *row["scopes"]]), row["quiet"], row["last"]
    return [
        *(row[name] for name in ("name", "kind", "secret")),
        wants or "everything",
        row["min_severity"],
        "-" if quiet is None else f"{quiet['start']}-{quiet['end']}/{quiet['zone']}",
        cell(row["per_hour"]),
        "-" if last is None else f"{last['at']} {last['status']}",
        _state(row),
    ]


def _state(row: dict[str, Any]) -> str:
    broken, last = row["broken"], row["last"]
    if row["secret_set"] is False:
        return f"the variable {row['secret']} of the notifier is not set"
    if broken is not None and broken["rests"]:
        return f"rests until {broken['until']}: {broken['reason']}"
    if last is None:
        return "not tried yet"
    return cell(last["reason"])
