"""BUS_URL and WAREHOUSE_URL name the engines of events and facts."""

from pathlib import Path

import pytest

from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.adapters.local_bus import LocalBus
from common.core.errors import InvalidSettings
from common.runtime.app import App
from common.runtime.function_settings import ApiSettings
from common.runtime.settings import BusSettings, Settings, WarehouseSettings, read_settings
from common.warehouse.tables import load_definitions
from tests.bigquery_server import PROJECT, Datasets
from tests.contracts.facts import a_call
from tests.engines.test_pubsub_bus import StandIn, listening


@pytest.fixture(autouse=True)
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BUS_URL", "WAREHOUSE_URL", "K_SERVICE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))


async def test_publishes_to_the_topics_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = StandIn()
    monkeypatch.setenv("BUS_URL", "pubsub://p1/oco")

    async with listening(stand_in) as address:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
        app = App()
        await app.start_deliveries()
        await app.bus.publish("usage", a_call(id="c1"))
        await app.aclose()

    assert [request.topic for request in stand_in.requests] == ["projects/p1/topics/oco-usage"]


async def test_asks_the_dataset_it_names(
    bigquery_datasets: Datasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = bigquery_datasets.empty(load_definitions())
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_datasets.server)
    monkeypatch.setenv("WAREHOUSE_URL", f"bigquery://{PROJECT}/{dataset}")
    app = App()

    await app.warehouse.append("usage_raw", [a_call(id="c1").model_dump()])
    rows = await app.warehouse.query("SELECT id FROM `${dataset}.usage`")
    await app.aclose()

    assert rows == [{"id": "c1"}]


async def test_keeps_all_in_files_on_a_laptop(tmp_path: Path) -> None:
    app = App()

    assert isinstance(app.bus, LocalBus)
    assert isinstance(app.warehouse, DuckdbWarehouse)
    await app.aclose()


@pytest.mark.parametrize(
    ("settings", "name", "url"),
    [
        (BusSettings, "BUS_URL", "pubsub://project"),
        (BusSettings, "BUS_URL", "pubsub://project/9prefix"),
        (BusSettings, "BUS_URL", "kafka://host/topic"),
        (WarehouseSettings, "WAREHOUSE_URL", "bigquery://project"),
        (WarehouseSettings, "WAREHOUSE_URL", "bigquery://project/data-set"),
        (WarehouseSettings, "WAREHOUSE_URL", "duckdb://"),
    ],
)
def test_refuses_what_names_no_engine(
    settings: type[Settings], name: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, url)

    with pytest.raises(InvalidSettings, match=name):
        read_settings(settings)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (BusSettings, "PUBSUB_EMULATOR_HOST"),
        (WarehouseSettings, "BIGQUERY_EMULATOR_HOST"),
    ],
)
def test_refuses_an_emulator_on_cloud_run(
    settings: type[Settings], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K_SERVICE", "proxy")
    monkeypatch.setenv("BUS_URL", "pubsub://project/oco")
    monkeypatch.setenv("WAREHOUSE_URL", "bigquery://project/oco")
    monkeypatch.setenv(name, "127.0.0.1:8080")

    with pytest.raises(InvalidSettings, match=name):
        read_settings(settings)


ENGINES = {
    "STATE_URL": "firestore://project/state",
    "BUS_URL": "pubsub://project/oco",
    "WAREHOUSE_URL": "bigquery://project/warehouse",
}


@pytest.mark.parametrize("missing", ENGINES)
def test_a_function_with_several_engines_needs_each_in_the_cloud(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, url in ENGINES.items():
        monkeypatch.setenv(name, url)
    monkeypatch.setenv("K_SERVICE", "api")
    assert read_settings(ApiSettings).state_url == ENGINES["STATE_URL"]
    monkeypatch.delenv(missing)

    with pytest.raises(InvalidSettings, match=f"{missing} must be set on Cloud Run"):
        read_settings(ApiSettings)


@pytest.mark.parametrize(
    "emulator", ["FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"]
)
def test_no_engine_of_a_function_is_an_emulator_in_the_cloud(
    emulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, url in ENGINES.items():
        monkeypatch.setenv(name, url)
    monkeypatch.setenv("K_SERVICE", "api")
    monkeypatch.setenv(emulator, "localhost:1")

    with pytest.raises(InvalidSettings, match=f"{emulator} must not be set on Cloud Run"):
        read_settings(ApiSettings)
