"""Texts that cannot rot: links lead somewhere, commands exist, pictures show what the code has.

In a mermaid picture every node stands for a thing of the code and carries its name: a function, a
topic, a package, a module, a table, a script. What is outside has round ends: `clients([your
applications])`.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from common.core.events import TOPICS
from scripts.functions_table import read_functions
from tests.repository.sources import ROOT, files, texts

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = {"bash", "console", "sh", "shell"}
COMMAND = re.compile(r"(?<![\w/.-])(?:\./)?((?:scripts|\.ci)/[\w-]+)(?![\w/.-])")
OUTSIDE = re.compile(r"\b(\w+)\(\[")
EDGE = re.compile(r"\s+(?:<?[-=.]{2,}[>xo]?|&)\s+")
PICTURE_KEYWORDS = ("%%", "class", "direction", "end", "flowchart", "linkStyle", "style")


def slug(heading: str) -> str:
    """The anchor that a heading gets: lower case, spaces to hyphens, punctuation dropped."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(markdown: str) -> set[str]:
    prose = FENCE.sub("", markdown)
    return {slug(found) for found in re.findall(r"^#+ (.+)$", prose, re.MULTILINE)}


def dead_links(path: Path, markdown: str, root: Path) -> list[str]:
    """Relative links to files or headings that do not exist."""
    found = []
    for link in (first or second for first, second in LINK.findall(FENCE.sub("", markdown))):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = root / path.parent / target if target else root / path
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            found.append(f"{path}: {link}")
    return found


def blocks(markdown: str, languages: set[str]) -> Iterator[str]:
    yield from (body for language, body in FENCE.findall(markdown) if language in languages)


def missing_commands(path: Path, markdown: str, root: Path) -> list[str]:
    """Scripts that fenced shell blocks call and that cannot be run."""
    called = [name for block in blocks(markdown, SHELL) for name in COMMAND.findall(block)]
    runnable = [name for name in called if (root / name).is_file()]
    return [f"{path}: {name}" for name in called if name not in runnable]


def unknown_nodes(markdown: str, known: Collection[str]) -> list[str]:
    """Nodes of mermaid pictures that are neither a thing of the code nor outside of it."""
    return [
        node
        for picture in blocks(markdown, {"mermaid"})
        for node in nodes(picture)
        if node not in known and node not in OUTSIDE.findall(picture)
    ]


def nodes(picture: str) -> Iterator[str]:
    """Ids of nodes and subgraphs; labels of edges stand between bars."""
    for line in picture.splitlines():
        statement = re.sub(r"\|[^|]*\|", " ", line).strip().removeprefix("subgraph ")
        if not statement.startswith(PICTURE_KEYWORDS):
            yield from (part for end in EDGE.split(statement) for part in re.findall(r"^\w+", end))


def things_of_the_code() -> set[str]:
    names = {part.split(".")[0] for path in files() for part in path.parts}
    return names | set(read_functions(ROOT)) | set(TOPICS)


MARKDOWN = texts(".md")
each_text = pytest.mark.parametrize("path", [pytest.param(path, id=str(path)) for path in MARKDOWN])


@each_text
def test_links_to_files_and_headings_that_exist(path: Path) -> None:
    assert dead_links(path, MARKDOWN[path], ROOT) == []


@each_text
def test_calls_scripts_that_exist(path: Path) -> None:
    assert missing_commands(path, MARKDOWN[path], ROOT) == []


@each_text
def test_pictures_only_what_the_code_has(path: Path) -> None:
    assert unknown_nodes(MARKDOWN[path], things_of_the_code()) == []


@pytest.mark.parametrize("link", ["[a](gone.md)", "[a](#gone)", "![a](gone.svg)", "[a](b.md#gone)"])
def test_catches_a_dead_link(tmp_path: Path, link: str) -> None:
    (tmp_path / "a.md").write_text("# Here\n")
    (tmp_path / "b.md").write_text("# Here\n")

    assert len(dead_links(Path("a.md"), link, tmp_path)) == 1


def test_lets_live_links_pass(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# What's here?\n[a](#whats-here) [b](https://example.com/x)\n")

    assert dead_links(Path("a.md"), (tmp_path / "a.md").read_text(), tmp_path) == []


def test_catches_a_command_that_is_not_there(tmp_path: Path) -> None:
    markdown = "```sh\nREQUIRE_ALL=1 ./scripts/gone --port 3\n```\n"

    assert missing_commands(Path("a.md"), markdown, tmp_path) == ["a.md: scripts/gone"]


def test_catches_a_node_that_the_code_lacks() -> None:
    markdown = (
        '```mermaid\nflowchart LR\n  apps(["your apps"]) -->|calls| proxy --> gone[gone]\n```'
    )

    assert unknown_nodes(markdown, {"proxy"}) == ["gone"]
