"""This instance's copy of what is not at rest, and of the policy that says what that means."""

from common.brownout.policies import Policies
from common.brownout.policy import Policy
from common.brownout.state import STATE, State
from common.core.ports import Document


class BrownoutCopy:
    """Follows the state. One per process.

    Its policy is read before the state that names it is taken: the two always belong together.
    While everything is at rest no policy is read at all.
    """

    ref = STATE

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._policy: Policy | None = None
        self.state = State()

    @property
    def policy(self) -> Policy:
        """The policy of a state that is not at rest."""
        if self._policy is None:
            raise LookupError("everything is at rest")
        return self._policy

    async def learn(self, document: Document | None) -> None:
        """Take what was read of the state.

        Raises:
            StoreUnavailable: its policy cannot be read; all stays as it was.
        """
        state = State.from_document(document)
        if not state.at_rest:
            self._policy = await self._policies.of(state.policy_version)
        self.state = state
