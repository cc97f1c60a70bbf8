"""Brownouts on the way of a call: less is asked for, or nothing, and the client is told.

In normal mode nothing here runs and the client's bytes go out untouched. An edit is only made where
it is known to be safe; where a provider refuses an edited request all the same, the request is sent
once more as it came. Where it is answered then, one edit is to blame, and rests for an hour.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from common.brownout.modes import PRIORITIES, Mode, Priority, scopes_of_call
from common.brownout.own_counters import Ended
from common.brownout.own_evidence import OwnEvidence
from common.brownout.plans import Caller, Draw, Plan, decide, plan, takes_over
from common.brownout.policy import Policy
from common.brownout.state import State
from common.core.events import EditMade
from common.core.ports import Clock
from common.gateway.access import may_use
from common.gateway.attribution import STRICT, STRICT_HEADER, is_strict
from common.gateway.brownout_copy import BrownoutCopy
from common.gateway.call import Call
from common.gateway.choice import Target, recipient_of, with_model_in_path
from common.gateway.credentials import Payer
from common.gateway.destinations import Destination
from common.gateway.evidence_of_calls import evidence_of, has_failed
from common.gateway.keys import Key
from common.gateway.refusals import Refusal
from common.gateway.refused_edits import RefusedEdits
from common.gateway.treatment import Treatment
from common.llm.paths import Endpoint
from common.llm.reductions.blame import blamed
from common.llm.reductions.reduce import Reduction, name_of, reduce
from common.llm.reductions.wanted import UseModel, Wanted

MOST_WAIT_S = 30
SHED_WAIT_S = 60
"""SDKs honour a longer wait in part or not at all."""

_LONGEST_KEY = 64
_BAD_REQUESTS = frozenset({400, 422})
_NO_SUCH_MODEL = frozenset({403, 404})
"""How providers refuse a model that they do not have, or not for this account."""
_SUCCESS = range(200, 300)


@dataclass(slots=True)
class Brownouts:
    """Decides and edits. One per process; it remembers which edits a provider has refused.

    What its own calls show of their upstreams moves it beyond the state that all instances share.

    `draw` is the same in every process: whose turn it is to be treated does not depend on where a
    call arrives.
    """

    copy: BrownoutCopy
    clock: Clock
    draw: Draw
    entropy: Callable[[int], bytes]
    own: OwnEvidence = field(default_factory=OwnEvidence)
    refused: RefusedEdits = field(init=False)

    def __post_init__(self) -> None:
        self.refused = RefusedEdits(self.clock)

    def treat(
        self,
        call: Call,
        key: Key,
        endpoint: Endpoint,
        target: Target,
        headers: Mapping[str, str],
        *,
        payer: Callable[[], Payer],
    ) -> Target:
        """The call as it is to be sent; `call.treatment` says what was done, if anything.

        Args:
            call: one that costs.
            key: who calls.
            endpoint: where it was sent.
            target: where it goes, as its client sent it.
            headers: of the request, lower-case names.
            payer: says what is going to pay for it.

        Raises:
            Refusal: brownout_shed, brownout_strict.
        """
        state, policy, own = self.copy.state, self.copy.policy, self.own.scopes
        if policy is None or (state.at_rest and not own) or not endpoint.metered:
            return target
        caller = _caller(call, key, target)
        decision = decide(state, policy, caller, self.clock.now(), self.draw, own=own)
        if decision is None:
            return target
        made = plan(policy, decision, caller, target.facts.model)
        call.treatment = treatment = Treatment(decision, made.strategy, policy.enforced, target)
        if is_strict(key, headers):
            if decision.mode == Mode.EMERGENCY and caller.priority < Priority.CRITICAL:
                self._refuse_strict(treatment)
            return target
        if policy.enforced:
            self._let_in(call, treatment, made, caller.priority)
            treatment.retries = made.retries
        made = self._without_models_in_trouble(made, caller, state, policy)
        wanted = self._not_refused(made.wanted, key, target, payer)
        recipient = recipient_of(endpoint, target, call.book)
        failing = decision.failing
        reduction = reduce(target.body, recipient, wanted, call.book, may_miss_cache=failing)
        treatment.edits = _edits(reduction, enforced=policy.enforced) + _gateways_edits(
            made, enforced=policy.enforced
        )
        return _edited(call, target, reduction) if policy.enforced else target

    def enter(self, call: Call) -> None:
        """Count a call that is about to be sent, until `observe` is told that it has ended.

        One that was counted for another upstream is there no more.
        """
        self.own.leave(call.in_flight)
        call.in_flight = ()
        if not self.own.reads_in_flight:
            return
        policy = self.copy.policy
        if policy is not None and call.costs and call.destination is not None:
            provider = _provider(call.destination)
            call.in_flight = self.own.enter(policy, provider, call.facts.model, self.clock.now())

    def observe(self, call: Call, ended_s: float) -> None:
        """Take what a call that has ended says of its upstream.

        Args:
            call: any.
            ended_s: when, by the monotonic clock.
        """
        self.own.leave(call.in_flight)
        policy = self.copy.policy
        if policy is None or not call.costs or call.destination is None:
            return
        ended = evidence_of(call, ended_s)
        if ended is not None:
            provider = _provider(call.destination)
            self.own.record(policy, provider, call.facts.model, ended, self.clock.now())

    def observe_failure(self, call: Call) -> None:
        """Take that an upstream has failed a call, which another one is asked for now."""
        policy = self.copy.policy
        if policy is not None and call.destination is not None and has_failed(call):
            provider = _provider(call.destination)
            failed = Ended(failed=True)
            self.own.record(policy, provider, call.facts.model, failed, self.clock.now())

    def was_refused(self, call: Call, status: int) -> bool:
        """Whether a provider's refusal may be due to an edit: then the original is sent."""
        if call.treatment is None:
            return False
        applied = [edit.name for edit in call.treatment.applied]
        if status in _NO_SUCH_MODEL:
            return "model" in applied
        return status in _BAD_REQUESTS and bool(applied)

    def take_back(self, call: Call, status: int, said: bytes) -> Target:
        """The call as its client sent it, after its edited form was refused.

        Args:
            call: one that was edited.
            status: that of the refusal.
            said: the beginning of the provider's error.
        """
        treatment = call.treatment
        if treatment is None:
            raise LookupError("nothing was edited")
        applied = [edit.name for edit in treatment.applied]
        treatment.blamed = ("model",) if status in _NO_SUCH_MODEL else blamed(applied, said)
        treatment.refused_by = call.payer
        treatment.edits = tuple(
            each.model_copy(update={"outcome": "rejected"}) if each.outcome == "applied" else each
            for each in treatment.edits
        )
        return treatment.original

    def judge(self, call: Call, status: int) -> None:
        """What the original was answered with: a success puts the blame on edits, which rest.

        Anything else says nothing of them: a limit or a fault of the provider's, a request that is
        wrong by itself, or an account that may do less.
        """
        treatment = call.treatment
        if treatment is None or treatment.refused_by is None or status not in _SUCCESS:
            return
        for name in treatment.blamed:
            self.refused.rest(treatment.original, treatment.refused_by, name)

    def _refuse_strict(self, treatment: Treatment) -> None:
        if treatment.enforced:
            raise Refusal(
                "brownout_strict",
                "An emergency is on, and this call may not be answered with less. Send it again "
                f"later, or without {STRICT_HEADER}: {STRICT}.",
                brownout=(treatment.decision.mode.word, treatment.decision.episode),
                retry_after_s=self._seconds(MOST_WAIT_S),
            )

    def _let_in(self, call: Call, treatment: Treatment, made: Plan, priority: Priority) -> None:
        """Refuse a call that is shed, or not drawn.

        What is drawn is the call, not its conversation: one that is refused may come back and be
        served, and of each conversation's calls the same share is. The mode is drawn by the
        conversation, and does not flip with it.
        """
        mode, episode = treatment.decision.mode.word, treatment.decision.episode
        if made.shed:
            raise Refusal(
                "brownout_shed",
                f"Calls of priority {priority.word} are not served while the mode is "
                f"{mode}. Send it again when it is over.",
                brownout=(mode, episode),
                retry_after_s=self._seconds(SHED_WAIT_S),
                helps_to_retry=False,
            )
        if self.draw(f"{episode} admit {call.id}") >= made.let_in:
            raise Refusal(
                "brownout_shed",
                f"Only a part of the calls of priority {priority.word} is served while the "
                f"mode is {mode}. Send it again shortly.",
                brownout=(mode, episode),
                retry_after_s=self._seconds(MOST_WAIT_S),
            )

    def _without_models_in_trouble(
        self, made: Plan, caller: Caller, state: State, policy: Policy
    ) -> Plan:
        now, own = self.clock.now(), self.own.scopes
        wanted = tuple(
            each
            for each in made.wanted
            if not isinstance(each, UseModel)
            or takes_over(state, policy, caller, now, self.draw, model=each.model, own=own)
        )
        return replace(made, wanted=wanted)

    def _not_refused(
        self, wanted: Sequence[Wanted], key: Key, target: Target, payer: Callable[[], Payer]
    ) -> list[Wanted]:
        """What the key covers and the provider has not refused lately."""
        allowed = [each for each in wanted if _is_allowed(each, key, target)]
        if not allowed:
            return allowed
        pays = payer()
        return [each for each in allowed if not self.refused.rests(target, pays, name_of(each))]

    def _seconds(self, most: int) -> int:
        """A wait that spreads out those who come back."""
        return 1 + int.from_bytes(self.entropy(4), "big") % most


