"""An episode is written down once, when it is over and its calls are counted."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.changes import CHANGES, Change
from common.brownout.episodes import EPISODES, GRACE, Episode, close_episodes, told
from common.brownout.folding import Folding
from common.brownout.history import settle
from common.brownout.modes import Mode
from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.brownout.savings import EpisodeSums, UnmatchedSum
from common.brownout.state import STATE, Pin, State
from common.brownout.ticks import Ticker
from common.brownout.trajectory import episode_of
from common.core.errors import StoreUnavailable
from common.core.events import UsageEvent
from common.core.ports import Create, Document, Documents, Put, Query
from common.llm.price_book import bundled_book
from common.pricing.in_force import Books
from common.runtime.episodes import closing_episodes, sums_of_episodes
from common.usage.apply_events import apply_events
from common.usage.episode_sums import episode_increments
from tests.api.conftest import a_call
from tests.brownout.scenes import T0, a_signal, at
from tests.brownout.test_folding import KeepingBus, tell
from tests.brownout.test_savings import THIRTY, a_stratum
from tests.brownout.test_ticks import a_tick
from tests.gateway.making import SetClock

SUMS = EpisodeSums([a_stratum(THIRTY, [50] * 400)], refused=3, left_out=2)
N, S, H, E = Mode.NORMAL, Mode.SOFT, Mode.HARD, Mode.EMERGENCY


async def sums_of(episode: str, _opened_at: datetime) -> EpisodeSums:
    return SUMS if episode == "e1" else EpisodeSums()


def steps(
    *moves: tuple[float, Mode, Mode], episode: str = "e1", scope: str = "global", first: int = 1
) -> list[Change]:
    """Changes of modes: so many minutes after T0, from one to another."""
    return [
        Change(
            scope=scope,
            seq=first + number,
            event_time=at(60 * minutes),
            before=before,
            after=after,
            cause="signal",
            episode=episode,
            signals=(),
            policy_version=0,
            enforced=True,
        )
        for number, (minutes, before, after) in enumerate(moves)
    ]


UP_AND_DOWN = steps((0, N, H), (10, H, S), (15, S, N))


async def write(documents: Documents, changes: Sequence[Change]) -> None:
    await documents.commit([Create(each.ref, each.to_data()) for each in changes])


async def closed(documents: Documents, minutes: float) -> list[str]:
    """Who is closed then, and what is written down in all."""
    await close_episodes(documents, sums_of, at(60 * minutes))
    return [Episode.from_document(each).id for each in await documents.query(Query(EPISODES))]


async def test_writes_down_what_happened_and_what_it_saved(documents: SqliteDocuments) -> None:
    await write(documents, UP_AND_DOWN)

    await close_episodes(documents, sums_of, at(15 * 60) + GRACE)
    [document] = await documents.query(Query(EPISODES))

    episode = Episode.from_document(document)
    assert (episode.id, episode.scope, episode.peak) == ("e1", "global", H)
    assert (episode.opened_at, episode.closed_at) == (T0, at(15 * 60))
    assert episode.seconds == {"hard": 600, "soft": 300}
    assert (episode.enforced, episode.refused, episode.left_out) == (True, 3, 2)
    [saving] = episode.savings
    assert (saving.method, saving.nanos) == ("holdout", 400 * 150_000)


async def test_waits_for_calls_that_come_late(documents: SqliteDocuments) -> None:
    await write(documents, UP_AND_DOWN)

    assert await closed(documents, 16.9) == []
    assert await closed(documents, 17) == ["e1"]


async def test_does_it_once(documents: SqliteDocuments) -> None:
    await write(documents, UP_AND_DOWN)

    done = [await close_episodes(documents, sums_of, at(60 * minutes)) for minutes in (17, 18, 90)]

    assert done == [1, 0, 0]
    assert await documents.query(Query(CHANGES, {"accounted": False})) == []


async def test_keeps_what_is_written_down_when_it_could_not_be_marked(
    documents: SqliteDocuments,
) -> None:
    await write(documents, UP_AND_DOWN)
    [unmarked] = await documents.query(Query(CHANGES, {"accounted": False}))
    await closed(documents, 17)
    [first] = await documents.query(Query(EPISODES))
    await documents.commit([Put(unmarked.ref, unmarked.data)])

    assert await closed(documents, 18) == ["e1"]

    assert [each.version for each in await documents.query(Query(EPISODES))] == [first.version]
    assert await documents.query(Query(CHANGES, {"accounted": False})) == []


async def test_takes_an_episode_up_again_after_another_wrote_its_change(
    documents: SqliteDocuments,
) -> None:
    """A change may be marked as published between reading and writing: all or nothing is stored."""
    await write(documents, UP_AND_DOWN)

    async def published_meanwhile(episode: str, opened_at: datetime) -> EpisodeSums:
        [document] = await documents.query(Query(CHANGES, {"accounted": False}))
        await documents.commit([Put(document.ref, {**document.data, "published": True})])
        return await sums_of(episode, opened_at)

    await close_episodes(documents, published_meanwhile, at(60 * 17))
    assert await documents.query(Query(EPISODES)) == []

    assert await closed(documents, 18) == ["e1"]
    [change] = await documents.query(Query(CHANGES, {"published": True}))
    assert change.data["accounted"] is True


async def test_waits_while_signals_hold_what_a_pin_made_normal(documents: SqliteDocuments) -> None:
    clock, bus = SetClock(), KeepingBus()
    clock.advance((T0 - clock.now()).total_seconds())
    await tell(documents, a_signal(Mode.HARD))
    policies = Policies(documents, shipped_policy, policy_from_data)
    await Folding(documents, bus, clock, os.urandom, policies)()
    id_ = episode_of("global", T0)
    await write(documents, steps((1, H, N), episode=id_, first=2))

    assert await closed(documents, 20) == []


async def test_waits_while_a_pin_holds_its_own_episode(documents: SqliteDocuments) -> None:
    pin = Pin("p", "global", S, "why", "ann@example.com", T0, at(60 * 40))
    id_ = episode_of("global", T0)
    await documents.commit([Put(STATE, State(pins=(pin,)).to_data())])
    await write(documents, steps((0, N, S), (1, S, N), episode=id_))

    assert await closed(documents, 39) == []
    assert await closed(documents, 40) == [id_]


async def test_ends_with_the_last_return(documents: SqliteDocuments) -> None:
    await write(documents, steps((0, N, H), (5, H, N), (10, N, H), (15, H, N)))

    await closed(documents, 60)

    [document] = await documents.query(Query(EPISODES))
    episode = Episode.from_document(document)
    assert episode.closed_at == at(15 * 60)
    assert episode.seconds == {"hard": 600}


async def test_lists_the_newest_first(documents: SqliteDocuments) -> None:
    await write(documents, UP_AND_DOWN)
    await write(documents, steps((30, N, S), (40, S, N), episode="e0", scope="org:a", first=9))

    assert await closed(documents, 60) == ["e0", "e1"]


async def test_leaves_those_that_fail_to_the_next_minute(documents: SqliteDocuments) -> None:
    await write(documents, UP_AND_DOWN)

    async def silent(_episode: str, _opened_at: datetime) -> EpisodeSums:
        raise StoreUnavailable("down")

    with pytest.raises(StoreUnavailable):
        await close_episodes(documents, silent, at(60 * 17))

    assert await closed(documents, 18) == ["e1"]


async def test_is_not_forgotten_when_a_scope_is_told_to_have_settled(
    documents: SqliteDocuments,
) -> None:
    await write(documents, UP_AND_DOWN)
    policies = Policies(documents, shipped_policy, policy_from_data)
    await settle(documents, KeepingBus(), policies, at(60 * 90))

    assert await closed(documents, 91) == ["e1"]


def of_episode(number: int, episode: str, **fields: Any) -> UsageEvent:
    told: dict[str, Any] = {
        "event_time": at(60),
        "mode": "hard",
        "mode_by": "state",
        "episode": episode,
        "arm": "holdout" if number % 20 == 0 else "degraded",
        "enforced": True,
        "card_asked": "openai/gpt-5",
        "cost_nanos": 5_000_000 if number % 20 == 0 else 2_000_000,
        "input_nanos": 1_000_000,
        "input_nanos_asked": 1_000_000 if number % 20 == 0 else 3_000_000,
    }
    return a_call(number, **{**told, **fields})


async def test_takes_what_usage_added_up_at_the_minute_s_command(
    documents: SqliteDocuments,
) -> None:
    clock, bus = SetClock(), KeepingBus()
    clock.advance((T0 - clock.now()).total_seconds())
    policies = Policies(documents, shipped_policy, policy_from_data)
    closing = closing_episodes(documents, Books(documents, bundled_book()).in_force)
    folding = Folding(documents, bus, clock, os.urandom, policies)
    ticker = Ticker(folding, {"episodes": closing})
    await tell(documents, a_signal(Mode.SOFT))
    events = [of_episode(n, episode_of("global", clock.now())) for n in range(800)]
    assert episode_increments(events[0])
    for _ in range(60):
        await ticker.run(a_tick(clock))
        await apply_events(documents, events, clock)
        clock.advance(60)

    [document] = await documents.query(Query(EPISODES))

    [saving] = Episode.from_document(document).savings
    assert (saving.calls, saving.holdout_calls) == (760, 40)
    # Each input costs 2 m$ less, and each output 1 instead of the holdout's 4.
    assert saving.nanos == saving.low == 760 * (2_000_000 + 3_000_000)


async def test_takes_the_hour_before_for_an_emergency(documents: SqliteDocuments) -> None:
    clock = SetClock()
    clock.advance((T0 - clock.now()).total_seconds() + 3_600)
    opened_at = T0.replace(minute=0, second=0, microsecond=0)
    before = [
        a_call(
            n,
            event_time=opened_at.replace(hour=opened_at.hour - 1, minute=n),
            model_billed="gpt-5",
            model_asked="gpt-5",
            cost_nanos=7_000_000,
            priced_nanos=7_000_000,
            outcome="ok" if n < 40 else "upstream_error",
        )
        for n in range(50)
    ]
    others = [
        a_call(100, event_time=opened_at, model_billed="gpt-5", priced_nanos=10**9),
        a_call(101, event_time=before[0].event_time, model_billed="gpt-5-mini"),
        a_call(102, event_time=before[0].event_time, model_billed="gpt-5", team="support"),
    ]
    treated = [of_episode(n, "e9", mode="emergency", arm="degraded") for n in range(200, 210)]
    await apply_events(documents, [*before, *others, *treated], clock)

    sums = await sums_of_episodes(documents, Books(documents, bundled_book()).in_force)(
        "e9", opened_at
    )

    cost = sum(each.cost_nanos or 0 for each in treated)
    assert sums.unmatched == [UnmatchedSum(10, cost, 40, 40 * 7_000_000)]


async def test_reads_no_price_book_without_an_emergency(documents: SqliteDocuments) -> None:
    def unread() -> Any:
        raise AssertionError("nothing needs a price")

    assert await sums_of_episodes(documents, unread)("e1", T0) == EpisodeSums([], [])


async def test_tells_of_a_shadow_that_nothing_was_done(documents: SqliteDocuments) -> None:
    shadow = [replace(each, enforced=False, episode="e2") for each in UP_AND_DOWN]
    await write(documents, shadow)

    assert await closed(documents, 17) == ["e2"]
    [document] = await documents.query(Query(EPISODES))
    episode = Episode.from_document(document)
    assert episode.enforced is False
    assert [each.note for each in episode.savings] == ["not enough data: no call was degraded"]


def test_is_read_back_as_it_was_written() -> None:
    episode = told(UP_AND_DOWN, replace(SUMS, unmatched=[UnmatchedSum(9, 1, 30, 60)]))

    assert Episode.from_document(Document(episode.ref, episode.to_data(), "1")) == episode
    assert [each.method for each in episode.savings] == ["holdout", "estimate"]
