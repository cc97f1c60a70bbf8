"""What every test may ask for, and what a missing part means.

A test that needs something this machine lacks skips and says what is missing. With REQUIRE_ALL=1
such a skip is a failure, because a suite that left something out must not look complete. Exceptions
are recorded data beside the checkout (TEST_DATA), which is not part of the repository, and coding
agents (CODING_AGENTS), which are other people's programs of a gigabyte.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

OPTIONAL = ("TEST_DATA", "CODING_AGENTS")
"""A skip whose reason names one is never a failure."""

Report = pytest.TestReport | pytest.CollectReport


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of recorded data that TEST_DATA names; skips when it is not set."""
    folder = os.environ.get("TEST_DATA")
    if not folder:
        pytest.skip("TEST_DATA is not set: it names the folder of recorded data")
    path = Path(folder).resolve()
    assert path.is_dir(), f"TEST_DATA={folder} is not a folder"
    return path


@pytest.fixture(scope="session")
def provider_replies(test_data: Path) -> Path:
    """The folder of recorded provider replies, one JSON file each."""
    return test_data / "provider-replies"


def _fail_if_required(report: Report) -> None:
    """Turn a skip into a failure under REQUIRE_ALL=1, unless it is an optional one."""
    if os.environ.get("REQUIRE_ALL") != "1" or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(name in reason for name in OPTIONAL):
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL=1, and this was left out: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_required(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_required(report)
    return report
