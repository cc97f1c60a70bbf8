"""Modes of a policy that give up less than the mode below them.

That is allowed, and hardly ever meant: a call would get more as things get worse. Two edits of
which neither is weaker in every case, as two maps of models, are not compared.
"""

from collections.abc import Iterator

from common.brownout.modes import Mode, Priority
from common.brownout.policy import Admit, Edit, Policy, Retries, Strategy
from common.brownout.policy_edits import EDIT_NAMES
from common.brownout.policy_problems import Problem
from common.llm.reductions.wanted import EFFORTS, EffortAtMost, EffortDown, OutputCap

_STEPS = ((Mode.SOFT, Mode.HARD), (Mode.HARD, Mode.EMERGENCY))


def weaknesses(policy: Policy) -> tuple[Problem, ...]:
    """Every edit that a mode lacks or weakens though the mode below has it."""
    return tuple(
        Problem(("strategies", name, mode.word), None, detail)
        for name, strategy in policy.strategies.items()
        for below, mode in _STEPS
        for detail in _less(strategy, below, mode)
    )


def _less(strategy: Strategy, below: Mode, mode: Mode) -> Iterator[str]:
    found: dict[str, list[Priority]] = {}
    for priority in sorted(Priority, reverse=True):
        lower = _by_name(strategy.edits(below, priority))
        upper = _by_name(strategy.edits(mode, priority))
        if "shed" in upper:
            continue  # Nothing is left to be given up.
        for name, edit in lower.items():
            if name not in upper:
                found.setdefault(f"has no {name}, as {below.word} has", []).append(priority)
            elif _strength(upper[name]) < _strength(edit):
                found.setdefault(f"has a weaker {name} than {below.word}", []).append(priority)
    for detail, priorities in found.items():
        words = " and ".join(each.word for each in priorities)
        yield detail if len(priorities) == len(Priority) else f"{detail}, for {words} calls"


def _by_name(edits: tuple[Edit, ...]) -> dict[str, Edit]:
    return {EDIT_NAMES[type(edit)]: edit for edit in edits}


def _strength(edit: Edit) -> float:
    """How much an edit gives up, to be compared among edits of one kind.

    A ceiling for effort counts as more than any number of steps down.
    """
    match edit:
        case OutputCap(tokens=most) | Retries(most=most) | Admit(share=most):
            return -most
        case EffortDown(steps=steps):
            return steps
        case EffortAtMost(level=level):
            return 2 * len(EFFORTS) - EFFORTS.index(level)
        case _:
            return 0
