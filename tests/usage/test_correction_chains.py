"""Corrections of one call follow each other: one of each number, in any order of arrival."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.correction_events import UsageCorrected
from common.core.ports import Document, Documents, Outcome, Query, Ref, Unknown, Write
from common.pricing.claims import claim
from common.usage.apply_events import apply_events
from scripts.commands.reprice import told
from tests.api.conftest import NOW
from tests.usage.restated import NANOS, OWN_NANOS, Ledger, an_override, priced
from tests.usage.sums import every


@dataclass(slots=True)
class Forgetful:
    """A store that stores, and does not say so."""

    documents: Documents
    forgets: bool = True

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self.documents.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self.documents.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        outcome = await self.documents.commit(writes)
        return Unknown("no answer") if self.forgets else outcome


async def test_other_prices_before_the_first_correction_has_arrived_add_nothing_up(
    ledger: Ledger,
) -> None:
    await ledger.take(priced(0), priced(1))
    await ledger.override(an_override())
    _, first = await ledger.restate()
    await ledger.override(an_override(("2", "2")))

    found, again = await ledger.restate()
    await ledger.take(*again, *first)
    arrived = await ledger.totals()
    _, second = await ledger.restate()
    await ledger.take(*second)

    assert again == first
    assert (found.corrected, dict(found.left)) == (0, {"other_on_its_way": 2})
    assert told(found, is_dry=False)[-1].startswith("2 have an earlier correction on its way")
    assert arrived == (2 * OWN_NANOS,) * 2
    assert [each.number for each in second] == [1, 1]
    assert await ledger.totals() == (2 * 240_000,) * 2


async def test_says_that_the_same_correction_is_on_its_way(ledger: Ledger) -> None:
    await ledger.take(priced())
    await ledger.override(an_override())
    await ledger.restate()

    dry, none = await ledger.restate(is_dry=True)
    found, _ = await ledger.restate()

    assert (none, dry.corrected, dict(dry.left)) == ([], 0, {"on_its_way": 1})
    assert told(found, is_dry=False) == [
        "0 of 1 calls are restated",
        "1 are restated so already: their corrections are on their way",
    ]


async def test_two_restatements_at_once_make_one_correction_of_a_number(ledger: Ledger) -> None:
    """Both have read the same calls; who claims the number first has it."""
    await ledger.take(priced())
    await ledger.override(an_override())
    _, [one] = await ledger.restate()
    other = one.model_copy(update={"new_nanos": 1, "book": "another"})

    fresh = one.model_copy(update={"id": UsageCorrected.id_of("call-00001", 0)})

    assert await claim(ledger.documents, [other, fresh], NOW) == [one, fresh]
    assert other.id == one.id == UsageCorrected.id_of("call-00000", 0)


async def test_corrections_of_a_call_add_up_in_any_order_of_arrival(
    ledger: Ledger, tmp_path: Path
) -> None:
    call = priced()
    await ledger.take(call)
    chain = []
    for usd in (("1", "4"), ("2", "2"), ("3", "5")):
        await ledger.override(an_override(usd))
        _, corrections = await ledger.restate()
        await ledger.take(*corrections)
        chain += corrections
    expected = await ledger.totals()

    sums = []
    for number, events in enumerate(permutations([call, *chain])):
        other = SqliteDocuments(tmp_path / f"{number}.sqlite")
        for event in (*events, events[0]):
            await apply_events(other, [event], ledger.clock)
        [hour] = [each async for each in every(other, "hour_rollups")]
        sums.append(sum(hour.data[name] for name in hour.data if "priced_nanos" in name))
        await other.aclose()

    assert [each.number for each in chain] == [0, 1, 2]
    assert set(sums) == {expected[0]} == {100 * 3_000 + 20 * 5_000}


async def test_publishes_nothing_whose_claim_is_not_known_to_be_stored(ledger: Ledger) -> None:
    await ledger.take(priced())
    await ledger.override(an_override())
    ledger.documents = forgetful = Forgetful(ledger.documents)

    found, none = await ledger.restate()
    forgetful.forgets = False
    _, [correction] = await ledger.restate()

    assert (none, found.failed) == ([], 1)
    assert (correction.old_nanos, correction.new_nanos) == (NANOS, OWN_NANOS)
