"""Keys in memory: how long they are trusted, and how soon a revocation is obeyed."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from common.core.ports import Put
from common.gateway.control import CONTROL, Control
from common.gateway.key_ring import KeyRing
from common.gateway.keys import Key
from common.gateway.refusals import Refusal
from tests.gateway.making import START, SetClock, WatchedDocuments, a_key, key_text, store


@pytest.fixture
def ring(documents: WatchedDocuments, clock: SetClock) -> KeyRing:
    return KeyRing(documents, clock, Control(documents, clock))


async def _revoke(documents: WatchedDocuments, clock: SetClock, key: Key) -> None:
    revoked = replace(key, revoked_at=clock.now())
    changes = {"keys_changed": {key.key_id: clock.now()}}
    await documents.commit([Put(CONTROL, changes)])
    await store(documents, revoked)


async def _refusal(ring: KeyRing, key: Key) -> Refusal:
    with pytest.raises(Refusal) as raised:
        ring.require_usable(await ring.find(key.digest))
    return raised.value


async def _settle() -> None:
    """Let the control document that a call asked for in the background arrive."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    async with asyncio.timeout(5):
        await asyncio.gather(*(t for t in others if "Control._read" in repr(t.get_coro())))


async def test_reads_a_known_key_once_a_minute(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    key = a_key()
    await store(documents, key)

    await ring.find(key.digest)
    clock.advance(59.9)
    await ring.find(key.digest)
    assert documents.reads_of("keys") == 1
    clock.advance(0.1)

    assert await ring.find(key.digest) == key
    assert documents.reads_of("keys") == 2


async def test_reads_an_unknown_key_once_in_ten_seconds(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    key = a_key()

    assert (await _refusal(ring, key)).code == "invalid_gateway_key"
    clock.advance(9.9)
    assert (await _refusal(ring, key)).code == "invalid_gateway_key"
    assert documents.reads_of("keys") == 1
    await store(documents, key)
    clock.advance(0.1)

    assert await ring.find(key.digest) == key


async def test_refuses_an_expired_key_from_the_moment_it_expires(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    key = a_key(expires_at=START + timedelta(seconds=5))
    await store(documents, key)

    await ring.find(key.digest)
    clock.advance(5)

    assert (await _refusal(ring, key)).code == "expired_gateway_key"


async def test_a_busy_instance_obeys_a_revocation_within_3_seconds(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    key = a_key()
    await store(documents, key)
    await ring.find(key.digest)
    await _revoke(documents, clock, key)

    clock.advance(2)
    await ring.find(key.digest)
    await _settle()
    clock.advance(0.5)

    assert (await _refusal(ring, key)).code == "revoked_gateway_key"


async def test_an_idle_instance_obeys_a_revocation_within_30_seconds(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    key = a_key()
    await store(documents, key)
    await ring.find(key.digest)
    await _revoke(documents, clock, key)

    clock.advance(30)

    assert (await _refusal(ring, key)).code == "revoked_gateway_key"


async def test_a_revocation_is_not_missed_by_a_read_on_its_way(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    """The key was read before it was revoked, and arrives after the control document told so."""
    known, key = a_key(), a_key(key_text("two"))
    await store(documents, known)
    await store(documents, key)
    await ring.find(known.digest)
    documents.gate, documents.gated = asyncio.Event(), "keys"
    late = asyncio.create_task(ring.find(key.digest))
    await documents.waiting.wait()
    await _revoke(documents, clock, key)
    clock.advance(2)
    await ring.find(known.digest)
    await _settle()

    documents.gate.set()

    with pytest.raises(Refusal, match="revoked"):
        ring.require_usable(await late)


async def test_reads_the_control_document_once_for_calls_that_wait_together(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    keys = [a_key(key_text(str(number))) for number in range(5)]
    for key in keys:
        await store(documents, key)

    await asyncio.gather(*(ring.find(key.digest) for key in keys))

    # Once for all, and beside each key that is read.
    assert documents.reads_of("gateway") == 1 + len(keys)


async def test_does_not_wait_for_a_control_document_younger_than_its_limit(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    key = a_key()
    await store(documents, key)
    await ring.find(key.digest)
    documents.gate, documents.gated = asyncio.Event(), "gateway"
    clock.advance(29)

    async with asyncio.timeout(5):
        assert await ring.find(key.digest) == key

    documents.gate.set()
    await _settle()


async def test_a_call_that_is_cancelled_leaves_the_refresh_to_the_others(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    key = a_key()
    await store(documents, key)
    documents.gate, documents.gated = asyncio.Event(), "gateway"
    first = asyncio.create_task(ring.find(key.digest))
    await documents.waiting.wait()
    second = asyncio.create_task(ring.find(key.digest))

    first.cancel()
    documents.gate.set()

    assert await second == key
    assert documents.reads_of("gateway") == 2
    assert first.cancelled()


async def test_known_keys_work_for_ten_minutes_while_the_store_is_down(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    key = a_key()
    await store(documents, key)
    await ring.find(key.digest)
    documents.down = True

    clock.advance(599)
    assert await ring.find(key.digest) == key
    clock.advance(1)

    refusal = await _refusal(ring, key)
    assert (refusal.code, refusal.status, refusal.retry_after_s) == ("store_unavailable", 503, 5)


async def test_a_key_not_seen_before_is_503_while_the_store_is_down(
    documents: WatchedDocuments, ring: KeyRing
) -> None:
    documents.down = True

    assert (await _refusal(ring, a_key())).status == 503


async def test_asks_a_store_that_is_down_every_2_seconds_only(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    key = a_key()
    await store(documents, key)
    await ring.find(key.digest)
    documents.down = True
    clock.advance(61)
    await ring.find(key.digest)
    asked = len(documents.reads)

    clock.advance(1.9)
    await ring.find(key.digest)
    assert len(documents.reads) == asked
    clock.advance(0.1)
    await ring.find(key.digest)

    assert len(documents.reads) > asked


async def test_a_revoked_key_is_refused_also_when_the_store_then_goes_down(
    documents: WatchedDocuments, clock: SetClock, ring: KeyRing
) -> None:
    key = a_key()
    await store(documents, key)
    await ring.find(key.digest)
    await _revoke(documents, clock, key)
    clock.advance(30)
    await _refusal(ring, key)
    documents.down = True
    clock.advance(100)

    assert (await _refusal(ring, key)).code == "revoked_gateway_key"


async def test_a_key_that_is_new_here_brings_what_has_changed(
    documents: WatchedDocuments, clock: SetClock
) -> None:
    """A budget may have come with it, and apply from its first call on."""
    control = Control(documents, clock)
    ring = KeyRing(documents, clock, control)
    old, new = a_key(), a_key(key_text("new"))
    await store(documents, old)
    await ring.find(old.digest)
    clock.advance(0.5)
    await store(documents, new)
    await documents.commit([Put(CONTROL, {"policy_epoch": 7})])

    await ring.find(new.digest)

    assert control.data == {"policy_epoch": 7}
