"""Sending one call along its chain: treated, held and sent, and on to the next where that fails.

Everything here comes before the first byte to the client. What is held covers each request that
leaves: before another upstream is asked, the call holds what that one may cost, beside what a
request that failed may still be billed. A model that a budget has no room for, or no price, is left
out; where none is left the client gets the first failure.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from common.gateway.brownouts import Brownouts
from common.gateway.call import Call
from common.gateway.candidates import Movable
from common.gateway.choice import Target
from common.gateway.deadlines import Deadlines
from common.gateway.incoming import Incoming
from common.gateway.rates import Admitted, RateLimits, used_tokens
from common.gateway.refusals import Refusal
from common.gateway.sending import PASSING, Order, Sender, Sent
from common.gateway.spending import FIT_HEADER, Spending
from common.gateway.upstream import (
    AMBIGUOUS_STATUSES,
    UpstreamDisconnected,
    UpstreamError,
)
from common.gateway.upstream_health import UpstreamHealth

_OF_THE_CREDENTIAL = frozenset({401, 402, 403})
_NO_SUCH_MODEL = 404
_OF_BUDGETS = frozenset({"budget_exceeded", "unpriced_model", "unbounded_request"})
"""Refusals of one model, which another may not meet."""


@dataclass(slots=True)
class Going:
    """A call that is about to be sent.

    `chain` is where to, the best first. `admitted` is what it counts in its key's limits.
    """

    call: Call
    movable: Movable
    chain: tuple[Target, ...]
    incoming: Incoming
    admitted: Admitted | None = None


@dataclass(frozen=True, slots=True)
class Forwarding:
    """One per process."""

    rates: RateLimits
    brownouts: Brownouts
    spending: Spending
    sender: Sender
    health: UpstreamHealth

    async def send(self, going: Going, deadlines: Deadlines, first_byte_s: float) -> Sent:
        """The reply to pass on.

        Args:
            going: the call.
            deadlines: told what is waited for.
            first_byte_s: seconds after which an upstream without a word has failed.

        Raises:
            Refusal: as brownouts, limits, budgets and the sender do.
            UpstreamError: no reply from the last of the chain.
            TimeoutError: not in time.
        """
        call, chain = going.call, deque(going.chain)
        target = await self._admitted(going, chain)
        if isinstance(target, Refusal):
            raise target
        while chain:
            # The end of an attempt comes before that of the call, which goes on.
            patient = _awaited(deadlines, 2 * first_byte_s)
            order = self._order(going, target, patient, once=True)
            ended = await self._tried(order, going, first_byte_s)
            moves_on = _moves_on(ended)
            self._note(call, failed=moves_on)
            if not moves_on:
                return _as_it_ended(ended)
            self.brownouts.observe_failure(call)
            try:
                target = await self._admitted(going, chain, ended)
            except BaseException:  # the client has left, or time is over
                await _close(ended)
                raise
            if isinstance(target, Refusal):
                return _as_it_ended(ended)
            await _close(ended)
        awaited = _awaited(deadlines, first_byte_s)
        sent = await self._sent(self._order(going, target, awaited), going)
        if len(going.chain) > 1:
            self._note(call, failed=sent.reply.status in PASSING)
        return sent

    def release(self, going: Going) -> None:
        """The call runs no more: what it has used counts in its key's limits."""
        if going.admitted is not None:
            going.admitted.release()
            going.admitted.settle(used_tokens(going.call))

    async def _admitted(
        self, going: Going, chain: deque[Target], failed: "_Ended | None" = None
    ) -> Target | Refusal:
        """The next of the chain that may be sent, its cost held; where none may, why the first not.

        Before anything was sent only a hard budget leaves one out: what else refuses a call would
        refuse it anywhere. `failed` is how the attempt before ended.
        """
        call, refused = going.call, None
        beside = failed is not None and _may_be_billed(failed)
        known = (call.destination, call.facts, call.treatment, call.fit)
        while chain:
            try:
                target = self._treated(going, chain.popleft())
                if going.admitted is None:
                    going.admitted = await self.rates.admit(going.movable.key, call)
                # What the failed one held is given back with the first hold, and never twice.
                keeps, beside = beside, True
                return await self._held(going, target, beside=keeps)
            except Refusal as refusal:
                if failed is None and refusal.code not in _OF_BUDGETS:
                    raise
                if failed is None and refused is None:
                    known = (call.destination, call.facts, call.treatment, call.fit)
                if chain:
                    call.warnings += (f"{call.facts.model} left out ({refusal.code})",)
                refused = refused or refusal
        call.destination, call.facts, call.treatment, call.fit = known
        assert refused is not None, "a chain has at least one target"
        return refused

    async def _tried(self, order: Order, going: Going, first_byte_s: float) -> "_Ended":
        try:
            async with asyncio.timeout(first_byte_s):
                return await self._sent(order, going)
        except (UpstreamError, TimeoutError) as error:
            return error
        except Refusal as refusal:
            if refusal.code != "upstream_credential_unavailable":
                raise
            return refusal

    async def _sent(self, order: Order, going: Going) -> Sent:
        """The reply; where an edited request was refused, that to the request as it came."""
        call = going.call
        sent = await self.sender.send(order)
        if not self.brownouts.was_refused(call, sent.reply.status):
            return sent
        said = await self.sender.error_of(sent)
        original = self.brownouts.take_back(call, sent.reply.status, said)
        sent = await self.sender.send(replace(order, target=await self._held(going, original)))
        self.brownouts.judge(call, sent.reply.status)
        return sent

    def _treated(self, going: Going, target: Target) -> Target:
        """The call as it is to be sent to one of its chain, with what a brownout gives up of it."""
        call, movable = going.call, going.movable
        call.destination, call.facts = target.destination, target.facts
        call.treatment = call.fit = None
        return self.brownouts.treat(
            call,
            movable.key,
            movable.endpoint,
            target,
            going.incoming.headers,
            payer=lambda: self.sender.payer(
                call, movable.endpoint, target, movable.pays_at(target)
            ),
        )

    async def _held(self, going: Going, target: Target, *, beside: bool = False) -> Target:
        """The call as it may be sent, with its cost held against its hard budgets.

        `beside`: what it holds already stays, because it may be billed.
        """
        call, movable = going.call, going.movable
        if not movable.endpoint.metered:
            return target
        may_fit = going.incoming.headers.get(FIT_HEADER, "").lower() != "off"
        held = await self.spending.hold(
            call, movable.key, movable.endpoint, target, may_fit=may_fit, beside=beside
        )
        call.facts = held.facts
        return held

    def _order(
        self, going: Going, target: Target, before: Callable[[float], None], *, once: bool = False
    ) -> Order:
        call = going.call
        self.brownouts.enter(call)
        return Order(
            call,
            going.movable.endpoint,
            target,
            going.movable.pays_at(target),
            going.incoming,
            before,
            lambda: self.spending.hold_again(call),
            once,
        )

    def _note(self, call: Call, *, failed: bool) -> None:
        if call.destination is not None:
            self.health.record(call.destination.name, call.facts.model or "", failed=failed)


_Ended: TypeAlias = Sent | UpstreamError | Refusal | TimeoutError


def _awaited(deadlines: Deadlines, within_s: float) -> Callable[[float], None]:
    """What has the next first byte due within so many seconds, after a pause of some more."""
    return lambda pause_s: deadlines.expect("first_byte", pause_s + within_s)


def _moves_on(ended: _Ended) -> bool:
    """Whether another upstream may serve what this one did not."""
    if not isinstance(ended, Sent):
        return True
    status = ended.reply.status
    if status in _OF_THE_CREDENTIAL:
        return ended.key.managed  # of a client's own key its client is told
    return status in PASSING or status == _NO_SUCH_MODEL


def _may_be_billed(ended: _Ended) -> bool:
    if isinstance(ended, Sent):
        return ended.reply.status in AMBIGUOUS_STATUSES
    return isinstance(ended, (UpstreamDisconnected, TimeoutError))


async def _close(ended: _Ended) -> None:
    if isinstance(ended, Sent):
        await ended.reply.aclose()


def _as_it_ended(ended: _Ended) -> Sent:
    if isinstance(ended, Sent):
        return ended
    raise ended
