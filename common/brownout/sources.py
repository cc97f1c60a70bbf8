"""Asking a source once a minute, and noting how that went.

`brownout_sources/{source}` says since when a source cannot be asked, so that whoever asks next
knows it too. After `BLIND_AFTER` that is told once, and so is its end; meanwhile leases decide.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, get_args

from common.brownout.blindness import blind, sighted
from common.brownout.drift import Watched
from common.brownout.fold import stored_signals
from common.brownout.policy import SignalRules
from common.brownout.reconciling import Found, Monitors, SourceUnavailable, reconciled
from common.brownout.signals import Source
from common.brownout.storing import MOST_AT_ONCE, store_signals
from common.core.errors import StoreUnavailable
from common.core.ports import Bus, Clock, Committed, Document, Documents, Put, Ref, Value
from common.core.transactions import Entropy

logger = logging.getLogger(__name__)

SOURCES = "brownout_sources"
BLIND_AFTER = timedelta(minutes=5)
MOST_WATCHED = 200
"""Monitors whose thresholds are noted."""
_LONGEST_CAUSE = 300

Standing: TypeAlias = Literal["off", "answers", "silent"]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source stood when it was last asked. `off`: nobody asks it, `cause` says why.

    While it is silent, `silent_since` is when it first did not answer and `cause` why it does not
    now; `told` says that this has been published. `alerts` are those that went on when it answered,
    `watched` what its monitors fired at then.
    """

    source: Source
    standing: Standing
    asked_at: datetime
    silent_since: datetime | None = None
    cause: str | None = None
    told: bool = False
    alerts: int | None = None
    watched: tuple[Watched, ...] = ()

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
            "watched": [each.to_data() for each in self.watched],
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
            watched=tuple(Watched.from_data(each) for each in data.get("watched", ())),
        )


def source_ref(source: Source) -> Ref:
    return Ref(SOURCES, source)


async def read_sources(documents: Documents) -> list[SourceStatus]:
    """The sources that are asked.

    Raises:
        StoreUnavailable: no answer in time.
    """
    known: tuple[Source, ...] = get_args(Source)
    found = await documents.get_many([source_ref(source) for source in known])
    pairs = zip(known, found, strict=True)
    return [SourceStatus.from_document(source, each) for source, each in pairs if each is not None]


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
            PublishFailed: that it is blind, or sees again, is not told; the next run tells it.
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
        await store_signals(self.documents, self.clock, self.entropy, told)
        alerts = sum(group.level is not None for each in monitors for group in each.groups)
        await self._tell_heard(before, asked_at)
        watched = tuple(each.watched for each in monitors if each.watched is not None)
        status = SourceStatus(self.source, "answers", asked_at, alerts=alerts)
        await self._note(replace(status, watched=watched[:MOST_WATCHED]))
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

    async def _off(self, before: SourceStatus | None, now: datetime) -> None:
        if before is None or before.standing != "off":
            logger.info("brownout.source_off", extra={"source": self.source, "needs": self.needs})
            await self._note(SourceStatus(self.source, "off", now, cause=f"needs {self.needs}"))

    async def _silent(self, before: SourceStatus | None, now: datetime, cause: str) -> None:
        logger.warning("brownout.source_silent", extra={"source": self.source, "cause": cause})
        status = SourceStatus(self.source, "silent", now, silent_since=now, cause=cause)
        if before is not None:
            status = replace(status, watched=before.watched)
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

    async def _tell_heard(self, before: SourceStatus | None, now: datetime) -> None:
        """Publish that it answers, if it was told to be blind: before it is noted, as that was."""
        if before is not None and before.told and before.silent_since is not None:
            event = sighted(self.source, before.silent_since, found_at=now)
            await self.bus.publish(event.topic, event)
            logger.info("brownout.sighted", extra={"source": self.source})

    async def _note(self, status: SourceStatus) -> None:
        outcome = await self.documents.commit([Put(status.ref, status.to_data())])
        if not isinstance(outcome, Committed):
            raise StoreUnavailable(f"how {self.source} stands could not be noted")
