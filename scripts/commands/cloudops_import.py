"""`scripts/cloudops import litellm config.yaml`: what another gateway's file says, as a manifest.

It is printed and nothing is applied; no server is asked. What a manifest cannot say stands in
comments at its end, and no key stands anywhere in it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from common.api.manifest_models import read_manifest
from common.core.errors import CloudOpsError
from common.llm.price_book import bundled_book
from scripts.commands.cloudops_client import fail
from scripts.commands.litellm_credentials import Told
from scripts.commands.litellm_file import UnreadableConfig, read_litellm_config
from scripts.commands.litellm_losses import losses_of
from scripts.commands.litellm_rules import import_rules
from scripts.commands.litellm_upstreams import Imported, import_upstreams

imports = typer.Typer(
    help="Files of other gateways as a manifest for `apply`.", no_args_is_help=True
)
_NAME = "litellm"
_HEAD = (
    "Made from a config of LiteLLM's proxy; nothing is applied. Look through it to the end, then:",
    "  scripts/cloudops apply -f gateway.yaml --plan",
    "Keys, teams and their budgets are in LiteLLM's database and not in its config: none is here.",
    "Upstreams of OpenAI, Anthropic and Gemini are built in: here they stand where they need more",
    "than the key of their one variable.",
)

_OF_RULES = ("A gateway key that lists its models must list the names that rules are for as well.",)


@imports.callback()
def choose() -> None:
    """Keep the command a group while it has one member."""


@imports.command("litellm")
def import_litellm(
    file: Annotated[Path, typer.Argument(help="the config of LiteLLM's proxy, YAML")],
    org: Annotated[
        str | None, typer.Option(help="id of the organisation whose rules its names become")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="exit code 1 if anything is not imported")
    ] = False,
) -> None:
    """Print a gateway.yaml for `apply`. What has no counterpart is a comment at its end."""
    try:
        config = read_litellm_config(file)
    except UnreadableConfig as error:
        fail(str(error))
    imported = import_upstreams(config, bundled_book())
    made = import_rules(config, imported.calls, wanted=org is not None)
    imported.losses.extend([*made.losses, *losses_of(config, rules=org is not None)])
    content: dict[str, Any] = {"name": _NAME, "upstreams": imported.upstreams}
    if made.rules:
        content["routes"] = [{"org": org, "rules": made.rules}]
    try:
        read_manifest(content)
    except CloudOpsError as error:
        fail(f"{file}: this makes no manifest: {error.detail}")
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    head = "".join(f"# {line}\n" for line in (*_HEAD, *(_OF_RULES if made.rules else ())))
    typer.echo(f"{head}{body}{_tail(imported)}", nl=False)
    for each in _sorted(imported.notices):
        typer.echo(f"{file}:{each.line}: {each.what}: {each.instead}", err=True)
    if strict and imported.losses:
        fail(f"{file}: {len(_grouped(imported.losses))} things are not imported: see the end")


def _tail(imported: Imported) -> str:
    """The comments behind the manifest."""
    needed: dict[str, list[str]] = {}
    for env, upstream in imported.variables:
        needed.setdefault(env, []).append(upstream)
    variables = [f"{env}: {', '.join(users)}" for env, users in sorted(needed.items())]
    sections = (
        ("Variables that the proxy needs, each with the upstreams it pays:", variables),
        ("To be seen to before it is applied:", _grouped(imported.notices)),
        ("Not imported:", _grouped(imported.losses)),
    )
    return "".join(f"#\n{_comments(title, lines)}" for title, lines in sections if lines)


def _comments(title: str, lines: Sequence[str]) -> str:
    return "".join(f"# {line}\n" for line in (title, *(f"  {each}" for each in lines)))


def _grouped(told: Sequence[Told]) -> list[str]:
    """One line for each thing, with all lines of the config that it is true of."""
    lines: dict[tuple[str, str], list[int]] = {}
    for each in _sorted(told):
        places = lines.setdefault((each.what, each.instead), [])
        if each.line not in places:
            places.append(each.line)
    return list(_written(lines))


def _written(lines: dict[tuple[str, str], list[int]]) -> Iterator[str]:
    for (what, instead), places in lines.items():
        word = "line" if len(places) == 1 else "lines"
        yield f"{word} {', '.join(str(each) for each in places)}: {what}: {instead}"


def _sorted(told: Sequence[Told]) -> list[Told]:
    return sorted(told, key=lambda each: each.line)
