"""Requirement files belong to pyproject.toml and functions.yaml, and agree with each other."""

import shutil
from pathlib import Path

import pytest

from scripts.commands.lock import DEVELOPMENT, Lock, findings, locks, pins
from tests.repository.sources import ROOT


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for path in [lock.path for lock in locks(ROOT)] + [Path("functions/functions.yaml")]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_is_in_step() -> None:
    assert findings(ROOT) == []


def test_notices_another_range_in_an_extra(copy: Path) -> None:
    replace(copy / "pyproject.toml", '"orjson>=3.11,<4"', '"orjson>=3.12,<4"')

    assert findings(copy) == [
        f"{path} was not made from what pyproject.toml asks for now."
        for path in (
            "tests/requirements.txt",
            "scripts/requirements.txt",
            "functions/proxy/requirements.txt",
            "functions/brownout_webhook/requirements.txt",
            "functions/brownout_tick/requirements.txt",
            "functions/incidents/requirements.txt",
            "functions/notifier/requirements.txt",
            "functions/usage/requirements.txt",
            "functions/budgets/requirements.txt",
            "functions/pricing/requirements.txt",
            "functions/insights/requirements.txt",
            "functions/api/requirements.txt",
        )
    ]


def test_notices_another_extra_of_a_function(copy: Path) -> None:
    extras = "[web, upstream, google-identity, state-cloud, bus-cloud, policy]"
    replace(copy / "functions/functions.yaml", extras, "[web]")

    assert findings(copy) == [
        "functions/proxy/requirements.txt was not made from what pyproject.toml asks for now."
    ]


def test_notices_another_version_than_in_development(copy: Path) -> None:
    pinned = pins((copy / DEVELOPMENT).read_text())["orjson"].split()[0]
    replace(copy / "functions/api/requirements.txt", pinned, "orjson==3.11.0")

    assert findings(copy) == [
        "functions/api/requirements.txt pins orjson otherwise than tests/requirements.txt."
    ]


def test_notices_a_missing_file(copy: Path) -> None:
    (copy / "functions/api/requirements.txt").unlink()

    assert findings(copy) == [
        "functions/api/requirements.txt was not made from what pyproject.toml asks for now."
    ]


@pytest.mark.parametrize("lock", list(locks(ROOT)), ids=lambda lock: str(lock.path))
def test_pins_everything_with_hashes_and_names_no_index(lock: Lock) -> None:
    text = (ROOT / lock.path).read_text()

    unhashed = [name for name, pin in pins(text).items() if "==" not in pin or "sha256:" not in pin]

    assert unhashed == []
    assert "://" not in text
