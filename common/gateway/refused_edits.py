"""Which edits rest, because a provider has refused them and taken the same request without them.

An edit rests for one model of one upstream and for what paid there, for an hour: accounts differ in
the models they have. What was refused under a caller's own key rests for that key alone, so nobody
takes an edit off the calls of others; and those of callers never crowd out the installation's.
"""

import logging
from dataclasses import dataclass, field
from typing import TypeAlias

from common.core.ports import Clock
from common.gateway.choice import Target
from common.gateway.credentials import Payer

logger = logging.getLogger(__name__)

RESTS_S = 3600.0
MOST_RESTING = 1_000
"""Of the installation's credentials, and as many of callers: beyond it the oldest is forgotten."""

_Place: TypeAlias = tuple[str, Payer, str, str]
"""Upstream, payer, model as asked there, edit."""


@dataclass(slots=True)
class RefusedEdits:
    """One per process."""

    clock: Clock
    _shared: dict[_Place, float] = field(default_factory=dict)
    _own: dict[_Place, float] = field(default_factory=dict)

    def rests(self, target: Target, payer: Payer, edit: str) -> bool:
        """Whether an edit of a call to `target`, as it was asked, is left out for now."""
        until_s = self._of(payer).get(_place(target, payer, edit), 0.0)
        return until_s > self.clock.monotonic()

    def rest(self, target: Target, payer: Payer, edit: str) -> None:
        """Leave an edit out for an hour."""
        resting, place = self._of(payer), _place(target, payer, edit)
        resting.pop(place, None)
        while len(resting) >= MOST_RESTING:
            del resting[next(iter(resting))]
        resting[place] = self.clock.monotonic() + RESTS_S
        logger.warning(
            "brownout.edit_refused",
            extra={"upstream": place[0], "model": place[2], "edit": edit, "own_key": payer.own},
        )

    def _of(self, payer: Payer) -> dict[_Place, float]:
        return self._own if payer.own else self._shared


def _place(target: Target, payer: Payer, edit: str) -> _Place:
    return target.destination.name, payer, target.facts.model or "", edit
