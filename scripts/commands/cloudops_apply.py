"""`scripts/cloudops apply -f gateway.yaml`: make an installation hold what a file says.

The API plans and applies; here the file is read, the plan is shown and confirmed, and the texts of
new keys are printed once or written to a file that only its owner can read.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.commands.cloudops_client import fail
from scripts.commands.cloudops_session import Session
from scripts.commands.manifest_file import ManifestFile, UnreadableManifest, read_manifest_file

_SIGNS = {"create": "+", "update": "~", "absent": "-"}
_ENDED = {"budget": "paused", "key": "revoked", "upstream": "removed", "routes": "removed"}
_CHANGES = 2
"""Exit code of a plan that would change something."""


def apply_manifest(  # noqa: PLR0917 - typer reads options from parameters
    session: Session,
    file: Annotated[Path, typer.Option("--file", "-f", help="the manifest, YAML")],
    plan: Annotated[
        bool, typer.Option("--plan", help="only say what would change; exit code 2 if anything")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="also end what applies of this name have made and the file no longer holds:"
            " pause budgets, revoke keys, remove upstreams and rules",
        ),
    ] = False,
    secrets_out: Annotated[
        Path | None,
        typer.Option(help="new file for the texts of new keys, as JSON; printed if not given"),
    ] = None,
) -> None:
    """Make the installation hold what a file says. The same file twice changes nothing."""
    try:
        manifest = read_manifest_file(file)
    except UnreadableManifest as error:
        fail(str(error))
    asked = {"manifest": manifest.content, "prune": prune}
    planned = _answer(session, manifest, "manifest:plan", asked)
    changes = [each for each in planned["data"]["changes"] if each["action"] != "keep"]
    if plan and session.as_json:
        typer.echo(json.dumps(planned, indent=2))
    elif not session.as_json:
        _print_plan(changes, planned["data"])
    if plan:
        raise typer.Exit(_CHANGES if changes else 0)
    if changes and not yes and not typer.confirm("Apply?", err=session.as_json):
        fail("Nothing is applied.")
    makes_keys = any((each["kind"], each["action"]) == ("key", "create") for each in changes)
    seen = [_seen(each) for each in planned["data"]["changes"]]
    with _kept(secrets_out if makes_keys else None) as secrets:
        applied = _answer(session, manifest, "manifest:apply", {**asked, "plan": seen})
        if secrets is not None:
            secrets.update({f"{k['org']}/{k['name']}": k.pop("secret") for k in _keys(applied)})
    _print_applied(session, applied, secrets_out if makes_keys else None)


def _answer(
    session: Session, manifest: ManifestFile, path: str, body: dict[str, Any]
) -> dict[str, Any]:
    """What the API answers; a problem ends the command with the line of the file it is about."""
    is_success, answer = session.client.attempt(path, body)
    if not is_success:
        field = answer.get("field") or ""
        told = f"{answer.get('code', 'unknown')}: {answer.get('detail', 'no detail')}"
        fail(f"{manifest.place(field)}: {field + ': ' if field else ''}{told}")
    return answer


def _seen(change: dict[str, Any]) -> dict[str, Any]:
    return {name: change[name] for name in ("kind", "id", "action", "version")}


def _keys(applied: dict[str, Any]) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = applied["data"]["keys"]
    return keys


@contextmanager
def _kept(path: Path | None) -> Iterator[dict[str, str] | None]:
    """A place for secrets that are written to a new file; without any there is no file.

    The file is made before there is a secret, so that none is lost because it cannot be.
    """
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        fail(f"{path} exists, and is not overwritten: name a new file")
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}")
    secrets: dict[str, str] = {}
    try:
        yield secrets
    finally:
        with os.fdopen(descriptor, "w") as file:
            file.write(json.dumps(secrets, indent=2) + "\n")
        if not secrets:
            path.unlink()


def _print_plan(changes: list[dict[str, Any]], plan: dict[str, Any]) -> None:
    for change in changes:
        action = _ENDED[change["kind"]] if change["action"] == "absent" else change["action"]
        sign = _SIGNS[change["action"]]
        typer.echo(f"{sign} {action:<7} {change['kind']} {change['id']}{_difference(change)}")
    for warning in plan["warnings"]:
        typer.echo(f"! {warning}")
    kept = len(plan["changes"]) - len(changes)
    count = f"{len(changes)} {'change' if len(changes) == 1 else 'changes'}"
    typer.echo(f"{count}, {kept} as they are.")


def _difference(change: dict[str, Any]) -> str:
    """The members that an update changes."""
    before, after = change["before"] or {}, change["after"] or {}
    if change["action"] != "update":
        return ""
    names = [name for name in after if before.get(name) != after[name]]
    parts = [f"{name} {_short(before.get(name))} -> {_short(after[name])}" for name in names]
    return f": {', '.join(parts)}" if parts else ""


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _print_applied(session: Session, applied: dict[str, Any], written: Path | None) -> None:
    failed = applied["data"]["failed"]
    if session.as_json:
        typer.echo(json.dumps(applied, indent=2))
    else:
        typer.echo(applied["answer"])
        for key in _keys(applied):
            text = f"is in {written}" if written is not None else key["secret"]
            typer.echo(f"key {key['org']}/{key['name']}: {text}")
        if _keys(applied) and written is None:
            typer.echo("Keep them now: they are not shown again.")
    if failed is not None:
        fail(f"{failed['kind']} {failed['id']}: {failed['code']}: {failed['detail']}")
