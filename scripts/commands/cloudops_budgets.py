"""`scripts/cloudops budgets`: what scopes may spend, how they stand, and what leases hold of it."""

from typing import Annotated, Any

import typer

from scripts.commands.cloudops_client import fail, moment_text, segment
from scripts.commands.cloudops_session import Session, cell, command, print_answer, print_list
from scripts.commands.cloudops_tables import Column, print_table

budgets = typer.Typer(
    help="Budgets of organisations, teams, projects, agents and keys.", no_args_is_help=True
)

BudgetId = Annotated[str, typer.Argument(help="id of the budget; a-z, 0-9 and -")]
Limit = Annotated[str | None, typer.Option(help="dollars for each period, as 20 or 0.5")]
Scope = Annotated[
    str | None,
    typer.Option(help="org:ORG, team:ORG/TEAM, project:ORG/PROJECT, agent:ORG/AGENT or key:LINE"),
]
Period = Annotated[str | None, typer.Option(help="hour, day, week, month or total")]
Zone = Annotated[str | None, typer.Option(help="time zone of the periods, as Europe/Zurich")]
Anchor = Annotated[int | None, typer.Option(help="weekday (1 Monday) or day of the month")]
Soft = Annotated[bool | None, typer.Option("--soft/--hard", help="only tell, or refuse")]
Models = Annotated[list[str] | None, typer.Option("--model", help="glob; repeatable")]
Thresholds = Annotated[
    list[int] | None, typer.Option("--threshold", help="percent at which to tell; repeatable")
]
Fit = Annotated[
    bool | None, typer.Option("--fit/--no-fit", help="make calls smaller that do not fit")
]
Strict = Annotated[
    bool | None, typer.Option("--strict/--no-strict", help="settle cut calls at their bound")
]
Tools = Annotated[str | None, typer.Option(help="dollars that the tools of one call may cost")]
Reason = Annotated[str, typer.Option(help="for the audit entry")]

_TERMS = (
    "limit_usd",
    "scope",
    "period",
    "tz",
    "anchor",
    "enforcement",
    "models",
    "thresholds",
    "fit",
    "tool_allowance_usd",
    "strict",
)
"""What is asked of a budget, as it is answered."""


@command(budgets, "list")
def list_budgets(
    session: Session,
    org: Annotated[str | None, typer.Option(help="only this organisation")] = None,
    scope: Scope = None,
) -> None:
    """Budgets, and how they stand."""
    rows, last = session.client.rows("budgets", {"org": org, "scope": scope})
    if session.as_json:
        print_list(rows, last["total"])
        return
    columns = [Column(name) for name in ("id", "scope", "period", "enforcement", "state")]
    columns += [Column(name, is_number=True) for name in ("limit_usd", "settled", "remaining")]
    table = [_cells(row) for row in rows]
    print_table([*columns, Column("resets_at")], table)
    typer.echo(last["answer"])


@command(budgets, "show")
def show_budget(session: Session, budget_id: BudgetId) -> None:
    """One budget, and how it stands."""
    answer = session.client.get(_path(budget_id), {})
    if session.as_json:
        print_answer(session, answer)
        return
    data = answer["data"]
    shown = {
        "scope": data["scope"],
        "models": ", ".join(data["models"]) or "all",
        "period": f"{data['period']}, {data['tz']}, from {data['anchor']}",
        "enforcement": _enforcement(data),
        "state": _state(data),
        "limit": data["limit_usd"],
        "top-ups": data["top_ups_usd"],
        "settled": data["settled_usd"],
        "leased": data["leased_usd"],
        "unproven": data["unproven_usd"],
        "remaining": data["remaining_usd"],
        "resets at": cell(data["resets_at"]),
        "thresholds": ", ".join(f"{percent} %" for percent in data["thresholds"]) or "-",
        "tools": cell(data["tool_allowance_usd"]),
    }
    typer.echo("\n".join(f"{label:<12} {text}" for label, text in shown.items()))


@command(budgets, "create")
def create_budget(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    budget_id: BudgetId,
    scope: Annotated[str, typer.Option(help="as `set` takes it, as team:acme/search")],
    limit: Annotated[str, typer.Option(help="dollars for each period, as 20 or 0.5")],
    period: Period = None,
    tz: Zone = None,
    anchor: Anchor = None,
    soft: Soft = None,
    model: Models = None,
    threshold: Thresholds = None,
    fit: Fit = None,
    strict: Strict = None,
    tool_allowance: Tools = None,
) -> None:
    """Create a budget: hard, and by the month of UTC, if nothing else is said."""
    said = budget_terms(limit, period, tz, anchor, soft, model, threshold, fit, strict)
    body = {"id": budget_id, "scope": scope, **said, **_allowance(tool_allowance)}
    print_answer(session, session.client.post("budgets", body))


