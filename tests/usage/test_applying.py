"""Events are counted once, whatever the store answers and however often they come."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.ports import (
    Create,
    Document,
    Documents,
    Increment,
    Outcome,
    Query,
    Ref,
    Unknown,
    Write,
)
from common.usage.apply_events import MARKER_LIFE, MARKERS, OpenRollups, apply_events
from common.usage.rollups import COLLECTIONS, KEPT
from tests.api.conftest import NOW, SetClock, a_call
from tests.usage.conftest import calls, ids
from tests.usage.sums import every, expected, stored


class Noted:
    """Documents that note their commits, and may lose an answer: `fates` says of which commit.

    `lost`: nothing is stored. `deaf`: it is stored. `late`: it is stored when the next one comes.
    """

    def __init__(self, documents: Documents, *fates: str) -> None:
        self._documents = documents
        self._fates = list(fates)
        self._late: list[Sequence[Write]] = []
        self.commits: list[Sequence[Write]] = []

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        raise AssertionError(f"events are counted without reading {refs}")

    async def query(self, query: Query) -> list[Document]:
        raise AssertionError(f"events are counted without reading {query}")

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        self.commits.append(writes)
        while self._late:
            await self._documents.commit(self._late.pop())
        fate = self._fates.pop(0) if self._fates else "ok"
        if fate == "late":
            self._late.append(writes)
        if fate in {"ok", "deaf"}:
            outcome = await self._documents.commit(writes)
            if fate == "ok":
                return outcome
        return Unknown("no answer")


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


async def test_adds_up_each_event_once(documents: Documents, clock: SetClock) -> None:
    events = calls(700)

    applied = await apply_events(documents, [*events, *events[:100]], clock)
    again = await apply_events(documents, events[::-1], clock)

    assert (applied.new, applied.known, applied.failed) == (ids(events), frozenset(), {})
    assert (again.new, again.known, again.failed) == (frozenset(), ids(events), {})
    assert await stored(documents, "hour") == expected(events, "hour")
    assert await stored(documents, "minute") == expected(events, "minute")


async def test_tells_new_events_from_those_counted_before(
    documents: Documents, clock: SetClock
) -> None:
    events = calls(50)
    await apply_events(documents, events[:20], clock)

    applied = await apply_events(documents, events, clock)

    assert (applied.new, applied.known) == (ids(events[20:]), ids(events[:20]))
    assert await stored(documents, "hour") == expected(events, "hour")


async def test_writes_no_more_than_a_commit_may_hold(documents: Documents, clock: SetClock) -> None:
    """Even if each call has documents of its own, or one document all the calls."""
    noted = Noted(documents)
    unlisted = [a_call(n, card=None, model_billed=f"made-up-{n}") for n in range(300)]
    one_key = [a_call(1_000 + n, units={f"unit-{n}-{i}": 1 for i in range(20)}) for n in range(99)]

    await apply_events(noted, [*unlisted, *one_key], clock)

    assert all(len(writes) <= 500 for writes in noted.commits)
    sizes = [len(w.amounts) for writes in noted.commits for w in writes if isinstance(w, Increment)]
    assert max(sizes) <= 500
    assert await stored(documents, "hour") == expected([*unlisted, *one_key], "hour")


async def test_gives_a_model_of_no_price_list_a_document_of_its_own(
    documents: Documents, clock: SetClock
) -> None:
    """A caller who makes up names without end must not fill the documents of others."""
    listed = [a_call(n, model_billed=f"model-{n}") for n in range(200)]
    made_up = [a_call(1_000 + n, card=None, model_billed=f"made-up-{n}") for n in range(200)]

    await apply_events(documents, listed, clock)
    shared = [d.ref async for d in every(documents, COLLECTIONS["hour"])]
    await apply_events(documents, made_up, clock)

    assert len(shared) == 16
    every_one = [d.ref async for d in every(documents, COLLECTIONS["hour"])]
    assert len(every_one) == 16 + 200


async def test_gives_a_made_up_name_of_a_listed_model_a_document_of_its_own(
    documents: Documents, clock: SetClock
) -> None:
    """Some providers answer any name with one model; a shorter name of it is shared as it is."""
    name = "gpt-x-of-a-name-that-is-long-2026-11-01"
    short = [a_call(n, model_sent=name[: n + 1], model_billed=name) for n in range(len(name))]
    made_up = [a_call(1_000 + n, model_sent=f"made-up-{n}") for n in range(200)]

    await apply_events(documents, short, clock)
    shared = [d.ref async for d in every(documents, COLLECTIONS["hour"])]
    await apply_events(documents, made_up, clock)

    assert len(shared) <= 16
    every_one = [d.ref async for d in every(documents, COLLECTIONS["hour"])]
    assert len(every_one) == len(shared) + 200


async def test_says_when_documents_and_markers_may_go(
    documents: Documents, clock: SetClock
) -> None:
    remembered = OpenRollups()
    await apply_events(documents, calls(10), clock, open_rollups=remembered)
    await apply_events(documents, calls(20), clock)
    await apply_events(documents, calls(30), clock, open_rollups=remembered)

    minutes = [d async for d in every(documents, COLLECTIONS["minute"])]
    hours = [d async for d in every(documents, COLLECTIONS["hour"])]
    markers = [d async for d in every(documents, MARKERS)]

    last_minute = max(d.data["delete_at"] for d in minutes)
    assert last_minute == NOW - timedelta(minutes=1) + KEPT["minute"]
    assert {d.data["delete_at"] for d in hours} == {NOW - timedelta(hours=1) + KEPT["hour"]}
    assert {d.data["delete_at"] for d in markers} == {NOW + MARKER_LIFE}
    assert len(markers) == 30


async def test_adds_late_events_to_hours_alone(documents: Documents, clock: SetClock) -> None:
    late = a_call(1, event_time=NOW - timedelta(days=5))

    await apply_events(documents, [late], clock)

    assert await stored(documents, "hour") == expected([late], "hour")
    assert await stored(documents, "minute") == {}


@pytest.mark.parametrize(
    "age", [MARKER_LIFE, timedelta(days=700_000), -timedelta(days=1), -timedelta(days=2_000_000)]
)
async def test_refuses_what_it_could_not_recognise_again(
    documents: Documents, clock: SetClock, age: timedelta
) -> None:
    strange, usual = a_call(1, event_time=NOW - age), a_call(2)

    applied = await apply_events(documents, [strange, usual], clock)

    assert (applied.new, set(applied.failed)) == (frozenset([usual.id]), {strange.id})
    assert await stored(documents, "hour") == expected([usual], "hour")


@pytest.mark.parametrize(
    "poison",
    [
        {"units": {"input_tokens": 1 << 63}},
        {"priced_nanos": 1 << 70, "cost_nanos": 1 << 70},
        {"id": ""},
    ],
)
async def test_lets_a_poisonous_event_take_no_other_with_it(
    documents: Documents, clock: SetClock, poison: dict[str, Any]
) -> None:
    events = calls(99)
    poisonous = a_call(1_000, **poison)

    applied = await apply_events(documents, [*events[:42], poisonous, *events[42:]], clock)

    assert set(applied.failed) == {poisonous.id}
    assert applied.new == ids(events)
    assert await stored(documents, "hour") == expected(events, "hour")


async def test_keeps_odd_names_apart(documents: Documents, clock: SetClock) -> None:
    names = ["a|b", 'a"]', "a.b", "a`b", "a/b", "", "é\n", "delete_at", "😀" * 128, "[]", "__x__"]
    events = [
        a_call(n, model_billed=name, agent=name[:20] or None, units={name[:20]: 7, "calls": 1})
        for n, name in enumerate(names)
    ]
    events += [a_call(50, model_billed=None, model_asked=None), a_call(51, org=None, team=None)]

    applied = await apply_events(documents, events, clock)

    assert applied.failed == {}
    assert await stored(documents, "hour") == expected(events, "hour")


@pytest.mark.parametrize("fate", ["lost", "deaf", "late"])
async def test_counts_once_after_an_answer_was_lost(
    documents: Documents, clock: SetClock, fate: str
) -> None:
    events = calls(30)

    applied = await apply_events(Noted(documents, fate), events, clock, sleep=no_pause)

    assert (applied.new | applied.known, applied.failed) == (ids(events), {})
    assert await stored(documents, "hour") == expected(events, "hour")


async def test_leaves_events_to_come_again_when_the_store_stays_silent(
    documents: Documents, clock: SetClock
) -> None:
    events = calls(30)

    applied = await apply_events(Noted(documents, *["lost"] * 9), events, clock, sleep=no_pause)

    assert set(applied.failed) == ids(events)
    assert await stored(documents, "hour") == {}


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[list[int], list[str]]]:
    """Batches of deliveries, and what becomes of the commits of each."""
    fates = st.lists(st.sampled_from(["ok", "lost", "deaf", "late"]), max_size=6)
    numbers = st.lists(st.integers(0, 24), min_size=1, max_size=20)
    return draw(st.lists(st.tuples(numbers, fates), max_size=12))


@settings(max_examples=60, deadline=None)
@given(plan=deliveries(), forgetful=st.booleans())
def test_counts_once_whatever_the_store_answers(
    plan: list[tuple[list[int], list[str]]],
    forgetful: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Two consumers take turns; what failed comes again, and all of it once more at the end."""
    events = calls(25)
    folder = tmp_path_factory.mktemp("state")

    async def deliver() -> None:
        documents = SqliteDocuments(folder / "state.sqlite")
        remembered = [OpenRollups(most=3 if forgetful else 1_000) for _ in range(2)]
        try:
            for turn, (numbers, fates) in enumerate([*plan, (list(range(25)), [])]):
                await apply_events(
                    Noted(documents, *fates),
                    [events[number] for number in numbers],
                    SetClock(),
                    open_rollups=remembered[turn % 2],
                    sleep=no_pause,
                )
            assert await stored(documents, "hour") == expected(events, "hour")
            assert await stored(documents, "minute") == expected(events, "minute")
        finally:
            await documents.aclose()

    asyncio.run(deliver())


async def test_writes_at_most_two_documents_for_an_event_under_load(
    documents: Documents, clock: SetClock
) -> None:
    """60 events at once, all of them of different keys: 60 markers, and 32 documents at most."""
    noted = Noted(documents)
    remembered = OpenRollups()
    events = [a_call(n, line=f"line-{n}", agent=f"agent-{n % 40}") for n in range(600)]

    for start in range(0, 600, 60):
        await apply_events(noted, events[start : start + 60], clock, open_rollups=remembered)

    assert [len(writes) <= 2 * 60 for writes in noted.commits] == [True] * 10
    kinds = {type(write) for writes in noted.commits for write in writes}
    assert kinds == {Create, Increment}
