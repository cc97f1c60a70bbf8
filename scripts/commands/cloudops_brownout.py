"""`scripts/cloudops brownout`: what mode we are in and why, pins, and the policy.

A policy is a file of YAML here and JSON at the API. It is read here, so what is wrong with it is
told with its lines before anything is sent.
"""

import json
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from common.brownout.policy import Policy
from common.brownout.policy_file import read_policy
from common.brownout.policy_models import policy_data
from common.brownout.policy_problems import PolicyInvalid
from common.brownout.policy_weaknesses import weaknesses
from scripts.commands.cloudops_client import fail, moment_text, segment
from scripts.commands.cloudops_session import Session, cell, command, print_answer, print_list
from scripts.commands.cloudops_signals import (
    holders,
    list_deliveries,
    list_signals,
    live_signals,
    told_of,
)
from scripts.commands.cloudops_tables import Column, print_table
from scripts.doctor.brownouts import findings_of

brownout = typer.Typer(help="Brownouts: modes, pins and the policy.", no_args_is_help=True)
policy = typer.Typer(help="The policy: thresholds, and what a mode gives up.", no_args_is_help=True)
brownout.add_typer(policy, name="policy")
command(brownout, "signals")(list_signals)
command(brownout, "deliveries")(list_deliveries)

_MINUTES = {"m": 1, "h": 60}
_DURATION = re.compile(r"(\d{1,4})([mh])")

ScopeName = Annotated[
    str,
    typer.Argument(
        help="global, org:ORG, team:ORG/TEAM, agent:ORG/AGENT, provider:ID or model:NAME"
    ),
]
ModeWord = Annotated[str, typer.Argument(help="normal, soft, hard or emergency")]
PolicyFile = Annotated[Path, typer.Argument(help="a policy as YAML")]
DefaultOrg = Annotated[
    str | None,
    typer.Option("--org", help="organisation of the teams and agents that name none"),
]


@command(brownout, "status")
def status(session: Session) -> None:
    """The scopes that are not in normal mode, until when, the pins, and what needs a look."""
    answer = session.client.get("brownout", {})
    if session.as_json:
        print_answer(session, answer)
        return
    data = answer["data"]
    if data["scopes"]:
        names = ("scope", "mode", "share", "since", "ends_at", "held by")
        signals = live_signals(session, data["scopes"])
        rows = [_scope_cells(row, holders(row, signals)) for row in data["scopes"]]
        print_table([Column(name) for name in names], rows)
        typer.echo("\n".join(told_of(signals)), nl=bool(signals))
    if data["pins"]:
        names = ("pinned", "mode", "until", "by", "reason", "id")
        print_table([Column(name) for name in names], [_pin_cells(row) for row in data["pins"]])
    for source in data["sources"]:
        for drift in source["drifts"]:
            typer.echo(f"{drift['told']} ({drift['level']}, {drift['scope']})")
    deliveries = session.client.get("brownout/deliveries", {})
    now = datetime.fromisoformat(deliveries["as_of"])
    for finding in findings_of(data, deliveries["data"], now):
        typer.echo(finding.what)
    typer.echo(answer["answer"])


@command(brownout, "pin")
def pin(
    session: Session,
    scope: ScopeName,
    mode: ModeWord,
    reason: Annotated[str, typer.Option(help="why; people read it")],
    lasts: Annotated[str, typer.Option("--for", help="5m to 8h; then it ends by itself")] = "30m",
) -> None:
    """Set a mode for a scope, whatever signals say."""
    body = {"scope": scope, "mode": mode, "reason": reason, "minutes": _minutes(lasts)}
    print_answer(session, session.client.post("brownout/pins", body))


