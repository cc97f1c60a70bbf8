"""The budget of a key that is made with the key, in the same commit.

It belongs to the key's line, so rotation keeps it: `key-<line>`.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from common.budgets.budgets import Budget, check_budget
from common.budgets.standing import Standing
from common.core.errors import InvalidInput
from common.core.ports import Documents, Write
from common.core.transactions import Read
from common.gateway.budget_changes import written
from common.gateway.budget_scopes import callers_with, check_meeting
from common.gateway.keys import Key


@dataclass(frozen=True, slots=True)
class KeyBudget:
    """What the budget of a new key is to be; its id, organisation and scope follow from the key.

    `documents` are asked for the organisation's other budgets.
    """

    budget: Budget
    documents: Documents

    def check(self) -> None:
        """Refuse a budget that cannot hold.

        Raises:
            InvalidInput: names the field and the right form.
        """
        try:
            check_budget(self.budget)
        except InvalidInput as error:
            raise _inside(error) from None

    async def made_for(
        self, read: Read, key: Key, now: datetime
    ) -> tuple[Standing, tuple[Write, ...]]:
        """The budget of this key, and what is to be stored for it.

        Raises:
            InvalidInput: it would be one hard budget too many.
        """
        scope = f"key:{key.line}"
        budget = replace(self.budget, id=f"key-{key.line}", org=key.org, scope=scope)
        standing, writes = await written(read, None, budget, None, now)
        if budget.hard:
            try:
                await check_meeting(self.documents, budget, now, callers_with(key))
            except InvalidInput as error:
                raise _inside(error) from None
        return standing, writes


def _inside(error: InvalidInput) -> InvalidInput:
    return InvalidInput(error.detail, field=f"budget.{error.field}")
