"""Requests and tokens a minute: what an instance has taken of a window, used in memory.

A window is one minute of one key. Instances take slices of it from the store and admit calls
against them without asking again. What is taken is never given back, and a slice ends with its
minute: so the slices of a window are never more than its limit, and requests admitted in it are
never more than the slices. Tokens are counted as estimated, and trued up when a call has told
what it used: a call that used more leaves a debt, which the next take pays first.

Everything here is pure and synchronous; `rate_windows.py` carries takes to the store.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from common.core.ports import Document, Value

SHARES = 4
"""A slice is this part of what an equal share of the rest would be, and at least the need."""

Limit: TypeAlias = Literal["rpm", "tpm"]
Verdict: TypeAlias = Literal["admitted", "short"] | Limit
"""`short`: the slice has no room, and the window may have some. A limit: the window has none."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What calls of one key may do; None is no limit.

    `rpm` (requests a minute) and `tpm` (tokens a minute) hold over all instances, `concurrency`
    (calls at once) in each of them.
    """

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What all instances have taken of a window, and how many of them. It only ever grows."""

    requests: int = 0
    tokens: int = 0
    takers: int = 0

    @classmethod
    def from_document(cls, document: Document | None) -> "Taken":
        if document is None:
            return cls()
        data = document.data
        return cls(data["requests"], data["tokens"], data["takers"])

    def to_data(self) -> dict[str, Value]:
        return {"requests": self.requests, "tokens": self.tokens, "takers": self.takers}


@dataclass(frozen=True, slots=True)
class Take:
    """What an instance adds to its slice once `after` is stored."""

    requests: int
    tokens: int
    after: Taken


@dataclass(slots=True)
class Slice:
    """One instance's part of one window.

    `requests` and `tokens` are its room; tokens are negative where calls used more than was
    counted. `known` is the window as it was last seen in the store: others may have taken since.
    """

    limits: CallLimits = field(default_factory=CallLimits)
    requests: int = 0
    tokens: int = 0
    known: Taken = field(default_factory=Taken)
    is_taker: bool = False

    def admit(self, tokens: int) -> Verdict:
        """Admit one call of so many tokens, or say what is missing."""
        if not self._lacks(1, tokens):
            self.requests -= 1
            self.tokens -= tokens
            return "admitted"
        return self.over(1, tokens, self.known) or "short"

    def true_up(self, counted: int, used: int) -> None:
        """Put the tokens that a call used in place of those it was counted with."""
        self.tokens += counted - used

    def receive(self, take: Take) -> None:
        """The take is stored."""
        self.requests += take.requests
        self.tokens += take.tokens
        self.known = take.after
        self.is_taker = True

    def over(self, requests: int, tokens: int, taken: Taken) -> Limit | None:
        """The limit that so much more would break, where the window is taken as told."""
        limits = self.limits
        if self.more_requests(requests) > _left(limits.rpm, taken.requests):
            return "rpm"
        return "tpm" if self.more_tokens(tokens) > _left(limits.tpm, taken.tokens) else None

    def more_requests(self, requests: int) -> int:
        """What these calls need beyond the room."""
        return 0 if self.limits.rpm is None else max(0, requests - self.requests)

    def more_tokens(self, tokens: int) -> int:
        """What these calls, and the debt of earlier ones, need beyond the room."""
        return 0 if self.limits.tpm is None else max(0, tokens - self.tokens)

    def _lacks(self, requests: int, tokens: int) -> bool:
        return self.more_requests(requests) > 0 or self.more_tokens(tokens) > 0


def plan_take(own: Slice, asks: Sequence[int], stored: Taken) -> Take:
    """What to take for waiting calls: all that fit, in their order, and a slice for those to come.

    Args:
        own: the instance's slice so far.
        asks: the tokens of each waiting call, the longest waiting first.
        stored: the window as it is stored.
    """
    requests = tokens = 0
    for ask in asks:
        if own.over(requests + 1, tokens + ask, stored) is None:
            requests += 1
            tokens += ask
    if requests == 0:
        return Take(0, 0, stored)
    takers = stored.takers if own.is_taker else stored.takers + 1
    left = _left(own.limits.rpm, stored.requests), _left(own.limits.tpm, stored.tokens)
    more_requests = _with_slice(own.more_requests(requests), left[0] // (SHARES * takers))
    more_tokens = _with_slice(own.more_tokens(tokens), left[1] // (SHARES * takers))
    if more_requests == more_tokens == 0:
        return Take(0, 0, stored)
    after = replace(
        stored,
        requests=stored.requests + more_requests,
        tokens=stored.tokens + more_tokens,
        takers=takers,
    )
    return Take(more_requests, more_tokens, after)


def _with_slice(need: int, share: int) -> int:
    return max(need, share) if need else 0


def _left(limit: int | None, taken: int) -> int:
    """What a window still has; 0 where the limit was lowered below what is taken."""
    return 0 if limit is None else max(0, limit - taken)
