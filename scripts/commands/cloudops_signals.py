"""What `scripts/cloudops brownout` says of alerts: which hold a mode, which there are."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from scripts.commands.cloudops_session import Session, cell, print_list
from scripts.commands.cloudops_tables import Column, print_table

MOST_SHOWN = 20
"""Signals below a table; `brownout signals` has them all."""

Signals = Mapping[str, Sequence[dict[str, Any]]]


def live_signals(session: Session, scopes: Sequence[dict[str, Any]]) -> Signals:
    """The signals that count now, by scope; nothing is asked where all is normal."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    if scopes:
        rows, _ = session.client.rows("brownout/signals", {})
        for row in rows:
            if row["live"]:
                found[row["scope"]].append(row)
    return found


def holders(row: dict[str, Any], signals: Signals) -> str:
    """What holds a scope: its alerts, or what is known of the leases where none is stored of it."""
    named = [f"{each['level']} by {_alert(each)}" for each in signals.get(row["scope"], ())]
    leases = [f"{each['level']}, {each['about'] or 'unknown cause'}" for each in row["leases"]]
    held = named or leases
    more = f" and {len(held) - 3} more" if len(held) > 3 else ""
    return "; ".join(held[:3]) + more or "-"


def told_of(signals: Signals) -> list[str]:
    """A line for each signal, with what was measured and where to look it up."""
    rows = [row for of_scope in signals.values() for row in of_scope]
    lines = [_line(row) for row in rows[:MOST_SHOWN]]
    if len(rows) > MOST_SHOWN:
        lines.append(f"{len(rows) - MOST_SHOWN} more: `brownout signals` lists them.")
    return lines


def list_signals(
    session: Session,
    scope: Annotated[str | None, typer.Option(help="only of this scope")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many")] = 50,
) -> None:
    """The newest word of each alert, for an hour after its end."""
    answer = session.client.get("brownout/signals", {"scope": scope, "limit": limit})
    if session.as_json:
        print_list(answer["data"], answer["total"])
        return
    names = ("scope", "level", "alert", "until", "measured", "link")
    print_table([Column(name) for name in names], [_cells(row) for row in answer["data"]])
    typer.echo(answer["answer"])


def list_deliveries(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=100, help="how many")] = 20,
) -> None:
    """What senders of alerts have posted last, newest first, and what became of it."""
    answer = session.client.get("brownout/deliveries", {})
    rows = answer["data"][:limit]
    if session.as_json:
        print_list(rows, answer["total"])
        return
    names = ("time", "source", "http", "status", "monitor", "transition", "why")
    print_table([Column(name) for name in names], [_delivery_cells(row) for row in rows])
    typer.echo(answer["answer"])


def _alert(row: dict[str, Any]) -> str:
    group = f" ({row['group']})" if row["group"] else ""
    return f"{row['source']} monitor {row['monitor']}{group}"


def _measured(row: dict[str, Any]) -> str:
    told = row["evidence"]
    if told is None:
        return cell(row["about"])
    return f"{told['metric']} {told['value']}, limit {told['limit']}"


def _line(row: dict[str, Any]) -> str:
    measured = _measured(row)
    parts = [
        f"{_alert(row)} says {row['level']} of {row['scope']} until {row['lease_until']}",
        *([] if measured == "-" else [measured]),
        *([] if row["link"] is None else [row["link"]]),
    ]
    return "; ".join(parts)


def _cells(row: dict[str, Any]) -> list[str]:
    until = row["lease_until"] if row["live"] else f"over since {row['lease_until']}"
    return [row["scope"], row["level"], _alert(row), until, _measured(row), cell(row["link"])]


def _delivery_cells(row: dict[str, Any]) -> list[str]:
    fields, told = row["fields"], [*filter(None, [row["reason"]]), *row["notes"]]
    return [
        row["received_at"],
        row["source"],
        str(row["http_status"]),
        row["status"],
        fields.get("monitor") or fields.get("condition_name") or "-",
        fields.get("transition") or fields.get("state") or "-",
        "; ".join(told) or "-",
    ]
