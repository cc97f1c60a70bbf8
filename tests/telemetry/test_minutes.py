"""What the minute's tick measures: modes, changes, episodes, and the calls of the last minutes."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.changes import Change
from common.brownout.episodes import Episode
from common.brownout.modes import Mode
from common.brownout.policies import Policies
from common.brownout.policy_file import shipped_policy
from common.brownout.policy_models import policy_from_data
from common.brownout.savings import Saving
from common.brownout.state import STATE, Pin, State
from common.brownout.telemetry import BrownoutsTold, savings_of
from common.core import metrics
from common.core.brownout_events import SignalTold
from common.core.errors import StoreUnavailable
from common.core.metrics import Fact, Instrument, Measurement
from common.core.ports import Create, Document, Outcome, Put, Query, Ref, Unknown, Write
from common.usage.apply_events import apply_events
from common.usage.recent import Watching
from tests.brownout.scenes import T0, at
from tests.contracts.facts import a_call
from tests.gateway.making import START, SetClock

SIGNAL = SignalTold(source="datadog", monitor="17", level="hard", link=None)


class Heard:
    """Telemetry that keeps what it is told."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.missed: Counter[str] = Counter()

    def record(self, facts: Sequence[Fact]) -> None:
        self.facts += facts

    def miss(self, facts: int, reason: str) -> None:
        self.missed[reason] += facts

    async def flush(self) -> None:
        """Send nothing."""

    def take(self, instrument: Instrument) -> list[Measurement]:
        """What was measured so since this was last asked."""
        found = [each for fact in self.facts for each in fact.measurements]
        self.facts = []
        return [each for each in found if each.instrument is instrument]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def told(documents: SqliteDocuments, heard: Heard) -> BrownoutsTold:
    return BrownoutsTold(documents, Policies(documents, shipped_policy, policy_from_data), heard)


def a_change(seq: int, before: Mode, after: Mode, **fields: Any) -> Change:
    members: dict[str, Any] = {
        "scope": "team:acme/search",
        "seq": seq,
        "event_time": at(60 * seq),
        "before": before,
        "after": after,
        "cause": "signal" if after > before else "recovery",
        "episode": "e1",
        "signals": (SIGNAL,) if after > before else (),
        "policy_version": 0,
        "enforced": True,
    }
    return Change(**members | fields)


async def store(documents: SqliteDocuments, *changes: Change) -> None:
    await documents.commit([Create(each.ref, each.to_data()) for each in changes])


def of(measured: Sequence[Measurement]) -> list[tuple[dict[str, str], float]]:
    return [(dict(each.attributes), each.value) for each in measured]


async def test_tells_the_mode_of_all_calls_although_nothing_is_wrong(
    told: BrownoutsTold, heard: Heard
) -> None:
    await told.tell(T0)

    assert of(heard.take(metrics.CURRENT_MODE)) == [({"scope": "global"}, 0)]


async def test_tells_a_scope_that_is_back_once_more(
    told: BrownoutsTold, heard: Heard, documents: SqliteDocuments
) -> None:
    pin = Pin("p1", "org:acme", Mode.HARD, "drill", "ada@example.com", T0, at(600))
    await documents.commit([Put(STATE, State(pins=(pin,)).to_data())])
    await told.tell(T0)
    pinned = of(heard.take(metrics.CURRENT_MODE))
    await documents.commit([Put(STATE, State(seq=1).to_data())])
    await store(documents, a_change(1, Mode.HARD, Mode.NORMAL, scope="org:acme", cause="expiry"))
    await told.tell(at(660))

    assert pinned == [({"scope": "global"}, 0), ({"scope": "org:acme"}, 2)]
    assert of(heard.take(metrics.CURRENT_MODE)) == [
        ({"scope": "global"}, 0),
        ({"scope": "org:acme"}, 0),
    ]


