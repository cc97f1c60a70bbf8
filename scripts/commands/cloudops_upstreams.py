"""`scripts/cloudops upstreams`: which providers the proxy reaches besides the three vendors.

A credential is written `NAME=VARIABLE` or `NAME=VARIABLE:WEIGHT`, here and in what is printed. The
variable is one of the proxy's; its value never comes near this command.
"""

import re
from typing import Annotated, Any

import typer

from scripts.commands.cloudops_client import fail, segment
from scripts.commands.cloudops_session import (
    Session,
    cell,
    command,
    print_answer,
    print_list,
)
from scripts.commands.cloudops_tables import Column, print_table

upstreams = typer.Typer(
    help="Upstreams: providers besides OpenAI, Anthropic and Gemini, and more keys for these.",
    no_args_is_help=True,
)

UpstreamName = Annotated[str, typer.Argument(help="a-z, 0-9 and -; calls go to /u/NAME/v1/...")]

_CREDENTIAL = re.compile(r"([^=]+)=([^:]+)(?::(\d{1,9}))?")


@command(upstreams, "list")
def list_upstreams(session: Session) -> None:
    """Configured upstreams."""
    rows, last = session.client.rows("upstreams", {})
    if session.as_json:
        print_list(rows, last["total"])
        return
    columns = [Column(name) for name in ("name", "address", "provider", "credentials")]
    table = [[row["name"], _address(row), cell(row["provider"]), _credentials(row)] for row in rows]
    print_table(columns, table)
    typer.echo(last["answer"])


@command(upstreams, "show")
def show_upstream(session: Session, name: UpstreamName) -> None:
    """One upstream, as `set` takes it."""
    answer = session.client.get(_path(name), {})
    if session.as_json:
        print_answer(session, answer)
        return
    data = answer["data"]
    shown = {
        "address": _address(data),
        "provider": cell(data["provider"]),
        "private": "allowed" if data["allow_private"] else "refused",
        "credentials": _credentials(data),
        "models": ", ".join(data["models"]) or "-",
    }
    typer.echo("\n".join(f"{label:<12} {text}" for label, text in shown.items()))


@command(upstreams, "set")
def set_upstream(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    name: UpstreamName,
    base_url: Annotated[
        str | None, typer.Option(help="what stands before /chat/completions")
    ] = None,
    provider: Annotated[
        str | None, typer.Option(help="whose prices apply, as `prices` shows it; else none do")
    ] = None,
    credential: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VARIABLE[:WEIGHT]: a key, by the proxy's variable; repeatable"),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="a model the price book lacks; repeatable")
    ] = None,
    identity: Annotated[
        str | None, typer.Option(help="google: Vertex AI, paid by the proxy's own identity")
    ] = None,
    project: Annotated[str | None, typer.Option(help="of Vertex AI")] = None,
    location: Annotated[str | None, typer.Option(help="of Vertex AI, or global")] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="the address is inside the own network")
    ] = False,
) -> None:
    """Make an upstream, or replace it whole: what is not given here is not kept."""
    body = {
        "base_url": base_url,
        "provider": provider,
        "allow_private": allow_private,
        "models": model or [],
        "credentials": [_credential(text) for text in credential or []],
        "identity": identity,
        "project": project,
        "location": location,
    }
    there = session.client.find(_path(name))
    version = None if there is None else there["data"]["version"]
    print_answer(session, session.client.put(_path(name), body, version=version))


@command(upstreams, "remove")
def remove_upstream(session: Session, name: UpstreamName) -> None:
    """Remove an upstream. A vendor has the key of its one variable again."""
    print_answer(session, session.client.delete(_path(name)))


def _path(name: str) -> str:
    return f"upstreams/{segment(name)}"


def _credential(text: str) -> dict[str, Any]:
    match = _CREDENTIAL.fullmatch(text)
    if match is None:
        # Not repeated here: it may be a key that was taken for its variable's name.
        fail("a --credential is not NAME=VARIABLE or NAME=VARIABLE:WEIGHT")
    name, env, weight = match.groups()
    return {"name": name, "env": env, "weight": int(weight or 1)}


def _address(row: dict[str, Any]) -> str:
    if row["identity"] is not None:
        return f"Vertex AI: {row['project']}, {row['location']}"
    return row["base_url"] or "the vendor's own"


def _credentials(row: dict[str, Any]) -> str:
    texts = [
        f"{each['name']}={each['env']}" + (f":{each['weight']}" if each["weight"] > 1 else "")
        for each in row["credentials"]
    ]
    return ", ".join(texts) or "-"
