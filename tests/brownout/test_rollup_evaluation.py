"""The rollups move all instances: they are judged once a minute, before signals are folded."""

import os
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from random import Random

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.baselines import BASELINES, Baselines
from common.brownout.fold import stored_signals
from common.brownout.folding import Folding
from common.brownout.minute_sums import MINUTE, HourCosts, Minute, Rollups
from common.brownout.modes import Mode
from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.brownout.rollup_evaluation import RollupEvaluation
from common.brownout.signals import Evidence, Signal
from common.brownout.state import read_state
from common.brownout.ticks import Ticker
from common.core.brownout_events import BrownoutTick
from common.core.events import UsageEvent
from common.core.ports import Put
from common.runtime.rollups import DocumentRollups, judging_rollups
from common.usage.apply_events import apply_events
from tests.api.conftest import a_call
from tests.brownout.rollup_scenes import DOLLAR, KeptRollups, calls_of, minute, minutes_of
from tests.brownout.scenes import T0, a_signal, at
from tests.brownout.test_folding import KeepingBus, tell
from tests.gateway.making import SetClock

LEASE = shipped_policy().signals.rollup


def a_folding(documents: SqliteDocuments, clock: SetClock) -> Folding:
    policies = Policies(documents, shipped_policy, policy_from_data)
    return Folding(documents, KeepingBus(), clock, os.urandom, policies)


async def judged(
    documents: SqliteDocuments, clock: SetClock, rollups: Rollups, now: datetime
) -> list[Signal]:
    """The signals that are stored once the rollups are judged at `now`."""
    clock.advance((now - clock.now()).total_seconds())
    folding = a_folding(documents, clock)
    evaluation = RollupEvaluation(documents, clock, os.urandom, folding.policies, rollups)
    await evaluation(now)
    return await stored_signals(documents)


def failing(number: int, failed: int = 50, *scopes: str) -> KeptRollups:
    return KeptRollups([minute(number, *scopes, calls=100, failed=failed)])


