"""However late, often and disordered facts arrive, the incidents are those of their right order."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.core.brownout_events import BrownoutModeChanged
from common.core.events import Event
from common.incidents.facts import MODES
from common.incidents.incidents import INCIDENTS
from common.incidents.timeline import ENTRIES
from tests.incidents.scenes import Desk, a_change, minutes_of, settled
from tests.laws.brownout_store import MemoryDocuments

SCOPES = ("global", "team:acme/search")
PAUSES = (0, 0.5, 2, 5, 14, 16, 29, 30, 31, 44, 45, 46, 120)
"""Minutes: the least that there may be, and both sides of whatever the policy names."""

Step = tuple[int, int, float]

STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 3), st.sampled_from(PAUSES)),
    min_size=1,
    max_size=14,
)


def what_happened(steps: Sequence[Step]) -> list[Event]:
    """Changes of the modes of two scopes, and the word of each that it has settled, by time."""
    modes = dict.fromkeys(SCOPES, 0)
    episodes = dict.fromkeys(SCOPES, 0)
    events: list[Event] = []
    calm: dict[str, tuple[int, float]] = {}
    minutes = 0.0
    for seq, (which, step, pause) in enumerate(steps, 1):
        minutes += pause
        scope = SCOPES[which]
        before, after = modes[scope], (modes[scope] + step) % len(MODES)
        if before == 0:
            episodes[scope] += 1
        episode = f"{scope} {episodes[scope]}"
        change = a_change(seq, MODES[before], MODES[after], minutes, scope=scope, episode=episode)
        events += [*_settled(calm, scope, minutes, episodes), change]
        modes[scope] = after
        if after == 0:
            calm[scope] = (seq, minutes)
    for scope in SCOPES:
        events += _settled(calm, scope, minutes + 10_000, episodes, now=True)
    return sorted(events, key=lambda event: (event.event_time, event.id))


def _settled(
    calm: dict[str, tuple[int, float]],
    scope: str,
    minutes: float,
    episodes: dict[str, int],
    *,
    now: bool = False,
) -> list[Event]:
    """The word that a scope has settled, if it had by then."""
    if scope not in calm:
        return []
    seq, since = calm.pop(scope)
    number = episodes[scope] if now or minutes - since < 30 else episodes[scope] - 1
    event = settled(seq, since, f"{scope} {number}", scope)
    return [event] if since + 30 <= minutes else []


async def outcome(deliveries: Sequence[tuple[float, Event]]) -> dict[str, Any]:
    """The incidents and timelines once these events were delivered at these minutes."""
    documents = MemoryDocuments()
    desk = Desk(documents)
    happened = sorted({event.id: event for _, event in deliveries}.values(), key=_when)
    for minutes, event in deliveries:
        desk.clock.minutes = minutes
        for each in happened:
            if isinstance(each, BrownoutModeChanged) and minutes_of(each.event_time) <= minutes:
                desk.write(each)
        await desk.process().take(event)
    told = {event.id for event in desk.bus.incidents}
    assert len(told) == len(desk.bus.incidents)
    stored = [*documents.all_of(INCIDENTS), *documents.all_of(ENTRIES)]
    return {f"{each.ref.collection}/{each.ref.id}": dict(each.data) for each in stored}


def _when(event: Event) -> tuple[object, str]:
    return event.event_time, event.id


@given(STEPS, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
async def test_gives_the_same_incidents(steps: list[Step], chance: random.Random) -> None:
    events = what_happened(steps)
    in_order = [(minutes_of(event.event_time), event) for event in events]
    disordered = [
        (minutes + chance.choice((0, 0, 1, 20, 100, 600)), event)
        for minutes, event in in_order
        for _ in range(chance.randint(1, 3))
    ]

    found = await outcome(sorted(disordered, key=lambda each: each[0]))

    assert found == await outcome(in_order)


@pytest.mark.parametrize("seed", range(20))
async def test_opens_one_incident_for_each_episode_at_most(seed: int) -> None:
    chance = random.Random(seed)
    steps = [(chance.randint(0, 1), chance.randint(1, 3), chance.choice(PAUSES)) for _ in range(40)]
    events = what_happened(steps)

    stored = await outcome([(minutes_of(event.event_time), event) for event in events])

    held = [
        episode
        for path, data in stored.items()
        if path.startswith(f"{INCIDENTS}/")
        for episode in data["episodes"]
    ]
    known = {event.episode for event in events if isinstance(event, BrownoutModeChanged)}
    assert sorted(held) == sorted(known)
