"""`scripts/cloudops price-overrides`: what organisations pay instead of the list's price."""

from typing import Annotated, Any

import typer

from scripts.commands.cloudops_client import fail, segment
from scripts.commands.cloudops_session import Session, cell, command, print_answer, print_list
from scripts.commands.cloudops_tables import Column, print_table

price_overrides = typer.Typer(
    help="Price overrides: negotiated rates, own machines, what is prepaid.", no_args_is_help=True
)

OverrideId = Annotated[str, typer.Argument(help="a-z, 0-9 and -")]

_COLUMNS = ("id", "org", "provider", "model", "kind", "rates", "valid_from", "valid_until")


@command(price_overrides, "list")
def list_overrides(session: Session) -> None:
    """Price overrides, by id."""
    rows, last = session.client.rows("price-overrides", {})
    if session.as_json:
        print_list(rows, last["total"])
        return
    table = [[cell(value) for value in _shown(row).values()] for row in rows]
    print_table([Column(name) for name in _COLUMNS], table)
    typer.echo(last["answer"])


@command(price_overrides, "show")
def show_override(session: Session, override: OverrideId) -> None:
    """One price override."""
    answer = session.client.get(_path(override), {})
    if session.as_json:
        print_answer(session, answer)
        return
    shown = {**_shown(answer["data"]), "note": answer["data"]["note"] or "-"}
    typer.echo("\n".join(f"{label:<12} {cell(value)}" for label, value in shown.items()))
    typer.echo(answer["answer"])


@command(price_overrides, "set")
def set_override(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    override: OverrideId,
    provider: Annotated[
        str, typer.Option(help="as `prices` shows it; u/NAME: an upstream without prices")
    ],
    model: Annotated[str, typer.Option(help="a name, or a pattern with *")],
    kind: Annotated[str, typer.Option(help="negotiated, self_hosted or prepaid")] = "negotiated",
    rate: Annotated[
        list[str] | None,
        typer.Option(help="UNIT=DOLLARS, for as many as `prices` states; repeatable"),
    ] = None,
    org: Annotated[str | None, typer.Option(help="whose calls; else everybody's")] = None,
    valid_from: Annotated[
        str | None, typer.Option("--from", help="2026-11-01T00:00:00Z; else now")
    ] = None,
    valid_until: Annotated[str | None, typer.Option("--until", help="not given: for good")] = None,
    note: Annotated[str, typer.Option(help="why; needed where it is prepaid")] = "",
) -> None:
    """Make a price override, or replace it whole: what is not given here is not kept.

    To change or end one that calls have paid by, give its own --from as `list` shows it, and
    --until to end it: `scripts/reprice` restates past calls by what is set now. Of several for
    the same name or pattern the one that begins last counts, then the first by id; an exact name
    counts before a pattern, a longer pattern before a shorter one, and --org before what is for
    everybody.
    """
    body = {
        "org": org,
        "provider": provider,
        "model": model,
        "kind": kind,
        "rates": dict(_rate(text) for text in rate or []),
        "valid_from": valid_from,
        "valid_until": valid_until,
        "note": note,
    }
    there = session.client.find(_path(override))
    version = None if there is None else there["data"]["version"]
    print_answer(session, session.client.put(_path(override), body, version=version))


@command(price_overrides, "remove")
def remove_override(session: Session, override: OverrideId) -> None:
    """Remove a price override, as if it had never been: calls pay the list's price again.

    So do calls of the time in which it held, once `scripts/reprice` restates them. To keep what
    they cost, end it instead: `set` it again with its own --from and rates, and with --until.
    """
    print_answer(session, session.client.delete(_path(override)))


def _path(override: str) -> str:
    return f"price-overrides/{segment(override)}"


def _rate(text: str) -> tuple[str, str]:
    unit, found, usd = text.partition("=")
    if not found or not unit or not usd:
        fail(f"{text!r} is not UNIT=DOLLARS, as input_tokens=2.5")
    return unit, usd


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    rates = {each["unit"]: each["usd"] for each in row["rates"]}
    return {name: rates if name == "rates" else row[name] for name in _COLUMNS}
