"""What calls add to the sums of their brownout, each once."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from common.core.events import EditMade, UsageEvent
from common.core.ports import Document, Documents, Outcome, Query, Ref, Write
from common.usage.apply_events import OpenRollups, apply_events
from common.usage.episode_sums import (
    EPISODE_SUMS,
    KEPT,
    MOST_NANOS,
    SHARDS,
    EpisodeSum,
    Stratum,
    episode_increments,
    read_episode,
)
from tests.api.conftest import NOW, SetClock, a_call

HERE = Stratum("acme/search", "openai/gpt-x", batch=False)


def treated(number: int = 0, **fields: Any) -> UsageEvent:
    """A call that less was asked for: its input cost $0.0012 instead of 0.0042."""
    told = {
        "mode": "hard",
        "mode_by": "state",
        "mode_scope": "global",
        "episode": "e1",
        "arm": "degraded",
        "enforced": True,
        "card_asked": "openai/gpt-x",
        "input_nanos": 1_200_000,
        "input_nanos_asked": 4_200_000,
    }
    return a_call(number, **{**told, **fields})


def held(number: int = 0, **fields: Any) -> UsageEvent:
    return treated(number, **{"arm": "holdout", "input_nanos": 4_200_000, **fields})


async def sums(documents: Documents, *events: UsageEvent) -> dict[tuple[Stratum | None, str], Any]:
    await apply_events(documents, events, SetClock())
    return {(each.stratum, each.arm): each.measures for each in await read_episode(documents, "e1")}


async def test_sums_what_each_arm_cost(documents: Documents) -> None:
    found = await sums(
        documents, treated(1), treated(2, cost_nanos=2_200_000), held(3, cost_nanos=9_000_000)
    )

    assert found[HERE, "degraded"] == {
        "calls": 2,
        "output_nanos": 3_000_000 + 1_000_000,
        "squares": 3_000**2 + 1_000**2,
        "input_nanos": 2_400_000,
        "asked_nanos": 8_400_000,
    }
    assert found[HERE, "holdout"]["output_nanos"] == 4_800_000
    assert found[HERE, "holdout"]["squares"] == 4_800**2


async def test_counts_each_call_once(documents: Documents) -> None:
    events = [treated(n) for n in range(50)]

    await sums(documents, *events, *events[:20])
    found = await sums(documents, *reversed(events))

    assert found[HERE, "degraded"]["calls"] == 50


async def test_keeps_apart_what_calls_had_in_common_before(documents: Documents) -> None:
    found = await sums(
        documents,
        treated(1),
        treated(2, team="support"),
        treated(3, card_asked="openai/gpt-y"),
        treated(4, priority="batch"),
        treated(5, model_asked="gpt-x-latest", card="openai/gpt-x-mini", priority="critical"),
        treated(6, episode="e2"),
    )

    counted = {stratum: each["calls"] for (stratum, _), each in found.items() if stratum}
    assert counted == {
        HERE: 2,
        Stratum("acme/support", "openai/gpt-x", batch=False): 1,
        Stratum("acme/search", "openai/gpt-y", batch=False): 1,
        Stratum("acme/search", "openai/gpt-x", batch=True): 1,
    }


async def test_puts_calls_of_an_emergency_in_an_arm_of_their_own(documents: Documents) -> None:
    found = await sums(documents, treated(1, mode="emergency"), treated(2, mode_by="pin"))

    assert found[HERE, "unmatched"]["calls"] == 1
    assert found[HERE, "degraded"]["calls"] == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"episode": None, "arm": None},
        {"enforced": False},
        {"mode_by": "own"},
    ],
)
async def test_adds_nothing_of_what_belongs_to_no_brownout(
    documents: Documents, fields: dict[str, Any]
) -> None:
    assert await sums(documents, treated(1, **fields)) == {}


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        ({"outcome": "upstream_error"}, "left_out"),
        ({"outcome": "client_error", "client_gone": True}, "left_out"),
        ({"cost_nanos": None, "cost_reason": "unknown_unit:x"}, "left_out"),
        ({"card_asked": None, "input_nanos": None, "input_nanos_asked": None}, "left_out"),
        ({"input_nanos_asked": None}, "left_out"),
        ({"cost_nanos": MOST_NANOS + 1_200_001}, "left_out"),
        ({"input_nanos_asked": MOST_NANOS + 1}, "left_out"),
        ({"outcome": "shed", "cost_nanos": 0, "input_nanos": None}, "refused"),
    ],
)
async def test_compares_no_call_that_was_not_answered_or_has_no_cost(
    documents: Documents, fields: dict[str, Any], counted: str
) -> None:
    assert await sums(documents, treated(1, **fields)) == {(None, "degraded"): {counted: 1}}


async def test_counts_beside_what_may_flatter(documents: Documents) -> None:
    skipped = EditMade(name="model", told="m", outcome="skipped_cache", reason="not_fresh")

    found = await sums(
        documents, treated(1, edits=(skipped, skipped)), held(2), held(3, simulated=True)
    )

    assert found[None, "degraded"] == {"skipped_cache": 1}
    assert found[None, "holdout"] == {
        "input_tokens": 200,
        "cache_read_tokens": 80,
        "simulated": 1,
    }


async def test_lets_no_call_of_many_take_the_whole_sum(documents: Documents) -> None:
    """Squares of 900 calls of the dearest kind fit 64 bits."""
    dearest = MOST_NANOS + 1_200_000

    found = await sums(documents, *[treated(n, cost_nanos=dearest) for n in range(900)])

    assert found[HERE, "degraded"]["squares"] == 900 * (MOST_NANOS // 1_000) ** 2 < 1 << 63


async def test_says_when_sums_may_go(documents: Documents) -> None:
    await sums(documents, treated(1))
    [document] = await documents.query(Query(EPISODE_SUMS))

    assert document.data["delete_at"] == NOW + KEPT


def test_gives_an_episode_few_documents() -> None:
    events = [treated(n, team=f"team-{n}", card_asked=f"openai/gpt-{n}") for n in range(500)]

    refs = {ref for event in events for ref in episode_increments(event)}

    assert len(refs) == SHARDS


async def test_reads_nothing_of_an_unknown_episode(documents: Documents) -> None:
    nothing: list[EpisodeSum] = []
    assert await read_episode(documents, "none") == nothing


@dataclass(slots=True)
class Counted:
    """A store that notes how much is written."""

    documents: Documents
    writes: list[int] = field(default_factory=list)

    async def get_many(self, refs: list[Ref]) -> list[Document | None]:
        raise AssertionError(f"sums are kept without reading {refs}")

    async def query(self, query: Query) -> list[Document]:
        raise AssertionError(f"sums are kept without reading {query}")

    async def commit(self, writes: list[Write]) -> Outcome:
        self.writes.append(len(writes))
        return await self.documents.commit(writes)


async def test_writes_at_most_two_documents_for_an_event_in_three_brownouts(
    documents: Documents,
) -> None:
    counted: Any = Counted(documents)
    remembered = OpenRollups()
    events = [
        treated(n, team=f"team-{n % 30}", line=f"line-{n}", agent=f"a-{n}", episode=f"e{n % 3}")
        for n in range(600)
    ]

    for start in range(0, 600, 60):
        part = events[start : start + 60]
        await apply_events(counted, part, SetClock(), open_rollups=remembered)

    assert len(counted.writes) >= 10
    assert max(counted.writes) <= 2 * 60


async def test_keeps_sums_of_calls_that_come_late(documents: Documents) -> None:
    late = treated(1, event_time=NOW - timedelta(days=30))

    assert (await sums(documents, late))[HERE, "degraded"]["calls"] == 1
