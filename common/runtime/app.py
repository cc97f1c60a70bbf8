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

from common.core.ports import Bus, Clock, Row, Value
from common.llm.price_book import PriceBook, bundled_book
from common.llm.unmetered import read_unmetered
from common.runtime.logs import configure_logs
from common.runtime.settings import (
    BusSettings,
    ProxySettings,
    ReachSettings,
    Settings,
    StateSettings,
    WarehouseSettings,
    environment_secret,
    read_settings,
)

if TYPE_CHECKING:
    from common.adapters.bigquery_warehouse import BigqueryWarehouse
    from common.adapters.bus_subscriptions import Subscription, TableSubscription
    from common.adapters.duckdb_warehouse import DuckdbWarehouse
    from common.adapters.firestore_documents import FirestoreDocuments
    from common.adapters.google_identity import GoogleIdentity
    from common.adapters.local_bus import LocalBus
    from common.adapters.pubsub_bus import PubsubBus
    from common.adapters.sqlite_documents import SqliteDocuments
    from common.adapters.upstream import HttpUpstream
    from common.brownout.folding import Folding
    from common.brownout.policies import Policies
    from common.brownout.ticks import Ticker
    from common.budgets.holdings import Holdings
    from common.budgets.reconciled import Reconciler
    from common.budgets.sweep import Sweeper
    from common.gateway.gateway import Gateway
    from common.incidents.notifying import Notifier
    from common.incidents.taking import Incidents
    from common.usage.gathering import Gathering


logger = logging.getLogger(__name__)


