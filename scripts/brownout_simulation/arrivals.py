"""Who calls when: the trace's calls, and in a flash or runaway those that come with it.

A seed decides who is critical, which instance a call comes to, and what an incident adds. The calls
of the trace itself come in every run at the same moments.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from common.brownout.modes import Priority, scopes_of_call
from common.brownout.plans import Caller
from common.core.money import Nanos
from scripts.brownout_simulation.scenes import BIG, PROVIDER, Assumptions, SceneName, strength
from scripts.brownout_simulation.traces import Asked, Trace

_SCOPES = scopes_of_call(
    org="acme", team="support", agent="chat", provider=PROVIDER, model=BIG.model
)
_JITTER_S = 5.0


@dataclass(slots=True)
class Call:
    """What a client wants, and what became of it.

    `luck` says whether the small model will do. `edited`: its answer is a lesser one. `charged` is
    in nano-USD, over all tries.
    """

    asked: Asked
    caller: Caller
    instance: int
    luck: float
    fresh: bool
    tries: int = 0
    ok: bool = False
    edited: bool = False
    shed: bool = False
    charged: Nanos = 0


def arriving(trace: Trace, scene: SceneName, model: Assumptions, seed: int) -> list[Call]:
    """The calls of a run, the first first."""
    draw = random.Random(f"{scene} {seed}")  # noqa: S311 - repeatable on purpose
    asked = sorted(_asked(trace, scene, model, draw))
    return [_call(number, each, model, draw) for number, each in enumerate(asked)]


def _asked(
    trace: Trace, scene: SceneName, model: Assumptions, draw: random.Random
) -> Iterator[Asked]:
    for each in trace.calls:
        share = strength(each.at_s, model)
        if scene == "runaway" and draw.random() < model.runaway * share:
            answer = draw.gauss(model.runaway_tokens, model.runaway_tokens / 10)
            yield each._replace(answer=max(1, round(answer)))
        else:
            yield each
        if scene == "flash":
            more = (model.flash - 1) * share
            for _ in range(int(more) + (draw.random() < more % 1)):
                at_s = each.at_s + draw.uniform(0.0, _JITTER_S)
                yield draw.choice(trace.calls)._replace(at_s=at_s)


def _call(number: int, asked: Asked, model: Assumptions, draw: random.Random) -> Call:
    who = draw.random()
    priority = Priority.BATCH
    if who < model.critical:
        priority = Priority.CRITICAL
    elif who < model.critical + model.normal:
        priority = Priority.NORMAL
    return Call(
        asked=asked,
        caller=Caller(_SCOPES, f"call-{number}", priority),
        instance=draw.randrange(model.instances),
        luck=draw.random(),
        fresh=draw.random() < model.fresh,
    )
