"""Episodes: what happened to a scope between leaving normal and being back, and what it was worth.

An episode is written down once, some minutes after its end, so that calls that were under way then
are counted in it. What marks its end is the change to normal; that one is marked as unaccounted in
the commit that makes it, so that nothing but the marks has to be looked at, and a tick that fails
loses none. An episode that a pin has made look normal is not over while signals hold its scope.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypeAlias

from common.brownout.changes import CHANGES, Change
from common.brownout.modes import MODES, Mode
from common.brownout.savings import EpisodeSums, Saving, estimated, saved
from common.brownout.state import State, read_state
from common.brownout.trajectory import episode_of
from common.core.ports import Create, Document, Documents, Put, Query, Ref, Value, Write

EPISODES = "brownout_episodes"
KEPT = timedelta(days=400)
GRACE = timedelta(minutes=2)
"""How long after its end calls are waited for. What comes later is not in its saving."""

_LAST = 999_999_999_999

SumsOf: TypeAlias = Callable[[str, datetime], Awaitable[EpisodeSums]]
"""What was added up of an episode's calls; told its id and when it began."""


@dataclass(frozen=True, slots=True)
class Episode:
    """One episode. `seconds` are by mode; `enforced`: not all of it was only recorded.

    `savings` has one for each method that had something to compare; the counts beside it are those
    of `EpisodeSums`.
    """

    id: str
    scope: str
    opened_at: datetime
    closed_at: datetime
    peak: Mode
    seconds: Mapping[str, int]
    enforced: bool
    savings: tuple[Saving, ...]
    refused: int
    left_out: int
    simulated: int
    skipped_cache: int
    input_tokens: int
    cached_tokens: int

    @property
    def ref(self) -> Ref:
        """Ids sort the newest first, because the newest are what is asked for."""
        return Ref(EPISODES, f"{_LAST - int(self.opened_at.timestamp()):012d}-{self.id}")

    def to_data(self) -> dict[str, Value]:
        return {
            **asdict(self),
            "peak": self.peak.word,
            "savings": [asdict(each) for each in self.savings],
            "delete_at": self.closed_at + KEPT,
        }

    @classmethod
    def from_document(cls, document: Document) -> "Episode":
        data: dict[str, Any] = {**document.data}
        del data["delete_at"]
        savings = tuple(Saving(**each) for each in data.pop("savings"))
        return cls(**{**data, "peak": MODES[data["peak"]], "savings": savings})


async def close_episodes(documents: Documents, sums_of: SumsOf, now: datetime) -> int:
    """Write down the episodes that have ended; how many these were.

    Raises:
        StoreUnavailable: no answer in time; the rest is done the next time.
    """
    state = await read_state(documents)
    open_ = _open(state, now)
    closed = 0
    for id_, returns in (await _unaccounted(documents)).items():
        if id_ in open_ or max(each.data["event_time"] for each in returns) + GRACE > now:
            continue
        changes = await _changes_of(documents, id_)
        opened_at = _opened_at(changes)
        episode = told(changes, await sums_of(id_, opened_at))
        writes: list[Write] = [
            # Who else writes one of these at this moment is met again at the next tick.
            Put(each.ref, {**each.data, "accounted": True}, if_version=each.version)
            for each in returns
        ]
        [known] = await documents.get_many([episode.ref])
        if known is None:
            writes.append(Create(episode.ref, episode.to_data()))
        await documents.commit(writes)
        closed += known is None
    return closed


def told(changes: Sequence[Change], sums: EpisodeSums) -> Episode:
    """The episode of these changes of one scope, oldest first, the last of them to normal."""
    last = changes[-1]
    seconds: dict[str, int] = defaultdict(int)
    for one, following in pairwise(changes):
        if one.after > Mode.NORMAL:
            lasted = following.event_time - one.event_time
            seconds[one.after.word] += round(lasted.total_seconds())
    savings = (saved(sums), estimated(sums))
    return Episode(
        id=last.episode,
        scope=last.scope,
        opened_at=_opened_at(changes),
        closed_at=last.event_time,
        peak=max(max(each.before, each.after) for each in changes),
        seconds=dict(seconds),
        enforced=any(each.enforced for each in changes),
        savings=tuple(each for each in savings if each is not None),
        refused=sums.refused,
        left_out=sums.left_out,
        simulated=sums.simulated,
        skipped_cache=sums.skipped_cache,
        input_tokens=sums.input_tokens,
        cached_tokens=sums.cached_tokens,
    )


def _open(state: State, now: datetime) -> set[str]:
    """The episodes that are not over."""
    held = {episode_of(scope, each.opened_at) for scope, each in state.scopes.items()}
    pinned = {episode_of(pin.scope, pin.created_at) for pin in state.pins if pin.until > now}
    return held | pinned


def _opened_at(changes: Sequence[Change]) -> datetime:
    return changes[0].event_time


async def _unaccounted(documents: Documents) -> dict[str, list[Document]]:
    """The returns to normal that no episode is written down of, by episode."""
    found: dict[str, list[Document]] = defaultdict(list)
    for document in await _all(documents, {"accounted": False}):
        found[document.data["episode"]].append(document)
    return found


async def _changes_of(documents: Documents, episode: str) -> list[Change]:
    """The changes of an episode, the oldest first."""
    found = await _all(documents, {"episode": episode})
    return sorted(map(Change.from_document, found), key=lambda each: each.seq)


async def _all(documents: Documents, where: Mapping[str, str | bool]) -> list[Document]:
    found: list[Document] = []
    after: str | None = None
    while True:
        query = Query(CHANGES, where, after=after)
        page = await documents.query(query)
        found += page
        if len(page) < query.limit:
            return found
        after = page[-1].ref.id
