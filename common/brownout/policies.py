"""Where the versions of the policy are. A version never changes, so one that was read stays."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from common.brownout.policy import Policy
from common.core.errors import InvalidInput
from common.core.ports import Documents, Ref

logger = logging.getLogger(__name__)

POLICIES = "brownout_policies"
SHIPPED = 0
"""The version that comes with the code and stands in no document."""


def policy_ref(version: int) -> Ref:
    return Ref(POLICIES, str(version))


class Policies:
    """The versions of the policy, read when they are asked for. One per process."""

    def __init__(
        self,
        documents: Documents,
        shipped: Callable[[], Policy],
        from_data: Callable[[Mapping[str, Any]], Policy],
    ) -> None:
        self._documents = documents
        self._shipped = shipped
        self._from_data = from_data
        self._newest: tuple[int, Policy] | None = None

    async def of(self, version: int) -> Policy:
        """A version. One that is gone is no reason to stop: the shipped policy holds then.

        Raises:
            StoreUnavailable: no answer in time.
        """
        if self._newest is not None and self._newest[0] == version:
            return self._newest[1]
        found = None
        if version != SHIPPED:
            [found] = await self._documents.get_many([policy_ref(version)])
        # Reading one takes tens of milliseconds, which no call should wait for.
        policy = await asyncio.to_thread(
            self._shipped if found is None else partial(self._read, version, found.data)
        )
        self._newest = (version, policy)
        return policy

    def _read(self, version: int, data: Mapping[str, Any]) -> Policy:
        """A stored version; one that this code cannot read leaves the one before in force."""
        try:
            return self._from_data(data["policy"])
        except InvalidInput as error:
            logger.error(  # noqa: TRY400 - the cause is the message
                "brownout.policy_unreadable", extra={"version": version, "cause": error.detail}
            )
            return self._shipped() if self._newest is None else self._newest[1]