async def test_stores_a_signal_for_what_exceeds_its_limit(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    [signal] = await judged(documents, clock, failing(0, 50, "model:gpt-5"), at(75))

    assert signal == Signal(
        source="rollup",
        monitor="errors",
        group="",
        scope="model:gpt-5",
        level=Mode.EMERGENCY,
        observed_at=at(75),
        received_at=at(75),
        lease_until=at(75) + LEASE,
        about="errors",
        evidence=Evidence("error_rate", "50.0% of 100 calls", "20%"),
    )


@pytest.mark.parametrize(
    ("seconds", "seen"), [(59, False), (61, True), (75, True), (121, True), (135, False)]
)
async def test_judges_the_last_minute_and_the_one_before_until_it_is_whole(
    documents: SqliteDocuments, clock: SetClock, seconds: int, *, seen: bool
) -> None:
    """The minute of T0 has ended at 60 s. 15 s after the next one's end that one's calm counts."""
    signals = await judged(documents, clock, failing(0), at(seconds))

    assert bool(signals) == seen


async def test_takes_the_higher_of_what_two_minutes_call_for(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    rollups = KeptRollups([minute(0, calls=100, failed=50), minute(1, calls=100, failed=14)])

    [signal] = await judged(documents, clock, rollups, at(121))

    assert signal.level == Mode.EMERGENCY
    assert signal.evidence == Evidence("error_rate", "50.0% of 100 calls", "20%")


async def test_renews_while_it_is_above_what_it_recovers_at(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    below = [minute(number, calls=5_000, failed=200) for number in range(1, 4)]
    over = [minute(number, calls=5_000, failed=50) for number in range(4, 7)]
    rollups = KeptRollups([minute(0, calls=100, failed=14), *below, *over])

    ends = []
    for number in range(1, 8):
        signals = await judged(documents, clock, rollups, at(60 * number + 20))
        ends += [(each.lease_until - LEASE - T0).total_seconds() for each in signals]

    assert ends == [80, 140, 200, 260, 260, 260, 260]


async def test_lets_what_ran_out_begin_again_at_the_limit_only(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    rollups = KeptRollups([minute(0, calls=100, failed=14), minute(9, calls=5_000, failed=200)])
    await judged(documents, clock, rollups, at(80))

    [signal] = await judged(documents, clock, rollups, at(620))

    assert signal.lease_until == at(80) + LEASE


async def test_stores_nothing_without_traffic(documents: SqliteDocuments, clock: SetClock) -> None:
    assert await judged(documents, clock, KeptRollups(), at(75)) == []


async def test_is_not_moved_by_the_words_of_other_sources(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    """What Datadog holds is no reason to judge by the limits of recovery."""
    await tell(documents, a_signal(Mode.SOFT, "global", about="errors"))

    signals = await judged(
        documents, clock, KeptRollups([minute(0, calls=5_000, failed=200)]), at(75)
    )

    assert [each.source for each in signals] == ["datadog"]


async def test_compares_costs_with_what_is_usual(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    spending = KeptRollups(
        [minute(number, "org:acme", "org:b", calls=9, cost=2 * DOLLAR) for number in range(5)]
    )
    known = Baselines(T0, {"org:acme": 100 * DOLLAR})
    await documents.commit([Put(BASELINES, known.to_data())])

    [signal] = await judged(documents, clock, spending, at(320))

    assert (signal.scope, signal.about, signal.level) == ("org:b", "cost", Mode.HARD)
    assert signal.evidence == Evidence("token_cost_per_hour", "$120", "$100")


async def test_stores_more_signals_than_a_commit_holds(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    scopes = [f"agent:acme/{number}" for number in range(200)]
    everything = {"calls": 100, "failed": 60, "first_chunks": {28: 100}, "cost": 100 * DOLLAR}

    rollups = KeptRollups([minute(0, *scopes, **everything)])

    assert len(await judged(documents, clock, rollups, at(75))) == 600


class Arriving:
    """Rollups that a call is in two seconds after it has ended."""

    def __init__(self, calls: Sequence[tuple[datetime, bool]], clock: SetClock) -> None:
        self._calls, self._clock = calls, clock

    def minutes(self, since: datetime, until: datetime) -> AsyncIterator[Minute]:
        seen = self._clock.now() - timedelta(seconds=2)
        counted = [each for each in self._calls if each[0] <= seen]
        return KeptRollups(list(minutes_of(counted, ["global"]))).minutes(since, until)

    def hours(self, since: datetime, until: datetime) -> AsyncIterator[HourCosts]:
        return KeptRollups().hours(since, until)


@pytest.mark.parametrize("begins_s", range(0, 60, 6))
@pytest.mark.parametrize("seed", [1, 2])
async def test_sees_a_burst_of_errors_within_two_minutes(
    documents: SqliteDocuments, clock: SetClock, begins_s: int, seed: int
) -> None:
    """Of 60 calls a minute, 30 % fail from some moment on; ticks come as minutes begin."""
    draw, begins = Random(seed), at(600 + begins_s)
    calm = calls_of(draw, T0, begins - T0, a_minute=60, failing=0.005)
    bad = calls_of(draw, begins, timedelta(minutes=5), a_minute=60, failing=0.30)
    rollups = Arriving([*calm, *bad], clock)
    folding = a_folding(documents, clock)
    judging = RollupEvaluation(documents, clock, os.urandom, folding.policies, rollups)
    ticker = Ticker(folding, sources={"rollups": judging})
    clock.advance(540 + 1.5)

    while not (await read_state(documents)).scopes:
        clock.advance(60)
        await ticker.run(BrownoutTick(id="tick", event_time=clock.now()))

    assert timedelta(0) < clock.now() - begins <= timedelta(seconds=120)


def events(count: int, first: int, **fields: object) -> list[UsageEvent]:
    return [a_call(first + number, event_time=T0, **fields) for number in range(count)]


async def test_moves_every_scope_of_the_calls_that_were_counted(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    """From events to modes, through the parts of a tick."""
    failed = {"outcome": "upstream_error", "error_code": "upstream_500", "upstream_status": 500}
    quota = {"outcome": "upstream_error", "error_code": "upstream_429", "upstream_status": 429}
    counted = [
        *events(30, 0, model_sent="gpt-y", model_billed="gpt-y", agent="Beta Test"),
        *events(30, 100, **failed),
        *events(90, 200, provider="other", agent="quota", **quota),
    ]
    clock.advance(5)
    await apply_events(documents, counted, clock)
    folding = a_folding(documents, clock)
    ticker = Ticker(folding, sources=judging_rollups(folding))

    clock.advance(60)
    await ticker.run(BrownoutTick(id="tick", event_time=clock.now()))

    scopes = (await read_state(documents)).scopes
    assert {scope: each.mode for scope, each in scopes.items()} == dict.fromkeys(
        ["agent:acme/crawler", "team:acme/search", "org:acme", "provider:openai", "model:gpt-x",
         "global"],
        Mode.EMERGENCY,
    )  # fmt: skip
    assert {lease.about for each in scopes.values() for lease in each.leases} == {"errors"}


async def test_finds_the_same_scopes_that_calls_are_treated_by(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    clock.advance(5)
    await apply_events(documents, events(1, 0, model_sent=None, org="Acme"), clock)

    rollups = DocumentRollups(documents)
    [read] = [each async for each in rollups.minutes(T0, T0 + MINUTE)]
    [hour] = [each async for each in rollups.hours(T0, T0 + timedelta(hours=1))]

    assert set(read.scopes) == {
        "agent:acme/crawler",
        "team:acme/search",
        "org:acme",
        "provider:openai",
        "model:gpt-x",
        "global",
    }
    assert hour.scopes == dict.fromkeys(read.scopes, 4_200_000)
    assert read.scopes["global"].calls == 1
