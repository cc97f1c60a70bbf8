"""Limits of a minute over all instances, whatever becomes of commits."""

import asyncio
from collections import Counter

import pytest

from common.budgets.rate_limits import CallLimits
from common.budgets.rate_windows import Admission, Over, RateWindows
from common.core.errors import StoreUnavailable
from common.core.ports import Documents, Query
from tests.gateway.making import SetClock, WatchedDocuments
from tests.rates.model import MemoryDocuments, Violation, World

RUNS = 100
RUNS_UNTIL_FOUND = 100
LINE = "line-1"


def windows_over(
    documents: Documents, clock: SetClock | None = None, wait_s: float = 30
) -> RateWindows:
    return RateWindows(documents, clock or SetClock(), entropy=bytes, wait_s=wait_s)


async def many(windows: RateWindows, number: int, limits: CallLimits) -> Counter[str]:
    """How calls that arrive together are answered."""
    found = await asyncio.gather(*(windows.admit(LINE, limits, 0) for _ in range(number)))
    return Counter(each.limit if isinstance(each, Over) else "admitted" for each in found)


@pytest.mark.parametrize("block", range(4))
async def test_no_interleaving_breaks_a_limit(block: int) -> None:
    for seed in range(block, RUNS, 4):
        await World(seed).run(300)


async def test_finds_a_store_that_ignores_what_a_write_rests_on() -> None:
    found = 0
    for seed in range(RUNS_UNTIL_FOUND):
        try:
            await World(seed, MemoryDocuments(blind=True)).run(300)
        except Violation:
            found += 1

    assert found > 0


@pytest.mark.parametrize("seed", range(3))
async def test_holds_over_a_real_store(documents: Documents, seed: int) -> None:
    world = World(seed, documents, limits=CallLimits(rpm=20, tpm=300))

    await world.run(40)

    assert world.requests.total() > 0


@pytest.mark.parametrize("rpm", [1, 7, 100])
async def test_one_instance_reaches_all_of_a_limit(documents: Documents, rpm: int) -> None:
    windows = windows_over(documents)
    limits = CallLimits(rpm=rpm)

    assert await many(windows, rpm, limits) == {"admitted": rpm}
    assert await many(windows, 2, limits) == {"rpm": 2}


async def test_several_instances_reach_all_of_a_limit_if_all_go_on_asking(
    documents: Documents,
) -> None:
    instances = [windows_over(documents) for _ in range(3)]

    found = await asyncio.gather(*(many(each, 60, CallLimits(rpm=60)) for each in instances))

    assert sum(found, Counter()) == {"admitted": 60, "rpm": 120}


async def test_a_new_minute_begins_anew(documents: Documents) -> None:
    clock = SetClock()
    windows = windows_over(documents, clock)
    limits = CallLimits(rpm=3)
    clock.advance(59)
    assert await many(windows, 4, limits) == {"admitted": 3, "rpm": 1}

    clock.advance(1)

    assert await many(windows, 4, limits) == {"admitted": 3, "rpm": 1}
    ids = [document.ref.id for document in await documents.query(Query("rates"))]
    assert ids == [f"{LINE}:2026-11-20T12:00", f"{LINE}:2026-11-20T12:01"]


async def test_a_clock_set_back_finds_the_window_as_it_left_it(documents: Documents) -> None:
    clock = SetClock()
    windows = windows_over(documents, clock)
    await many(windows, 3, CallLimits(rpm=3))
    clock.advance(60)
    await many(windows, 1, CallLimits(rpm=3))

    clock.advance(-60)

    assert await many(windows, 1, CallLimits(rpm=3)) == {"rpm": 1}


async def test_lines_are_counted_apart(documents: Documents) -> None:
    windows = windows_over(documents)
    await windows.admit("line-1", CallLimits(rpm=1), 0)

    other = await windows.admit("line-2", CallLimits(rpm=1), 0)

    assert isinstance(other, Admission)


@pytest.mark.parametrize(("passed_s", "left_s"), [(0, 60), (0.5, 60), (42, 18), (59.9, 1)])
async def test_says_when_the_minute_ends(passed_s: float, left_s: int) -> None:
    clock = SetClock()
    windows = windows_over(MemoryDocuments(), clock)
    clock.advance(passed_s)
    await windows.admit(LINE, CallLimits(rpm=1), 0)

    assert await windows.admit(LINE, CallLimits(rpm=1), 0) == Over("rpm", left_s)


async def test_the_documents_are_kept_for_an_hour() -> None:
    documents = MemoryDocuments()
    await windows_over(documents).admit(LINE, CallLimits(rpm=1), 0)

    [(_, data)] = documents.stored.values()
    assert f"{data['delete_at']:%H:%M}" == "13:01"


async def test_asks_nobody_while_it_has_room() -> None:
    documents = WatchedDocuments(MemoryDocuments())
    windows = windows_over(documents)

    await many(windows, 1, CallLimits(rpm=400))
    await many(windows, 99, CallLimits(rpm=400))

    assert len(documents.reads) == 1


