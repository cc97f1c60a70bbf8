"""What every engine of `Warehouse` promises."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from common.core.errors import InvalidInput
from common.core.ports import Warehouse
from common.warehouse.tables import (
    Column,
    ColumnType,
    Definitions,
    Mode,
    Table,
    load_definitions,
)
from tests.contracts.facts import NOON, a_call
from tests.warehouse_engines import OpenWarehouse

PRECISE = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


def column(name: str, type_: ColumnType, mode: Mode = "NULLABLE") -> Column:
    return Column(name, type_, mode, name)


SAMPLES = Table(
    name="samples",
    description="One column of every type.",
    columns=(
        column("id", "STRING", "REQUIRED"),
        column("n", "INTEGER"),
        column("f", "FLOAT"),
        column("b", "BOOLEAN"),
        column("amount", "NUMERIC"),
        column("t", "TIMESTAMP"),
        column("d", "DATE"),
        column("j", "JSON"),
        column("words", "STRING", "REPEATED"),
    ),
    partition_field="t",
    clustering=("id",),
    expiry_days=None,
    source=None,
)
DEFINITIONS = Definitions(
    tables={**load_definitions().tables, "samples": SAMPLES}, views=load_definitions().views
)

FULL: dict[str, Any] = {
    "id": "full",
    "n": (1 << 63) - 1,
    "f": 0.1,
    "b": True,
    "amount": Decimal("12345678901234567890.123456789"),
    "t": PRECISE,
    "d": date(2026, 2, 28),
    "j": {"k/8": ["é", 1, None, {"deep": True}], "big": (1 << 53) + 1},
    "words": ["a", "b", "a"],
}
EMPTY: dict[str, Any] = dict.fromkeys(FULL) | {"id": "empty", "words": []}

ALL = "SELECT id, n, f, b, amount, t, d, j, words FROM samples ORDER BY id"
COUNT = "SELECT COUNT(*) AS rows_ FROM samples"


@pytest.fixture
async def warehouse(open_warehouse: OpenWarehouse) -> Warehouse:
    return await open_warehouse(DEFINITIONS)


class TestAppend:
    async def test_gives_back_every_type_exactly(self, warehouse: Warehouse) -> None:
        await warehouse.append("samples", [FULL, {"id": "empty"}])

        assert await warehouse.query(ALL) == [EMPTY, FULL]

    async def test_reads_numbers_and_times_from_text(self, warehouse: Warehouse) -> None:
        await warehouse.append(
            "samples",
            [
                {
                    "id": "full",
                    "amount": "-0.000000001",
                    "t": "2026-03-01T17:30:15.123456+05:00",
                    "d": "2026-02-28",
                }
            ],
        )

        [row] = await warehouse.query(ALL)
        assert (row["amount"], row["t"], row["d"]) == (
            Decimal("-0.000000001"),
            PRECISE,
            date(2026, 2, 28),
        )

    async def test_drops_columns_it_does_not_know(self, warehouse: Warehouse) -> None:
        await warehouse.append("samples", [{"id": "a", "from_the_future": {"x": 1}}])

        assert await warehouse.query("SELECT id FROM samples") == [{"id": "a"}]

    @pytest.mark.parametrize(
        "wrong",
        [
            {"id": None},
            {"n": 1.5},
            {"n": "12"},
            {"n": True},
            {"n": 1 << 63},
            {"amount": 0.1},
            {"amount": Decimal("0.0000000001")},
            {"amount": Decimal("1e29")},
            {"amount": "many"},
            {"t": "yesterday"},
            {"t": datetime(2026, 1, 1)},  # noqa: DTZ001 -- a naive time is the point
            {"b": "yes"},
            {"id": 5},
            {"f": float("nan")},
            {"words": "text"},
            {"words": [None]},
            {"j": {"x": b"bytes"}},
        ],
        ids=str,
    )
    async def test_stores_nothing_of_a_batch_with_a_wrong_value(
        self, warehouse: Warehouse, wrong: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidInput, match=next(iter(wrong))):
            await warehouse.append("samples", [FULL, FULL | wrong])

        assert await warehouse.query(COUNT) == [{"rows_": 0}]

    async def test_refuses_a_table_that_is_not_defined(self, warehouse: Warehouse) -> None:
        with pytest.raises(InvalidInput, match="smaples"):
            await warehouse.append("smaples", [{"id": "a"}])

    async def test_takes_batches_of_any_size_from_many_callers(self, warehouse: Warehouse) -> None:
        batches = [[FULL | {"n": n}] * n for n in (0, 1, 2, 50, 500)]

        await asyncio.gather(*(warehouse.append("samples", batch) for batch in batches))

        assert await warehouse.query(
            "SELECT n, COUNT(*) AS rows_ FROM samples GROUP BY n ORDER BY n"
        ) == [{"n": n, "rows_": n} for n in (1, 2, 50, 500)]


class TestParameters:
    @pytest.mark.parametrize(
        ("condition", "value"),
        [
            ("id = @value", "full"),
            ("n = @value", (1 << 63) - 1),
            ("f = @value", 0.1),
            ("b = @value", True),
            ("amount = @value", Decimal("12345678901234567890.123456789")),
            ("t = @value", PRECISE),
            ("t = @value", PRECISE.astimezone(timezone(timedelta(hours=-8)))),
            ("d = @value", date(2026, 2, 28)),
            ("id IN UNNEST(@value)", ["x", "full"]),
            ("n IN UNNEST(@value)", [1, (1 << 63) - 1]),
            ("JSON_VALUE(j, @value) = 'é'", '$."k/8"[0]'),
            ("t >= @value", PRECISE - timedelta(microseconds=1)),
            ("@value IN UNNEST(words)", "b"),
        ],
    )
    async def test_finds_the_row_by_a_parameter(
        self, warehouse: Warehouse, condition: str, value: Any
    ) -> None:
        await warehouse.append("samples", [FULL, {"id": "other"}])

        found = await warehouse.query(
            f"SELECT id FROM samples WHERE {condition}",  # noqa: S608 -- conditions of this file
            {"value": value},
        )

        assert found == [{"id": "full"}]

    @pytest.mark.parametrize(
        ("condition", "value"),
        [
            ("id IN UNNEST(@value)", []),
            ("id IN UNNEST(@value)", ["x"]),
            ("t > @value", PRECISE),
            ("id = @value", "full' OR 'a' = 'a"),
            ("amount = @value", Decimal("12345678901234567890.123456788")),
        ],
    )
    async def test_finds_nothing_by_another_value(
        self, warehouse: Warehouse, condition: str, value: Any
    ) -> None:
        await warehouse.append("samples", [FULL])

        found = await warehouse.query(
            f"SELECT id FROM samples WHERE {condition}",  # noqa: S608 -- conditions of this file
            {"value": value},
        )

        assert found == []

    async def test_answers_several_parameters_by_name(self, warehouse: Warehouse) -> None:
        row = await warehouse.query(
            "SELECT @b AS second, @a AS first, @b AS again", {"a": 1, "b": "two"}
        )

        assert row == [{"second": "two", "first": 1, "again": "two"}]

    async def test_refuses_a_time_without_zone(self, warehouse: Warehouse) -> None:
        with pytest.raises(InvalidInput, match="since"):
            await warehouse.query(
                "SELECT id FROM samples WHERE t > @since",
                {"since": datetime(2026, 1, 1)},  # noqa: DTZ001 -- the point of the test
            )


class TestAnswers:
    async def test_adds_up_money_exactly(self, warehouse: Warehouse) -> None:
        await warehouse.append(
            "samples",
            [{"id": str(n), "amount": Decimal("0.100000001"), "n": (1 << 53)} for n in range(300)],
        )

        [row] = await warehouse.query(
            "SELECT SUM(amount) AS money, SUM(n) AS nanos, "
            "SAFE_CAST(SUM(n) AS NUMERIC(38, 9)) AS wide FROM samples"
        )

        assert row == {
            "money": Decimal("30.000000300"),
            "nanos": 300 << 53,
            "wide": Decimal(300 << 53),
        }
        assert [type(value) for value in row.values()] == [Decimal, int, Decimal]

    async def test_gives_times_in_utc(self, warehouse: Warehouse) -> None:
        await warehouse.append("samples", [FULL])

        [row] = await warehouse.query(
            "SELECT t, TIMESTAMP_TRUNC(t, HOUR) AS hour_, DATE(t) AS day_, "
            "DATE(t, 'Pacific/Auckland') AS there FROM samples "
            "WHERE t BETWEEN TIMESTAMP '2026-03-01 12:30:15+00' AND @until",
            {"until": PRECISE},
        )

        assert row == {
            "t": PRECISE,
            "hour_": datetime(2026, 3, 1, 12, tzinfo=UTC),
            "day_": date(2026, 3, 1),
            "there": date(2026, 3, 2),
        }
        assert row["t"].utcoffset() == timedelta(0)
        assert row["hour_"].tzinfo is UTC

    async def test_names_tables_with_and_without_the_dataset(self, warehouse: Warehouse) -> None:
        await warehouse.append("samples", [FULL])

        assert (
            await warehouse.query("SELECT id FROM `${dataset}.samples`")
            == await warehouse.query("SELECT id FROM samples")
            == [{"id": "full"}]
        )


class TestUsage:
    async def test_shows_each_event_once_however_often_it_was_written(
        self, warehouse: Warehouse
    ) -> None:
        events = [a_call(id=f"c{n:03}").model_dump() for n in range(120)]
        batches = [events[:80], events[40:], events[::3], events[:1] * 5]

        for second, batch in enumerate(batches):
            publish_time = NOON + timedelta(seconds=second)
            await warehouse.append(
                "usage_raw",
                [
                    event | {"publish_time": publish_time, "message_id": f"{second}-{n}"}
                    for n, event in enumerate(batch)
                ],
            )

        [row] = await warehouse.query(
            "SELECT COUNT(*) AS calls, COUNT(DISTINCT id) AS ids, SUM(cost_nanos) AS nanos "
            "FROM usage"
        )
        assert row == {"calls": 120, "ids": 120, "nanos": 120 * 4_213_000}

    async def test_shows_the_row_that_was_published_first(self, warehouse: Warehouse) -> None:
        for second, org in [(2, "late"), (0, "first"), (1, "second")]:
            row = a_call(org=org).model_dump()
            publish_time = NOON + timedelta(seconds=second)
            await warehouse.append("usage_raw", [row | {"publish_time": publish_time}])

        assert await warehouse.query("SELECT org FROM usage") == [{"org": "first"}]

    async def test_gives_back_the_event_as_it_was(self, warehouse: Warehouse) -> None:
        event = a_call(tags={"k/8": "é"}, units={"input_tokens": 3}, warnings=("a", "b"))
        await warehouse.append("usage_raw", [event.model_dump(mode="json")])

        [row] = await warehouse.query(
            "SELECT id, event_time, tags, units, warnings, usage_anomalies, cost_nanos, "
            "duration_s, streamed, project FROM usage"
        )

        expected = event.model_dump(include=set(row))
        assert row == expected | {"warnings": ["a", "b"], "usage_anomalies": []}
