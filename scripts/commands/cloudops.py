"""`scripts/cloudops`: the operators' command line, an HTTP client of the API and nothing more.

What is printed as money is the exact text of the API's answer. Every command answers with exit code
0, or says in one line what is wrong and ends with 1.
"""

import json
from typing import Annotated, Any

import typer

from scripts.commands.cloudops_client import DEFAULT_URL, ApiClient, fail, moment_text
from scripts.commands.cloudops_doctor import findings
from scripts.commands.cloudops_tables import Column, print_table

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
):
    app.add_typer(group, name=name)

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
    as_json: Annotated[bool, typer.Option("--json", help="print answers as they come")] = False,
) -> None:
    client = context.with_resource(ApiClient(url, token))
    context.obj = (client, as_json)


@orgs.command("list")
def list_orgs(context: typer.Context) -> None:
    _list(context, "orgs", {}, ["id", "name"])


@orgs.command("create")
def create_org(context: typer.Context, org_id: Id, name: Name = None) -> None:
    _create(context, "orgs", {"id": org_id, "name": name})


@teams.command("list")
def list_teams(context: typer.Context, org: AnyOrg = None) -> None:
    _list(context, "teams", {"org": org}, ["org", "id", "name"])


@teams.command("create")
def create_team(context: typer.Context, team_id: Id, org: Org, name: Name = None) -> None:
    _create(context, "teams", {"org": org, "id": team_id, "name": name})


@agents.command("list")
def list_agents(context: typer.Context, org: AnyOrg = None) -> None:
    _list(context, "agents", {"org": org}, ["org", "id", "team", "name", "tags"])


@agents.command("create")
def create_agent(  # noqa: PLR0917 - typer reads options from parameters
    context: typer.Context,
    agent_id: Id,
    org: Org,
    team: Annotated[str, typer.Option(help="id of its team")],
    name: Name = None,
    tag: TagList = None,
) -> None:
    body = {"org": org, "id": agent_id, "team": team, "name": name, "tags": _tags(tag)}
    _create(context, "agents", body)


@projects.command("list")
def list_projects(context: typer.Context, org: AnyOrg = None) -> None:
    _list(context, "projects", {"org": org}, ["org", "id", "name"])


@projects.command("create")
def create_project(context: typer.Context, project_id: Id, org: Org, name: Name = None) -> None:
    _create(context, "projects", {"org": org, "id": project_id, "name": name})


@keys.command("list")
def list_keys(context: typer.Context, org: AnyOrg = None) -> None:
    shown = ["key_id", "name", "state", "org", "team", "agent", "project", "line", "expires_at"]
    _list(context, "keys", {"org": org}, shown)


@keys.command("create")
def create_key(  # noqa: PLR0917 - typer reads options from parameters
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="unique in the organisation, for ever")],
    org: Org,
    agent: Annotated[str, typer.Option(help="id of the agent its calls are attributed to")],
    project: Annotated[str | None, typer.Option(help="id of a project")] = None,
    tag: TagList = None,
    model: Annotated[list[str] | None, typer.Option(help="glob of allowed models")] = None,
) -> None:
    """Create a key and print it, once."""
    body = {
        "org": org,
        "agent": agent,
        "name": name,
        "project": project,
        "tags": _tags(tag),
        "policy": {"models": model or []},
    }
    _made_key(context, "keys", body)


@keys.command("rotate")
def rotate_key(
    context: typer.Context,
    key_id: KeyId,
    overlap_s: Annotated[int, typer.Option(help="seconds the old key still works")] = 86_400,
) -> None:
    """Replace a key and print the new one, once. The old one works on for the overlap."""
    _made_key(context, f"keys/{key_id}:rotate", {"overlap_s": overlap_s})


@keys.command("revoke")
def revoke_key(context: typer.Context, key_id: KeyId) -> None:
    """Withdraw a key."""
    client, as_json = _session(context)
    _print_answer(client.post(f"keys/{key_id}:revoke", {}), as_json=as_json)


