"""Which budgets apply to a call, and how new they are: what its event says of them is true."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from common.budgets.budgets import Applicable, Budget, Spender, budget_ref
from common.budgets.calendar import Calendar
from common.core.errors import StoreUnavailable
from common.core.ports import Document, Documents, Outcome, Put, Query, Ref, Write
from common.gateway.budget_book import PAGE, BudgetBook
from common.gateway.control import CONTROL, POLICY_EPOCH, Control
from tests.chosen_engines import state_of
from tests.gateway.making import SetClock

SPENDER = Spender("acme", "search", "crawler", None, "line-1")
MOST_WRITES = 400


def a_budget(name: str, epoch: int) -> Budget:
    return Budget(name, "acme", "org:acme", Calendar("day"), 10**9, "hard", epoch=epoch)


@dataclass(slots=True)
class Changing:
    """Another store, to which something happens before a page that begins behind `before`."""

    inner: Documents
    before: str | None = None
    written: Sequence[Budget] = ()
    down: bool = False
    queries: list[str | None] = field(default_factory=list)

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self.inner.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        if self.down:
            raise StoreUnavailable("state did not answer in time")
        self.queries.append(query.after)
        if self.written and query.after == self.before:
            written, self.written = self.written, ()
            await put(self.inner, *written)
        return await self.inner.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        return await self.inner.commit(writes)


async def put(documents: Documents, *budgets: Budget) -> None:
    """As changes do it, one after the other: the control tells the newest."""
    writes: list[Write] = [Put(budget_ref(each.id), each.to_data()) for each in budgets]
    for start in range(0, len(writes), MOST_WRITES):
        await documents.commit(writes[start : start + MOST_WRITES])
    newest = max(each.epoch for each in budgets)
    await documents.commit([Put(CONTROL, {POLICY_EPOCH: newest})])


@dataclass(slots=True)
class Scene:
    documents: Changing
    clock: SetClock
    control: Control
    book: BudgetBook

    async def applicable(self, model: str = "gpt-x") -> Applicable:
        return await self.book.applicable(SPENDER, model)

    async def heard(self) -> None:
        """The control is read again."""
        self.clock.advance(30)
        async with asyncio.timeout(10):
            await self.control.follow()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    state = state_of(tmp_path)
    documents, clock = Changing(state), SetClock()
    control = Control(documents, clock)
    yield Scene(documents, clock, control, BudgetBook(documents, clock, control))
    await state.aclose()


async def test_a_budget_that_nobody_has_told_of_yet_is_as_new_as_it_is(scene: Scene) -> None:
    """Else its calls would count as such that left before it."""
    await put(scene.documents, a_budget("b", 3))
    await scene.heard()
    scene.documents.written = [a_budget("c", 4)]

    to = await scene.applicable()

    assert ([each.id for each in to.budgets], to.epoch) == (["b", "c"], 4)


async def test_is_not_read_again_for_each_call_until_the_control_tells_it(scene: Scene) -> None:
    await put(scene.documents, a_budget("b", 3))
    await scene.heard()
    scene.documents.written = [a_budget("c", 4)]
    await scene.applicable()
    scene.documents.queries.clear()

    for _ in range(3):
        await scene.applicable()

    assert scene.documents.queries == []


async def test_is_no_newer_than_what_was_read_while_the_store_is_down(scene: Scene) -> None:
    """A call goes out under the budgets that are known, and says so."""
    await put(scene.documents, a_budget("b", 3))
    await scene.heard()
    await scene.applicable()
    await put(scene.documents, a_budget("c", 4))
    await scene.heard()
    scene.documents.down = True

    to = await scene.applicable("gpt-y")
    scene.documents.down = False
    await put(scene.documents, a_budget("d", 5))
    await scene.heard()
    again = await scene.applicable()

    assert ([each.id for each in to.budgets], to.epoch) == (["b"], 3)
    assert ([each.id for each in again.budgets], again.epoch) == (["b", "c", "d"], 5)


async def test_finds_one_that_is_made_where_pages_were_read_already(scene: Scene) -> None:
    many = [a_budget(f"m{number:04d}", 1) for number in range(PAGE)]
    await put(scene.documents, *many)
    await scene.heard()
    scene.documents.before = many[-1].id
    scene.documents.written = [a_budget("a", 2), a_budget("z", 3)]

    to = await scene.applicable()

    assert {"a", "z"} < {each.id for each in to.budgets}
    assert to.epoch == 3
