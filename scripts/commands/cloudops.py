"""`scripts/cloudops`: the operators' command line, an HTTP client of the API.

`import` alone asks no server: it turns a file into another.

What is printed as money is the exact text of the API's answer. Every command answers with exit code
0, or says in one line what is wrong and ends with 1.
"""

from typing import Annotated, Any

import typer

from scripts.commands.cloudops_apply import apply_manifest
from scripts.commands.cloudops_brownout import brownout
from scripts.commands.cloudops_budgets import budgets, key_budget
from scripts.commands.cloudops_channels import channels
from scripts.commands.cloudops_client import DEFAULT_URL, fail, moment_text, segment
from scripts.commands.cloudops_doctor import doctor
from scripts.commands.cloudops_import import imports
from scripts.commands.cloudops_incidents import incidents
from scripts.commands.cloudops_prices import price_books
from scripts.commands.cloudops_session import (
    AsJson,
    Given,
    Session,
    cell,
    command,
    print_answer,
    print_list,
)
from scripts.commands.cloudops_tables import Column, print_table
from scripts.commands.cloudops_upstreams import upstreams

app = typer.Typer(
    help="Organisations, keys, spend and prices of a running Open Cloud Ops.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
keys = typer.Typer(help="Gateway keys.", no_args_is_help=True)
orgs = typer.Typer(help="Organisations.", no_args_is_help=True)
teams = typer.Typer(help="Teams.", no_args_is_help=True)
agents = typer.Typer(help="Agents: applications, or parts of one.", no_args_is_help=True)
projects = typer.Typer(help="Projects.", no_args_is_help=True)
for name, group in (
    ("keys", keys),
    ("orgs", orgs),
    ("teams", teams),
    ("agents", agents),
    ("projects", projects),
    ("budgets", budgets),
    ("upstreams", upstreams),
    ("channels", channels),
    ("brownout", brownout),
    ("incidents", incidents),
    ("price-books", price_books),
    ("import", imports),
):
    app.add_typer(group, name=name)

command(app, "apply")(apply_manifest)
command(app, unusable=2)(doctor)

Org = Annotated[str, typer.Option("--org", help="id of the organisation")]
AnyOrg = Annotated[str | None, typer.Option("--org", help="only this organisation")]
Id = Annotated[str, typer.Argument(help="a-z, 0-9 and -; at most 63")]
Name = Annotated[str | None, typer.Option("--name", help="for people; the id if not given")]
TagList = Annotated[list[str] | None, typer.Option("--tag", help="NAME=VALUE; may be repeated")]
KeyId = Annotated[str, typer.Argument(help="12 hexadecimal digits, as `keys list` shows them")]
Since = Annotated[str, typer.Option(help="a duration (90m, 1h, 7d), a date or a time")]
Until = Annotated[str | None, typer.Option(help="not included; now if not given")]


@app.callback()
def connect(
    context: typer.Context,
    url: Annotated[str, typer.Option(envvar="CLOUDOPS_URL", help="the API")] = DEFAULT_URL,
    token: Annotated[
        str | None, typer.Option(envvar="CLOUDOPS_TOKEN", help="identity token with an email")
    ] = None,
    as_json: AsJson = False,
) -> None:
    context.obj = Given(url, token, as_json)


@command(orgs, "list")
def list_orgs(session: Session) -> None:
    _list(session, "orgs", {}, ["id", "name"])


@command(orgs, "create")
def create_org(session: Session, org_id: Id, name: Name = None) -> None:
    _create(session, "orgs", {"id": org_id, "name": name})


@command(teams, "list")
def list_teams(session: Session, org: AnyOrg = None) -> None:
    _list(session, "teams", {"org": org}, ["org", "id", "name"])


@command(teams, "create")
def create_team(session: Session, team_id: Id, org: Org, name: Name = None) -> None:
    _create(session, "teams", {"org": org, "id": team_id, "name": name})


@command(agents, "list")
def list_agents(session: Session, org: AnyOrg = None) -> None:
    _list(session, "agents", {"org": org}, ["org", "id", "team", "name", "tags"])


@command(agents, "create")
def create_agent(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    agent_id: Id,
    org: Org,
    team: Annotated[str, typer.Option(help="id of its team")],
    name: Name = None,
    tag: TagList = None,
) -> None:
    body = {"org": org, "id": agent_id, "team": team, "name": name, "tags": _tags(tag)}
    _create(session, "agents", body)


@command(projects, "list")
def list_projects(session: Session, org: AnyOrg = None) -> None:
    _list(session, "projects", {"org": org}, ["org", "id", "name"])


@command(projects, "create")
def create_project(session: Session, project_id: Id, org: Org, name: Name = None) -> None:
    _create(session, "projects", {"org": org, "id": project_id, "name": name})


@command(keys, "list")
def list_keys(session: Session, org: AnyOrg = None) -> None:
    shown = ["key_id", "name", "state", "org", "team", "agent", "project", "line", "expires_at"]
    _list(session, "keys", {"org": org}, shown)


@command(keys, "create")
def create_key(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    name: Annotated[str, typer.Argument(help="unique in the organisation, for ever")],
    org: Org,
    agent: Annotated[str, typer.Option(help="id of the agent its calls are attributed to")],
    project: Annotated[str | None, typer.Option(help="id of a project")] = None,
    tag: TagList = None,
    model: Annotated[
        list[str] | None, typer.Option(help="glob of allowed models; repeatable")
    ] = None,
    upstream: Annotated[
        list[str] | None, typer.Option(help="glob of allowed upstreams; repeatable")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="a duration (90m, 30d), a date or a time; never if not given")
    ] = None,
    on_disconnect: Annotated[
        str, typer.Option(help="when a client leaves: stop the call, or let it finish")
    ] = "stop",
    rpm: Annotated[int | None, typer.Option(min=1, help="requests a minute")] = None,
    tpm: Annotated[int | None, typer.Option(min=1, help="tokens a minute")] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="calls at once, in each instance of the proxy")
    ] = None,
    priority: Annotated[
        str, typer.Option(help="the highest its calls may ask for: batch, normal or critical")
    ] = "normal",
    may_opt_out: Annotated[
        bool, typer.Option("--may-opt-out", help="calls with x-brownout: strict are never edited")
    ] = False,
    budget: Annotated[
        str | None, typer.Option(help="dollars it may spend in each period, as 20 or 0.5")
    ] = None,
    budget_period: Annotated[
        str | None, typer.Option(help="hour, day, week, month or total; month if not given")
    ] = None,
) -> None:
    """Create a key, with a hard budget of its own perhaps, and print it, once."""
    body = {
        "org": org,
        "agent": agent,
        "name": name,
        "project": project,
        "tags": _tags(tag),
        "policy": {
            "models": model or [],
            "upstreams": upstream or [],
            "on_disconnect": on_disconnect,
            "limits": {"rpm": rpm, "tpm": tpm, "concurrency": concurrency},
            "priority": priority,
            "may_opt_out": may_opt_out,
        },
        "expires_at": None if expires is None else moment_text(expires, ahead=True),
        **key_budget(budget, budget_period),
    }
    _made_key(session, "keys", body)


