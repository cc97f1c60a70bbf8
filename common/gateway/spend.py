"""What one call holds against its hard budgets, and what became of it."""

from dataclasses import dataclass, field

from common.budgets.budgets import Applicable
from common.budgets.holdings import Held
from common.core.events import Settlement
from common.core.money import Nanos
from common.llm.bounds import Bound


@dataclass(slots=True)
class Spend:
    """What one call holds. `held` has one entry for each attempt that may be billed.

    The first `ambiguous` ones may all be billed, the last one there is not among them.
    `owed` is what each is to be settled at, and the unproven part of that.
    """

    to: Applicable
    bound: Bound
    held: list[Held] = field(default_factory=list)
    ambiguous: int = 0
    entered: bool = False
    owed: tuple[tuple[Nanos, Nanos], ...] = ()
    settled: tuple[Settlement, ...] = ()
    unproven: Nanos = 0

    @property
    def strict(self) -> bool:
        return any(budget.strict for budget in self.to.budgets)

    @property
    def nanos(self) -> Nanos:
        """What is held in all."""
        return sum(each.nanos for each in self.held)
