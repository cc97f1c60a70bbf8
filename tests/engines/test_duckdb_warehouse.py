"""What a DuckDB file adds to the contract: one owner, new columns, deadlines."""

import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from common.adapters.duckdb_warehouse import DuckdbWarehouse
from common.core.errors import StoreUnavailable
from common.warehouse.tables import Column, Definitions, View, load_definitions
from tests.contracts.facts import a_call
from tests.engines import processes

USAGE_RAW = load_definitions().tables["usage_raw"]


def with_columns(*columns: Column) -> Definitions:
    return Definitions(
        {"usage_raw": replace(USAGE_RAW, columns=USAGE_RAW.columns + columns)},
        load_definitions().views,
    )


async def test_opens_nothing_before_the_first_use(tmp_path: Path) -> None:
    path = tmp_path / "new" / "warehouse.duckdb"
    warehouse = DuckdbWarehouse(path)
    assert not path.parent.exists()

    assert await warehouse.query("SELECT COUNT(*) AS calls FROM usage") == [{"calls": 0}]

    await warehouse.aclose()
    assert path.exists()


async def test_adds_new_columns_to_a_table_with_rows(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    old = DuckdbWarehouse(path)
    await old.append("usage_raw", [a_call(id="old").model_dump()])
    await old.aclose()
    definitions = with_columns(
        Column("mood", "STRING", "NULLABLE", "new"),
        Column("moods", "STRING", "REPEATED", "new"),
        Column("worth", "NUMERIC", "NULLABLE", "new"),
    )

    new = DuckdbWarehouse(path, definitions)
    row = a_call(id="new").model_dump() | {"mood": "sunny", "moods": ["x"], "worth": "0.000000001"}
    await new.append("usage_raw", [row])
    rows = await new.query("SELECT id, mood, moods, worth, org FROM usage_raw ORDER BY id")
    calls = await new.query("SELECT COUNT(*) AS calls FROM usage")
    await new.aclose()

    assert [(row["id"], row["mood"], row["moods"], str(row["worth"])) for row in rows] == [
        ("new", "sunny", ["x"], "1E-9"),
        ("old", None, [], "None"),
    ]
    assert calls == [{"calls": 2}]


async def test_replaces_views_when_opened(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    old = DuckdbWarehouse(path)
    await old.append("usage_raw", [a_call().model_dump()])
    await old.aclose()
    view = View("usage", "SELECT id AS call FROM `${dataset}.usage_raw`")

    new = DuckdbWarehouse(path, Definitions({"usage_raw": USAGE_RAW}, {"usage": view}))
    rows = await new.query("SELECT call FROM usage")
    await new.aclose()

    assert rows == [{"call": "c1"}]


async def test_tells_a_second_process_who_owns_the_file(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    warehouse = DuckdbWarehouse(path)
    await warehouse.query("SELECT 1 AS one")

    _, told = await processes.run("open_warehouse", path)
    await warehouse.aclose()

    assert told.startswith("StoreUnavailable")
    assert f"the process with id {os.getpid()}:" in told


async def test_reckons_in_utc_wherever_the_machine_stands(tmp_path: Path) -> None:
    _, printed = await processes.run(
        "print_day", tmp_path / "warehouse.duckdb", zone="Pacific/Auckland"
    )

    assert printed == "2026-03-01\n"


async def test_goes_on_after_a_query_that_took_too_long(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path / "warehouse.duckdb")
    await warehouse.query("SELECT 1 AS one")
    warehouse_in_haste = DuckdbWarehouse(tmp_path / "other.duckdb", deadline_s=0.5)
    endless = (
        "SELECT COUNT(*) AS n FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, "
        "UNNEST(GENERATE_ARRAY(1, 1000000)) AS b WHERE a * b = 7"
    )

    with pytest.raises(StoreUnavailable, match=r"0\.5 s"):
        await warehouse_in_haste.query(endless)
    after = await warehouse_in_haste.query("SELECT 1 AS one")
    await warehouse_in_haste.aclose()  # waits for its threads: the query was stopped, not left
    await warehouse.aclose()

    assert after == [{"one": 1}]


async def test_answers_nothing_after_it_was_closed(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path / "warehouse.duckdb")
    await warehouse.query("SELECT 1 AS one")

    await warehouse.aclose()

    with pytest.raises(StoreUnavailable, match="closed"):
        await warehouse.query("SELECT 1 AS one")


async def test_casts_to_the_decimals_that_are_written_out(tmp_path: Path) -> None:
    warehouse = DuckdbWarehouse(tmp_path / "warehouse.duckdb")

    rows = await warehouse.query(
        "SELECT CAST('12345678901234567890.123456789' AS NUMERIC(38, 9)) x"
    )
    await warehouse.aclose()

    assert rows == [{"x": Decimal("12345678901234567890.123456789")}]
