"""What a key's limits mean for a call: it passes, or is refused with 429 before it is sent.

Requests and tokens a minute hold over all instances (`common/budgets/rate_windows.py`). Calls at
once are counted here, for this instance alone: a count shared by all would keep the calls of
instances that died.
"""

from dataclasses import dataclass, field

from common.budgets.rate_windows import Admission, Over, RateWindows
from common.core.errors import StoreUnavailable
from common.gateway.call import Call
from common.gateway.keys import Key
from common.gateway.refusals import Refusal

BYTES_PER_TOKEN = 4


@dataclass(slots=True)
class Running:
    """How many calls of each line run in this instance."""

    calls: dict[str, int] = field(default_factory=dict)

    def start(self, line: str) -> None:
        self.calls[line] = self.calls.get(line, 0) + 1

    def end(self, line: str) -> None:
        left = self.calls[line] - 1
        if left:
            self.calls[line] = left
        else:
            del self.calls[line]


@dataclass(slots=True)
class Admitted:
    """A call that passed its key's limits. Both methods act once, whatever is called again."""

    running: Running
    line: str | None = None
    admission: Admission | None = None

    def settle(self, tokens: int | None) -> None:
        """Count the tokens that the call has used; None, where nobody told, leaves the estimate."""
        admission, self.admission = self.admission, None
        if admission is not None and tokens is not None:
            admission.true_up(tokens)

    def release(self) -> None:
        """The call runs no more."""
        line, self.line = self.line, None
        if line is not None:
            self.running.end(line)


class RateLimits:
    """The limits of all keys. One per process."""

    def __init__(self, windows: RateWindows) -> None:
        self._windows = windows
        self._running = Running()

    async def admit(self, key: Key, call: Call) -> Admitted:
        """Count the call, which is about to be sent.

        Raises:
            Refusal: rate_limited, store_unavailable.
        """
        admitted = self._start(key)
        try:
            admitted.admission = await self._count(key, call)
        except BaseException:
            admitted.release()
            raise
        return admitted

    def _start(self, key: Key) -> Admitted:
        limit = key.policy.limits.concurrency
        if limit is None:
            return Admitted(self._running)
        if self._running.calls.get(key.line, 0) >= limit:
            raise _too_many_at_once(key, limit)
        self._running.start(key.line)
        return Admitted(self._running, key.line)

    async def _count(self, key: Key, call: Call) -> Admission | None:
        limits = key.policy.limits
        if limits.rpm is None and limits.tpm is None:
            return None
        tokens = estimated_tokens(call) if limits.tpm is not None else 0
        if limits.tpm is not None and tokens > limits.tpm:
            raise _too_large(key, tokens, limits.tpm)
        try:
            found = await self._windows.admit(key.line, limits, tokens)
        except StoreUnavailable as error:
            raise Refusal(
                "store_unavailable",
                f"The gateway cannot count calls right now ({error.detail}). Try again shortly.",
                retry_after_s=5,
            ) from None
        if isinstance(found, Over):
            raise _over(key, found)
        return found


def estimated_tokens(call: Call) -> int:
    """What a call is counted with before it is sent: a quarter of its bytes, and its output cap.

    Bytes of pictures, sound and files tell nothing of tokens, so that a call with such parts counts
    its cap alone until it has told what it used.
    """
    facts = call.facts
    if call.form is None:
        return 0
    output = (facts.output_cap or 0) * facts.candidates
    is_text = facts.bounded and (facts.bound is None or facts.bound.beyond_bytes is None)
    return output + (-(-facts.size_bytes // BYTES_PER_TOKEN) if is_text else 0)


def used_tokens(call: Call) -> int | None:
    """The tokens of a call that has ended, or None where its provider did not tell.

    What a call without usage is charged is a bound, several times what it is likely to have used.
    """
    if call.sent_s is None or call.cost.source == "free":
        return 0
    if call.cost.source != "provider":
        return None
    units = call.cost.units
    return units.get("input_tokens", 0) + units.get("output_tokens", 0)


def _over(key: Key, over: Over) -> Refusal:
    limits = key.policy.limits
    what = f"{limits.rpm} requests" if over.limit == "rpm" else f"{limits.tpm} tokens"
    return Refusal(
        "rate_limited",
        f"The key {key.name} has used its {what} of this minute (limit: {over.limit}). Try again "
        f"in {over.resets_in_s} s.",
        retry_after_s=over.resets_in_s,
        limit=over.limit,
    )


def _too_large(key: Key, tokens: int, limit: int) -> Refusal:
    return Refusal(
        "rate_limited",
        f"The call counts as {tokens} tokens, and the key {key.name} has {limit} a minute "
        "(limit: tpm). Send less, or a lower cap of output tokens.",
        limit="tpm",
        helps_to_retry=False,
    )


def _too_many_at_once(key: Key, limit: int) -> Refusal:
    return Refusal(
        "rate_limited",
        f"{limit} calls of the key {key.name} are running here, as many as may at once "
        "(limit: concurrency). Try again when one has ended.",
        retry_after_s=1,
        limit="concurrency",
    )