@command(brownout, "unpin")
def unpin(
    session: Session, which: Annotated[str, typer.Argument(help="the scope, or the pin's id")]
) -> None:
    """End a pin before its time."""
    pins = session.client.get("brownout/pins", {})["data"]
    found = [row["id"] for row in pins if which in {row["scope"], row["id"]}]
    if not found and ":" in which:
        fail(f"{which!r} is not pinned; `brownout status` shows what is")
    id_ = segment(found[0] if found else which)
    print_answer(session, session.client.delete(f"brownout/pins/{id_}"))


@command(brownout, "changes")
def changes(
    session: Session,
    scope: Annotated[str | None, typer.Option(help="only of this scope")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many")] = 20,
) -> None:
    """Changes of modes, newest first."""
    answer = session.client.get("brownout/changes", {"scope": scope, "limit": limit})
    if session.as_json:
        print_list(answer["data"], answer["total"])
        return
    names = ("time", "scope", "before", "after", "cause", "signals", "policy")
    print_table([Column(name) for name in names], [_change_cells(row) for row in answer["data"]])
    typer.echo(answer["answer"])


@command(brownout, "episodes")
def episodes(
    session: Session,
    id_: Annotated[str | None, typer.Argument(metavar="ID", help="only this one, in full")] = None,
    scope: Annotated[str | None, typer.Option(help="only of this scope")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="how many")] = 20,
) -> None:
    """Brownouts that have ended and what they saved, newest first."""
    if id_ is not None:
        one = session.client.get(f"brownout/episodes/{segment(id_)}", {})
        if not session.as_json:
            for name, value in one["data"].items():
                if name != "savings":
                    typer.echo(f"{name}: {cell(value)}")
        print_answer(session, one)
        return
    answer = session.client.get("brownout/episodes", {"scope": scope, "limit": limit})
    if session.as_json:
        print_list(answer["data"], answer["total"])
        return
    names = ("opened", "closed", "scope", "peak", "id", "saved")
    print_table([Column(name) for name in names], [_episode_cells(row) for row in answer["data"]])
    typer.echo(answer["answer"])


@command(policy, "show")
def show_policy(
    session: Session,
    version: Annotated[str, typer.Option(help="its number; the one in force if not given")] = (
        "current"
    ),
) -> None:
    """A version of the policy, as `set` takes it."""
    answer = session.client.get(f"brownout/policies/{segment(version)}", {})
    if session.as_json:
        print_answer(session, answer)
        return
    data = answer["data"]
    author = f", by {data['author']}" if data["author"] else ""
    typer.echo(f"# version {data['version']}{author}: {' '.join(data['note'].split())}")
    typer.echo(yaml.safe_dump(data["policy"], sort_keys=False, allow_unicode=True), nl=False)


@policy.command("check")
def check_policy(file: PolicyFile, org: DefaultOrg = None) -> None:
    """Say everything that is wrong with a policy file, or unwise. Asks no server."""
    read = _read(file, org)
    for problem in weaknesses(read):
        typer.echo(f"warning: {problem.text}")
    typer.echo(f"{file} is a policy; its enforcement is {read.enforcement}.")


@command(policy, "set")
def set_policy(
    session: Session,
    file: PolicyFile,
    note: Annotated[str, typer.Option(help="why; people read it")],
    org: DefaultOrg = None,
    version: Annotated[
        int | None,
        typer.Option(help="only if this version is in force; if not given, whichever is now"),
    ] = None,
) -> None:
    """Put a policy file in force, as a new version."""
    body = {"policy": policy_data(_read(file, org)), "note": note}
    if version is None:
        version = session.client.get("brownout/policies/current", {})["data"]["version"]
    answer = session.client.post("brownout/policies", body, version=str(version))
    if not session.as_json:
        for warning in answer["data"]["warnings"]:
            typer.echo(f"warning: {warning['path']}: {warning['detail']}")
    print_answer(session, answer)


