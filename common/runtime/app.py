"""The wiring: settings to adapters to what the functions call. The only place that chooses.

One `App` per process. Every part is made when it is first asked for, and its adapter imported then,
so that a function loads only what it uses.
"""

import gc
import logging
import os
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.core.ports import Bus, Clock, Documents, Row, Value, Warehouse
from common.core.secrets import Secret
from common.llm.price_book import PriceBook, bundled_book
from common.runtime.logs import configure_logs
from common.runtime.settings import (
    BusSettings,
    ProxySettings,
    Settings,
    StateSettings,
    WarehouseSettings,
    read_settings,
)

if TYPE_CHECKING:
    from common.adapters.bus_subscriptions import TableSubscription
    from common.adapters.duckdb_warehouse import DuckdbWarehouse
    from common.adapters.local_bus import LocalBus
    from common.adapters.sqlite_documents import SqliteDocuments
    from common.adapters.upstream import HttpUpstream
    from common.gateway.gateway import Gateway


logger = logging.getLogger(__name__)


class App:
    """All parts of one process."""

    def __init__(self) -> None:
        configure_logs()
        self._data_dir = read_settings(Settings).data_dir

    @cached_property
    def clock(self) -> Clock:
        from common.adapters.system_clock import SystemClock

        return SystemClock()

    @cached_property
    def documents(self) -> Documents:
        return self._local_documents

    @cached_property
    def _local_documents(self) -> "SqliteDocuments":
        from common.adapters.sqlite_documents import SqliteDocuments

        return SqliteDocuments(self._file(read_settings(StateSettings).state_url, "state.sqlite"))

    @cached_property
    def bus(self) -> Bus:
        return self.local_bus

    @cached_property
    def local_bus(self) -> "LocalBus":
        """The bus of a laptop.

        Every process that publishes knows all subscriptions; the one that calls `start_deliveries`
        delivers.
        """
        from common.adapters.local_bus import LocalBus

        path = self._file(read_settings(BusSettings).bus_url, "bus.sqlite")
        return LocalBus(path, self.clock, self.table_subscriptions())

    def table_subscriptions(self) -> "list[TableSubscription]":
        """One for each table that is filled by events."""
        from common.adapters.bus_subscriptions import TableSubscription
        from common.warehouse.tables import load_definitions

        warehouse = _WarehouseWhenAsked(self)
        return [
            TableSubscription(
                f"{name}-table", table.source.topic, table.source.types, name, warehouse
            )
            for name, table in load_definitions().tables.items()
            if table.source is not None
        ]

    @cached_property
    def warehouse(self) -> Warehouse:
        return self._local_warehouse

    @cached_property
    def _local_warehouse(self) -> "DuckdbWarehouse":
        from common.adapters.duckdb_warehouse import DuckdbWarehouse

        url = read_settings(WarehouseSettings).warehouse_url
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

    @property
    def price_book(self) -> PriceBook:
        return bundled_book()

    @cached_property
    def _upstream(self) -> "HttpUpstream":
        from common.adapters.upstream import HttpUpstream

        return HttpUpstream(read_settings(ProxySettings).https_proxy)

    @cached_property
    def gateway(self) -> "Gateway":
        """The application behind `proxy`."""
        from common.gateway.gateway import Gateway, Limits
        from common.gateway.key_ring import KeyRing

        settings = read_settings(ProxySettings)
        managed = {
            protocol: Secret(key.get_secret_value())
            for protocol, key in (
                ("openai", settings.openai_api_key),
                ("anthropic", settings.anthropic_api_key),
                ("gemini", settings.gemini_api_key),
            )
            if key is not None
        }
        gateway = Gateway(
            keys=KeyRing(self.documents, self.clock, max_stale_s=settings.key_max_stale_s),
            upstream=self._upstream,
            bus=self.bus,
            clock=self.clock,
            entropy=self.entropy,
            book=self.price_book,
            hash_key=self._hash_key(settings),
            version=self.version,
            managed_keys=managed,
            simulated_url=settings.simulated_provider_url,
            limits=Limits(
                first_byte_s=settings.first_byte_timeout_s,
                idle_s=settings.idle_timeout_s,
                call_s=settings.call_timeout_s,
            ),
        )
        # What is loaded by now stays: collections need not walk it each time, which calls would
        # wait for (milliseconds, at the 99th percentile).
        gc.collect()
        gc.freeze()
        return gateway

    async def start_deliveries(self) -> None:
        """Deliver what was published, from now on and left over from before."""
        await self.local_bus.start()

    async def aclose(self, drain_s: float = 10.0) -> None:
        """Finish deliveries, then close what was opened."""
        if "local_bus" in self.__dict__:
            try:
                await self.local_bus.drain(drain_s)
            except TimeoutError:
                logger.warning(
                    "bus.undelivered"
                )  # It is on the disk and goes out at the next start.
            await self.local_bus.aclose()
        for part in ("_upstream", "_local_warehouse", "_local_documents"):
            if part in self.__dict__:
                await self.__dict__[part].aclose()

    def _file(self, url: str | None, name: str) -> Path:
        """The file a local engine's URL names, or its default in DATA_DIR."""
        if url is not None:
            return Path(url.partition("///")[2])
        self._data_dir.mkdir(parents=True, exist_ok=True)
        return self._data_dir / name

    def _hash_key(self, settings: ProxySettings) -> bytes:
        if settings.fingerprint_key is not None:
            return settings.fingerprint_key.get_secret_value().encode()
        return _kept_secret(self._file(None, "fingerprint.key"))


class _WarehouseWhenAsked:
    """The warehouse of an App, whose engine a process that only publishes never loads."""

    def __init__(self, owner: App) -> None:
        self._owner = owner

    async def query(self, sql: str, parameters: Mapping[str, Value] | None = None) -> list[Row]:
        return await self._owner.warehouse.query(sql, parameters)

    async def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        await self._owner.warehouse.append(table, rows)


@cache
def app() -> App:
    """The process's one App."""
    return App()


def _kept_secret(path: Path) -> bytes:
    """Random bytes that are made once and kept in a file only its owner can read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(32))
    return path.read_bytes()
