"""Sending one call along its chain: treated, held and sent, and on to the next where that fails.

Everything here comes before the first byte to the client. What is held covers each request that
leaves: before another upstream is asked, the call holds what that one may cost, beside what a
request that failed may still be billed. Without room for it the client gets the first failure.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from common.gateway.brownouts import Brownouts
from common.gateway.call import Call
from common.gateway.candidates import Movable
from common.gateway.choice import Target
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

    async def send(self, going: Going, before_each: Callable[[], None]) -> Sent:
        """The reply to pass on. `before_each` is called before each request leaves.

        Raises:
            Refusal: as brownouts, limits, budgets and the sender do.
            UpstreamError: no reply from the last of the chain.
        """
        call, (first, *others) = going.call, going.chain
        target = self._treated(going, first)
        going.admitted = await self.rates.admit(going.movable.key, call)
        order = self._order(going, await self._held(going, target), before_each)
        for following in others:
            ended = await self._tried(replace(order, once=True), going)
            moves_on = _moves_on(ended)
            self._note(call, failed=moves_on)
            if not moves_on:
                return _as_it_ended(ended)
            self.brownouts.observe_failure(call)
            before = (call.destination, call.facts, call.treatment)
            try:
                target = self._treated(going, following)
                target = await self._held(going, target, beside=_may_be_billed(ended))
            except Refusal:
                call.destination, call.facts, call.treatment = before
                return _as_it_ended(ended)
            except BaseException:  # the client has left, or time is over
                await _close(ended)
                raise
            await _close(ended)
            order = self._order(going, target, before_each)
        sent = await self._sent(order, going)
        if len(going.chain) > 1:
            self._note(call, failed=sent.reply.status in PASSING)
        return sent

    def release(self, going: Going) -> None:
        """The call runs no more: what it has used counts in its key's limits."""
        if going.admitted is not None:
            going.admitted.release()
            going.admitted.settle(used_tokens(going.call))

    async def _tried(self, order: Order, going: Going) -> "_Ended":
        try:
            return await self._sent(order, going)
        except UpstreamError as error:
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
        call.destination, call.facts, call.treatment = target.destination, target.facts, None
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

    def _order(self, going: Going, target: Target, before_each: Callable[[], None]) -> Order:
        call = going.call
        self.brownouts.enter(call)
        return Order(
            call,
            going.movable.endpoint,
            target,
            going.movable.pays_at(target),
            going.incoming,
            before_each,
            lambda: self.spending.hold_again(call),
        )

    def _note(self, call: Call, *, failed: bool) -> None:
        if call.destination is not None:
            self.health.record(call.destination.name, call.facts.model or "", failed=failed)


_Ended: TypeAlias = Sent | UpstreamError | Refusal


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
    return isinstance(ended, UpstreamDisconnected)


async def _close(ended: _Ended) -> None:
    if isinstance(ended, Sent):
        await ended.reply.aclose()


def _as_it_ended(ended: _Ended) -> Sent:
    if isinstance(ended, Sent):
        return ended
    raise ended
