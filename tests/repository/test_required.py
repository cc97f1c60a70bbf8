"""REQUIRE_ALL=1 turns what was left out into failures, except data and coding agents."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.sources import ROOT

SUITE = """
import pytest

def test_skips():
    pytest.skip("terraform is not installed")

@pytest.mark.skip(reason="chromium is not installed")
def test_is_marked():
    pass

@pytest.mark.xfail(reason="known")
def test_fails_as_expected():
    assert False

def test_asks_for_an_agent():
    pytest.skip("claude is neither on PATH nor in the folder CODING_AGENTS")

def test_asks_for_data(provider_replies):
    assert provider_replies.name == "provider-replies"
"""
LEFT_OUT_MODULE = "import pytest\npytest.skip('java is not installed', allow_module_level=True)\n"


def summary(folder: Path, **variables: str) -> list[str]:
    """What pytest prints for a small suite under this project's configuration and conftest."""
    shutil.copy(ROOT / "tests/conftest.py", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "test_suite.py").write_text(SUITE)
    (folder / "test_module.py").write_text(LEFT_OUT_MODULE)
    kept = {k: v for k, v in os.environ.items() if k not in {"REQUIRE_ALL", "TEST_DATA"}}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=folder,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def required(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return summary(tmp_path_factory.mktemp("required"), REQUIRE_ALL="1")


def test_skips_what_a_laptop_lacks(tmp_path: Path) -> None:
    assert summary(tmp_path, REQUIRE_ALL="0")[-1].startswith("5 skipped, 1 xfailed")


@pytest.mark.parametrize(
    "reason",
    ["terraform is not installed", "chromium is not installed", "java is not installed"],
)
def test_fails_for_what_the_pipeline_lacks(required: list[str], reason: str) -> None:
    assert f"REQUIRE_ALL=1, and this was left out: Skipped: {reason}" in required


def test_lists_data_and_agents_that_are_not_beside_the_checkout(required: list[str]) -> None:
    skipped = sorted(line.rpartition(" ")[2] for line in required if line.startswith("SKIPPED"))

    assert skipped == ["CODING_AGENTS", "data"]


def test_leaves_an_expected_failure_alone(required: list[str]) -> None:
    assert ", 1 xfailed, " in required[-1]


def test_hands_out_the_data_when_it_is_there(tmp_path: Path) -> None:
    lines = summary(tmp_path, TEST_DATA=str(tmp_path))

    assert lines[-1].startswith("1 passed, 4 skipped, 1 xfailed")


def test_fails_when_test_data_names_no_folder(tmp_path: Path) -> None:
    lines = summary(tmp_path, TEST_DATA=str(tmp_path / "nowhere"))

    assert any("is not a folder" in line for line in lines)
    assert "1 error" in lines[-1]