async def test_counts_each_rise_once(
    told: BrownoutsTold, heard: Heard, documents: SqliteDocuments
) -> None:
    await told.tell(T0)
    await store(
        documents,
        a_change(1, Mode.NORMAL, Mode.SOFT),
        a_change(2, Mode.SOFT, Mode.HARD),
        a_change(3, Mode.HARD, Mode.SOFT),
    )
    await told.tell(T0)
    first = of(heard.take(metrics.ACTIVATIONS))
    await told.tell(T0)

    scope = {"scope": "team:acme/search", "source": "datadog"}
    assert first == [({**scope, "to_mode": "soft"}, 1), ({**scope, "to_mode": "hard"}, 1)]
    assert heard.take(metrics.ACTIVATIONS) == []


async def test_counts_no_change_of_the_time_before_it_was_asked_to(
    told: BrownoutsTold, heard: Heard, documents: SqliteDocuments
) -> None:
    await documents.commit([Put(STATE, State(seq=1).to_data())])
    await store(documents, a_change(1, Mode.NORMAL, Mode.SOFT))

    await told.tell(T0)
    await told.tell(T0)

    assert heard.take(metrics.ACTIVATIONS) == []


async def test_counts_more_changes_than_a_page_holds(
    told: BrownoutsTold, heard: Heard, documents: SqliteDocuments
) -> None:
    await told.tell(T0)
    await store(documents, *(a_change(n, Mode.NORMAL, Mode.SOFT) for n in range(1, 121)))

    await told.tell(T0)

    assert len(heard.take(metrics.ACTIVATIONS)) == 120


async def test_tells_how_long_an_episode_lasted_and_its_peak(
    told: BrownoutsTold, heard: Heard, documents: SqliteDocuments
) -> None:
    await told.tell(T0)
    await store(documents, a_change(1, Mode.NORMAL, Mode.SOFT), a_change(2, Mode.SOFT, Mode.HARD))
    await told.tell(at(120))
    await store(documents, a_change(3, Mode.HARD, Mode.SOFT), a_change(11, Mode.SOFT, Mode.NORMAL))
    await told.tell(at(700))

    recovered = of(heard.take(metrics.RECOVERY_DURATION))
    assert recovered == [({"scope": "team:acme/search", "peak_mode": "hard"}, 600)]


class Forgetful:
    """A store that does not answer when something is replaced."""

    def __init__(self, documents: SqliteDocuments) -> None:
        self._documents = documents

    async def get_many(self, refs: Sequence[Ref]) -> list[Document | None]:
        return await self._documents.get_many(refs)

    async def query(self, query: Query) -> list[Document]:
        return await self._documents.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        if any(isinstance(write, Put) for write in writes):
            return Unknown("no answer")
        return await self._documents.commit(writes)


class Broken(Forgetful):
    """A store in which, once, the changes of an episode cannot be read."""

    is_broken = True

    async def query(self, query: Query) -> list[Document]:
        if self.is_broken and "episode" in query.where:
            raise StoreUnavailable("down")
        return await self._documents.query(query)

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        return await self._documents.commit(writes)


async def test_counts_the_next_time_what_it_could_not_read(
    documents: SqliteDocuments, heard: Heard
) -> None:
    store_ = Broken(documents)
    told = BrownoutsTold(store_, Policies(store_, shipped_policy, policy_from_data), heard)
    await told.tell(T0)
    await store(documents, a_change(1, Mode.NORMAL, Mode.SOFT), a_change(2, Mode.SOFT, Mode.NORMAL))
    with pytest.raises(StoreUnavailable):
        await told.tell(T0)
    store_.is_broken = False
    await told.tell(T0)

    measured = [each.instrument for fact in heard.facts for each in fact.measurements]
    assert measured.count(metrics.ACTIVATIONS) == 1
    assert measured.count(metrics.RECOVERY_DURATION) == 1


