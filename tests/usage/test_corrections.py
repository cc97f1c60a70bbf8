"""A correction restates history by an exact difference, once, and says so."""

import json
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest

from common.core.errors import InvalidInput, NotFound
from common.core.event_types import parse_event
from common.core.events import UsageEvent
from common.core.ports import (
    Put,
)
from common.pricing.books import BookRecord
from common.pricing.overrides import laid_over
from common.usage.apply_events import MARKER_LIFE, MARKERS, apply_events
from common.usage.reports import Filter
from common.usage.rollups import MINUTES_TAKEN
from common.usage.summaries import summarise_usage
from scripts.commands.reprice import told
from tests.api.conftest import NOW
from tests.pricing.test_adoption import dearer
from tests.usage.restated import BOOK, NANOS, OWN_NANOS, Ledger, an_override, priced
from tests.usage.sums import every


async def test_restates_by_an_exact_difference_and_says_so(ledger: Ledger) -> None:
    await ledger.take(priced(0), priced(1, org="other"))
    await ledger.override(an_override())

    found, corrections = await ledger.restate()
    await ledger.take(*corrections)

    [correction] = corrections
    assert (correction.call_id, correction.old_nanos, correction.new_nanos) == (
        "call-00000",
        NANOS,
        OWN_NANOS,
    )
    assert correction.reason == "contract of October"
    assert correction.card == f"openai/gpt-4o-mini+{an_override().tag}"
    assert correction.book == laid_over(BOOK, [an_override()]).digest
    assert await ledger.totals() == (OWN_NANOS + NANOS,) * 2
    assert await ledger.rows() == {
        "call-00000": (OWN_NANOS, NANOS, 1),
        "call-00001": (NANOS, NANOS, 0),
    }
    assert (found.calls, found.corrected, found.left["same"]) == (2, 1, 1)
    assert told(found, is_dry=False)[0] == (
        "1 of 2 calls are restated: $0.000027000 -> $0.000180000 (+$0.000153000)"
    )


async def test_tells_in_both_sources_how_many_calls_were_restated(ledger: Ledger) -> None:
    await ledger.take(*(priced(number) for number in range(3)))
    await ledger.override(an_override(model="gpt-4o*"))
    _, first = await ledger.restate()
    await ledger.take(*first)
    await ledger.override(an_override(("2", "2")))
    _, second = await ledger.restate()
    await ledger.take(*second)

    summary, _ = await summarise_usage(
        ledger.documents, ledger.warehouse, NOW, Filter(NOW - timedelta(hours=2), NOW)
    )

    assert [each.number for each in second] == [1, 1, 1]
    assert (summary.total.calls, summary.total.restated_calls) == (3, 3)
    assert (await ledger.summary()).total.restated_calls == 3
    assert await ledger.totals() == (3 * 120 * 2_000,) * 2


async def test_running_it_twice_changes_nothing(ledger: Ledger) -> None:
    await ledger.take(priced())
    await ledger.override(an_override())
    _, corrections = await ledger.restate()
    await ledger.take(*corrections)

    found, again = await ledger.restate()

    assert (again, found.left) == ([], {"same": 1})
    assert await ledger.totals() == (OWN_NANOS, OWN_NANOS)


async def test_running_it_again_before_it_is_in_the_warehouse_changes_nothing(
    ledger: Ledger,
) -> None:
    await ledger.take(priced())
    await ledger.override(an_override())
    _, first = await ledger.restate()
    ledger.clock.advance(timedelta(minutes=1))
    _, second = await ledger.restate()

    await ledger.take(*first, *second)

    assert [each.id for each in first] == [each.id for each in second]
    assert await ledger.totals() == (OWN_NANOS, OWN_NANOS)


async def test_redelivery_changes_nothing(ledger: Ledger) -> None:
    await ledger.take(priced(), times=2)
    await ledger.override(an_override())
    _, corrections = await ledger.restate()

    await ledger.take(*corrections, times=3)

    assert await ledger.totals() == (OWN_NANOS, OWN_NANOS)
    assert await ledger.rows() == {"call-00000": (OWN_NANOS, NANOS, 1)}


