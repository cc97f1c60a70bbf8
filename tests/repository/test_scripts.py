"""Scripts are thin: they can be run, stop at the first failure, and leave the rest to Python."""

import re
from pathlib import Path

import pytest

from tests.repository.sources import ROOT, files, text
from tests.repository.test_sizes import too_long


def shell_scripts() -> dict[Path, str]:
    """Scripts of ours: files without an extension that name their shell."""
    plain = {path: text(path) for path in files() if not path.suffix}
    return {path: source for path, source in plain.items() if source.startswith("#!")}


each_script = pytest.mark.parametrize(
    ("path", "source"), [pytest.param(p, s, id=str(p)) for p, s in shell_scripts().items()]
)


@each_script
def test_stops_at_the_first_failure(path: Path, source: str) -> None:
    assert "\nset -eu" in source


@each_script
def test_can_be_run(path: Path, source: str) -> None:
    assert (ROOT / path).stat().st_mode & 0o111 == 0o111


@each_script
def test_calls_a_command_that_exists(path: Path, source: str) -> None:
    called = re.findall(r"scripts\.commands\.(\w+)", source)
    missing = [name for name in called if not (ROOT / f"scripts/commands/{name}.py").is_file()]

    assert missing == []


def test_keeps_every_command_to_thirty_lines() -> None:
    commands = {path: s for path, s in shell_scripts().items() if path.parts[0] == "scripts"}

    assert too_long(commands, 30) == []
