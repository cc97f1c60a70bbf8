"""The record of every change of a mode, and its way to those who are told.

A change is written in the commit that makes it and published afterwards; what was not published is
found again by its mark, so a process that dies in between loses none. Its event has an id of its
own content: published twice, it is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from common.brownout.modes import Mode
from common.brownout.trajectory import Cause
from common.core.brownout_events import BrownoutModeChanged, SignalTold
from common.core.ports import Bus, Document, Documents, Put, Query, Ref, Value

CHANGES = "brownout_changes"
KEPT = timedelta(days=400)
_LAST = 999_999_999_999
_SCOPE_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a scope's mode. `seq` numbers the changes of all scopes, oldest first.

    Ids sort the other way, because the newest are what is asked for.
    """

    scope: str
    seq: int
    event_time: datetime
    before: Mode
    after: Mode
    cause: Cause
    episode: str
    signals: tuple[SignalTold, ...]
    policy_version: int
    enforced: bool

    @property
    def ref(self) -> Ref:
        digest = sha256(self.scope.encode()).hexdigest()[:_SCOPE_DIGITS]
        return Ref(CHANGES, f"{_LAST - self.seq:012d}-{digest}")

    def to_data(self) -> dict[str, Value]:
        return {
            "scope": self.scope,
            "seq": self.seq,
            "event_time": self.event_time,
            "before": self.before.word,
            "after": self.after.word,
            "cause": self.cause,
            "episode": self.episode,
            "signals": [each.model_dump() for each in self.signals],
            "policy_version": self.policy_version,
            "enforced": self.enforced,
            "published": False,
            # True once it is told that the scope has stayed normal since (`history.py`).
            "settled": False if self.after == Mode.NORMAL else None,
            # True once its episode is written down (`episodes.py`).
            "accounted": False if self.after == Mode.NORMAL else None,
            "delete_at": self.event_time + KEPT,
        }

    @classmethod
    def from_document(cls, document: Document) -> "Change":
        data: Any = document.data
        return cls(
            scope=data["scope"],
            seq=data["seq"],
            event_time=data["event_time"],
            before=Mode[data["before"].upper()],
            after=Mode[data["after"].upper()],
            cause=data["cause"],
            episode=data["episode"],
            signals=tuple(SignalTold(**each) for each in data["signals"]),
            policy_version=data["policy_version"],
            enforced=data["enforced"],
        )

    @property
    def event(self) -> BrownoutModeChanged:
        return BrownoutModeChanged(
            id=sha256(f"brownout.mode_changed {self.scope} {self.seq}".encode()).hexdigest()[:32],
            event_time=self.event_time,
            scope=self.scope,
            seq=self.seq,
            before=self.before.word,
            after=self.after.word,
            cause=self.cause,
            signals=self.signals,
            episode=self.episode,
            enforced=self.enforced,
            policy_version=self.policy_version,
        )


async def publish_changes(documents: Documents, bus: Bus) -> int:
    """Publish what has not been published yet, oldest first; how many that were.

    Raises:
        StoreUnavailable, PublishFailed: the rest is published the next time.
    """
    found = await _unpublished(documents)
    for document in found:
        event = Change.from_document(document).event
        await bus.publish(event.topic, event)
        published = {**document.data, "published": True}
        # Who else publishes the same at this moment marks the same: nothing depends on the outcome.
        await documents.commit([Put(document.ref, published, if_version=document.version)])
    return len(found)


async def _unpublished(documents: Documents) -> Sequence[Document]:
    found = await documents.query(Query(CHANGES, {"published": False}))
    return sorted(found, key=lambda document: int(document.data["seq"]))
