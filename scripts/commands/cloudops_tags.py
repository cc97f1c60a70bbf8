"""Tags on the command line: `NAME=VALUE`, as often as there are."""

from typing import Annotated

import typer

from scripts.commands.cloudops_client import fail

TagList = Annotated[list[str] | None, typer.Option("--tag", help="NAME=VALUE; may be repeated")]


def tags_of(given: list[str] | None) -> dict[str, str]:
    """The tags; what is none ends the command."""
    tags = {}
    for tag in given or []:
        name, separator, value = tag.partition("=")
        if not separator:
            fail(f"--tag {tag!r} is not NAME=VALUE")
        tags[name] = value
    return tags
