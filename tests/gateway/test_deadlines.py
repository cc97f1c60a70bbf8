"""One timer for everything a call waits for."""

import asyncio

import pytest

from common.gateway.deadlines import LOOK_AFTER_S, Deadlines, Wait

TINY_S = 0.02


async def _wait(deadlines: Deadlines, *expected: tuple[Wait, float]) -> None:
    """Wait with these expectations, one after the other, until the client leaves after 2 s."""
    asyncio.get_running_loop().call_later(2, deadlines.client_left)
    with deadlines:
        for what, within_s in expected:
            deadlines.expect(what, within_s)
        await asyncio.Event().wait()


@pytest.mark.parametrize("what", ["body", "first_byte", "next_chunk"])
async def test_ends_a_wait_for_what_does_not_come(what: Wait) -> None:
    deadlines = Deadlines(60)

    with pytest.raises(TimeoutError):
        await _wait(deadlines, (what, TINY_S))

    assert (deadlines.waiting_for, deadlines.client_gone) == (what, False)


async def test_counts_anew_with_each_expectation() -> None:
    loop = asyncio.get_running_loop()
    moved = asyncio.Event()

    with Deadlines(60) as deadlines:
        deadlines.expect("first_byte", TINY_S)
        deadlines.expect("next_chunk", 60)
        # Set behind the first deadline's time, by the same timers that would have ended the wait.
        loop.call_later(3 * TINY_S, moved.set)
        await moved.wait()

    assert moved.is_set()


async def test_gives_the_client_the_rest_of_the_call() -> None:
    loop = asyncio.get_running_loop()
    read = asyncio.Event()

    with Deadlines(60) as deadlines:
        deadlines.expect("next_chunk", TINY_S)
        deadlines.allow_client_time()
        loop.call_later(3 * TINY_S, read.set)
        await read.wait()

    assert deadlines.waiting_for == "client"


async def test_ends_the_whole_call_whatever_it_waits_for() -> None:
    deadlines = Deadlines(TINY_S)

    with pytest.raises(TimeoutError):
        await _wait(deadlines, ("next_chunk", 60))

    assert not deadlines.client_gone


async def test_a_nearer_expectation_counts() -> None:
    deadlines = Deadlines(60)

    with pytest.raises(TimeoutError):
        await _wait(deadlines, ("first_byte", 60), ("next_chunk", TINY_S))

    assert not deadlines.client_gone
    assert deadlines.waiting_for == "next_chunk"


async def test_a_client_that_leaves_ends_the_wait() -> None:
    deadlines = Deadlines(60)

    asyncio.get_running_loop().call_soon(deadlines.client_left)

    with pytest.raises(TimeoutError):
        await _wait(deadlines)

    assert deadlines.client_gone


async def test_a_process_that_ends_ends_the_wait() -> None:
    deadlines = Deadlines(60)

    asyncio.get_running_loop().call_soon(deadlines.stop)

    with pytest.raises(TimeoutError):
        await _wait(deadlines)

    assert (deadlines.stopped, deadlines.client_gone) == (True, False)


async def test_looks_after_a_while_and_once() -> None:
    looks: list[float] = []
    loop = asyncio.get_running_loop()

    with Deadlines(60) as deadlines:
        began = loop.time()
        deadlines.look(lambda: looks.append(loop.time()))
        deadlines.expect("next_chunk", 60)
        await asyncio.sleep(LOOK_AFTER_S * 4)

    [looked] = looks
    assert looked - began >= LOOK_AFTER_S * 0.9


async def test_looks_at_once_where_it_runs_for_long_already() -> None:
    looked = asyncio.Event()

    with Deadlines(60) as deadlines:
        await asyncio.sleep(LOOK_AFTER_S * 2)
        deadlines.look(looked.set)

        assert looked.is_set()


async def test_a_client_that_leaves_afterwards_changes_nothing() -> None:
    with Deadlines(60) as deadlines:
        pass

    deadlines.client_left()
    await asyncio.sleep(0)

    assert not deadlines.client_gone


async def test_a_cancellation_from_outside_stays_one() -> None:
    started = asyncio.Event()

    async def wait() -> None:
        with Deadlines(60):
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
