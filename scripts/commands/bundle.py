"""`scripts/bundle`: one zip per function, as the cloud builds it, and a manifest of them.

A bundle holds the function's `main.py` and `requirements.txt`, all of `common/`, and of
`pyproject.toml` the name and the version. The same sources give the same bytes on every machine:
sorted names, one time and one mode for all, and no compression, because the output of deflate
differs between zlib libraries. So a deployment changes nothing unless a byte of the sources did.
All of `common/` goes along: what a function does not import costs it a megabyte or two of upload
and nothing else.
"""

import hashlib
import io
import json
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from scripts.functions_table import read_functions

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = "manifest.json"
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment a zip file can name."""

_READABLE_FILE = 0o100644 << 16
_UNIX = 3
_HASH_DIGITS = 16

Manifest: TypeAlias = Mapping[str, Mapping[str, str]]

cli = typer.Typer(add_completion=False)


def contents(root: Path, function: str) -> dict[str, bytes]:
    """The files of a function's bundle by their names in it."""
    source = root / "functions" / function
    files = {name: (source / name).read_bytes() for name in ("main.py", "requirements.txt")}
    for path in _sources(root / "common"):
        files[path.relative_to(root).as_posix()] = path.read_bytes()
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # What a function reports of it, and no more: settings of tools would change every bundle.
    lines = [f"{key} = {json.dumps(project[key])}" for key in ("name", "version")]
    files["pyproject.toml"] = "\n".join(["[project]", *lines, ""]).encode()
    return files


def archive(files: Mapping[str, bytes]) -> bytes:
    """A zip file that depends on names and contents alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.create_system = _UNIX
            entry.external_attr = _READABLE_FILE
            bundle.writestr(entry, files[name])
    return buffer.getvalue()


def write_bundles(root: Path, functions: Sequence[str], out: Path) -> Manifest:
    """Bundle `functions` of the repository at `root` into `out`, and name them in its manifest.

    Functions bundled there before keep their rows if the table still has them. A zip that nothing
    names any more is removed.

    Returns:
        The whole manifest: ``{function: {"file": NAME, "sha256": DIGEST}}``.
    """
    out.mkdir(parents=True, exist_ok=True)
    before = _read_manifest(out)
    rows = {name: row for name, row in before.items() if name in read_functions(root)}
    for function in functions:
        data = archive(contents(root, function))
        digest = hashlib.sha256(data).hexdigest()
        file = f"{function}-{digest[:_HASH_DIGITS]}.zip"
        (out / file).write_bytes(data)
        rows[function] = {"file": file, "sha256": digest}
    (out / MANIFEST).write_text(json.dumps(rows, indent=2, sort_keys=True) + "\n")
    kept = {row["file"] for row in rows.values()}
    for row in before.values():
        if row["file"] not in kept:
            (out / row["file"]).unlink(missing_ok=True)
    return rows


def _read_manifest(out: Path) -> Manifest:
    path = out / MANIFEST
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _sources(folder: Path) -> Iterator[Path]:
    """Every file below, but for bytecode and what is hidden (an editor's, a desktop's)."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        is_left_out = path.suffix == ".pyc" or any(
            part == "__pycache__" or part.startswith(".") for part in parts
        )
        if path.is_file() and not is_left_out:
            yield path


@cli.command()
def main(
    functions: Annotated[
        list[str] | None, typer.Argument(help="Functions to bundle; all if none is named.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder of the zips and the manifest.")] = ROOT / "dist",
) -> None:
    """Write one deterministic zip per function, and manifest.json beside them."""
    known = read_functions(ROOT)
    names = functions or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        typer.echo(
            f"No function is named {', '.join(unknown)}. Known: {', '.join(known)}", err=True
        )
        raise typer.Exit(code=2)
    rows = write_bundles(ROOT, names, out)
    for name in names:
        path = out / rows[name]["file"]
        typer.echo(f"{path} {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    cli()
