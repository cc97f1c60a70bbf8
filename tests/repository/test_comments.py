"""Exceptions to rules carry their reason on the line, and open work carries its number."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repository.sources import ROOT, texts

OPEN_WORK = re.compile(r"\b(TODO|FIXME|XXX)\b(?!.*#\d+)")
NOQA = re.compile(r"# noqa(?!: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)* --? \S.{4})")
IGNORE = re.compile(r"# type: ignore(?!\[[\w-]+(, ?[\w-]+)*\] {1,2}# \S.{4})")

RULES = {
    OPEN_WORK: "open work without an issue number",
    NOQA: "write `# noqa: CODE - reason`",
    IGNORE: "write `# type: ignore[code]  # reason`",
}
REASONED_ROW = re.compile(r'^\s+"[^"]+",\s+# \S.{7}')


def comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def unexplained(path: Path, source: str) -> list[str]:
    return [
        f"{path}:{line} {rule}"
        for line, comment in comments(source)
        for pattern, rule in RULES.items()
        if pattern.search(comment)
    ]


def array_rows(toml: str, name: str) -> list[str]:
    """The lines of a TOML array that stands one value a line."""
    start = toml.index(f"\n{name} = [\n") + len(f"\n{name} = [\n")
    return toml[start : toml.index("\n]", start)].splitlines()


def test_gives_a_reason_for_every_exception_in_the_code() -> None:
    found = [line for path, source in texts(".py").items() for line in unexplained(path, source)]

    assert found == []


def test_gives_a_reason_for_every_rule_it_ignores() -> None:
    rows = array_rows((ROOT / "pyproject.toml").read_text(), "ignore")

    assert [row for row in rows if not REASONED_ROW.match(row)] == []


@pytest.mark.parametrize(
    "comment",
    [
        "# TODO: later",
        "# noqa",
        "# noqa: E501",
        "# type: ignore",
        "# type: ignore[arg-type]",
    ],
)
def test_catches_an_exception_without_a_reason(comment: str) -> None:
    assert len(unexplained(Path("a.py"), f"x = 1  {comment}\n")) == 1


@pytest.mark.parametrize(
    "comment",
    [
        "# TODO(#12): when the emulator orders messages",
        "# noqa: BLE001 - the one place that owns a request",
        "# type: ignore[arg-type]  # the stub lacks bytes",
    ],
)
def test_lets_an_explained_exception_pass(comment: str) -> None:
    assert unexplained(Path("a.py"), f"x = 1  {comment}\n") == []


def test_catches_an_ignored_rule_without_a_reason() -> None:
    rows = array_rows('\nignore = [\n  "A1",  # it is because it is\n  "B2",\n]\n', "ignore")

    assert [row for row in rows if not REASONED_ROW.match(row)] == ['  "B2",']
