"""This instance's copy of what is not at rest, and of the policy that says what that means."""

import asyncio
import logging
from typing import TYPE_CHECKING

from common.brownout.policies import Policies
from common.brownout.state import STATE, State
from common.core.errors import StoreUnavailable
from common.core.ports import Document

if TYPE_CHECKING:
    from common.brownout.policy import Policy

logger = logging.getLogger(__name__)


class BrownoutCopy:
    """Follows the state. One per process.

    A state that is not at rest is taken once its policy is there: the two always belong together.
    While everything is at rest the policy only says what to hold against upstreams. It is loaded
    beside the calls then, and none of them waits for it.
    """

    ref = STATE

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._version: int | None = None
        self._wanted: int | None = None
        self.policy: Policy | None = None
        """Of a state that is not at rest it is the policy; before the first one is loaded None."""
        self.state = State()
        self.loading: asyncio.Task[None] | None = None

    async def learn(self, document: Document | None) -> None:
        """Take what was read of the state.

        Raises:
            StoreUnavailable: its policy cannot be read; all stays as it was.
        """
        state = State.from_document(document)
        self._wanted = state.policy_version
        if self._wanted != self._version:
            if not state.at_rest:
                await self._load(self._wanted)
            elif self.loading is None or self.loading.done():
                self.loading = asyncio.create_task(self._load_beside(self._wanted))
        self.state = state

    async def _load_beside(self, version: int) -> None:
        try:
            await self._load(version)
        except StoreUnavailable:
            # The next reading of the state tries again.
            logger.warning("brownout.policy_unread", extra={"version": version})

    async def _load(self, version: int) -> None:
        policy = await self._policies.of(version)
        if version == self._wanted:
            self.policy, self._version = policy, version
