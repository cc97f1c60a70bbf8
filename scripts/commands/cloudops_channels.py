"""`scripts/cloudops channels`: who is told of incidents, budgets and failures, and how that goes.

A channel names a variable of the notifier; the secret in it never comes near this command.
"""

from typing import Annotated, Any

import typer

from scripts.commands.cloudops_client import fail, segment
from scripts.commands.cloudops_session import Session, cell, command, print_answer, print_list
from scripts.commands.cloudops_tables import Column, print_table

channels = typer.Typer(help="Channels: where people are told what happened.", no_args_is_help=True)

ChannelName = Annotated[str, typer.Argument(help="a-z, 0-9 and -")]


@command(channels, "list")
def list_channels(session: Session) -> None:
    """Channels, and how the last message of each went."""
    rows, last = session.client.rows("channels", {})
    if session.as_json:
        print_list(rows, last["total"])
        return
    names = ("name", "kind", "secret", "wants", "last", "reason")
    table = [
        [row["name"], row["kind"], row["secret"], _wants(row), *_last(row["last"])] for row in rows
    ]
    print_table([Column(name) for name in names], table)
    typer.echo(last["answer"])


@command(channels, "add")
def add_channel(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    name: ChannelName,
    kind: Annotated[str, typer.Option(help="slack, teams, pagerduty or webhook")],
    secret: Annotated[
        str, typer.Option(help="the notifier's variable with its secret, as CHANNEL_OPS")
    ],
    address: Annotated[str | None, typer.Option(help="where a webhook of your own is")] = None,
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
def test_channel(session: Session, name: ChannelName) -> None:
    """Send a message to a channel; `list` shows how that went."""
    print_answer(session, session.client.post(f"{_path(name)}:test", {}))


def _path(name: str) -> str:
    return f"channels/{segment(name)}"


def _quiet(text: str) -> dict[str, str]:
    hours, _, zone = text.partition("/")
    start, separator, end = hours.partition("-")
    if not separator:
        fail(f"--quiet {text!r} is not START-END: write 22:00-07:00 or 22:00-07:00/Europe/Berlin")
    return {"start": start.strip(), "end": end.strip(), "zone": zone or "UTC"}


def _wants(row: dict[str, Any]) -> str:
    parts = [*row["types"], *row["scopes"]]
    if row["min_severity"] != "info":
        parts.append(f"from {row['min_severity']}")
    return ", ".join(parts) or "everything"


def _last(last: dict[str, Any] | None) -> list[str]:
    if last is None:
        return ["-", "-"]
    return [f"{last['at']} {last['status']}", cell(last["reason"])]
