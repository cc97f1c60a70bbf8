"""Asking a source once a minute, and noting how that went.

`brownout_sources/{source}` says since when a source cannot be asked, so that whoever asks next
knows it too. After `BLIND_AFTER` that is told once; meanwhile and afterwards leases decide.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from common.brownout.blindness import blind
from common.brownout.fold import stored_signals
from common.brownout.policy import SignalRules
from common.brownout.reconciling import Found, Monitors, SourceUnavailable, reconciled
from common.brownout.signals import Signal, Source, merged, signal_ref
from common.core.errors import StoreUnavailable
from common.core.ports import Bus, Clock, Committed, Document, Documents, Put, Ref, Value, Write
from common.core.transactions import Entropy, Read, transact

logger = logging.getLogger(__name__)

SOURCES = "brownout_sources"
BLIND_AFTER = timedelta(minutes=5)
MOST_AT_ONCE = 400
"""Signals that one run stores, in one commit; the next run takes the rest."""

_LONGEST_CAUSE = 300

Standing: TypeAlias = Literal["off", "answers", "silent"]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source stood when it was last asked. `off`: nobody asks it, `cause` says why.

    While it is silent, `silent_since` is when it first did not answer and `cause` why it does not
    now; `told` says that this has been published. `alerts` are those that went on when it answered.
    """

    source: Source
    standing: Standing
    asked_at: datetime
    silent_since: datetime | None = None
    cause: str | None = None
    told: bool = False
    alerts: int | None = None

    @property
    def ref(self) -> Ref:
        return source_ref(self.source)

    def to_data(self) -> dict[str, Value]:
        return {
            "standing": self.standing,
            "asked_at": self.asked_at,
            "silent_since": self.silent_since,
            "cause": self.cause,
            "told": self.told,
            "alerts": self.alerts,
        }

    @classmethod
    def from_document(cls, source: Source, document: Document) -> "SourceStatus":
        data: Any = document.data
        return cls(
            source=source,
            standing=data["standing"],
            asked_at=data["asked_at"],
            silent_since=data["silent_since"],
            cause=data["cause"],
            told=data["told"],
            alerts=data["alerts"],
        )


def source_ref(source: Source) -> Ref:
    return Ref(SOURCES, source)


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks one source. Without `monitors` nobody asks it, because it `needs` something."""

    source: Source
    monitors: Monitors | None
    needs: str
    documents: Documents
    bus: Bus
    clock: Clock
    entropy: Entropy
    rules: Callable[[], Awaitable[SignalRules]]
    lease: Callable[[SignalRules], timedelta]

    async def __call__(self, asked_at: datetime) -> None:
        """Ask, store what is otherwise than it should be, and note how the source stands.

        Args:
            asked_at: now. What is told later is newer than what the source answers.

        Raises:
            StoreUnavailable, VersionConflict: not all of it is stored; the next run does it.
            PublishFailed: that it is blind is not told; the next run tells it.
        """
        [document] = await self.documents.get_many([source_ref(self.source)])
        before = None if document is None else SourceStatus.from_document(self.source, document)
        if self.monitors is None:
            await self._off(before, asked_at)
            return
        rules = await self.rules()
        try:
            monitors = await self.monitors.read(rules.monitors)
        except SourceUnavailable as error:
            await self._silent(before, asked_at, str(error)[:_LONGEST_CAUSE])
            return
        known = await stored_signals(self.documents)
        found = Found(self.source, monitors, asked_at, self.lease(rules))
        told = reconciled(found, known, self.clock.now())[:MOST_AT_ONCE]
        await self._store(told)
        alerts = sum(group.level is not None for each in monitors for group in each.groups)
        await self._note(SourceStatus(self.source, "answers", asked_at, alerts=alerts))
        if told or before is None or before.standing != "answers":
            logger.info(
                "brownout.reconciled",
                extra={
                    "source": self.source,
                    "alerts": alerts,
                    "ended": sum(signal.told_over for signal in told),
                    "raised": sum(not signal.told_over for signal in told),
                },
            )

    async def _store(self, told: Sequence[Signal]) -> None:
        """Store these, but none over something newer that was told meanwhile."""

        async def decide(read: Read) -> tuple[Sequence[Write], None]:
            known = await read([signal_ref(signal) for signal in told])
            pairs = zip(told, known, strict=True)
            kept = (
                merged(None if before is None else Signal.from_document(before), signal)
                for signal, before in pairs
            )
            writes = [Put(signal_ref(each), each.to_data()) for each in kept if each is not None]
            return writes, None

        if told:
            await transact(self.documents, self.clock, decide, entropy=self.entropy)

    async def _off(self, before: SourceStatus | None, now: datetime) -> None:
        if before is None or before.standing != "off":
            logger.info("brownout.source_off", extra={"source": self.source, "needs": self.needs})
            await self._note(SourceStatus(self.source, "off", now, cause=f"needs {self.needs}"))

    async def _silent(self, before: SourceStatus | None, now: datetime, cause: str) -> None:
        logger.warning("brownout.source_silent", extra={"source": self.source, "cause": cause})
        status = SourceStatus(self.source, "silent", now, silent_since=now, cause=cause)
        if before is not None and before.silent_since is not None:
            status = replace(status, silent_since=before.silent_since, told=before.told)
        since = status.silent_since or now
        if not status.told and now - since >= BLIND_AFTER:
            # Published before it is noted: twice under one id is once, and never is too late.
            event = blind(
                self.source,
                since,
                cause="unreachable",
                found_at=now,
                episode=since.isoformat(),
            )
            await self.bus.publish(event.topic, event)
            logger.error("brownout.blind", extra={"source": self.source, "cause": cause})
            status = replace(status, told=True)
        await self._note(status)

    async def _note(self, status: SourceStatus) -> None:
        outcome = await self.documents.commit([Put(status.ref, status.to_data())])
        if not isinstance(outcome, Committed):
            raise StoreUnavailable(f"how {self.source} stands could not be noted")
