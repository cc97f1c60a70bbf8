"""A gateway between a scripted provider and a scripted client, with one key in a real store."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from common.core.ports import Documents
from common.core.secrets import Secret
from common.gateway.destinations import VENDOR_VARIABLES, Simulated
from common.gateway.gateway import Limits
from tests.chosen_engines import state_of
from tests.gateway.building import build_gateway
from tests.gateway.making import a_key, store
from tests.streams.fakes import Client, KeepingBus, LoopClock, ScriptedUpstream

MakeClient: TypeAlias = Callable[..., Client]


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[Documents]:
    state = state_of(tmp_path)
    await store(state, a_key())
    yield state
    await state.aclose()


@pytest.fixture
async def upstream() -> ScriptedUpstream:
    return ScriptedUpstream()


@pytest.fixture
async def bus() -> KeepingBus:
    return KeepingBus()


@pytest.fixture
def make_client(documents: Documents, upstream: ScriptedUpstream, bus: KeepingBus) -> MakeClient:
    """A client of a gateway with these limits and settings, and keys of the installation."""

    def make(
        limits: Limits | None = None,
        managed_keys: Mapping[str, Secret] | None = None,
        simulated_url: str | None = None,
        **settings: Any,
    ) -> Client:
        environment = {VENDOR_VARIABLES[name]: key for name, key in (managed_keys or {}).items()}
        gateway = build_gateway(
            documents,
            upstream,
            bus,
            LoopClock(),
            environment,
            simulated=Simulated(simulated_url) if simulated_url else None,
            limits=limits or Limits(),
            **settings,
        )
        return Client(gateway)

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