def even_draw(hash_key: bytes) -> Draw:
    """Draws that are spread evenly, and that nobody outside can foretell."""

    def draw(text: str) -> float:
        digest = blake2b(text.encode(), key=hash_key[:_LONGEST_KEY], digest_size=7).digest()
        return int.from_bytes(digest, "big") / (1 << 56)

    return draw


def _caller(call: Call, key: Key, target: Target) -> Caller:
    who = call.attribution
    return Caller(
        scopes=scopes_of_call(
            org=key.org,
            team=key.team,
            agent=who.agent if who is not None else key.agent,
            provider=_provider(target.destination),
            model=target.facts.model,
        ),
        conversation=(who.session_hash if who is not None else None) or call.id,
        priority=PRIORITIES[call.priority],
    )


def _provider(destination: Destination) -> str:
    return destination.provider or destination.name


def _is_allowed(wanted: Wanted, key: Key, target: Target) -> bool:
    return not isinstance(wanted, UseModel) or may_use(key.policy, target.destination, wanted.model)


def _edits(reduction: Reduction, *, enforced: bool) -> tuple[EditMade, ...]:
    return tuple(
        EditMade(
            name=each.name,
            told=each.told,
            outcome="shadow" if each.state == "applied" and not enforced else each.state,
            reason=each.reason,
        )
        for each in reduction.outcomes
    )


def _gateways_edits(made: Plan, *, enforced: bool) -> tuple[EditMade, ...]:
    """What is not done to the request: in shadow, that it would have been refused."""
    if enforced or not (made.shed or made.let_in < 1.0):
        return ()
    name, told = ("shed", "") if made.shed else ("admit", f"{made.let_in:g}")
    return (EditMade(name=name, told=told, outcome="shadow", reason=""),)


def _edited(call: Call, target: Target, reduction: Reduction) -> Target:
    if reduction.body is target.body and reduction.model is None:
        return target
    facts, path = target.facts, target.path
    if call.form is not None:
        facts = replace(call.form.read_facts(reduction.body), model=facts.model)
    if reduction.model is not None:
        facts = replace(facts, model=reduction.model)
        path = with_model_in_path(path, target.facts.model or "", reduction.model)
    return replace(target, path=path, body=reduction.body, facts=facts)
