"""One run: clients, instances and pools, event after event, and the shipped code between them.

Nothing is drawn but from generators of the run's seed, and no clock is read: a run gives the same
figures each time. Requests have no bodies here; what an edit does to an answer is assumed.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from math import sqrt

from common.brownout.modes import Mode, Priority
from common.brownout.own_counters import Ended
from common.brownout.own_evidence import OwnEvidence
from common.brownout.plans import Arm as DecisionArm
from common.brownout.plans import Decision, Plan, decide, plan, takes_over
from common.brownout.state import State
from common.core.money import Nanos
from common.gateway.brownouts import MOST_WAIT_S, even_draw
from common.llm.reductions.wanted import EffortAtMost, EffortDown, Hint, OutputCap, UseModel
from scripts.brownout_simulation.arrivals import Call, arriving
from scripts.brownout_simulation.minutes import MINUTE_S
from scripts.brownout_simulation.pools import Attempt, Pool
from scripts.brownout_simulation.scenes import (
    BEGINS_S,
    BIG,
    ENDS_S,
    PROVIDER,
    SMALL,
    Arm,
    Assumptions,
    SceneName,
    replaceable_share,
    strength,
)
from scripts.brownout_simulation.traces import Trace
from scripts.brownout_simulation.watching import Watch, moment

_STEP_S = 10.0
"""Of an incident that fades."""
_BACKOFF_S = 0.5
_FAILED = Ended(failed=True)


@dataclass(frozen=True, slots=True)
class Ran:
    """A run: its calls as they ended, and when the first one was treated."""

    calls: list[Call]
    first_treated_s: float | None


def run(trace: Trace, scene: SceneName, arm: Arm, model: Assumptions, seed: int) -> Ran:
    """One trace in one scene under one arm."""
    return _World(trace, scene, arm, model, seed).run()


def usual_cost(trace: Trace) -> Nanos:
    """What the trace's calls cost in an hour."""
    total = sum(
        each.context * BIG.input_price + each.answer * BIG.output_price for each in trace.calls
    )
    return round(total * 3600 / trace.span_s)


