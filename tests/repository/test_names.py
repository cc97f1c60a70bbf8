"""Names say what a thing holds; a few names say nothing, and are refused."""

import ast
import re
from pathlib import Path

import pytest

from tests.repository.sources import files, texts

EMPTY_WORDS = {
    "base",
    "common",
    "helper",
    "helpers",
    "manager",
    "misc",
    "util",
    "utils",
}
EMPTY_SYMBOL = re.compile(r"^I[A-Z][a-z]|(Impl|Manager|Helper|Helpers|Util|Utils|Base)$")


def empty_paths(paths: list[Path]) -> list[str]:
    """Paths with a part that says nothing; the top-level `common` is the package itself."""
    return [
        str(path)
        for path in paths
        if EMPTY_WORDS & {part.split(".")[0] for part in path.parts[1:]}
        or path.parts[0].split(".")[0] in EMPTY_WORDS - {"common"}
    ]


def empty_symbols(path: Path, source: str) -> list[str]:
    """Classes and functions whose name says nothing."""
    named = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        f"{path}:{node.lineno} {node.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, named) and (EMPTY_SYMBOL.search(node.name) or node.name in EMPTY_WORDS)
    ]


def test_names_every_file_for_what_it_holds() -> None:
    assert empty_paths(list(files())) == []


def test_names_every_class_and_function_for_what_it_is() -> None:
    found = [line for path, source in texts(".py").items() for line in empty_symbols(path, source)]

    assert found == []


@pytest.mark.parametrize("path", ["common/llm/utils.py", "scripts/common/x.py", "utils.py"])
def test_catches_a_path_that_says_nothing(path: str) -> None:
    assert empty_paths([Path(path)]) == [path]


@pytest.mark.parametrize("name", ["KeyManager", "IStore", "BookImpl"])
def test_catches_a_class_that_says_nothing(name: str) -> None:
    assert empty_symbols(Path("a.py"), f"class {name}: ...") == [f"a.py:1 {name}"]


def test_lets_names_of_the_field_pass() -> None:
    assert empty_symbols(Path("a.py"), "class InvalidInput: ...\ndef base_rate(): ...") == []
