"""How scopes stand now, as people are shown it: computed from the state, like everything else."""

from dataclasses import dataclass
from datetime import datetime

from common.brownout.modes import GLOBAL, Mode
from common.brownout.pins import live_pins
from common.brownout.state import State
from common.brownout.trajectory import (
    Recovery,
    ScopeState,
    advance,
    ends_at,
    episode_of,
    share,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A scope that signals hold off normal, or held lately.

    `share` of its calls are treated in the mode now, the others one mode lower. `ends_at` is when
    it is back to normal if nothing else happens.
    """

    scope: str
    held: ScopeState
    share: float
    ends_at: datetime
    episode: str


def standings(state: State, recovery: Recovery, now: datetime) -> list[Standing]:
    """The scopes that are not back to normal by now, by name."""
    advanced = {scope: advance(held, now, recovery)[0] for scope, held in state.scopes.items()}
    return [
        Standing(
            scope=scope,
            held=held,
            share=share(held, now, recovery),
            ends_at=ends_at(held, recovery),
            episode=episode_of(scope, held.opened_at),
        )
        for scope, held in sorted(advanced.items())
        if held.mode > Mode.NORMAL
    ]


def modes_now(state: State, recovery: Recovery, now: datetime) -> dict[str, Mode]:
    """The mode of `global`, and of every scope that signals or a pin give one."""
    held = {each.scope: each.held.mode for each in standings(state, recovery, now)}
    pinned = {pin.scope: pin.mode for pin in live_pins(state, now)}
    return {GLOBAL: Mode.NORMAL, **held, **pinned}
