"""Holding the signals of a source against what its alerts are now.

Posts get lost, come twice and come late. So once a minute the source itself is asked: an alert that
goes on has a signal and its lease is renewed; a signal whose alert is over ends. What the source
does not know, or cannot tell, is left as it is, and leases end it. An alert that is muted drives
nothing, because it would not have been told either.

Pure. What is found holds for the moment of asking: what was told after that is newer, and stays.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from common.brownout.drift import Watched
from common.brownout.modes import Mode
from common.brownout.policy import Meaning
from common.brownout.signals import Signal, Source, ended, raised


@dataclass(frozen=True, slots=True)
class Group:
    """One alert of a monitor that is not calm.

    `tags` tell it from the others, none for the only one. `level` is what it asks for, for each of
    the `scopes`; None: the source cannot tell how it stands.
    """

    tags: frozenset[str]
    level: Mode | None
    scopes: tuple[str, ...]

    @property
    def name(self) -> str:
        return ",".join(sorted(self.tags))


@dataclass(frozen=True, slots=True)
class Mute:
    """What is muted of a monitor: what has all these tags, everything without any.

    From `since` on and until `until`, None where that has no bound.
    """

    tags: frozenset[str]
    since: datetime | None = None
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        begun = self.since is None or self.since <= now
        return begun and (self.until is None or now < self.until)

    def covers(self, group: Group) -> bool | None:
        """Whether the group is muted. None: the tags of a group do not say all about it."""
        others = self.tags - group.tags
        if not others:
            return True
        keys = {tag.partition(":")[0] for tag in group.tags}
        return False if any(tag.partition(":")[0] in keys for tag in others) else None


@dataclass(frozen=True, slots=True)
class Monitor:
    """A monitor as its source knows it now. A group that is not among `groups` is calm.

    `watched` is there for one that watches a measure of the policy.
    """

    id: str
    groups: tuple[Group, ...]
    mutes: tuple[Mute, ...] = ()
    link: str | None = None
    watched: Watched | None = None


class SourceUnavailable(Exception):
    """A source did not say how things stand. The text says why, without a secret."""


class Monitors(Protocol):
    """A source that can be asked how its monitors stand."""

    async def read(self, meanings: Mapping[str, Meaning]) -> Sequence[Monitor]:
        """All monitors that ask for a mode, each once.

        Args:
            meanings: of a policy, what certain monitors mean whatever they say themselves.

        Raises:
            SourceUnavailable: no whole answer in time.
        """


@dataclass(frozen=True, slots=True)
class Found:
    """What a source said, when it was asked, and how long that counts."""

    source: Source
    monitors: Sequence[Monitor]
    asked_at: datetime
    lease: timedelta


def reconciled(found: Found, known: Iterable[Signal], now: datetime) -> list[Signal]:
    """The signals that are other than they should be, as they are to be stored; highest first.

    Args:
        found: what the source said.
        known: all signals, also of other sources and ended ones.
        now: when these are stored.
    """
    monitors = {monitor.id: monitor for monitor in found.monitors}
    live: dict[str, list[Signal]] = {monitor_id: [] for monitor_id in monitors}
    for signal in known:
        if signal.source == found.source and signal.monitor in live and signal.lease_until > now:
            live[signal.monitor].append(signal)
    told = [
        signal
        for monitor_id, monitor in monitors.items()
        for signal in _of_monitor(monitor, live[monitor_id], found, now)
    ]
    # Where there are too many for one time, what protects comes before what relieves.
    return sorted(told, key=lambda signal: (signal.told_over, -signal.level, signal.id))


def _of_monitor(
    monitor: Monitor, live: Sequence[Signal], found: Found, now: datetime
) -> Iterable[Signal]:
    groups = _unmuted(monitor, now)
    spoken_for: set[tuple[frozenset[str], str]] = set()
    for signal in live:
        own = [each for each in _related(signal, groups) if signal.scope in each.scopes]
        spoken_for |= {(each.tags, signal.scope) for each in own}
        newest = replace(signal, observed_at=found.asked_at, received_at=now)
        levels = [each.level for each in own if each.level is not None]
        if not own:
            yield ended(newest)
        elif levels and _is_due(signal, max(levels), found, now):
            yield raised(replace(newest, level=max(levels)), found.lease)
    for group in groups:
        for scope in group.scopes:
            if group.level is not None and (group.tags, scope) not in spoken_for:
                new = Signal(
                    source=found.source,
                    monitor=monitor.id,
                    group=group.name,
                    scope=scope,
                    level=group.level,
                    observed_at=found.asked_at,
                    received_at=now,
                    lease_until=now,
                    link=monitor.link,
                )
                yield raised(new, found.lease)


def _unmuted(monitor: Monitor, now: datetime) -> list[Group]:
    """The groups that are not muted. Of one that may be muted nobody can tell how it stands."""
    mutes = [mute for mute in monitor.mutes if mute.holds(now)]
    heard: list[Group] = []
    for group in monitor.groups:
        covered = [mute.covers(group) for mute in mutes]
        if True not in covered:
            heard.append(replace(group, level=None) if None in covered else group)
    return heard


def _related(signal: Signal, groups: Sequence[Group]) -> list[Group]:
    """The groups that a signal may be about: its own, else those that its tags do not rule out.

    A post names a group by more tags than the source itself does, or by fewer.
    """
    tags = frozenset(signal.group.split(",")) - {""}
    exact = [group for group in groups if group.tags == tags]
    return exact or [group for group in groups if group.tags <= tags or tags <= group.tags]


def _is_due(signal: Signal, level: Mode, found: Found, now: datetime) -> bool:
    """Whether the signal says something else, or has less than half of its lease left."""
    return signal.level != level or signal.lease_until - now < found.lease / 2
