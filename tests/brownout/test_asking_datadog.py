"""Datadog is asked where its keys are set, in either spelling, and nowhere else."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.brownout.folding import Folding
from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.core.errors import InvalidSettings
from common.runtime.function_settings import BrownoutTickSettings
from common.runtime.settings import read_settings
from common.runtime.sources import asking_datadog
from tests.brownout.datadog_server import API_KEY, APP_KEY, DatadogServer, Redirected, a_datadog
from tests.brownout.test_folding import KeepingBus
from tests.brownout.webhook_scenes import SetClock
from tests.chosen_engines import state_of

NAMES = [f"{prefix}_{name}" for prefix in ("DATADOG", "DD") for name in ("API_KEY", "APP_KEY")]


@pytest.fixture(autouse=True)
def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "DATADOG_SITE", "DD_SITE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def datadog() -> AsyncIterator[tuple[DatadogServer, Redirected]]:
    async with a_datadog() as both:
        yield both


@pytest.fixture
async def folding(tmp_path: Path) -> AsyncIterator[Folding]:
    engine = state_of(tmp_path)
    policies = Policies(engine, shipped_policy, policy_from_data)
    yield Folding(engine, KeepingBus(), SetClock(), os.urandom, policies)
    await engine.aclose()


@pytest.mark.parametrize("prefix", ["DATADOG", "DD"])
async def test_asks_with_the_keys_at_the_site(
    monkeypatch: pytest.MonkeyPatch,
    datadog: tuple[DatadogServer, Redirected],
    folding: Folding,
    prefix: str,
) -> None:
    monkeypatch.setenv(f"{prefix}_API_KEY", API_KEY)
    monkeypatch.setenv(f"{prefix}_APP_KEY", APP_KEY)
    monkeypatch.setenv(f"{prefix}_SITE", "us3.datadoghq.com")

    await asking_datadog(folding, lambda: datadog[1])(folding.clock.now())

    assert {*datadog[1].hosts} == {"api.us3.datadoghq.com"}
    assert {asked.headers["dd-api-key"] for asked in datadog[0].asked} == {API_KEY}


@pytest.mark.parametrize("only", [None, "DD_API_KEY", "DATADOG_APP_KEY"])
def test_asks_nobody_without_both_keys(
    monkeypatch: pytest.MonkeyPatch, folding: Folding, only: str | None
) -> None:
    if only is not None:
        monkeypatch.setenv(only, API_KEY)

    def connection() -> Redirected:
        raise AssertionError("nothing is to be connected")

    assert asking_datadog(folding, connection).monitors is None


@pytest.mark.parametrize(
    "site",
    ["datadoghq.com", "datadoghq.eu", "us5.datadoghq.com", "ap1.datadoghq.com", "ddog-gov.com"],
)
def test_knows_the_sites_there_are(monkeypatch: pytest.MonkeyPatch, site: str) -> None:
    monkeypatch.setenv("DD_SITE", site)

    assert read_settings(BrownoutTickSettings).datadog_site == site


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DD_SITE", "https://datadoghq.com"),
        ("DATADOG_SITE", "app.datadoghq.com"),
        ("DATADOG_SITE", "datadoghq.com.example.com"),
        ("DD_API_KEY", "a-key\nof-two-lines"),
        ("DATADOG_APP_KEY", "a key"),
        ("DATADOG_APP_KEY", "schlüssel"),
    ],
)
def test_starts_with_no_site_or_key_that_cannot_be_one(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(InvalidSettings) as refused:
        read_settings(BrownoutTickSettings)

    assert "DATADOG_" in str(refused.value)
    assert "schl" not in str(refused.value)
