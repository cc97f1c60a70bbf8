"""Files a reader can hold in the head: modules and entry points."""

from collections.abc import Mapping
from pathlib import Path

from tests.repository.sources import texts

LONGEST = 400
LONGEST_ENTRY_POINT = 60

EXCEPTIONS: dict[str, str] = {}
"""Modules that may be longer, each with its reason."""


def too_long(sources: Mapping[Path, str], limit: int) -> list[str]:
    lengths = {path: len(source.splitlines()) for path, source in sources.items()}
    return [f"{path}: {n} lines, {limit} allowed" for path, n in lengths.items() if n > limit]


def test_keeps_every_module_short() -> None:
    modules = {path: source for path, source in texts(".py").items() if str(path) not in EXCEPTIONS}

    assert too_long(modules, LONGEST) == []


def test_has_at_most_three_long_modules() -> None:
    assert len(EXCEPTIONS) <= 3


def test_keeps_every_entry_point_on_a_screen() -> None:
    entry_points = {
        path: source for path, source in texts("main.py").items() if path.parts[0] == "functions"
    }

    assert too_long(entry_points, LONGEST_ENTRY_POINT) == []


def test_names_the_file_and_its_length() -> None:
    sources = {Path("a.py"): "x\n" * 401, Path("b.py"): "x\n" * 400}

    assert too_long(sources, 400) == ["a.py: 401 lines, 400 allowed"]
