"""The repository speaks of itself alone: no machine it was made on, no texts that are not in it.

Addresses of package indexes are refused too: where packages come from is the installation's choice.
"""

import re
from pathlib import Path

import pytest

from tests.repository.sources import ROOT, files, text

INDEX_HOST = re.compile(r"\b(pypi\.org|pythonhosted\.org|registry\.npmjs\.org)\b")
MACHINE_PATH = re.compile(r"(?<![\w.:/~>-])/(?:work|root|home|Users|opt)/\w")
OTHER_STORY = re.compile(
    r"\b(the|our) (brief|design (says|documents?)|architecture\.md)\b", re.IGNORECASE
)
BINARY = {".gz"}
FOREIGN = {
    INDEX_HOST: "name of a package index",
    MACHINE_PATH: "path of a machine",
    OTHER_STORY: "text about a text that is not here",
}


def foreign_words(path: Path, content: str) -> list[str]:
    return [
        f"{path}:{number} {what}"
        for number, line in enumerate(content.splitlines(), 1)
        for pattern, what in FOREIGN.items()
        if pattern.search(line)
    ]


def test_speaks_of_the_project_alone() -> None:
    here = Path(__file__).relative_to(ROOT)
    readable = [path for path in files() if path != here and path.suffix not in BINARY]

    assert [line for path in readable for line in foreign_words(path, text(path))] == []


@pytest.mark.parametrize(
    "line", ["see https://pypi.org/x", 'open("/home/me/x")', "# the design says so"]
)
def test_catches_foreign_words(line: str) -> None:
    assert len(foreign_words(Path("a.py"), line)) == 1