async def test_goes_there_and_back_and_there_again(ledger: Ledger) -> None:
    """Each time by what the call cost until then, to the nano-dollar."""
    await ledger.take(priced())
    totals = []
    for usd in (("1", "4"), ("0.15", "0.6"), ("1", "4"), ("0", "0")):
        await ledger.override(an_override(usd))
        _, corrections = await ledger.restate()
        await ledger.take(*corrections)
        totals.append(await ledger.totals())

    assert totals == [(nanos, nanos) for nanos in (OWN_NANOS, NANOS, OWN_NANOS, 0)]


async def test_restates_by_a_published_book(ledger: Ledger) -> None:
    data = dearer(10)
    sha = sha256(data).hexdigest()
    record = BookRecord(sha, 1, None, NOW, "pricing", {}, data)
    await ledger.documents.commit([Put(record.ref, record.to_data())])
    await ledger.take(priced())

    _, corrections = await ledger.restate(sha)
    await ledger.take(*corrections)
    _, back = await ledger.restate(BOOK.digest)

    assert [(each.new_nanos, each.book) for each in corrections] == [(10 * NANOS, sha)]
    assert [(each.old_nanos, each.new_nanos) for each in back] == [(10 * NANOS, NANOS)]


async def test_refuses_a_book_that_is_not_kept(ledger: Ledger) -> None:
    with pytest.raises(NotFound):
        await ledger.restate("f" * 64)


async def test_prices_again_what_an_override_had_priced(ledger: Ledger) -> None:
    """By the version that the call names, whatever has become of the override."""
    override = an_override()
    await ledger.take(priced(book=laid_over(BOOK, [override])))
    await ledger.override(override, an_override(valid_until=NOW - timedelta(days=50)))

    _, corrections = await ledger.restate()

    assert [(each.old_nanos, each.new_nanos) for each in corrections] == [(OWN_NANOS, NANOS)]
    assert corrections[0].card == "openai/gpt-4o-mini"


async def test_takes_the_override_that_held_when_the_call_arrived(ledger: Ledger) -> None:
    at = NOW - timedelta(hours=1)
    await ledger.take(
        priced(0, event_time=at - timedelta(seconds=1)),
        priced(1, event_time=at),
        priced(2, event_time=at + timedelta(minutes=1)),
    )
    await ledger.override(an_override(valid_from=at, valid_until=at + timedelta(minutes=1)))

    _, corrections = await ledger.restate()

    assert [each.call_id for each in corrections] == ["call-00001"]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (priced(cost_source="estimated"), "estimated"),
        (priced(cost_nanos=None, cost_reason="unknown_model", priced_nanos=0), "unknown"),
        (priced(cost_nanos=NANOS + 1, priced_nanos=NANOS + 1), "not_reproduced"),
        (priced(book=BOOK).model_copy(update={"book": "e" * 64}), "not_reproduced"),
        (priced(card="openai/gpt-4o"), "not_reproduced"),
        (priced(card="openai/gpt-4o-mini+gone@12345678"), "not_reproduced"),
        (priced(service_tier="no-such-tier"), "not_reproduced"),
    ],
)
async def test_leaves_a_call_that_cannot_be_priced_again_as_it_is(
    ledger: Ledger, call: UsageEvent, why: str
) -> None:
    await ledger.take(call)
    await ledger.override(an_override())

    found, corrections = await ledger.restate()

    assert (corrections, dict(found.left)) == ([], {why: 1})
    assert len(told(found, is_dry=False)) == 2


async def test_leaves_a_call_alone_that_has_no_price_there(ledger: Ledger) -> None:
    await ledger.take(priced())
    own = an_override(rates={"output_tokens": 1}, kind="self_hosted")
    await ledger.override(own)

    found, corrections = await ledger.restate()

    assert (corrections, dict(found.left)) == ([], {"unpriced": 1})


