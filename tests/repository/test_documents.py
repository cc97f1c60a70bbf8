"""What texts say about settings and functions is what the code says."""

import ast
from pathlib import Path

import pytest

from scripts.commands.docs import (
    ROOT,
    SCRIPT_VARIABLES,
    TABLES,
    env_example,
    fill,
    settings,
    settings_table,
    stale,
)
from scripts.functions_table import read_functions
from tests.repository.sources import texts

SYSTEM_VARIABLES = {"HOME", "PATH", "PYTHONPATH"}
TEXTS_OF_VARIABLES = {Path("scripts/commands/docs.py")}


def variables_read(source: str) -> set[str]:
    """Environment variables that a module reads by name, and those of typer's options."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(value=owner, slice=ast.Constant(value=str(name))) if _environ(owner):
                found.add(name)
            case ast.Call(
                func=ast.Attribute(value=owner, attr="get"),
                args=[ast.Constant(value=str(name)), *_],
            ) if _environ(owner):
                found.add(name)
            case ast.Call(
                func=ast.Attribute(attr="getenv"), args=[ast.Constant(value=str(name)), *_]
            ):
                found.add(name)
            case ast.keyword(arg="envvar", value=ast.Constant(value=str(name))):
                found.add(name)
    return found - SYSTEM_VARIABLES


def _environ(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2] == "environ"


def test_is_not_stale() -> None:
    assert stale(ROOT) == []


def test_describes_every_setting_with_default_and_bounds() -> None:
    text = env_example()

    assert "# Seconds within which every revocation is obeyed. 1 to 300. Read by proxy.\n" in text
    assert "#KEY_MAX_STALE_S=5\n" in text


def test_describes_every_variable_that_scripts_and_tests_read() -> None:
    outside = {p: s for p, s in texts(".py").items() if p.parts[0] in {"scripts", "tests"}}
    ours = {path: s for path, s in outside.items() if path not in TEXTS_OF_VARIABLES}
    read = set().union(*(variables_read(source) for source in ours.values()))

    undocumented = read - set(SCRIPT_VARIABLES) - {setting.name for setting in settings()}

    assert undocumented == set()


def test_writes_the_bounds_of_settings_as_one_would_set_them() -> None:
    bounds = {setting.name: setting.bounds for setting in settings()}

    assert bounds["WAREHOUSE_QUERY_BYTES"] == "at least 10485760"
    assert bounds["KEY_MAX_STALE_S"] == "1 to 300"
    assert bounds["IDLE_TIMEOUT_S"] == "more than 0, at most 3600"


def test_describes_no_variable_that_nothing_reads() -> None:
    outside = {p: s for p, s in texts(".py").items() if p.parts[0] in {"scripts", "tests"}}
    read = set().union(*(variables_read(source) for source in outside.values()))

    assert set(SCRIPT_VARIABLES) - read == set()


@pytest.mark.parametrize(
    "source",
    [
        "os.environ['PORT']",
        "os.environ.get('PORT', '3000')",
        "environ['PORT']",
        "os.getenv('PORT')",
        "typer.Option(envvar='PORT')",
    ],
)
def test_finds_a_variable_however_it_is_read(source: str) -> None:
    assert variables_read(source) == {"PORT"}


def test_replaces_a_table_between_its_markers_and_nothing_else() -> None:
    text = "a\n<!-- settings: written by scripts/docs -->\nold\n<!-- end of settings -->\nb\n"

    filled = fill(text, "settings", "new")

    assert filled == text.replace("old", "new")
    assert fill(filled, "settings", "new") == filled
    assert fill("no markers", "settings", "new") == "no markers"


@pytest.mark.parametrize("name", sorted(TABLES))
def test_fills_every_row_with_as_many_cells_as_the_heading(name: str) -> None:
    rows = TABLES[name]().splitlines()

    assert len({row.count("|") for row in rows}) == 1


def test_lists_a_setting_of_several_functions_once() -> None:
    table = settings_table()

    assert table.count("`BUS_URL`") == 1
    publishers = [name for name, row in read_functions(ROOT).items() if row.publishes]
    assert f"| {', '.join(publishers[:-1])} and {publishers[-1]} |" in table