async def test_asks_nobody_once_a_minute_is_used_up() -> None:
    documents = WatchedDocuments(MemoryDocuments())
    windows = windows_over(documents)
    await many(windows, 5, CallLimits(rpm=5))
    before = len(documents.reads)

    await many(windows, 50, CallLimits(rpm=5))

    assert len(documents.reads) == before


async def test_takes_once_for_all_who_wait() -> None:
    documents = WatchedDocuments(MemoryDocuments(), gate=asyncio.Event(), gated="rates")
    windows = windows_over(documents)

    assert documents.gate is not None
    documents.gate.set()
    assert await many(windows, 50, CallLimits(rpm=60)) == {"admitted": 50}

    assert len(documents.reads) == 1


async def test_passes_in_memory_while_the_store_is_down() -> None:
    documents = WatchedDocuments(MemoryDocuments())
    windows = windows_over(documents)
    await many(windows, 1, CallLimits(rpm=40))
    documents.down = True

    assert await many(windows, 9, CallLimits(rpm=40)) == {"admitted": 9}
    with pytest.raises(StoreUnavailable):
        await windows.admit(LINE, CallLimits(rpm=40), 0)


async def test_asks_a_silent_store_again_after_a_while() -> None:
    clock = SetClock()
    documents = WatchedDocuments(MemoryDocuments(), down=True)
    windows = windows_over(documents, clock)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await windows.admit(LINE, CallLimits(rpm=1), 0)
    assert len(documents.reads) == 1
    documents.down = False

    clock.advance(2)

    assert await many(windows, 1, CallLimits(rpm=1)) == {"admitted": 1}


async def test_waits_so_long_and_no_longer() -> None:
    gate = asyncio.Event()
    documents = WatchedDocuments(MemoryDocuments(), gate=gate, gated="rates")
    windows = windows_over(documents, wait_s=0.01)

    with pytest.raises(StoreUnavailable):
        await windows.admit(LINE, CallLimits(rpm=2), 0)
    gate.set()

    assert await many(windows, 2, CallLimits(rpm=2)) == {"admitted": 2}


async def test_a_call_that_leaves_while_it_waits_uses_nothing() -> None:
    gate = asyncio.Event()
    documents = WatchedDocuments(MemoryDocuments(), gate=gate, gated="rates")
    windows = windows_over(documents)
    leaving = asyncio.create_task(windows.admit(LINE, CallLimits(rpm=2, tpm=10), 10))
    await documents.waiting.wait()
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)

    gate.set()

    for _ in range(2):
        assert isinstance(await windows.admit(LINE, CallLimits(rpm=2, tpm=10), 5), Admission)


@pytest.mark.parametrize("turns", range(12))
async def test_a_call_that_leaves_as_it_is_admitted_gives_its_tokens_back(turns: int) -> None:
    gate = asyncio.Event()
    documents = WatchedDocuments(MemoryDocuments(), gate=gate, gated="rates")
    windows = windows_over(documents)
    leaving = asyncio.create_task(windows.admit(LINE, CallLimits(tpm=10), 10))
    await documents.waiting.wait()
    gate.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    leaving.cancel()
    [left] = await asyncio.gather(leaving, return_exceptions=True)
    if isinstance(left, Admission):
        left.true_up(0)

    assert isinstance(await windows.admit(LINE, CallLimits(tpm=10), 10), Admission)


async def test_a_call_that_used_more_delays_the_next_to_the_next_minute() -> None:
    clock = SetClock()
    windows = windows_over(MemoryDocuments(), clock)
    limits = CallLimits(tpm=1_000)
    first = await windows.admit(LINE, limits, 100)
    assert isinstance(first, Admission)

    first.true_up(1_000)

    assert await windows.admit(LINE, limits, 1) == Over("tpm", 60)
    clock.advance(60)
    assert isinstance(await windows.admit(LINE, limits, 1), Admission)


async def test_serves_those_who_wait_in_their_order() -> None:
    windows = windows_over(MemoryDocuments())
    limits = CallLimits(tpm=100)

    found = await asyncio.gather(*(windows.admit(LINE, limits, n) for n in (60, 60, 40, 1)))

    assert [isinstance(each, Admission) for each in found] == [True, False, True, False]


async def test_lets_none_pass_those_who_wait() -> None:
    gate = asyncio.Event()
    documents = WatchedDocuments(MemoryDocuments())
    windows = windows_over(documents)
    limits = CallLimits(tpm=100)
    await windows.admit(LINE, limits, 10)
    documents.gate, documents.gated = gate, "rates"
    passed: list[int] = []

    async def call(tokens: int) -> None:
        await windows.admit(LINE, limits, tokens)
        passed.append(tokens)

    first = asyncio.create_task(call(40))
    await documents.waiting.wait()
    second = asyncio.create_task(call(15))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, second)

    assert passed == [40, 15]