class App:
    """All parts of one process."""

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

        warehouse = _WarehouseWhenAsked(self)
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

    @property
    def price_book(self) -> PriceBook:
        return bundled_book()

    @cached_property
    def _upstream(self) -> "HttpUpstream":
        from common.adapters.upstream import HttpUpstream

        return HttpUpstream(read_settings(ReachSettings).https_proxy)

    @cached_property
    def _holdings(self) -> "Holdings":
        from common.budgets.holdings import Holdings

        return Holdings(self.documents, self.clock, self.entropy(16).hex(), self.entropy)

    @cached_property
    def _identity(self) -> "GoogleIdentity":
        from common.adapters.google_identity import GoogleIdentity

        return GoogleIdentity(self.clock, self._upstream)

    @cached_property
    def _policies(self) -> "Policies":
        from common.runtime.policies import policies_of

        return policies_of(self.documents)

    @cached_property
    def brownout_fold(self) -> "Folding":
        """Moves modes by the signals that are stored."""
        from common.brownout.folding import Folding

        return Folding(self.documents, self.bus, self.clock, self.entropy, self._policies)

    @cached_property
    def ticker(self) -> "Ticker":
        """Takes up, once a minute, what is left to do of brownouts."""
        from common.brownout.ticks import Ticker
        from common.runtime.sources import asking_datadog

        incidents = self.incidents
        others = {"escalate": incidents.escalate, "tell_incidents": incidents.publish}
        datadog = asking_datadog(self.brownout_fold, lambda: self._upstream)
        return Ticker(self.brownout_fold, others, {"datadog": datadog})

    @cached_property
    def incidents(self) -> "Incidents":
        """Makes incidents of what goes wrong."""
        from common.incidents.taking import Incidents
        from common.runtime.incidents import changes_of, rules_of

        return Incidents(
            self.documents,
            self.bus,
            self.clock,
            self.entropy,
            rules_of(self.documents, self._policies),
            changes_of(self.documents),
        )

    @cached_property
    def _to_channels(self) -> "HttpUpstream":
        from common.adapters.upstream import HttpUpstream

        return HttpUpstream()

    @cached_property
    def notifier(self) -> "Notifier":
        """Tells people what happened."""
        from common.runtime.notifications import make_notifier

        ports = (self.documents, self.bus, self.clock, self.entropy)
        return make_notifier(*ports, policies=self._policies, upstream=self._to_channels)

    @cached_property
    def gateway(self) -> "Gateway":
        """The application behind `proxy`."""
        from common.budgets.rate_windows import RateWindows
        from common.gateway.brownout_copy import BrownoutCopy
        from common.gateway.brownouts import Brownouts, even_draw
        from common.gateway.budget_book import BudgetBook
        from common.gateway.control import Control
        from common.gateway.destinations import Simulated
        from common.gateway.directory import Directory
        from common.gateway.gateway import Gateway, Limits
        from common.gateway.key_ring import KeyRing
        from common.gateway.pool import Pool
        from common.gateway.rates import RateLimits
        from common.gateway.sending import Sender
        from common.gateway.spending import Spending

        settings = read_settings(ProxySettings)
        copy = BrownoutCopy(self._policies)
        control = Control(
            self.documents,
            self.clock,
            max_stale_s=settings.key_max_stale_s,
            followers=[copy],
        )
        hash_key = self._hash_key(settings)
        simulated_url = settings.simulated_provider_url
        gateway = Gateway(
            keys=KeyRing(self.documents, self.clock, control),
            directory=Directory(self.documents, self.clock, control, environment_secret),
            rates=RateLimits(RateWindows(self.documents, self.clock, entropy=self.entropy)),
            spending=Spending(
                BudgetBook(self.documents, self.clock, control), self._holdings, self.clock
            ),
            brownouts=Brownouts(copy, self.clock, even_draw(hash_key), self.entropy),
            sender=Sender(
                upstream=self._upstream,
                clock=self.clock,
                pool=Pool(self.clock),
                hash_key=hash_key,
                entropy=self.entropy,
                simulated=Simulated(simulated_url) if simulated_url else None,
                identity=self._identity,
            ),
            bus=self.bus,
            clock=self.clock,
            entropy=self.entropy,
            book=self.price_book,
            hash_key=hash_key,
            version=self.version,
            limits=Limits(
                first_byte_s=settings.first_byte_timeout_s,
                idle_s=settings.idle_timeout_s,
                call_s=settings.call_timeout_s,
            ),
            unmetered=read_unmetered(settings.unmetered_paths),
        )
        # What is loaded by now stays: collections need not walk it each time, which calls would
        # wait for (milliseconds, at the 99th percentile).
        gc.collect()
        gc.freeze()
        return gateway

    @cached_property
    def usage(self) -> "Gathering":
        """Counts usage events in rollups."""
        from common.usage.apply_events import OpenRollups, apply_events
        from common.usage.gathering import Gathering

        open_rollups = OpenRollups()
        return Gathering(
            lambda events: apply_events(
                self.documents, events, self.clock, open_rollups=open_rollups
            )
        )

    @cached_property
    def sweeper(self) -> "Sweeper":
        """Looks after budgets, once a minute."""
        from common.budgets.sweep import Sweeper
        from common.runtime.spending import spent_before, spent_of
        from common.usage.spent import Spent

        spent = Spent(self.documents, _WarehouseWhenAsked(self), self.clock)
        return Sweeper(
            self.documents,
            self.bus,
            self.clock,
            self.entropy,
            spent_of(spent),
            spent_before(spent),
        )

    @cached_property
    def reconciler(self) -> "Reconciler":
        """Releases what a provider's bill proves unspent."""
        from common.budgets.reconciled import Reconciler
        from common.usage.proof import Proof

        proof = Proof(_WarehouseWhenAsked(self))
        return Reconciler(self.documents, self.clock, self.entropy, proof)

    async def start_deliveries(self) -> None:
        """Deliver what was published, also before this start; Pub/Sub does so by itself."""
        if not _is_pubsub(read_settings(BusSettings)):
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
        for part in ("_upstream", "_to_channels", "_pubsub_bus", "warehouse", "documents"):
            if part in self.__dict__:
                await self.__dict__[part].aclose()

    def _file(self, url: str | None, name: str) -> Path:
        """The file a local engine's URL names, or its default in DATA_DIR."""
        if url is not None:
            return Path(url.partition("///")[2])
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
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


def _is_pubsub(settings: BusSettings) -> bool:
    return settings.bus_url is not None and settings.bus_url.startswith("pubsub://")


def _kept_secret(path: Path) -> bytes:
    """Random bytes that are made once and kept in a file only its owner can read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(32))
    return path.read_bytes()
