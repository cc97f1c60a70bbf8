"""Upstreams in memory: when they are read, and what happens when they cannot be."""

import asyncio
from collections.abc import Sequence

import pytest

from common.core.errors import StoreUnavailable
from common.core.ports import Delete, Document, Put, Query
from common.core.secrets import Secret
from common.gateway.control import CONTROL, UPSTREAMS_CHANGED, Control
from common.gateway.directory import Directory
from common.gateway.upstream_records import CredentialRecord, UpstreamRecord, upstream_ref
from tests.gateway.making import SetClock, WatchedDocuments

MISTRAL = UpstreamRecord("mistral", base_url="https://api.mistral.ai/v1", provider="mistral")
VARIABLES = {"OPENAI_API_KEY": Secret("sk-1"), "SPARE_API_KEY": Secret("sk-2")}


class Counted:
    """Queries of another store, counted; silent while `down`."""

    def __init__(self, inner: WatchedDocuments) -> None:
        self.inner = inner
        self.queries = 0
        self.down = False

    async def query(self, query: Query) -> list[Document]:
        self.queries += 1
        if self.down:
            raise StoreUnavailable("no answer")
        return await self.inner.query(query)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@pytest.fixture
def store(documents: WatchedDocuments) -> Counted:
    return Counted(documents)


@pytest.fixture
def control(documents: WatchedDocuments, clock: SetClock) -> Control:
    return Control(documents, clock)


@pytest.fixture
def directory(store: Counted, clock: SetClock, control: Control) -> Directory:
    return Directory(store, clock, control, VARIABLES.get)  # type: ignore[arg-type] # by __getattr__


async def _save(
    documents: WatchedDocuments, *records: UpstreamRecord, gone: Sequence[str] = ()
) -> None:
    writes = [Put(upstream_ref(record.name), record.to_data()) for record in records]
    await documents.commit([*writes, *(Delete(upstream_ref(name)) for name in gone)])


async def _until_read(store: Counted, times: int) -> None:
    """Let a reading in the background end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    async with asyncio.timeout(5):
        await asyncio.gather(*(t for t in others if "Directory._read" in repr(t.get_coro())))
    assert store.queries == times


async def test_the_vendors_are_there_with_the_keys_that_are_set(directory: Directory) -> None:
    found = await directory.current()

    assert set(found) == {"openai", "anthropic", "gemini"}
    assert [each.secret.reveal() for each in found["openai"].credentials] == ["sk-1"]
    assert not found["anthropic"].pays
    assert found["anthropic"].unset == ("ANTHROPIC_API_KEY",)


async def test_configured_upstreams_are_read_once_a_minute(
    directory: Directory, documents: WatchedDocuments, store: Counted, clock: SetClock
) -> None:
    await _save(documents, MISTRAL)

    assert (await directory.current())["mistral"].base_url == "https://api.mistral.ai/v1"
    clock.advance(59.9)
    await directory.current()
    assert store.queries == 1
    await _save(documents, gone=["mistral"])
    clock.advance(0.1)

    assert "mistral" in await directory.current()
    await _until_read(store, 2)
    assert "mistral" not in await directory.current()


async def test_a_change_is_waited_for(
    directory: Directory, documents: WatchedDocuments, control: Control, clock: SetClock
) -> None:
    await directory.current()
    await _save(documents, MISTRAL)
    await documents.commit([Put(CONTROL, {UPSTREAMS_CHANGED: clock.now()})])
    await control.follow()

    assert "mistral" in await directory.current()


async def test_many_callers_wait_for_one_reading(directory: Directory, store: Counted) -> None:
    await asyncio.gather(*(directory.current() for _ in range(50)))

    assert store.queries == 1


async def test_while_the_store_is_down_the_last_ones_stay(
    directory: Directory, documents: WatchedDocuments, store: Counted, clock: SetClock
) -> None:
    await _save(documents, MISTRAL)
    await directory.current()
    store.down = True
    clock.advance(60)

    assert "mistral" in await directory.current()
    await _until_read(store, 2)
    assert "mistral" in await directory.current()
    clock.advance(2)
    await directory.current()
    await _until_read(store, 3)


async def test_without_a_store_the_vendors_work(directory: Directory, store: Counted) -> None:
    store.down = True

    assert set(await directory.current()) == {"openai", "anthropic", "gemini"}


async def test_a_vendor_s_document_brings_more_keys(
    directory: Directory, documents: WatchedDocuments
) -> None:
    keys = (CredentialRecord("a", "OPENAI_API_KEY"), CredentialRecord("b", "SPARE_API_KEY", 2))
    await _save(documents, UpstreamRecord("openai", credentials=keys))

    openai = (await directory.current())["openai"]

    assert [(each.name, each.weight) for each in openai.credentials] == [("a", 1), ("b", 2)]
    assert openai.base_url == "https://api.openai.com"


async def test_a_document_that_breaks_a_rule_is_left_out(
    directory: Directory, documents: WatchedDocuments
) -> None:
    forged = UpstreamRecord("inside", base_url="http://10.0.0.1/v1")
    await _save(documents, forged, MISTRAL)
    await documents.commit([Put(upstream_ref("half"), {"base_url": "https://example.com"})])

    assert set(await directory.current()) == {"openai", "anthropic", "gemini", "mistral"}