@command(keys, "rotate")
def rotate_key(
    session: Session,
    key_id: KeyId,
    overlap_s: Annotated[int, typer.Option(help="seconds the old key still works")] = 86_400,
) -> None:
    """Replace a key and print the new one, once. The old one works on for the overlap."""
    _made_key(session, f"keys/{segment(key_id)}:rotate", {"overlap_s": overlap_s})


@command(keys, "revoke")
def revoke_key(session: Session, key_id: KeyId) -> None:
    """Withdraw a key."""
    print_answer(session, session.client.post(f"keys/{segment(key_id)}:revoke", {}))


@command(app)
def spend(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    by: Annotated[str, typer.Option(help="org, team, project, agent, key, model, ...")] = "team",
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


@command(app)
def calls(
    session: Session,
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many")] = 20,
    since: Since = "24h",
    estimated: Annotated[bool, typer.Option("--estimated", help="only estimated costs")] = False,
    errors: Annotated[bool, typer.Option("--errors", help="only calls that failed")] = False,
) -> None:
    """Calls, newest first."""
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
    names = ["time", "org", "team", "agent", "model", "status", "outcome"]
    columns = [Column(name) for name in names]
    columns += [Column("seconds", is_number=True), Column("cost_usd", is_number=True)]
    print_table([*columns, Column("note")], [_call_cells(row) for row in answer["data"]])


@command(app)
def prices(
    session: Session,
    model: Annotated[str, typer.Argument(help="part of a model's id or name; '' for all")],
    provider: Annotated[str | None, typer.Option(help="whose list")] = None,
) -> None:
    """Rates of the price book in force."""
    query = {"q": model, "provider": provider}
    rows, last = session.client.rows("prices", query)
    if session.as_json:
        print_list(rows, last["total"])
        return
    table = [
        [row["provider"], row["model"], rate["unit"], f"{rate['per']:,}", rate["usd"], tiers]
        for row in rows
        for rate in row["rates"]
        for tiers in [", ".join(f"{t['usd']} above {t['above']:,}" for t in rate["tiers"])]
    ]
    columns = [Column("provider"), Column("model"), Column("unit")]
    columns += [Column("per", is_number=True), Column("usd", is_number=True)]
    print_table([*columns, Column("input tokens")], table)
    if not last["total"]["count"]:
        whose = f" of {provider!r}" if provider is not None else ""
        fail(f"the price book has no model{whose} with {model!r} in its id or name")


def _list(session: Session, path: str, query: dict[str, Any], shown: list[str]) -> None:
    rows, last = session.client.rows(path, query)
    if session.as_json:
        print_list(rows, last["total"])
        return
    table = [[cell(row[name]) for name in shown] for row in rows]
    print_table([Column(name) for name in shown], table)
    typer.echo(last["answer"])


def _create(session: Session, path: str, body: dict[str, Any]) -> None:
    print_answer(session, session.client.post(path, body))


def _made_key(session: Session, path: str, body: dict[str, Any]) -> None:
    answer = session.client.post(path, body)
    print_answer(session, answer)
    if not session.as_json:
        typer.echo(f"{answer['data']['secret']}\nKeep it now: it is not shown again.")


def _tags(given: list[str] | None) -> dict[str, str]:
    tags = {}
    for tag in given or []:
        name, separator, value = tag.partition("=")
        if not separator:
            fail(f"--tag {tag!r} is not NAME=VALUE")
        tags[name] = value
    return tags


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


def _print_notes(total: dict[str, Any]) -> None:
    if total["estimated_calls"]:
        typer.echo(f"{total['estimated_calls']:,} calls estimated: ${total['estimated_cost']}")
    if total["unpriced_calls"]:
        why = ", ".join(f"{name} {count:,}" for name, count in total["unpriced_reasons"].items())
        typer.echo(f"{total['unpriced_calls']:,} calls unpriced: {why}")
    if total["simulated_calls"]:
        cost = total["simulated_cost"]
        typer.echo(f"{total['simulated_calls']:,} calls simulated: ${cost}, no real money")


def main() -> None:
    app(prog_name="cloudops")


if __name__ == "__main__":
    main()
