"""The command of every day: the newest public prices, vetted, in force.

A failure of any kind leaves the book in force as it is. It is logged, kept in one small document
with the time of the first one, and told after 7 days of nothing else; a list that was read and
refused is told at once. Where the list says what the book in force says, nothing is written.

Commands may come twice or at the same time: a book is only put in force in place of the one that it
was vetted against, and otherwise vetted again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from common.core.errors import CloudOpsError, InvalidInput, NotFound, VersionConflict
from common.core.ports import Bus, Clock, Delete, Documents, Put, Ref, Write
from common.core.price_events import PriceBookHeld, PriceSourceStale, RefreshPrices
from common.core.transactions import Entropy, Read, transact
from common.pricing.book_lines import BookLines, same_content
from common.pricing.books import (
    BookRecord,
    Place,
    event_id,
    follow,
    holding,
    name_in_force,
    publish_waiting,
    put_in_force,
    read_book,
)
from common.pricing.sources import Compile, ModelsInUse, PriceSource, SourceFailed
from common.pricing.vetting import Vetted, check_units, vet

logger = logging.getLogger(__name__)

FAILURES = "price_sources"
"""Documents of sources that fail: since when, and why."""
USED_FOR = timedelta(days=30)
"""A model that calls used in this time does not vanish by itself."""
STALE_AFTER = timedelta(days=7)
ACTOR = "pricing"
_TRIES = 3
_LONGEST_CAUSE = 500


@dataclass(frozen=True, slots=True)
class _InForce:
    """The book in force as it is stored; `record` None: there is none, or it cannot be read."""

    place: Place
    record: BookRecord | None


@dataclass(frozen=True, slots=True)
class Refresher:
    """Obeys `pricing.refresh`. `shipped` gives the bytes of the book that comes with the code."""

    documents: Documents
    bus: Bus
    clock: Clock
    entropy: Entropy
    source: PriceSource
    compile: Compile
    in_use: ModelsInUse
    shipped: Callable[[], bytes]

    async def run(self, command: RefreshPrices) -> None:
        """Take what is new in the list.

        Raises:
            StoreUnavailable: no answer in time; nothing is changed, or all of it.
            PublishFailed: an event was not accepted; it waits for the next command.
            VersionConflict: others put books in force again and again.
        """
        try:
            listed = await self.source.read()
            candidate = await asyncio.to_thread(self.compile, listed, self.clock.now())
            changed = await self._take(candidate)
        except (SourceFailed, InvalidInput) as error:
            await self._fail(error, refused=isinstance(error, InvalidInput))
            return
        await self._recover()
        await publish_waiting(self.documents, self.bus)
        # Each run says so: an alert of the installation fires when the lines stay away.
        logger.info("pricing.refreshed", extra={"changed": changed, "event_id": command.id})

    async def _take(self, candidate: bytes) -> bool:
        """Vet a book and put it in force; whether anything is written for it."""
        for _ in range(_TRIES):
            in_force = await self._in_force()
            base = await asyncio.to_thread(self._base, in_force.record)
            now = self.clock.now()
            used = await self.in_use(now - USED_FOR)
            vetted = await asyncio.to_thread(vet, base, candidate, used, at=now)
            made = _next(in_force, base, candidate, vetted, now)
            if made is None:
                return False
            try:
                await self._publish(made, in_force.place)
            except VersionConflict:
                logger.info("pricing.overtaken")
            else:
                return True
        raise VersionConflict("others put price books in force again and again")

    async def _in_force(self) -> _InForce:
        sha = await name_in_force(self.documents.get_many)
        if sha is None:
            return _InForce(Place(), None)
        try:
            record = await read_book(self.documents.get_many, sha)
        except (NotFound, InvalidInput) as error:
            logger.error(  # noqa: TRY400 - the cause is the message
                "price_book.unreadable", extra={"book": sha, "cause": error.detail}
            )
            return _InForce(Place(sha), None)
        return _InForce(record.place, record)

    def _base(self, record: BookRecord | None) -> bytes:
        """What a book is vetted against: the one in force, else the one in the code.

        Else that is also where a newer code reads books differently, or knows other units.
        """
        shipped = self.shipped()
        if record is None:
            return shipped
        try:
            check_units(BookLines.read(record.data), BookLines.read(shipped))
        except InvalidInput as error:
            logger.warning("pricing.other_base", extra={"book": record.sha, "cause": error.detail})
            return shipped
        return record.data

    async def _publish(self, made: BookRecord, place: Place) -> None:
        async def decide(read: Read) -> tuple[Sequence[Write], None]:
            if made.sha != place.sha:
                return await put_in_force(read, made), None
            if await name_in_force(read) != made.sha:
                raise VersionConflict("another price book is in force by now: look again")
            await read([made.ref])
            return [Put(made.ref, made.to_data())], None

        await transact(self.documents, self.clock, decide, entropy=self.entropy)
        logger.info(
            "price_book.published",
            extra={"book": made.sha, "number": made.number, "held": len(made.held)},
        )

    async def _fail(self, error: CloudOpsError, *, refused: bool) -> None:
        """Say that nothing is taken, and why."""
        cause = error.detail[:_LONGEST_CAUSE]
        logger.error("pricing.failed", extra={"source": self.source.name, "cause": cause})
        now = self.clock.now()
        [failure] = await self.documents.get_many([self._failure])
        since: datetime = now if failure is None else failure.data["failing_since"]
        data = {"failing_since": since, "tried_at": now, "cause": cause}
        version = None if failure is None else failure.version
        # Another command may have said the same meanwhile, which is as good.
        await self.documents.commit([Put(self._failure, data, version)])
        if refused:
            told = await self._refused(cause, now)
            await self.bus.publish(told.topic, told)
        if now - since >= STALE_AFTER:
            stale = PriceSourceStale(
                id=event_id("price_source.stale", self.source.name, since.isoformat()),
                event_time=now,
                source=self.source.name,
                since=since,
                cause=cause,
            )
            await self.bus.publish(stale.topic, stale)

    async def _refused(self, cause: str, now: datetime) -> PriceBookHeld:
        return PriceBookHeld(
            id=event_id("price_book.refused", self.source.name, cause),
            event_time=now,
            book=await name_in_force(self.documents.get_many),
            refused=cause,
            count=0,
            cards=(),
        )

    async def _recover(self) -> None:
        [failure] = await self.documents.get_many([self._failure])
        if failure is not None:
            await self.documents.commit([Delete(self._failure, failure.version)])

    @property
    def _failure(self) -> Ref:
        return Ref(FAILURES, self.source.name)


def _next(
    in_force: _InForce, base: bytes, candidate: bytes, vetted: Vetted, now: datetime
) -> BookRecord | None:
    """What to store; None: it is there already.

    Where only what is held differs, that is the book in force with what is held by now.
    """
    record = in_force.record
    is_same = same_content(BookLines.read(base), BookLines.read(vetted.book))
    if is_same and record is not None and record.data == base:
        if record.held == vetted.held:
            return None
        made = replace(record, held=vetted.held, candidate=candidate if vetted.held else None)
    elif is_same and in_force.place.sha is None and not vetted.held:
        return None
    else:
        made = follow(in_force.place, vetted.book, vetted.held, candidate, actor=ACTOR, now=now)
    is_told = record is not None and record.held == made.held
    return made if is_told or not made.held else made.telling(holding(made, now))
