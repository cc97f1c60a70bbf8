"""The files of the repository, as the checks of the repository itself read them."""

import os
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def files(suffix: str = "") -> tuple[Path, ...]:
    """Files whose name ends so, relative to the root, without those that .gitignore names."""
    return tuple(sorted(path for path in _walk() if path.name.endswith(suffix)))


def _walk() -> Iterator[Path]:
    """Every line of .gitignore is a pattern for a name, or with a slash at its end for a folder."""
    patterns = [*(ROOT / ".gitignore").read_text().split(), ".git/", ".git"]
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not _ignored(f"{name}/", patterns)]
        kept = (name for name in names if not _ignored(name, patterns))
        yield from (Path(folder, name).relative_to(ROOT) for name in kept)


def _ignored(name: str, patterns: list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def texts(suffix: str) -> dict[Path, str]:
    """The text of each file whose name ends so."""
    return {path: text(path) for path in files(suffix)}
