"""What the minute's command does: whatever nobody else has done by then.

Every part is by itself, on its own deadline: one that fails is told, and keeps no other from being
done. A brownout ends without any of it, because readers compute that by themselves.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from common.brownout.changes import publish_changes
from common.brownout.folding import Folding
from common.brownout.history import settle
from common.brownout.signals import SIGNALS
from common.core.brownout_events import BrownoutTick
from common.core.errors import CloudOpsError
from common.core.ports import Delete, Documents, Query

logger = logging.getLogger(__name__)

TICK_LIFE = timedelta(minutes=1)
"""An older command is not obeyed: its successor is there."""
PART_S = 15.0

Part: TypeAlias = Callable[[datetime], Awaitable[object]]
"""Work of every minute, told what time it is."""


@dataclass(frozen=True, slots=True)
class Ticker:
    """Obeys `brownout.tick`.

    `sources` is what looks at sources of signals before they are folded, `others` what other
    domains do each minute, both by name.
    """

    folding: Folding
    others: Mapping[str, Part] = field(default_factory=dict)
    sources: Mapping[str, Part] = field(default_factory=dict)

    async def run(self, tick: BrownoutTick) -> None:
        """Do every part; failures are logged, and taken up by the next tick."""
        folding = self.folding
        now = folding.clock.now()
        if now - tick.event_time > TICK_LIFE:
            logger.info("brownout.tick_expired", extra={"event_id": tick.id})
            return
        done = [
            *[await _part(name, partial(part, now)) for name, part in self.sources.items()],
            await _part("fold", folding),
            await _part("publish", lambda: publish_changes(folding.documents, folding.bus)),
            await _part("settle", lambda: self._settle(now)),
            await _part("forget", lambda: forget_signals(folding.documents, now)),
            *[await _part(name, partial(part, now)) for name, part in self.others.items()],
        ]
        # Each run says so: an alert of the installation fires when the lines stay away.
        logger.info("brownout.ticked", extra={"parts": len(done), "failed": done.count(False)})

    async def _settle(self, now: datetime) -> int:
        folding = self.folding
        return await settle(folding.documents, folding.bus, folding.policies, now)


async def forget_signals(documents: Documents, now: datetime) -> int:
    """Remove signals that ended long ago; how many that were.

    Raises:
        StoreUnavailable: no answer in time.
    """
    forgotten = 0
    after: str | None = None
    while True:
        page = await documents.query(Query(SIGNALS, after=after))
        old = [each for each in page if each.data["delete_at"] <= now]
        if old:
            # One that is told again at this moment has another version, and all of them stay.
            await documents.commit([Delete(each.ref, each.version) for each in old])
        forgotten += len(old)
        if len(page) < Query(SIGNALS).limit:
            return forgotten
        after = page[-1].ref.id


async def _part(name: str, work: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(PART_S):
            await work()
    except (CloudOpsError, TimeoutError) as error:
        logger.error(  # noqa: TRY400 - the cause is the message
            "brownout.part_failed", extra={"part": name, "cause": str(error)[:500]}
        )
        return False
    return True
