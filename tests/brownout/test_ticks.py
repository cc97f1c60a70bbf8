"""The minute's command takes up what is left, part by part."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.changes import CHANGES
from common.brownout.folding import Folding
from common.brownout.modes import Mode
from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.brownout.signals import KEPT, SIGNALS
from common.brownout.state import STATE, State
from common.brownout.ticks import Ticker
from common.core.brownout_events import BrownoutTick
from common.core.errors import StoreUnavailable
from common.core.ports import Document, Documents, Query
from tests.brownout.scenes import LEASE, T0, a_signal, at
from tests.brownout.test_folding import KeepingBus, tell
from tests.gateway.making import SetClock
from tests.repository.sources import ROOT


def a_ticker(documents: Documents, bus: KeepingBus, clock: SetClock) -> Ticker:
    policies = Policies(documents, shipped_policy, policy_from_data)
    return Ticker(Folding(documents, bus, clock, os.urandom, policies))


def a_tick(clock: SetClock) -> BrownoutTick:
    return BrownoutTick(id="tick", event_time=clock.now())


async def test_folds_what_a_webhook_stored_and_did_not_fold(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    bus = KeepingBus()
    await tell(documents, a_signal(Mode.SOFT, "org:acme"))

    await a_ticker(documents, bus, clock).run(a_tick(clock))

    [state] = await documents.get_many([STATE])
    assert State.from_document(state).scopes["org:acme"].mode == Mode.SOFT
    assert len(bus.published) == 1


async def test_does_not_obey_a_command_of_the_minute_before(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    await tell(documents, a_signal())
    tick = a_tick(clock)
    clock.advance(61)

    await a_ticker(documents, KeepingBus(), clock).run(tick)

    assert await documents.get_many([STATE]) == [None]


async def test_publishes_what_the_bus_refused_before(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    bus = KeepingBus(down=True)
    await tell(documents, a_signal())
    await a_ticker(documents, bus, clock).run(a_tick(clock))
    bus.down = False

    await a_ticker(documents, bus, clock).run(a_tick(clock))

    assert len(bus.published) == 1
    assert await documents.query(Query(CHANGES, {"published": False})) == []


async def test_forgets_a_signal_an_hour_after_its_end_and_no_sooner(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    await tell(
        documents,
        a_signal(group="old"),
        a_signal(group="new", lease_until=at(0) + LEASE + timedelta(minutes=1)),
    )
    clock.advance((LEASE + KEPT).total_seconds())

    await a_ticker(documents, KeepingBus(), clock).run(a_tick(clock))

    assert [each.data["group"] for each in await documents.query(Query(SIGNALS))] == ["new"]


class WithoutState:
    """A store in which the state cannot be read."""

    def __init__(self, inner: Documents) -> None:
        self._inner = inner

    async def get_many(self, refs: Sequence[Any]) -> list[Document | None]:
        if STATE in refs:
            raise StoreUnavailable("down")
        return await self._inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self._inner.query(query)

    async def commit(self, writes: Sequence[Any]) -> Any:
        return await self._inner.commit(writes)


async def test_does_every_part_although_another_fails(
    documents: SqliteDocuments, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    ended = a_signal(lease_until=T0 - KEPT, received_at=T0 - KEPT)
    await tell(documents, replace(ended, observed_at=T0 - KEPT))

    await a_ticker(WithoutState(documents), KeepingBus(), clock).run(a_tick(clock))

    told: list[Mapping[str, Any]] = [vars(record) for record in caplog.records]
    failed = [each["part"] for each in told if each["msg"] == "brownout.part_failed"]
    assert failed == ["fold", "settle"]
    assert await documents.query(Query(SIGNALS)) == []


async def test_does_what_others_want_done_each_minute(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    asked: list[tuple[str, object]] = []

    async def failing(now: object) -> None:
        asked.append(("failing", now))
        raise StoreUnavailable("down")

    async def another(now: object) -> None:
        asked.append(("another", now))

    ticker = a_ticker(documents, KeepingBus(), clock)
    ticker = replace(ticker, others={"failing": failing, "another": another})

    await ticker.run(a_tick(clock))

    assert asked == [("failing", clock.now()), ("another", clock.now())]


async def test_a_run_that_is_obeyed_tells_the_line_that_terraform_waits_for(
    documents: SqliteDocuments, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "common.brownout.ticks")
    text = (ROOT / "terraform/monitoring.tf").read_text(encoding="utf-8")
    [line] = re.findall(r'brownout_tick += \{ line = "([^"]+)"', text)
    ticker, tick = a_ticker(documents, KeepingBus(), clock), a_tick(clock)

    await ticker.run(tick)
    obeyed = [record.getMessage() for record in caplog.records].count(line)
    clock.advance(61)
    await ticker.run(tick)

    assert obeyed == 1
    assert [record.getMessage() for record in caplog.records].count(line) == 1
