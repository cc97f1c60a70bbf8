"""The same sources make the same bundle, byte for byte; another byte makes another one."""

import hashlib
import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.commands.bundle import ROOT, cli, write_bundles
from scripts.functions_table import read_functions

FUNCTIONS = list(read_functions(ROOT))


def checkout(folder: Path) -> Path:
    """A copy of what bundles are made from, without anything that is left out of them."""
    leave_out = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    for name in ("common", "functions"):
        shutil.copytree(ROOT / name, folder / name, ignore=leave_out)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def bundles(root: Path, out: Path) -> dict[str, bytes]:
    """Every file that is written for all functions, by name."""
    write_bundles(root, FUNCTIONS, out)
    return {path.name: path.read_bytes() for path in out.iterdir()}


def digests(root: Path, out: Path) -> dict[str, str]:
    return {name: row["sha256"] for name, row in write_bundles(root, FUNCTIONS, out).items()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return checkout(tmp_path / "checkout")


def test_makes_the_same_bytes_in_another_folder_at_another_time_for_another_user(
    root: Path, tmp_path: Path
) -> None:
    other = checkout(tmp_path / "elsewhere" / "other")
    for path in other.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (86_400, 86_400))

    assert bundles(other, tmp_path / "2") == bundles(root, tmp_path / "1")


@pytest.mark.parametrize(
    "name",
    ["__pycache__/money.cpython-311.pyc", "money.pyc", ".money.py.swp", ".cache/notes.txt"],
)
def test_leaves_out_what_is_no_source(root: Path, tmp_path: Path, name: str) -> None:
    before = digests(root, tmp_path / "1")
    path = root / "common/core" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"left over")

    assert digests(root, tmp_path / "2") == before


@pytest.mark.parametrize("function", FUNCTIONS)
def test_holds_the_function_and_all_of_common_and_no_other_file(
    root: Path, tmp_path: Path, function: str
) -> None:
    rows = write_bundles(root, [function], tmp_path / "out")

    with zipfile.ZipFile(tmp_path / "out" / rows[function]["file"]) as bundle:
        names = bundle.namelist()
        main = bundle.read("main.py")
    common = [p.relative_to(root).as_posix() for p in (root / "common").rglob("*") if p.is_file()]
    assert names == sorted([*common, "main.py", "pyproject.toml", "requirements.txt"])
    assert main == (root / f"functions/{function}/main.py").read_bytes()


def test_gives_every_file_one_time_and_one_mode_and_leaves_it_uncompressed(
    root: Path, tmp_path: Path
) -> None:
    rows = write_bundles(root, ["proxy"], tmp_path / "out")

    with zipfile.ZipFile(tmp_path / "out" / rows["proxy"]["file"]) as bundle:
        found = {
            (e.date_time, e.external_attr >> 16, e.create_system, e.compress_type)
            for e in bundle.infolist()
        }
    assert found == {((1980, 1, 1, 0, 0, 0), 0o100644, 3, zipfile.ZIP_STORED)}


def test_changes_every_bundle_with_a_byte_of_common(root: Path, tmp_path: Path) -> None:
    before = digests(root, tmp_path / "out")
    append(root / "common/core/money.py", "\n")

    after = digests(root, tmp_path / "out")

    assert [name for name in FUNCTIONS if after[name] == before[name]] == []


@pytest.mark.parametrize("file", ["main.py", "requirements.txt"])
def test_changes_one_bundle_with_a_byte_of_its_function(
    root: Path, tmp_path: Path, file: str
) -> None:
    before = digests(root, tmp_path / "out")
    append(root / "functions/proxy" / file, "\n")

    after = digests(root, tmp_path / "out")

    assert [name for name in FUNCTIONS if after[name] != before[name]] == ["proxy"]


def test_changes_with_the_version_and_not_with_the_settings_of_tools(
    root: Path, tmp_path: Path
) -> None:
    before = digests(root, tmp_path / "out")
    append(root / "pyproject.toml", "\n[tool.another]\nlevel = 1\n")
    with_tool = digests(root, tmp_path / "out")
    text = (root / "pyproject.toml").read_text()
    (root / "pyproject.toml").write_text(text.replace('version = "', 'version = "9.', 1))

    with_version = digests(root, tmp_path / "out")

    assert with_tool == before
    assert with_version["proxy"] != before["proxy"]


def test_names_every_bundle_and_its_digest_in_the_manifest(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    write_bundles(root, FUNCTIONS, out)

    manifest = json.loads((out / "manifest.json").read_text())
    found = {
        name: hashlib.sha256((out / row["file"]).read_bytes()) for name, row in manifest.items()
    }
    assert {name: row["sha256"] for name, row in manifest.items()} == {
        name: digest.hexdigest() for name, digest in found.items()
    }
    assert {name: row["file"] for name, row in manifest.items()} == {
        name: f"{name}-{digest.hexdigest()[:16]}.zip" for name, digest in found.items()
    }
    assert list(manifest) == sorted(FUNCTIONS)


def test_keeps_the_rows_of_functions_that_are_not_bundled_again(root: Path, tmp_path: Path) -> None:
    before = write_bundles(root, FUNCTIONS, tmp_path / "out")
    append(root / "common/core/money.py", "\n")

    after = write_bundles(root, ["proxy"], tmp_path / "out")

    changed = [name for name in FUNCTIONS if after[name] != before[name]]
    assert changed == ["proxy"]


def test_removes_the_bundle_it_replaces_and_that_of_a_function_no_longer_in_the_table(
    root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_bundles(root, FUNCTIONS, out)
    table = root / "functions/functions.yaml"
    table.write_text(table.read_text().replace("\n  api:", "\n  renamed:"))
    append(root / "functions/proxy/main.py", "\n")
    (out / "notes.txt").write_text("not ours")

    rows = write_bundles(root, ["proxy"], out)

    kept = [row["file"] for name, row in rows.items() if name != "api"]
    assert "api" not in rows
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*kept, "manifest.json", "notes.txt"]
    )


def test_bundles_every_function_when_none_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["--out", str(tmp_path)])

    assert (done.exit_code, len(done.output.splitlines())) == (0, len(FUNCTIONS))
    assert sorted(json.loads((tmp_path / "manifest.json").read_text())) == sorted(FUNCTIONS)


def test_refuses_a_function_it_does_not_know(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["proxi", "--out", str(tmp_path / "out")])

    assert done.exit_code == 2
    assert done.output.startswith("No function is named proxi. Known: proxy")
    assert not (tmp_path / "out").exists()