@command(budgets, "set")
def set_budget(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    budget_id: BudgetId,
    limit: Limit = None,
    scope: Scope = None,
    period: Period = None,
    tz: Zone = None,
    anchor: Anchor = None,
    soft: Soft = None,
    model: Models = None,
    threshold: Thresholds = None,
    fit: Fit = None,
    strict: Strict = None,
    tool_allowance: Tools = None,
) -> None:
    """Change what is given and keep the rest. A paused budget limits again."""
    there = session.client.get(_path(budget_id), {})["data"]
    said = budget_terms(limit, period, tz, anchor, soft, model, threshold, fit, strict)
    said |= _allowance(tool_allowance) | ({} if scope is None else {"scope": scope})
    body = {name: there[name] for name in _TERMS} | said
    answer = session.client.put(_path(budget_id), body, version=there["version"])
    print_answer(session, answer)


@command(budgets, "top-up")
def top_up(
    session: Session,
    budget_id: BudgetId,
    usd: Annotated[str, typer.Argument(help="dollars to add to the current period")],
    reason: Reason,
    expires: Annotated[
        str | None,
        typer.Option(help="a duration (90m, 7d), a date or a time; the period's end if not given"),
    ] = None,
) -> None:
    """Add money to the current period, at once."""
    expires_at = None if expires is None else moment_text(expires, ahead=True)
    body = {"usd": usd, "reason": reason, "expires_at": expires_at}
    print_answer(session, session.client.post(f"{_path(budget_id)}/top-ups", body))


@command(budgets, "pause")
def pause_budget(session: Session, budget_id: BudgetId) -> None:
    """Let a budget limit nothing until it is `set` again. Its past stays."""
    print_answer(session, session.client.delete(_path(budget_id)))


@command(budgets, "leases")
def list_leases(
    session: Session,
    state: Annotated[str, typer.Option(help="open, written_off or corrected")] = "open",
    budget: Annotated[str | None, typer.Option(help="only those of this budget")] = None,
) -> None:
    """What instances of the proxy hold, and what was written off of those that are gone."""
    rows, last = session.client.rows("leases", {"state": state, "budget": budget})
    if session.as_json:
        print_list(rows, last["total"])
        return
    columns = [Column("id"), Column("budgets"), Column("amount", is_number=True)]
    columns += [Column("written_off", is_number=True), Column("expires_at")]
    print_table([*columns, Column("correctable_at")], [_lease_cells(row) for row in rows])
    typer.echo(last["answer"])


@command(budgets, "correct")
def correct_lease(
    session: Session,
    lease_id: Annotated[str, typer.Argument(help="as `budgets leases` shows it")],
    refund: Annotated[str, typer.Option(help="dollars of the write-off that were not spent")],
    reason: Reason,
) -> None:
    """Say what of a write-off was not spent: once, and 24 hours after the lease ended."""
    body = {"refund_usd": refund, "reason": reason}
    path = f"leases/{segment(lease_id)}:correct"
    print_answer(session, session.client.post(path, body))


def budget_terms(  # noqa: PLR0917 - one for each option
    limit: str | None = None,
    period: str | None = None,
    tz: str | None = None,
    anchor: int | None = None,
    soft: bool | None = None,
    models: list[str] | None = None,
    thresholds: list[int] | None = None,
    fit: bool | None = None,
    strict: bool | None = None,
) -> dict[str, Any]:
    """The part of a budget that was given."""
    given = {
        "limit_usd": limit,
        "period": period,
        "tz": tz,
        "anchor": anchor,
        "enforcement": None if soft is None else ("soft" if soft else "hard"),
        "models": models or None,
        "thresholds": thresholds or None,
        "fit": fit,
        "strict": strict,
    }
    return {name: value for name, value in given.items() if value is not None}


def key_budget(limit: str | None, period: str | None) -> dict[str, Any]:
    """The member `budget` of a new key, if one was given."""
    if limit is None:
        if period is not None:
            fail("--budget-period says nothing without --budget")
        return {}
    return {"budget": budget_terms(limit, period)}


def _allowance(usd: str | None) -> dict[str, str]:
    return {} if usd is None else {"tool_allowance_usd": usd}


def _path(budget_id: str) -> str:
    return f"budgets/{segment(budget_id)}"


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["id"],
        row["scope"],
        row["period"],
        row["enforcement"],
        _state(row),
        row["limit_usd"],
        row["settled_usd"],
        row["remaining_usd"],
        cell(row["resets_at"]),
    ]


def _lease_cells(row: dict[str, Any]) -> list[str]:
    return [
        row["id"],
        ",".join(row["budgets"]),
        row["amount_usd"],
        row["written_off_usd"],
        row["expires_at"],
        cell(row["correctable_at"]),
    ]


def _state(row: dict[str, Any]) -> str:
    if row["paused"]:
        return "paused"
    return f"{row['state']}, arming" if row["arming"] else str(row["state"])


def _enforcement(row: dict[str, Any]) -> str:
    flags = [name for name, on in (("fit", row["fit"]), ("strict", row["strict"])) if on]
    return ", ".join([row["enforcement"], *flags])
