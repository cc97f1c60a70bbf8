"""The engines behind the ports, as the settings choose them: a laptop's or the cloud's.

Each is made when it is first asked for, and its adapter imported then, so that a function loads
only what it uses.
"""

import logging
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.core.ports import Bus, Clock, Row, Value
from common.runtime.logs import configure_logs
from common.runtime.settings import (
    BusSettings,
    Settings,
    StateSettings,
    WarehouseSettings,
    read_settings,
)

if TYPE_CHECKING:
    from common.adapters.bigquery_warehouse import BigqueryWarehouse
    from common.adapters.bus_subscriptions import Subscription, TableSubscription
    from common.adapters.duckdb_warehouse import DuckdbWarehouse
    from common.adapters.firestore_documents import FirestoreDocuments
    from common.adapters.local_bus import LocalBus
    from common.adapters.pubsub_bus import PubsubBus
    from common.adapters.sqlite_documents import SqliteDocuments

logger = logging.getLogger(__name__)


class Engines:
    """Clock, state, bus, warehouse and randomness of one process."""

    def __init__(self) -> None:
        configure_logs()
        self._data_dir = read_settings(Settings).data_dir
        self.push_subscriptions: list[Subscription] = []
        """Functions that the local bus delivers to; to be told before the bus is first used."""

    @cached_property
    def clock(self) -> Clock:
        from common.adapters.system_clock import SystemClock

        return SystemClock()

    @cached_property
    def documents(self) -> "SqliteDocuments | FirestoreDocuments":
        settings = read_settings(StateSettings)
        url = settings.state_url
        if url is not None and url.startswith("firestore://"):
            from common.adapters.firestore_documents import FirestoreDocuments

            project, _, database = url.removeprefix("firestore://").partition("/")
            return FirestoreDocuments(project, database, emulator=settings.firestore_emulator_host)
        from common.adapters.sqlite_documents import SqliteDocuments

        return SqliteDocuments(self._file(url, "state.sqlite"))

    @cached_property
    def bus(self) -> Bus:
        if _is_pubsub(read_settings(BusSettings)):
            return self._pubsub_bus
        return self.local_bus

    @cached_property
    def _pubsub_bus(self) -> "PubsubBus":
        from common.adapters.pubsub_bus import PubsubBus

        settings = read_settings(BusSettings)
        project, _, prefix = (settings.bus_url or "").removeprefix("pubsub://").partition("/")
        return PubsubBus(project, prefix, emulator=settings.pubsub_emulator_host)

    @cached_property
    def local_bus(self) -> "LocalBus":
        """The bus of a laptop.

        Every process that publishes knows all subscriptions; the one that calls `start_deliveries`
        delivers.
        """
        from common.adapters.local_bus import LocalBus

        path = self._file(read_settings(BusSettings).bus_url, "bus.sqlite")
        return LocalBus(path, self.clock, [*self.table_subscriptions(), *self.push_subscriptions])

    def table_subscriptions(self) -> "list[TableSubscription]":
        """One for each table that is filled by events."""
        from common.adapters.bus_subscriptions import TableSubscription
        from common.warehouse.tables import load_definitions

        warehouse = WarehouseWhenAsked(self)
        return [
            TableSubscription(
                f"{name}-table", table.source.topic, table.source.types, name, warehouse
            )
            for name, table in load_definitions().tables.items()
            if table.source is not None
        ]

    @cached_property
    def warehouse(self) -> "DuckdbWarehouse | BigqueryWarehouse":
        settings = read_settings(WarehouseSettings)
        url = settings.warehouse_url
        if url is not None and url.startswith("bigquery://"):
            from common.adapters.bigquery_warehouse import BigqueryWarehouse

            project, _, dataset = url.removeprefix("bigquery://").partition("/")
            return BigqueryWarehouse(
                project,
                dataset,
                labels={"function": settings.k_service or "laptop"},
                most_bytes=settings.warehouse_query_bytes,
                emulator=settings.bigquery_emulator_host,
            )
        from common.adapters.duckdb_warehouse import DuckdbWarehouse

        return DuckdbWarehouse(self._file(url, "warehouse.duckdb"))

    @property
    def entropy(self) -> Callable[[int], bytes]:
        """Answers n random bytes of cryptographic quality."""
        return os.urandom

    @property
    def version(self) -> str:
        """The version in `pyproject.toml`, which a bundle carries along."""
        text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
        return str(tomllib.loads(text)["project"]["version"])

    async def start_deliveries(self) -> None:
        """Deliver what was published, also before this start; Pub/Sub does so by itself."""
        if not _is_pubsub(read_settings(BusSettings)):
            await self.local_bus.start()

    async def aclose(self, drain_s: float = 10.0) -> None:
        """Finish deliveries, then close what was opened."""
        if "local_bus" in self.__dict__:
            # What a process that does not deliver has published is for the one that does.
            if self.local_bus.is_delivering:
                try:
                    await self.local_bus.drain(drain_s)
                except TimeoutError:  # what is left is on the disk, and goes out at the next start
                    logger.warning("bus.undelivered")
            await self.local_bus.aclose()
        for part in ("_pubsub_bus", "warehouse", "documents"):
            if part in self.__dict__:
                await self.__dict__[part].aclose()

    def _file(self, url: str | None, name: str) -> Path:
        """The file a local engine's URL names, or its default in DATA_DIR."""
        if url is not None:
            return Path(url.partition("///")[2])
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._data_dir / name


class WarehouseWhenAsked:
    """The warehouse of a process, whose engine a process that only publishes never loads."""

    def __init__(self, owner: Engines) -> None:
        self._owner = owner

    async def query(self, sql: str, parameters: Mapping[str, Value] | None = None) -> list[Row]:
        return await self._owner.warehouse.query(sql, parameters)

    async def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        await self._owner.warehouse.append(table, rows)


def _is_pubsub(settings: BusSettings) -> bool:
    return settings.bus_url is not None and settings.bus_url.startswith("pubsub://")
