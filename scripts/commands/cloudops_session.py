"""What every command of `scripts/cloudops` shares: which API, as whom, and how answers are printed.

These options stand before the command or behind it; behind it they win.
"""

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, TypeVar

import typer

from scripts.commands.cloudops_client import DEFAULT_URL, ApiClient

F = TypeVar("F", bound=Callable[..., None])

JSON_HELP = (
    'print one JSON document: a list, its pages joined, as {"data": ..., "total": ...}; anything'
    " else as the API answers it"
)
AsJson = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@dataclass(frozen=True, slots=True)
class Given:
    """The options that stood before the command."""

    url: str
    token: str | None
    as_json: bool


@dataclass(frozen=True, slots=True)
class Session:
    """What a command works with."""

    client: ApiClient
    as_json: bool


def command(group: typer.Typer, name: str | None = None, *, unusable: int = 1) -> Callable[[F], F]:
    """Make a function, which takes a session before its own options, a command of `group`.

    `unusable` is its exit code where address or token are of no use.
    """

    def register(function: F) -> F:
        group.command(name)(_connected(function, unusable))
        return function

    return register


def print_list(rows: list[dict[str, Any]], total: dict[str, Any]) -> None:
    typer.echo(json.dumps({"data": rows, "total": total}, indent=2))


def print_answer(session: Session, answer: dict[str, Any]) -> None:
    """Print an answer's sentence, or all of it."""
    typer.echo(json.dumps(answer, indent=2) if session.as_json else answer["answer"])


def cell(value: Any) -> str:
    """A value as text in a table."""
    if isinstance(value, dict):
        return ",".join(f"{name}={text}" for name, text in value.items()) or "-"
    return "-" if value is None else str(value)


def _connected(function: Callable[..., None], unusable: int) -> Callable[..., None]:
    @wraps(function, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def connected(
        context: typer.Context,
        url: Annotated[
            str | None, typer.Option(help=f"the API; CLOUDOPS_URL or {DEFAULT_URL} if not given")
        ] = None,
        token: Annotated[
            str | None, typer.Option(help="identity token; CLOUDOPS_TOKEN if not given")
        ] = None,
        as_json: AsJson = False,
        **options: Any,
    ) -> None:
        given: Given = context.obj
        try:
            opened = ApiClient(url or given.url, token or given.token)
        except typer.Exit:
            raise typer.Exit(unusable) from None
        with opened as client:
            function(Session(client, as_json or given.as_json), **options)

    # typer reads options from the signature: the command's own, then those of the session.
    own = list(inspect.signature(function).parameters.values())[1:]
    context, *shared, _ = inspect.signature(connected, follow_wrapped=False).parameters.values()
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in (context, *own, *shared)
    ]
    connected.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # unknown of functions
    return connected
