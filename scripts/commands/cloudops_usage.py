"""`scripts/cloudops spend` and `calls`: what was used, and what a brownout gave up of it."""

from typing import Annotated, Any

import typer

from scripts.commands.cloudops_client import moment_text
from scripts.commands.cloudops_session import Session, cell, print_list
from scripts.commands.cloudops_tables import Column, print_table

AnyOrg = Annotated[str | None, typer.Option("--org", help="only this organisation")]
Since = Annotated[str, typer.Option(help="a duration (90m, 1h, 7d), a date or a time")]
Until = Annotated[str | None, typer.Option(help="not included; now if not given")]


def spend(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    by: Annotated[str, typer.Option(help="org, team, agent, key, model, mode, ...")] = "team",
    since: Since = "24h",
    until: Until = None,
    granularity: Annotated[str, typer.Option(help="hour, day or none")] = "none",
    org: AnyOrg = None,
) -> None:
    """Cost by dimension, exact to the nano-dollar, and what keeps it from being exact or real."""
    query = {
        "group": by,
        "since": moment_text(since),
        "until": None if until is None else moment_text(until),
        "granularity": granularity,
        "org": org,
    }
    rows, last = session.client.rows("usage/summary", query)
    if session.as_json:
        print_list(rows, last["total"])
        return
    rows.sort(key=lambda row: (row["bucket"] or "", -(row["cost_nanos"] or 0)))
    dimensions = by.split(",") if by else []
    columns = [Column(name) for name in dimensions] + [
        Column("calls", is_number=True),
        Column("ok", is_number=True),
        Column("input_tokens", is_number=True),
        Column("output_tokens", is_number=True),
        Column("cost_usd", is_number=True),
    ]
    table = [[row["group"][name] or "-" for name in dimensions] + _figures(row) for row in rows]
    total = ["total", *[""] * (len(dimensions) - 1)][: len(dimensions)] + _figures(last["total"])
    if granularity != "none":
        columns.insert(0, Column(granularity))
        table = [[row["bucket"], *cells] for row, cells in zip(rows, table, strict=True)]
        total.insert(0, "")
    print_table(columns, table, total)
    _print_notes(last["total"])


def calls(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many")] = 20,
    since: Since = "24h",
    estimated: Annotated[bool, typer.Option("--estimated", help="only estimated costs")] = False,
    errors: Annotated[bool, typer.Option("--errors", help="only calls that failed")] = False,
) -> None:
    """Calls, newest first.

    Where a brownout or a routing rule was for any of them, it is told of each.
    """
    query = {
        "since": moment_text(since),
        "cost_source": "estimated" if estimated else None,
        "failed": True if errors else None,
        "limit": limit,
    }
    answer = session.client.get("usage/calls", query)
    if session.as_json:
        print_list(answer["data"], answer["total"])
        return
    rows = answer["data"]
    names = ["time", "org", "team", "agent", "model", "status", "outcome"]
    columns = [Column(name) for name in names]
    columns += [Column("seconds", is_number=True), Column("cost_usd", is_number=True)]
    columns.append(Column("note"))
    table = [_call_cells(row) for row in rows]
    if any(row["mode"] != "normal" for row in rows):
        columns += [Column(name) for name in ("mode", "given up", "episode")]
        table = [[*cells, *_brownout_cells(row)] for cells, row in zip(table, rows, strict=True)]
    if any(row["route"] is not None for row in rows):
        columns.append(Column("route"))
        table = [[*cells, _route(row)] for cells, row in zip(table, rows, strict=True)]
    print_table(columns, table)


def _cost(row: dict[str, Any]) -> str:
    return f"unknown ({row['cost_reason']})" if row["cost"] is None else str(row["cost"])


def _figures(row: dict[str, Any]) -> list[str]:
    tokens = row["tokens"]
    return [
        f"{row['calls']:,}",
        f"{row['ok_calls']:,}",
        f"{tokens['input_tokens']:,}",
        f"{tokens['output_tokens']:,}",
        _cost(row),
    ]


def _call_cells(row: dict[str, Any]) -> list[str]:
    notes = [row["error_code"] or ""]
    notes += ["estimated"] if row["cost_source"] == "estimated" else []
    notes += ["simulated"] if row["simulated"] else []
    return [
        row["event_time"],
        *(cell(row[name]) for name in ("org", "team", "agent")),
        cell(row["model_billed"] or row["model_asked"]),
        str(row["status"]),
        row["outcome"],
        f"{row['duration_s']:.2f}",
        _cost(row),
        " ".join(note for note in notes if note),
    ]


def _brownout_cells(row: dict[str, Any]) -> list[str]:
    """In which mode, whether that was only recorded, and what became of each edit."""
    if row["mode"] == "normal":
        return ["normal", "-", "-"]
    shadow = "" if row["enforced"] else " (shadow)"
    edits = "; ".join(_edit(each) for each in row["edits"])
    return [f"{row['mode']}{shadow}", edits or cell(row["arm"]), cell(row["episode"])]


def _edit(edit: dict[str, str]) -> str:
    told = f"={edit['told']}" if edit["told"] else ""
    reason = f" ({edit['reason']})" if edit["reason"] else ""
    return f"{edit['name']}{told} {edit['outcome']}{reason}"


def _route(row: dict[str, Any]) -> str:
    return f"{cell(row['route'])}{' (shadow)' if row['route_shadow'] else ''}"


def _print_notes(total: dict[str, Any]) -> None:
    if total["estimated_calls"]:
        typer.echo(f"{total['estimated_calls']:,} calls estimated: ${total['estimated_cost']}")
    if total["unpriced_calls"]:
        why = ", ".join(f"{name} {count:,}" for name, count in total["unpriced_reasons"].items())
        typer.echo(f"{total['unpriced_calls']:,} calls unpriced: {why}")
    if total["restated_calls"]:
        typer.echo(f"{total['restated_calls']:,} calls restated since: their cost was corrected")
    if total["simulated_calls"]:
        cost = total["simulated_cost"]
        typer.echo(f"{total['simulated_calls']:,} calls simulated: ${cost}, no real money")
