"""What sources tell in one history, and how it arrives: lost, twice, late and out of order."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common.brownout.modes import Mode
from common.brownout.receiving import Deed

LOST = DUPLICATED = LATE = 0.3
LATE_BY_S = 600.0
RENOTIFIED_S = 600.0
"""Datadog is told to repeat an alert that goes on."""

SCOPES = ("global", "org:acme", "team:acme/search", "provider:openai", "model:gpt-5")
_LEVELS = (Mode.SOFT, Mode.HARD, Mode.EMERGENCY)
_LASTS_S = (40.0, 150.0, 900.0, 3_000.0)
_PAUSES_S = (50.0, 400.0, 1_500.0)


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that a source says of an alert. `at_s` is when it says so, in seconds."""

    event: str
    deed: Deed
    monitor: str
    scope: str
    level: Mode
    at_s: float


@dataclass(frozen=True, slots=True)
class Story:
    """Messages and when each arrives, in seconds. Nothing is wrong any more after `over_s`."""

    arrivals: tuple[tuple[float, Message], ...]
    over_s: float


def random_story(chance: random.Random) -> Story:
    """A few monitors that alert for a while and recover, some of them without saying so."""
    messages: list[Message] = []
    over_s = 0.0
    for number in range(chance.randint(1, 4)):
        told, ended_s = _monitor(str(number), chance)
        messages += told
        over_s = max(over_s, ended_s)
    arrivals = [(at_s, each) for each in messages for at_s in _arrivals(each, chance)]
    return Story(tuple(sorted(arrivals, key=lambda arrival: arrival[0])), over_s)


def toggling(firing_s: float, every_s: float, lasts_s: float) -> Story:
    """A hard alert that fires for so long, again and again, and of which all arrives at once."""
    arrivals: list[tuple[float, Message]] = []
    for begins_s in range(0, round(lasts_s), round(every_s)):
        raised = _message("1", "raise", "global", Mode.HARD, begins_s)
        ended = _message("1", "end", "global", Mode.HARD, begins_s + firing_s)
        arrivals += [(raised.at_s, raised), (ended.at_s, ended)]
    return Story(tuple(arrivals), arrivals[-1][0])


def naive_transitions(story: Story) -> int:
    """What a mode that follows the last word at once would do; down it goes level by level."""
    mode, transitions = Mode.NORMAL, 0
    for _, message in story.arrivals:
        target = Mode.NORMAL if message.deed == "end" else message.level
        transitions += 1 if target > mode else mode - target
        mode = target
    return transitions


def _monitor(name: str, chance: random.Random) -> tuple[Sequence[Message], float]:
    messages: list[Message] = []
    scope, level = chance.choice(SCOPES), chance.choice(_LEVELS)
    now_s, ended_s = chance.uniform(0, 1_500), 0.0
    for _ in range(chance.randint(1, 4)):
        ended_s = now_s + chance.choice(_LASTS_S) * chance.uniform(0.5, 1.5)
        for at_s, deed in _alert(now_s, ended_s, chance):
            messages.append(_message(name, deed, scope, level, at_s))
            if deed == "raise" and chance.random() < 0.3:
                # It warns, or it is worse than it was.
                level = chance.choice(_LEVELS)
        now_s = ended_s + chance.choice(_PAUSES_S) * chance.uniform(0.5, 1.5)
    return messages, ended_s


def _alert(from_s: float, to_s: float, chance: random.Random) -> Iterator[tuple[float, Deed]]:
    now_s = from_s
    while now_s < to_s:
        again: Deed = "raise" if chance.random() < 0.2 else "renew"
        yield now_s, "raise" if now_s == from_s else again
        now_s += RENOTIFIED_S
    if chance.random() < 0.85:
        yield to_s, "end"


def _arrivals(message: Message, chance: random.Random) -> list[float]:
    if chance.random() < LOST:
        return []
    times = 1 + (chance.random() < DUPLICATED)
    return [message.at_s + _way_s(message.at_s, chance) for _ in range(times)]


def _way_s(told_s: float, chance: random.Random) -> float:
    late_s = chance.uniform(0, LATE_BY_S if chance.random() < LATE else 3)
    # Many things happen on the minute.
    return late_s + (-(told_s + late_s) % 60 if chance.random() < 0.3 and late_s < 540 else 0)


def _message(monitor: str, deed: Deed, scope: str, level: Mode, at_s: float) -> Message:
    return Message(f"{monitor}-{deed}-{at_s:.3f}", deed, monitor, scope, level, at_s)
