"""`scripts/cloudops routes`: the rules for which model serves a call, and where a call would go.

Rules are a file of YAML or JSON here and JSON at the API, which says what is wrong with them.
Numbers are sent as the texts they are written as, so that a weight loses no digit on the way.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from common.core.yaml_lines import NotYaml, read_yaml
from scripts.commands.cloudops_client import fail, segment
from scripts.commands.cloudops_session import Session, cell, command, print_answer
from scripts.commands.cloudops_tables import Column, print_table
from scripts.commands.cloudops_tags import TagList, tags_of

routes = typer.Typer(
    help="Rules for which model serves a call, by organisation.", no_args_is_help=True
)

Org = Annotated[str, typer.Option("--org", help="id of the organisation")]

_CHAT = "/openai/v1/chat/completions"
_MOST_VALUES = 50_000


@command(routes, "show")
def show_routes(
    session: Session,
    org: Org,
    version: Annotated[
        int | None, typer.Option(min=1, help="its number; the one in force if not given")
    ] = None,
) -> None:
    """A version of the rules, as `set` takes it."""
    answer = _version(session, org, version)
    if session.as_json:
        print_answer(session, answer)
        return
    data = answer["data"]
    by = f", by {data['author']}, {data['written_at']}" if data["author"] else ""
    typer.echo(f"# {data['org']}, version {data['version']}{by}")
    rules = {"rules": data["rules"]}
    typer.echo(yaml.safe_dump(rules, sort_keys=False, allow_unicode=True), nl=False)


@command(routes, "set")
def set_routes(
    session: Session,
    file: Annotated[Path, typer.Argument(help="all rules, YAML or JSON, as `show` prints them")],
    org: Org,
    version: Annotated[
        int | None,
        typer.Option(min=0, help="refuse unless this one is in force; 0: unless there is none"),
    ] = None,
) -> None:
    """Replace the rules of an organisation. Running instances hear of it within seconds."""
    rules = _rules(file)
    if version is None:
        version = _version(session, org)["data"]["version"]
    answer = session.client.put(_path(org), {"rules": rules}, version=str(version))
    print_answer(session, answer)


@command(routes, "versions")
def list_versions(
    session: Session,
    org: Org,
    limit: Annotated[int, typer.Option(min=1, max=100, help="how many")] = 10,
) -> None:
    """The last versions of the rules, newest first."""
    newest = _version(session, org)["data"]["version"]
    numbers = range(newest, max(0, newest - limit), -1)
    rows = [_version(session, org, number)["data"] for number in numbers]
    if session.as_json:
        typer.echo(json.dumps({"data": rows, "total": {"count": newest}}, indent=2))
        return
    columns = [Column("version", is_number=True), Column("written_at"), Column("author")]
    table = [
        [
            *(cell(row[name]) for name in ("version", "written_at", "author")),
            ", ".join(rule["name"] for rule in row["rules"]) or "-",
        ]
        for row in rows
    ]
    print_table([*columns, Column("rules")], table)
    typer.echo(f"{newest} {'version' if newest == 1 else 'versions'} of the rules of {org}.")


@command(routes, "dry-run")
def dry_run(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    org: Org,
    team: Annotated[str, typer.Option(help="id of the caller's team")],
    agent: Annotated[str, typer.Option(help="id of the calling agent")],
    model: Annotated[
        str | None, typer.Option(help="a chat request of one word for this model")
    ] = None,
    body: Annotated[Path | None, typer.Option(help="the request, a file of JSON")] = None,
    path: Annotated[str, typer.Option(help="where it is sent at the proxy")] = _CHAT,
    budget_used: Annotated[
        int, typer.Option(min=0, max=100, help="percent of the tightest hard budget")
    ] = 0,
    project: Annotated[str | None, typer.Option(help="id of the caller's project")] = None,
    tag: TagList = None,
    conversation: Annotated[
        str | None, typer.Option(help="what a weighted choice stays with")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="a file of rules to try in place of those in force")
    ] = None,
) -> None:
    """Where a request would go. Nothing is sent to a provider."""
    asked: dict[str, Any] = {
        "org": org,
        "team": team,
        "agent": agent,
        "project": project,
        "tags": tags_of(tag),
        "session": conversation,
        "path": path,
        "body": _request(model, body),
        "budget_used": budget_used,
        "rules": None if rules is None else _rules(rules),
    }
    answer = session.client.post("routes:dry-run", asked)
    print_answer(session, answer)
    if not session.as_json:
        for left_out in answer["data"]["left_out"]:
            typer.echo(f"! {left_out}")


def _path(org: str) -> str:
    return f"routes/{segment(org)}"


def _version(session: Session, org: str, number: int | None = None) -> dict[str, Any]:
    """A version as the API answers it; without a number the one in force."""
    return session.client.get(
        _path(org) if number is None else f"{_path(org)}/versions/{number}", {}
    )


def _rules(file: Path) -> Any:
    """The rules in a file; each number as the text it is."""
    try:
        found = read_yaml(file.read_text(encoding="utf-8"), _MOST_VALUES)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {getattr(error, 'strerror', None) or 'no text'}")
    except NotYaml as error:
        fail(f"{file}{'' if error.line is None else f':{error.line}'}: no YAML: {error.reason}")
    if set(found.members) != {"rules"}:
        fail(f"{file}:1: write an object whose one member is `rules`, a list of them")
    return found.members["rules"].plain()


def _request(model: str | None, file: Path | None) -> dict[str, Any]:
    if (model is None) == (file is None):
        fail("give either --model or --body")
    if file is None:
        return {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
    try:
        found = json.loads(file.read_bytes())
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    except (ValueError, RecursionError):
        fail(f"{file}: no JSON")
    if not isinstance(found, dict):
        fail(f"{file}: a request is an object")
    return found
