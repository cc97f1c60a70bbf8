"""What a brownout did to one call, as its client and its event are told."""

from dataclasses import dataclass

from common.brownout.plans import Decision
from common.core.events import EditMade
from common.gateway.choice import Target
from common.gateway.credentials import Payer


@dataclass(slots=True)
class Treatment:
    """How one call is treated.

    `edits` are those that were planned, with what became of each. `original` is the call as its
    client sent it. `retries` None: as often as without a brownout. `blamed` names the edits that
    its provider is taken to have refused, of a request that `refused_by` paid for.
    """

    decision: Decision
    strategy: str
    enforced: bool
    original: Target
    edits: tuple[EditMade, ...] = ()
    retries: int | None = None
    blamed: tuple[str, ...] = ()
    refused_by: Payer | None = None

    @property
    def applied(self) -> tuple[EditMade, ...]:
        return tuple(edit for edit in self.edits if edit.outcome == "applied")