class _World:
    def __init__(
        self, trace: Trace, scene: SceneName, arm: Arm, model: Assumptions, seed: int
    ) -> None:
        self._scene, self._arm, self._model = scene, arm, model
        self._calls = arriving(trace, scene, model, seed)
        self._draw = random.Random(f"upstream {scene} {seed}")  # noqa: S311 - repeatable on purpose
        self._big = Pool(BIG, model, self._draw)
        self._small = Pool(SMALL, model, self._draw)
        self._own = [OwnEvidence() for _ in range(model.instances)]
        self._seen = State()
        self._watch = Watch(arm, usual_cost(trace))
        self._hash = even_draw(str(seed).encode())
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._plans: dict[tuple[Mode, DecisionArm, Priority], Plan] = {}
        self._number = 0
        self._last_s = trace.span_s
        self._first_treated_s: float | None = None

    def run(self) -> Ran:
        for call in self._calls:
            self._at(call.asked.at_s, partial(self._send, call))
        for number in range(1, int(self._last_s // MINUTE_S) + 2):
            self._plan_judgements(number)
        if self._scene != "calm":
            for at_s in self._turns():
                self._at(at_s, self._turn)
        while self._events:
            at_s, _, happen = heappop(self._events)
            happen(at_s)
        return Ran(self._calls, self._first_treated_s)

    def _at(self, at_s: float, happen: Callable[[float], None]) -> None:
        self._number += 1
        heappush(self._events, (at_s, self._number, happen))

    def _plan_judgements(self, number: int) -> None:
        over_s = number * MINUTE_S
        watch, model = self._watch, self._model
        if self._arm.rollup:
            at_s = over_s + model.rollup_delay_s
            self._at(at_s, partial(self._judge, watch.judge_rollups, number))
        if self._arm.datadog:
            at_s = over_s + model.datadog_delay_s
            self._at(at_s, partial(self._judge, watch.judge_monitors, number))

    def _judge(self, judge: Callable[[int, float], None], number: int, now: float) -> None:
        judge(number, now)
        self._at(now + self._model.seen_after_s, partial(self._see, self._watch.state))

    def _see(self, state: State, now: float) -> None:  # noqa: ARG002 - an event's handler
        self._seen = state

    def _turns(self) -> Iterable[float]:
        fading = int(self._model.recovers_s // _STEP_S)
        return [BEGINS_S, *(ENDS_S + step * _STEP_S for step in range(fading + 1))]

    def _turn(self, now: float) -> None:
        """Set the capacity of the pools to what the incident leaves."""
        left = {self._small: self._model.small_in_incident}
        if self._scene == "outage":
            left[self._big] = self._model.outage
        for pool, least in left.items():
            pool.pass_to(now)
            pool.capacity = 1.0 - (1.0 - least) * strength(now, self._model)
            self._check_soon(pool)

    def _send(self, call: Call, now: float) -> None:
        call.tries += 1
        pool, tokens, edited = self._big, call.asked.answer, False
        if self._arm.treats:
            own = self._own[call.instance].scopes
            if own or not self._seen.at_rest:
                state, policy = self._seen, self._arm.policy
                decision = decide(state, policy, call.caller, moment(now), self._hash, own=own)
                if decision is not None:
                    made = self._plan(decision, call)
                    if self._refused(call, decision, made, now):
                        return
                    if not takes_over(
                        state,
                        policy,
                        call.caller,
                        moment(now),
                        self._hash,
                        model=SMALL.model,
                        own=own,
                    ):
                        wanted = (each for each in made.wanted if not isinstance(each, UseModel))
                        made = replace(made, wanted=tuple(wanted))
                    pool, tokens = self._treated(call, decision, made)
                    edited = bool(made.wanted)
        if edited and self._first_treated_s is None:
            self._first_treated_s = now
        if pool.full:
            self._failed(call, pool, _FAILED, now)
            return
        attempt = Attempt(call, pool, tokens, edited, now)
        self._at(now + pool.take(), partial(self._begin, attempt))
        self._at(now + self._model.timeout_s, partial(self._give_up, attempt))

    def _plan(self, decision: Decision, call: Call) -> Plan:
        """The plan, kept: all calls are of one agent and for one model."""
        key = (decision.mode, decision.arm, call.caller.priority)
        if key not in self._plans:
            policy = self._arm.policy
            self._plans[key] = plan(policy, decision, call.caller, BIG.model)
        return self._plans[key]

    def _refused(self, call: Call, decision: Decision, made: Plan, now: float) -> bool:
        """Whether the gateway itself answers, as `Brownouts` does."""
        let_in = made.let_in
        drawn = self._hash(f"{decision.episode} admit {call.caller.conversation}")
        if not made.shed and drawn < let_in:
            return False
        if self._first_treated_s is None:
            self._first_treated_s = now
        for minute in self._watch.minutes.of(BIG.model, now):
            minute.refused += 1
        call.shed = True
        if not made.shed and call.tries <= self._model.client_retries:
            wait_s = self._draw.uniform(1.0, MOST_WAIT_S)
            self._at(now + wait_s, partial(self._send, call))
        return True

    def _treated(self, call: Call, decision: Decision, made: Plan) -> tuple[Pool, int]:
        """Where the call goes, and how long its answer is."""
        model, pool = self._model, self._big
        may_change = call.fresh or decision.failing
        part, cap, hinted = 1.0, None, False
        for each in made.wanted:
            match each:
                case UseModel():
                    share = replaceable_share(model, decision.mode, call.caller.priority)
                    if may_change and call.luck < share:
                        pool = self._small
                case EffortDown() if may_change:
                    part = model.shorter_soft
                case EffortAtMost() if may_change:
                    part = model.shorter_hard
                case Hint():
                    hinted = True
                case OutputCap():
                    cap = each.tokens
                case _:
                    pass
        if hinted and part == 1.0:
            whole = model.shorter_soft if decision.mode == Mode.SOFT else model.shorter_hard
            part = sqrt(whole)
        tokens = max(1, round(call.asked.answer * part))
        return pool, tokens if cap is None else min(tokens, cap)

    def _begin(self, attempt: Attempt, now: float) -> None:
        if not attempt.over:
            attempt.pool.begin(attempt, now)
            attempt.first_chunk_s = now - attempt.began_s
            self._check_soon(attempt.pool)

    def _check_soon(self, pool: Pool) -> None:
        """See to it that the pool is looked at when its next answer is complete, or before."""
        next_s = pool.next_end_s()
        if next_s is not None and (pool.checked_at is None or next_s < pool.checked_at):
            pool.checked_at = next_s
            self._at(next_s, partial(self._check, pool))

    def _check(self, pool: Pool, now: float) -> None:
        if pool.checked_at != now:
            return
        pool.checked_at = None
        while (attempt := pool.ended(now)) is not None:
            self._answered(attempt, now)
        self._check_soon(pool)

    def _answered(self, attempt: Attempt, now: float) -> None:
        pool, call = attempt.pool, attempt.call
        pool.leave(attempt, now)
        call.ok, call.edited, call.shed = True, attempt.edited, False
        cost = pool.charge(attempt)
        call.charged += cost
        total_s = now - attempt.began_s
        self._tell(call, pool, Ended(False, attempt.first_chunk_s, total_s), cost, now)

    def _give_up(self, attempt: Attempt, now: float) -> None:
        if attempt.over:
            return
        pool, call = attempt.pool, attempt.call
        pool.leave(attempt, now)
        cost = pool.charge(attempt)
        call.charged += cost
        self._failed(call, pool, Ended(True, attempt.first_chunk_s), now, cost)
        self._check_soon(pool)

    def _failed(self, call: Call, pool: Pool, ended: Ended, now: float, cost: Nanos = 0) -> None:
        self._tell(call, pool, ended, cost, now)
        call.shed = False
        if call.tries <= self._model.client_retries:
            wait_s = _BACKOFF_S * 2 ** (call.tries - 1) * self._draw.uniform(0.75, 1.0)
            self._at(now + wait_s, partial(self._send, call))

    def _tell(self, call: Call, pool: Pool, ended: Ended, cost: Nanos, now: float) -> None:
        """What the instance and all of them together see of a call that has ended."""
        policy, model = self._arm.policy, pool.kind.model
        if self._arm.own:
            own = self._own[call.instance]
            own.record(policy, PROVIDER, model, ended, moment(now))
        if self._arm.rollup or self._arm.datadog:
            for minute in self._watch.minutes.of(model, now):
                minute.calls += 1
                minute.failed += ended.failed is True
                minute.cost += cost
                if ended.first_chunk_s is not None:
                    minute.first_chunks.append(ended.first_chunk_s)