@app.command()
def spend(  # noqa: PLR0917 - typer reads options from parameters
    context: typer.Context,
    by: Annotated[str, typer.Option(help="org, team, project, agent, key, model, ...")] = "team",
    since: Since = "24h",
    until: Until = None,
    granularity: Annotated[str, typer.Option(help="hour, day or none")] = "none",
    org: AnyOrg = None,
) -> None:
    """Cost by dimension, exact to the nano-dollar, and what keeps it from being exact or real."""
    client, as_json = _session(context)
    query = {
        "group": by,
        "since": moment_text(since),
        "until": None if until is None else moment_text(until),
        "granularity": granularity,
        "org": org,
    }
    if as_json:
        typer.echo(json.dumps(client.pages("usage/summary", query), indent=2))
        return
    rows, last = client.rows("usage/summary", query)
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


@app.command()
def calls(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many")] = 20,
    since: Since = "24h",
    estimated: Annotated[bool, typer.Option("--estimated", help="only estimated costs")] = False,
    errors: Annotated[bool, typer.Option("--errors", help="only calls that failed")] = False,
) -> None:
    """Calls, newest first."""
    client, as_json = _session(context)
    query = {
        "since": moment_text(since),
        "cost_source": "estimated" if estimated else None,
    }
    outcomes = ["upstream_error", "gateway_error", "client_error"] if errors else [None]
    answers = [
        client.get("usage/calls", {**query, "outcome": outcome, "limit": limit})
        for outcome in outcomes
    ]
    if as_json:
        typer.echo(json.dumps(answers, indent=2))
        return
    rows = [row for answer in answers for row in answer["data"]]
    rows.sort(key=lambda row: (row["event_time"], row["id"]), reverse=True)
    names = ["time", "org", "team", "agent", "model", "status", "outcome"]
    columns = [Column(name) for name in names]
    columns += [Column("seconds", is_number=True), Column("cost_usd", is_number=True)]
    print_table([*columns, Column("note")], [_call_cells(row) for row in rows[:limit]])


@app.command()
def prices(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="part of a model's id or name")],
    provider: Annotated[str | None, typer.Option(help="whose list")] = None,
) -> None:
    """Rates of the price book in force."""
    client, as_json = _session(context)
    query = {"q": model, "provider": provider}
    if as_json:
        typer.echo(json.dumps(client.pages("prices", query), indent=2))
        return
    rows, last = client.rows("prices", query)
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
        fail(f"no model has {model!r} in its id or name")


@app.command()
def doctor(
    context: typer.Context,
    proxy: Annotated[
        str | None, typer.Option(help="address of the proxy; the API's if not given")
    ] = None,
) -> None:
    """Look for what is wrong, and say how to put it right. Exit code 1 if anything is."""
    client, _ = _session(context)
    found = list(findings(client, proxy or client.url))
    for finding in found:
        typer.echo(f"{finding.what}\n    fix: {finding.fix}")
    if found:
        raise typer.Exit(1)
    typer.echo("Nothing is wrong.")


def _session(context: typer.Context) -> tuple[ApiClient, bool]:
    session: tuple[ApiClient, bool] = context.obj
    return session


def _list(context: typer.Context, path: str, query: dict[str, Any], shown: list[str]) -> None:
    client, as_json = _session(context)
    if as_json:
        typer.echo(json.dumps(client.pages(path, query), indent=2))
        return
    rows, last = client.rows(path, query)
    table = [[_cell(row[name]) for name in shown] for row in rows]
    print_table([Column(name) for name in shown], table)
    typer.echo(last["answer"])


def _create(context: typer.Context, path: str, body: dict[str, Any]) -> None:
    client, as_json = _session(context)
    _print_answer(client.post(path, body), as_json=as_json)


def _made_key(context: typer.Context, path: str, body: dict[str, Any]) -> None:
    client, as_json = _session(context)
    answer = client.post(path, body)
    _print_answer(answer, as_json=as_json)
    if not as_json:
        typer.echo(f"{answer['data']['secret']}\nKeep it now: it is not shown again.")


def _print_answer(answer: dict[str, Any], *, as_json: bool) -> None:
    typer.echo(json.dumps(answer, indent=2) if as_json else answer["answer"])


def _tags(given: list[str] | None) -> dict[str, str]:
    tags = {}
    for tag in given or []:
        name, separator, value = tag.partition("=")
        if not separator:
            fail(f"--tag {tag!r} is not NAME=VALUE")
        tags[name] = value
    return tags


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={text}" for name, text in value.items()) or "-"
    return "-" if value is None else str(value)


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
        *(_cell(row[name]) for name in ("org", "team", "agent")),
        _cell(row["model_billed"] or row["model_asked"]),
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