async def test_counts_as_missed_what_it_may_have_counted(
    documents: SqliteDocuments, heard: Heard
) -> None:
    policies = Policies(documents, shipped_policy, policy_from_data)
    told = BrownoutsTold(Forgetful(documents), policies, heard)
    await told.tell(T0)
    await store(documents, a_change(1, Mode.NORMAL, Mode.SOFT))

    await told.tell(T0)

    assert heard.take(metrics.ACTIVATIONS) == []
    assert heard.missed == {"unknown_outcome": 1}


def an_episode(*savings: Saving, enforced: bool = True) -> Episode:
    return Episode(
        id="e1",
        scope="org:acme",
        opened_at=T0,
        closed_at=at(600),
        peak=Mode.HARD,
        seconds={"hard": 600},
        enforced=enforced,
        savings=savings,
        refused=0,
        left_out=0,
        simulated=0,
        skipped_cache=0,
        input_tokens=0,
        cached_tokens=0,
    )


def a_saving(nanos: int | None) -> Saving:
    return Saving("holdout", nanos, None, None, calls=100, holdout_calls=40, note="")


async def test_counts_what_an_episode_saved_once(
    told: BrownoutsTold, heard: Heard, documents: SqliteDocuments
) -> None:
    episode = an_episode(a_saving(7_000_000_001))
    await documents.commit([Create(episode.ref, episode.to_data())])

    await told.tell(at(720))
    first = of(heard.take(metrics.COST_SAVED))
    await told.tell(at(780))

    assert first == [({"scope": "org:acme", "method": "holdout"}, 7_000_000_001)]
    assert heard.take(metrics.COST_SAVED) == []


@pytest.mark.parametrize(
    ("episode", "measured"),
    [
        (an_episode(a_saving(-5)), [(metrics.COST_LOST, 5)]),
        (an_episode(a_saving(None)), []),
        (an_episode(a_saving(5), enforced=False), []),
    ],
)
def test_tells_what_is_lost_apart_and_nothing_that_is_not_known(
    episode: Episode, measured: list[tuple[Instrument, int]]
) -> None:
    assert [(each.instrument, each.value) for each in savings_of(episode)] == measured


async def test_reads_the_last_five_minutes_of_every_organisation(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    minute = timedelta(minutes=1)
    calls = [
        a_call(id="a", event_time=START - minute, priced_nanos=1_000, first_chunk_s=0.5),
        a_call(id="b", event_time=START - minute, priced_nanos=500, outcome="upstream_error"),
        a_call(id="c", event_time=START - minute, priced_nanos=0, outcome="client_error"),
        a_call(id="d", event_time=START - 5 * minute, priced_nanos=1, org="other", team="x"),
        a_call(id="old", event_time=START - 6 * minute, priced_nanos=10**9),
        a_call(id="now", event_time=START, priced_nanos=10**9),
    ]
    await apply_events(documents, calls, clock)

    measured = await Watching(documents).read(START)

    told = {(e.instrument.name, *e.attributes.values()): e.value for e in measured}
    assert told.pop(("custom.llm.ttft.p95", "openai", "gpt-5")) == pytest.approx(0.5, rel=0.3)
    assert told == {
        ("custom.service.availability", "acme"): 50.0,
        ("custom.service.availability", "other"): 100.0,
        ("custom.token_cost_per_hour", "acme", "search"): 1_500 * 12,
        ("custom.token_cost_per_hour", "other", "x"): 12,
    }


async def test_tells_once_that_a_cost_has_ended(
    documents: SqliteDocuments, clock: SetClock
) -> None:
    await apply_events(documents, [a_call(event_time=START - timedelta(minutes=1))], clock)
    watching = Watching(documents)

    costs = []
    for later in (0, 10, 20):
        measured = await watching.read(START + timedelta(minutes=later))
        costs.append([e.value for e in measured if e.instrument is metrics.TOKEN_COST_PER_HOUR])

    assert costs == [[4_213_000 * 12], [0], []]
