"""A gateway between a scripted provider and a scripted client, with one key in a real store."""

import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.holdings import Holdings
from common.budgets.rate_windows import RateWindows
from common.core.secrets import Secret
from common.gateway.budget_book import BudgetBook
from common.gateway.control import Control
from common.gateway.destinations import VENDOR_VARIABLES, Simulated
from common.gateway.directory import Directory
from common.gateway.gateway import Gateway, Limits
from common.gateway.key_ring import KeyRing
from common.gateway.pool import Pool
from common.gateway.rates import RateLimits
from common.gateway.sending import Sender
from common.gateway.spending import Spending
from common.llm.price_book import bundled_book
from tests.gateway.making import a_key, store
from tests.streams.fakes import Client, KeepingBus, LoopClock, ScriptedUpstream

MakeClient: TypeAlias = Callable[..., Client]


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocuments]:
    state = SqliteDocuments(tmp_path / "state.sqlite")
    await store(state, a_key())
    yield state
    await state.aclose()


@pytest.fixture
async def keys(documents: SqliteDocuments) -> KeyRing:
    clock = LoopClock()
    return KeyRing(documents, clock, Control(documents, clock))


@pytest.fixture
async def upstream() -> ScriptedUpstream:
    return ScriptedUpstream()


@pytest.fixture
async def bus() -> KeepingBus:
    return KeepingBus()


async def no_sleep(_seconds: float) -> None:
    """Tests wait for nothing that does not happen by itself."""


@pytest.fixture
def make_client(
    documents: SqliteDocuments, keys: KeyRing, upstream: ScriptedUpstream, bus: KeepingBus
) -> MakeClient:
    """A client of a gateway with these limits and settings, and keys of the installation."""

    def make(
        limits: Limits | None = None,
        managed_keys: Mapping[str, Secret] | None = None,
        simulated_url: str | None = None,
        **settings: Any,
    ) -> Client:
        numbers = iter(range(1_000_000))
        managed = {VENDOR_VARIABLES[name]: key for name, key in (managed_keys or {}).items()}
        clock = LoopClock()
        control = Control(documents, clock)
        holdings = Holdings(documents, clock, "instance", os.urandom)
        return Client(
            Gateway(
                keys=keys,
                directory=Directory(documents, clock, control, managed.get),
                rates=RateLimits(RateWindows(documents, clock, entropy=bytes)),
                spending=Spending(BudgetBook(documents, clock, control), holdings, clock),
                sender=Sender(
                    upstream=upstream,
                    clock=clock,
                    pool=Pool(clock),
                    hash_key=b"installation",
                    entropy=bytes,
                    sleep=no_sleep,
                    simulated=Simulated(simulated_url) if simulated_url else None,
                ),
                bus=bus,
                clock=clock,
                entropy=lambda n: hashlib.sha256(str(next(numbers)).encode()).digest()[:n],
                book=bundled_book(),
                hash_key=b"installation",
                version="1.2.3",
                limits=limits or Limits(),
                **settings,
            )
        )

    return make


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(managed_keys={"openai": Secret("sk-of-the-installation")})


class KeptRecords(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def named(self, event: str) -> list[logging.LogRecord]:
        return [record for record in self.records if record.getMessage() == event]


@pytest.fixture
def logged() -> Iterator[KeptRecords]:
    """All that the program logs during a test, whether or not its logger is configured."""
    handler = KeptRecords()
    logger = logging.getLogger("common")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)
