"""What a brownout means for one call: which mode it is treated in, and what is given up of it.

Everything is computed from the copy of the state that the reader has, for now, and from what this
instance has seen itself. A conversation is
always treated alike: who is treated while a mode is handed over is drawn by a hash of the episode
and the conversation, not by chance.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Literal, TypeAlias

from common.brownout.modes import Mode, Priority, scopes_of_upstream
from common.brownout.policy import Admit, Edit, ModelMap, Policy, Retries, Shed
from common.brownout.state import Pin, State
from common.brownout.trajectory import Recovery, ScopeState, advance, episode_of, share
from common.llm.reductions.wanted import Wanted

Draw: TypeAlias = Callable[[str], float]
"""A number from 0 up to 1 for a text, the same in every process."""

By: TypeAlias = Literal["state", "pin", "own"]
"""What decided: the stored state, a person's pin, or what the instance itself has seen."""
Arm: TypeAlias = Literal["degraded", "holdout"]

_WITH_HOLDOUT = (Mode.SOFT, Mode.HARD)
_FAILING_KINDS = ("provider:", "model:")
_NOTHING: Mapping[str, ScopeState] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `scopes` are those the call lies in, the most specific first.

    `conversation` is what must not flip back and forth: a session, or else the call alone.
    """

    scopes: tuple[str, ...]
    conversation: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class Decision:
    """That a call is treated: in which mode, because of which scope, and in which episode of it.

    A call of the holdout is left as it is, to know what the others would have cost. `failing`:
    its provider fails, so that an answer is worth more than what its caches would save.
    """

    mode: Mode
    by: By
    scope: str
    episode: str
    arm: Arm
    failing: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What a decision gives up. `retries` None: as many as ever; `let_in`: the share not shed."""

    strategy: str
    wanted: tuple[Wanted, ...] = ()
    let_in: float = 1.0
    shed: bool = False
    retries: int | None = None


def decide(
    state: State,
    policy: Policy,
    caller: Caller,
    now: datetime,
    draw: Draw,
    *,
    own: Mapping[str, ScopeState] = _NOTHING,
) -> Decision | None:
    """How this call is treated; None in normal mode.

    Args:
        state: as it was last read.
        policy: of that state.
        caller: who calls.
        now: by the clock of whoever decides.
        draw: says who is treated, and who is in the holdout.
        own: the scopes that are off rest by what this instance has seen. It only ever adds to the
            state, and its calls are in no holdout: nothing is compared with them.
    """
    if state.at_rest and not own:
        return None
    off_rest = _off_rest(state.scopes, caller, now, policy.recovery)
    seen = _off_rest(own, caller, now, policy.recovery)
    pin = _pin(state.pins, caller, now)
    treated: list[tuple[Mode, str, str, By]]
    if pin is not None:
        held = off_rest.get(pin.scope)
        opened_at = pin.created_at if held is None else held.opened_at
        treated = [(pin.mode, episode_of(pin.scope, opened_at), pin.scope, "pin")]
    else:
        recovery = policy.recovery
        treated = [*_treated(off_rest, caller, now, recovery, draw, by="state")]
        treated += _treated(seen, caller, now, recovery, draw, by="own")
    # Of equal modes that of the state, and of its most specific scope: it stands first.
    mode, episode, scope, by = max(treated, key=lambda each: each[0], default=_NORMAL)
    if mode == Mode.NORMAL:
        return None
    control = (
        by != "own"
        and mode in _WITH_HOLDOUT
        and draw(f"{episode} holdout {caller.conversation}") < policy.holdout
    )
    return Decision(
        mode=mode,
        by=by,
        scope=scope,
        episode=episode,
        arm="holdout" if control else "degraded",
        failing=any(_fails(name, held, now) for name, held in (*off_rest.items(), *seen.items())),
    )


def takes_over(
    state: State,
    policy: Policy,
    caller: Caller,
    now: datetime,
    draw: Draw,
    *,
    model: str,
    own: Mapping[str, ScopeState] = _NOTHING,
) -> bool:
    """Whether a caller may be moved to another model: not to one in hard or emergency itself.

    It would fail there too, and what fails for one of two models would fail for both. While the
    other one recovers, its ramp lets calls come back to it little by little.
    """
    there = replace(caller, scopes=scopes_of_upstream(None, model))
    decision = decide(state, policy, there, now, draw, own=own)
    return decision is None or decision.mode < Mode.HARD


def plan(policy: Policy, decision: Decision, caller: Caller, model: str | None) -> Plan:
    """What the policy gives up of a call for `model`; nothing of one of the holdout."""
    name = policy.strategy_name(caller.scopes)
    if decision.arm == "holdout":
        return Plan(name)
    edits = policy.strategies[name].edits(decision.mode, caller.priority)
    return Plan(
        strategy=name,
        wanted=tuple(each for edit in edits if (each := _wanted(edit, model)) is not None),
        let_in=min((edit.share for edit in edits if isinstance(edit, Admit)), default=1.0),
        shed=any(isinstance(edit, Shed) for edit in edits),
        retries=min((edit.most for edit in edits if isinstance(edit, Retries)), default=None),
    )


_NORMAL: tuple[Mode, str, str, By] = (Mode.NORMAL, "", "", "state")


def _off_rest(
    scopes: Mapping[str, ScopeState], caller: Caller, now: datetime, recovery: Recovery
) -> dict[str, ScopeState]:
    """The caller's scopes that are not back to normal by now, the most specific first."""
    found: dict[str, ScopeState] = {}
    for scope in caller.scopes:
        if scope in scopes:
            held, _ = advance(scopes[scope], now, recovery)
            if held.mode > Mode.NORMAL:
                found[scope] = held
    return found


def _pin(pins: tuple[Pin, ...], caller: Caller, now: datetime) -> Pin | None:
    """The pin that decides: of the most specific scope, and of several there the newest."""
    live = [pin for pin in pins if pin.scope in caller.scopes and pin.until > now]
    return min(
        live,
        key=lambda pin: (caller.scopes.index(pin.scope), -pin.created_at.timestamp()),
        default=None,
    )


def _treated(
    off_rest: Mapping[str, ScopeState],
    caller: Caller,
    now: datetime,
    recovery: Recovery,
    draw: Draw,
    *,
    by: By,
) -> Iterator[tuple[Mode, str, str, By]]:
    """The mode that each scope treats this caller in, and the episode of it."""
    for scope, held in off_rest.items():
        episode = episode_of(scope, held.opened_at)
        treated = draw(f"{episode} {caller.conversation}") < share(held, now, recovery)
        yield (held.mode if treated else Mode(held.mode - 1)), episode, scope, by


def _fails(scope: str, held: ScopeState, now: datetime) -> bool:
    """Whether a scope is a provider or model that somebody says does not answer as it should."""
    return scope.startswith(_FAILING_KINDS) and any(
        lease.until > now and lease.level >= Mode.HARD and lease.about != "cost"
        for lease in held.leases
    )


def _wanted(edit: Edit, model: str | None) -> Wanted | None:
    match edit:
        case ModelMap():
            return None if model is None else edit.model_for(model)
        case Admit() | Shed() | Retries():
            return None
        case _:
            return edit
