"""What is known of a message to a channel: one document for each event and channel.

It is there before anything is sent and stays longer than any event can be delivered again, so a
repeated event finds it and sends nothing. Whoever sends holds it for a while; one that was held and
never ended belonged to a process that died, so its message may have arrived, and the next one says
that it may be a repetition.

Changes of modes gather: the first one's document stays open for a while and takes those that
follow, and then is sent as one message.

A channel that gives a message up is broken for a while (`Broken`): that is told once, and one that
will not take the next message either rests so long and is sent nothing.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal, TypeAlias

from common.core.ports import Document, Ref, Value
from common.incidents.told import Link, Told

NOTICES = "notifications"
CHANNEL_STATES = "channel_states"
KEPT = timedelta(days=40)
"""Longer than Pub/Sub keeps anything that can be delivered again (31 days)."""

HELD = timedelta(seconds=30)
"""More than one attempt takes."""

MOST_ATTEMPTS = 8
TRIED_FOR = timedelta(minutes=20)
"""Well before an event has been delivered as often as Pub/Sub is told to."""

LONGEST_PAUSE = timedelta(minutes=10)

FIRST_REST = timedelta(minutes=10)
LONGEST_REST = timedelta(hours=1)
FORGOTTEN_AFTER = timedelta(hours=6)
"""A channel that breaks so long after its last rest begins with the first one again."""

Status: TypeAlias = Literal[
    "gathering",
    "joined",
    "sending",
    "waiting",
    "sent",
    "failed",
    "resting",
    "quiet",
    "limited",
    "left_out",
]
"""gathering: takes others until it closes. joined: is part of another's message. sending: somebody
has it. waiting: to be tried again. The rest is the end: sent; failed for good; its channel rests;
it fell into quiet hours; there were too many in this hour; the receiver has nothing to do with
it."""

ENDS: frozenset[Status] = frozenset(
    {"joined", "sent", "failed", "resting", "quiet", "limited", "left_out"}
)


@dataclass(frozen=True, slots=True)
class Notice:
    """One document. `until` is when a gathering closes, a hold ends, or the next attempt is due.

    `members` are the messages that it gathers. `maybe_sent`: an earlier attempt may have arrived.
    """

    event_id: str
    type: str
    channel: str
    status: Status
    created_at: datetime
    until: datetime
    attempts: int = 0
    maybe_sent: bool = False
    maybe_repeated: bool = False
    reason: str | None = None
    notes: tuple[str, ...] = ()
    members: tuple[Told, ...] = field(default=(), repr=False)

    @property
    def ref(self) -> Ref:
        return notice_ref(self.event_id, self.channel)

    @property
    def is_over(self) -> bool:
        return self.status in ENDS

    def taken(self, now: datetime) -> "Notice":
        """Held by whoever sends it now."""
        repeated = self.maybe_sent or self.status == "sending"
        return replace(
            self,
            status="sending",
            until=now + HELD,
            attempts=self.attempts + 1,
            maybe_sent=repeated,
            maybe_repeated=self.maybe_repeated or repeated,
        )

    def is_last(self, now: datetime) -> bool:
        """Whether the attempt that is made is the last one."""
        return self.attempts >= MOST_ATTEMPTS or now - self.created_at >= TRIED_FOR

    def put_off(self, reason: str, after_s: float | None, now: datetime, *, sent: bool) -> "Notice":
        """To be tried again, when the receiver said or as soon as the event comes again."""
        pause = min(timedelta(seconds=after_s or 0), LONGEST_PAUSE)
        return replace(
            self,
            status="waiting",
            until=now + pause,
            reason=reason,
            maybe_sent=self.maybe_sent or sent,
        )

    def ended(self, status: Status, reason: str | None = None) -> "Notice":
        return replace(self, status=status, reason=reason, members=())

    def to_data(self) -> dict[str, Value]:
        return {
            "event_id": self.event_id,
            "type": self.type,
            "channel": self.channel,
            "status": self.status,
            "created_at": self.created_at,
            "until": self.until,
            "attempts": self.attempts,
            "maybe_sent": self.maybe_sent,
            "maybe_repeated": self.maybe_repeated,
            "reason": self.reason,
            "notes": list(self.notes),
            "members": [_told_data(each) for each in self.members],
            "delete_at": self.created_at + KEPT,
        }

    @classmethod
    def from_document(cls, document: Document) -> "Notice":
        data: Mapping[str, Any] = document.data
        return cls(
            event_id=data["event_id"],
            type=data["type"],
            channel=data["channel"],
            status=data["status"],
            created_at=data["created_at"],
            until=data["until"],
            attempts=data["attempts"],
            maybe_sent=data["maybe_sent"],
            maybe_repeated=data["maybe_repeated"],
            reason=data["reason"],
            notes=tuple(data["notes"]),
            members=tuple(_told_from(each) for each in data["members"]),
        )


@dataclass(frozen=True, slots=True)
class LastAttempt:
    """How the last attempt to reach a channel went. `type` is that of the event."""

    at: datetime
    type: str
    status: Status
    reason: str | None


@dataclass(frozen=True, slots=True)
class Broken:
    """A channel that gave a message up at `since`, for the `times`-th time without a success.

    Until `until` that is told once at most. `rests`: nothing is sent to it until then.
    """

    since: datetime
    until: datetime
    times: int
    rests: bool
    reason: str
    told: bool = False

    def goes_on_at(self, now: datetime) -> bool:
        return now < self.until

    @classmethod
    def after(cls, before: "Broken | None", reason: str, now: datetime, *, rests: bool) -> "Broken":
        """From now on, twice as long as the time before."""
        again = before is not None and now - before.until < FORGOTTEN_AFTER
        times = before.times + 1 if before is not None and again else 1
        length = min(FIRST_REST * 2 ** min(times - 1, 10), LONGEST_REST)
        return cls(now, now + length, times, rests, reason)


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What a channel was sent in an hour of the clock, and the event whose notice gathers.

    `left_out` counts what was too much and is not told yet. `last` is how the last attempt went,
    `broken` that its last message was given up.
    """

    hour: str = ""
    sent: int = 0
    left_out: int = 0
    gathering: str | None = None
    last: "LastAttempt | None" = None
    broken: Broken | None = None

    def resting_at(self, now: datetime) -> Broken | None:
        """Why nothing is sent to it now, None if it is."""
        broken = self.broken
        return broken if broken is not None and broken.rests and broken.goes_on_at(now) else None

    def to_data(self) -> dict[str, Value]:
        return {
            "hour": self.hour,
            "sent": self.sent,
            "left_out": self.left_out,
            "gathering": self.gathering,
            "last": None if self.last is None else asdict(self.last),
            "broken": None if self.broken is None else asdict(self.broken),
        }

    @classmethod
    def from_document(cls, document: Document | None) -> "ChannelState":
        if document is None:
            return cls()
        data: Mapping[str, Any] = document.data
        last, broken = data["last"], data.get("broken")
        return cls(
            hour=data["hour"],
            sent=data["sent"],
            left_out=data["left_out"],
            gathering=data["gathering"],
            last=None if last is None else LastAttempt(**last),
            broken=None if broken is None else Broken(**broken),
        )

    def counted(self, now: datetime, most: int, *, anyway: bool) -> tuple["ChannelState", bool]:
        """The state with one more message, and whether that one may go out."""
        hour = f"{now:%Y-%m-%dT%H}"
        state = self if self.hour == hour else replace(self, hour=hour, sent=0)
        if state.sent >= most and not anyway:
            return replace(state, left_out=state.left_out + 1), False
        return replace(state, sent=state.sent + 1, left_out=0), True


def notice_ref(event_id: str, channel: str) -> Ref:
    return Ref(NOTICES, sha256(f"{event_id} {channel}".encode()).hexdigest()[:32])


def state_ref(channel: str) -> Ref:
    return Ref(CHANNEL_STATES, channel)


def _told_data(told: Told) -> dict[str, Value]:
    return {
        "id": told.id,
        "type": told.type,
        "severity": told.severity,
        "scope": told.scope,
        "title": told.title,
        "what": list(told.what),
        "since": told.since,
        "doing": told.doing,
        "affected": told.affected,
        "links": [{"label": each.label, "url": each.url} for each in told.links],
        "dedup_key": told.dedup_key,
        "happened_at": told.happened_at,
        "deed": told.deed,
    }


def _told_from(data: Mapping[str, Any]) -> Told:
    return Told(
        id=data["id"],
        type=data["type"],
        severity=data["severity"],
        scope=data["scope"],
        title=data["title"],
        what=tuple(data["what"]),
        since=data["since"],
        doing=data["doing"],
        affected=data["affected"],
        links=tuple(Link(**each) for each in data["links"]),
        dedup_key=data["dedup_key"],
        happened_at=data["happened_at"],
        deed=data["deed"],
    )