async def test_only_tells_in_a_dry_run(ledger: Ledger) -> None:
    await ledger.take(priced())
    await ledger.override(an_override())

    found, corrections = await ledger.restate(is_dry=True)

    assert (corrections, found.corrected, found.new_nanos) == ([], 1, OWN_NANOS)
    assert "would be restated" in told(found, is_dry=True)[0]


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        ({"org": "other"}, ["call-00001"]),
        ({"model": "gpt-4o"}, ["call-00002"]),
        ({"provider": "anthropic"}, []),
        ({}, ["call-00000", "call-00001", "call-00002"]),
    ],
)
async def test_restates_only_what_is_chosen(
    ledger: Ledger, chosen: dict[str, Any], ids: list[str]
) -> None:
    await ledger.take(priced(), priced(1, org="other"), priced(2, model_billed="gpt-4o"))
    await ledger.override(an_override(org=None, model="*"))

    _, corrections = await ledger.restate(**chosen)

    assert [each.call_id for each in corrections] == ids


async def test_reads_page_by_page(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.pricing.restatement.PAGE", 2)
    await ledger.take(*(priced(number) for number in range(5)))
    await ledger.override(an_override())

    found, corrections = await ledger.restate()

    assert (found.calls, sorted(each.call_id for each in corrections)) == (
        5,
        [f"call-{number:05d}" for number in range(5)],
    )


async def test_says_what_was_not_accepted_and_the_next_run_corrects_it(ledger: Ledger) -> None:
    await ledger.take(priced(0), priced(1))
    await ledger.override(an_override())
    ledger.bus.refused = {"call-00001"}
    found, first = await ledger.restate()
    await ledger.take(*first)
    ledger.bus.refused = set()

    _, second = await ledger.restate()
    await ledger.take(*second)

    assert (found.corrected, found.failed) == (1, 1)
    assert told(found, is_dry=False)[-1] == "1 corrections were not accepted: run it again"
    assert [each.call_id for each in second] == ["call-00001"]
    assert await ledger.totals() == (2 * OWN_NANOS,) * 2


async def test_refuses_a_time_of_which_nothing_is_kept(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="390 days"):
        await ledger.restate(since=NOW - timedelta(days=391))
    with pytest.raises(InvalidInput, match="before it ends"):
        await ledger.restate(since=NOW)


async def test_counts_a_correction_in_minute_and_hour_with_one_write_each(ledger: Ledger) -> None:
    await ledger.take(priced())
    await ledger.override(an_override())
    _, corrections = await ledger.restate()

    before = [each.ref async for each in every(ledger.documents, MARKERS)]
    await ledger.take(*corrections)
    after = [each.ref async for each in every(ledger.documents, MARKERS)]

    assert len(after) == len(before) + 1
    for collection in ("minute_rollups", "hour_rollups"):
        [document] = [each async for each in every(ledger.documents, collection)]
        names = {name for name in document.data if "restated_calls" in name}
        assert [document.data[name] for name in names] == [1]


async def test_counts_an_old_calls_correction_in_the_hour_alone(ledger: Ledger) -> None:
    call = priced(event_time=NOW - MINUTES_TAKEN - timedelta(hours=1))
    await ledger.take(call)
    await ledger.override(an_override())
    _, corrections = await ledger.restate()

    await ledger.take(*corrections)

    assert [each async for each in every(ledger.documents, "minute_rollups")] == []
    [hour] = [each async for each in every(ledger.documents, "hour_rollups")]
    [spent] = [hour.data[name] for name in hour.data if "priced_nanos" in name]
    assert spent == OWN_NANOS


async def test_corrects_calls_that_are_older_than_markers(ledger: Ledger) -> None:
    """A correction is as old as itself: its marker lives as long as it can be delivered."""
    call = priced(event_time=NOW - MARKER_LIFE - timedelta(days=9))
    ledger.clock.time = call.event_time
    await ledger.take(call)
    ledger.clock.time = NOW
    await ledger.override(an_override())
    _, corrections = await ledger.restate()

    await ledger.take(*corrections, times=2)
    [late] = corrections
    old = late.model_copy(update={"corrected_at": NOW - MARKER_LIFE})
    applied = await apply_events(ledger.documents, [old], ledger.clock)

    assert await ledger.rows() == {"call-00000": (OWN_NANOS, NANOS, 1)}
    assert applied.failed == {late.id: "its time is too far from now"}


async def test_is_read_from_its_text_as_it_was_written(ledger: Ledger) -> None:
    await ledger.take(priced())
    await ledger.override(an_override())
    _, [correction] = await ledger.restate()

    assert parse_event(json.loads(correction.payload())) == correction
