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
from scripts.commands.cloudops_incident_report import report_incident
from scripts.commands.cloudops_incidents import incidents
from scripts.commands.cloudops_insights import insights
from scripts.commands.cloudops_overrides import price_overrides
from scripts.commands.cloudops_prices import price_books
from scripts.commands.cloudops_reconciliations import reconciliations
from scripts.commands.cloudops_routes import routes
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
from scripts.commands.cloudops_tags import TagList, tags_of
from scripts.commands.cloudops_upstreams import upstreams
from scripts.commands.cloudops_usage import calls, spend

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
    ("routes", routes),
    ("channels", channels),
    ("brownout", brownout),
    ("incidents", incidents),
    ("insights", insights),
    ("reconciliations", reconciliations),
    ("price-books", price_books),
    ("price-overrides", price_overrides),
    ("import", imports),
):
    app.add_typer(group, name=name)

command(app, "apply")(apply_manifest)
command(incidents, "report")(report_incident)
command(app, unusable=2)(doctor)
command(app)(spend)
command(app)(calls)

Org = Annotated[str, typer.Option("--org", help="id of the organisation")]
AnyOrg = Annotated[str | None, typer.Option("--org", help="only this organisation")]
Id = Annotated[str, typer.Argument(help="a-z, 0-9 and -; at most 63")]
Name = Annotated[str | None, typer.Option("--name", help="for people; the id if not given")]
KeyId = Annotated[str, typer.Argument(help="12 hexadecimal digits, as `keys list` shows them")]


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
    body = {"org": org, "id": agent_id, "team": team, "name": name, "tags": tags_of(tag)}
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
        "tags": tags_of(tag),
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


def main() -> None:
    app(prog_name="cloudops")


if __name__ == "__main__":
    main()