@command(brownout, "dry-run")
def dry_run(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    file: Annotated[str, typer.Argument(help="the request's body as JSON; - reads it from stdin")],
    mode: Annotated[str, typer.Option(help="soft, hard or emergency")] = "soft",
    path: Annotated[str, typer.Option(help="of the proxy")] = "/openai/v1/chat/completions",
    priority: Annotated[str, typer.Option(help="batch, normal or critical")] = "normal",
    scope: Annotated[str | None, typer.Option(help="who calls: org:, team: or agent:")] = None,
    failing: Annotated[bool, typer.Option("--failing", help="the provider fails")] = False,
) -> None:
    """What a mode would give up of a request. Nothing is sent to a provider."""
    asked = {"path": path, "body": _body(file), "mode": mode, "priority": priority}
    answer = session.client.post("brownout:dry-run", {**asked, "scope": scope, "failing": failing})
    if not session.as_json and answer["data"]["edits"]:
        names = ("edit", "to", "outcome", "reason")
        rows = [
            [row["name"], row["told"] or "-", row["outcome"], row["reason"] or "-"]
            for row in answer["data"]["edits"]
        ]
        print_table([Column(name) for name in names], rows)
    print_answer(session, answer)


@command(brownout, "replay")
def replay(
    session: Session,
    file: Annotated[
        Path | None, typer.Argument(help="a policy as YAML; the one in force if not given")
    ] = None,
    since: Annotated[str, typer.Option(help="a duration up to 7d, a date or a time")] = "7d",
    until: Annotated[str | None, typer.Option(help="not included; now if not given")] = None,
    org: DefaultOrg = None,
) -> None:
    """What a policy would have done with the calls of the last days. Nothing is changed."""
    asked = {
        "from": moment_text(since),
        "to": None if until is None else moment_text(until),
        "policy": None if file is None else policy_data(_read(file, org)),
    }
    answer = session.client.post("brownout:replay", asked)
    if not session.as_json and answer["data"]["episodes"]:
        names = ("scope", "from", "to", "peak", "soft", "hard", "emergency", "about")
        rows = [_replayed_cells(row) for row in answer["data"]["episodes"]]
        print_table([Column(name) for name in names], rows)
    print_answer(session, answer)


def _read(file: Path, org: str | None) -> Policy:
    try:
        return read_policy(file.read_text("utf-8"), org)
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}")
    except PolicyInvalid as error:
        fail(f"{file}: {error.detail}")


def _body(file: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        body = json.loads(text)
    except (OSError, ValueError) as error:
        fail(f"{file} cannot be read as JSON: {error}")
    if not isinstance(body, dict):
        fail(f"{file} holds no JSON object")
    return body


def _minutes(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if match is None:
        fail(f"{text!r} is no duration: write 30m or 2h")
    return int(match[1]) * _MINUTES[match[2]]


def _scope_cells(row: dict[str, Any], held: str) -> list[str]:
    share = f"{row['share']:.0%}"
    return [row["scope"], row["mode"], share, row["since"], row["ends_at"], held]


def _pin_cells(row: dict[str, Any]) -> list[str]:
    return [row[name] for name in ("scope", "mode", "until", "actor", "reason", "id")]


def _replayed_cells(row: dict[str, Any]) -> list[str]:
    lasted = [f"{row['seconds'].get(mode, 0)}s" for mode in ("soft", "hard", "emergency")]
    end = row["closed_at"] or "-"
    about = ",".join(row["about"])
    return [row["scope"], row["opened_at"], end, row["peak"], *lasted, about]


def _change_cells(row: dict[str, Any]) -> list[str]:
    signals = ",".join(f"{each['source']}:{each['monitor']}" for each in row["signals"])
    done = "enforced" if row["enforced"] else "shadow"
    return [
        row["event_time"],
        *(cell(row[name]) for name in ("scope", "before", "after", "cause")),
        signals or "-",
        f"{row['policy_version']}, {done}",
    ]


def _episode_cells(row: dict[str, Any]) -> list[str]:
    cells = [row[name] for name in ("opened_at", "closed_at", "scope", "peak", "id")]
    return [*cells, "; ".join(each["answer"] for each in row["savings"])]
