"""One fold at a time in a process, shared by all who ask meanwhile."""

import asyncio
import logging
from dataclasses import dataclass, field

from common.brownout.changes import publish_changes
from common.brownout.fold import Folded, fold
from common.brownout.policies import Policies
from common.brownout.policy import SignalRules
from common.brownout.state import read_state
from common.core.errors import PublishFailed, StoreUnavailable
from common.core.ports import Bus, Clock, Documents
from common.core.transactions import Entropy, transact

logger = logging.getLogger(__name__)

_MOST_TOLD = 20
"""Scopes without room that are named."""


@dataclass(slots=True)
class Folding:
    """Folds and publishes what changed. One per process."""

    documents: Documents
    bus: Bus
    clock: Clock
    entropy: Entropy
    policies: Policies
    _running: "asyncio.Task[Folded] | None" = field(default=None, init=False)
    _next: "asyncio.Task[Folded] | None" = field(default=None, init=False)

    async def __call__(self) -> Folded:
        """The state after a fold that begins no earlier than this call.

        Who asks while one runs waits for the next, which finds what all of them have stored.

        Raises:
            StoreUnavailable, VersionConflict: nothing is folded; whoever folds next does it.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        # One caller that leaves must not end the fold of the others.
        return await asyncio.shield(self._next)

    async def rules(self) -> SignalRules:
        """What the policy of now says of signals.

        Raises:
            StoreUnavailable: no answer in time.
        """
        policy = await self.policies.of((await read_state(self.documents)).policy_version)
        return policy.signals

    async def _after(self, before: "asyncio.Task[Folded] | None") -> Folded:
        if before is not None:
            await asyncio.wait({before})
        self._running, self._next = self._next, None
        found = await transact(
            self.documents,
            self.clock,
            lambda read: fold(self.documents, read, self.policies, self.clock.now()),
            entropy=self.entropy,
        )
        for change in found.changes:
            logger.warning(
                "brownout.mode_changed",
                extra={
                    "scope": change.scope,
                    "before": change.before.word,
                    "after": change.after.word,
                    "cause": change.cause,
                    "enforced": change.enforced,
                },
            )
        refused = sorted(scope for scope, around in found.elsewhere.items() if around is None)
        if refused:
            told = {"number": len(refused), "scopes": refused[:_MOST_TOLD]}
            logger.warning("brownout.no_room", extra=told)
        if found.changes:
            await self._publish()
        return found

    async def _publish(self) -> None:
        try:
            await publish_changes(self.documents, self.bus)
        except (StoreUnavailable, PublishFailed) as error:
            # They are marked as unpublished, and the next tick finds them.
            logger.warning("brownout.unpublished", extra={"cause": str(error)})
