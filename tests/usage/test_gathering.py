"""Events that arrive together share a commit, and each caller hears of its own."""

import asyncio
from collections.abc import Sequence

import pytest

from common.core.errors import StoreUnavailable
from common.core.events import CountedEvent
from common.usage.apply_events import Applied
from common.usage.gathering import Gathering
from tests.usage.conftest import calls, ids


class Counting:
    """Notes batches, and answers when it is told to. `failing` are ids that are not counted."""

    def __init__(self, *failing: str, error: Exception | None = None) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._arrived = asyncio.Condition()
        self._failing = failing
        self._error = error

    async def __call__(self, events: Sequence[CountedEvent]) -> Applied:
        self.batches.append([event.id for event in events])
        async with self._arrived:
            self._arrived.notify_all()
        await self.gate.wait()
        if self._error is not None:
            raise self._error
        failed = dict.fromkeys(ids(events) & set(self._failing), "no")
        return Applied(ids(events) - failed.keys(), failed=failed)

    async def began(self, count: int) -> None:
        """Wait until so many batches have begun."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.batches) >= count)


async def for_ever(_seconds: float) -> None:
    await asyncio.Event().wait()


async def test_counts_together_what_arrives_together() -> None:
    counting, events = Counting(), calls(20)
    gathering = Gathering(counting)

    await asyncio.gather(*(gathering.add(event) for event in events))

    assert counting.batches == [[event.id for event in events]]


async def test_waits_for_company_no_longer_than_its_window() -> None:
    counting, [event] = Counting(), calls(1)
    windows: list[float] = []

    async def pass_at_once(seconds: float) -> None:
        windows.append(seconds)

    await Gathering(counting, window_s=0.05, sleep=pass_at_once).add(event)

    assert windows == [0.05]
    assert counting.batches == [[event.id]]


async def test_does_not_wait_once_a_commit_is_full() -> None:
    counting, events = Counting(), calls(10)
    gathering = Gathering(counting, most=5, sleep=for_ever)

    await asyncio.wait_for(asyncio.gather(*(gathering.add(event) for event in events)), 10)

    assert [len(batch) for batch in counting.batches] == [5, 5]


async def test_gathers_while_a_commit_is_under_way() -> None:
    counting, events = Counting(), calls(30)
    counting.gate.clear()
    gathering = Gathering(counting, window_s=0)

    first = asyncio.create_task(gathering.add(events[0]))
    await counting.began(1)
    rest = [asyncio.create_task(gathering.add(event)) for event in events[1:]]
    for _ in range(20):  # so that their windows are over
        await asyncio.sleep(0)
    counting.gate.set()
    await asyncio.gather(first, *rest)

    assert [len(batch) for batch in counting.batches] == [1, 29]


async def test_fails_exactly_those_that_are_not_counted() -> None:
    events = calls(6)
    gathering = Gathering(Counting(events[2].id, events[4].id))

    answers = await asyncio.gather(
        *(gathering.add(event) for event in events), return_exceptions=True
    )

    assert [isinstance(answer, StoreUnavailable) for answer in answers] == [
        *(False, False, True),
        *(False, True, False),
    ]


async def test_fails_the_callers_of_one_commit_and_of_no_other() -> None:
    counting, events = Counting(error=RuntimeError("broken")), calls(10)
    gathering = Gathering(counting, most=5)

    broken = await asyncio.gather(*(gathering.add(e) for e in events[:5]), return_exceptions=True)
    counting._error = None  # noqa: SLF001 - the store is well again
    await asyncio.gather(*(gathering.add(event) for event in events[5:]))

    assert [str(error) for error in broken] == ["broken"] * 5


async def test_counts_on_when_a_caller_leaves() -> None:
    counting, events = Counting(), calls(2)
    counting.gate.clear()
    gathering = Gathering(counting, window_s=0)

    leaving, staying = [asyncio.create_task(gathering.add(event)) for event in events]
    await counting.began(1)
    leaving.cancel()
    counting.gate.set()
    await staying

    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert counting.batches == [[event.id for event in events]]


async def test_answers_every_delivery_of_the_same_event() -> None:
    counting, [event] = Counting(), calls(1)
    gathering = Gathering(counting)

    await asyncio.gather(gathering.add(event), gathering.add(event))

    assert counting.batches == [[event.id, event.id]]
