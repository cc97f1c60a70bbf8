"""What a caller is told whose call does not fit a budget: by how much, until when, who can help."""

from dataclasses import dataclass
from datetime import UTC, datetime

from common.budgets.accounts import Period
from common.budgets.calendar import FOREVER
from common.budgets.fit import NoFit, WouldFit
from common.core.money import Nanos, usd_text
from common.llm.edits import Reason

_WHY_NOT: dict[Reason, str] = {
    "structured_output": "an answer of a given form is not cut short unasked",
    "forced_tool": "a call of a tool is not cut short unasked",
    "media_output": "audio and images are not cut short unasked",
    "cap_absent": "the request has no output cap, and to add one here may do harm",
    "thinking": "how much the model is to think cannot be read",
    "duplicate_members": "the body names a member twice",
    "too_large": "the body is too large to be edited",
}


@dataclass(frozen=True, slots=True)
class Short:
    """The budget that has no room: its id, its period as it is stored, and the call's bound.

    `free` is the part of what the period has leased that no call holds.
    """

    budget: str
    period: Period
    bound: Nanos
    free: Nanos = 0


def no_room_text(short: Short, found: NoFit | WouldFit, now: datetime) -> str:
    """The message of the refusal.

    Args:
        short: the budget that has no room for the call.
        found: what became of making it smaller, or, where nobody tried, what would fit.
        now: aware.
    """
    period = short.period
    free = min(short.free, period.leased)
    limit, room = period.limit_at(now), max(0, period.room(now) + free)
    would = found if isinstance(found, WouldFit) else found.would_fit
    held_by_others = period.leased - free
    others = f" and {_usd(held_by_others)} held for other calls" if held_by_others else ""
    held = (
        f"Budget {short.budget} has no room for this call, which may cost {_usd(short.bound)}: of "
        f"its limit of {_usd(limit)}, {_usd(period.settled)} is spent{others}, which leaves "
        f"{_usd(room)}."
    )
    told = [held, _reset(period.ends_at), _advice(would)]
    why = _WHY_NOT.get(found.reason) if isinstance(found, NoFit) and found.reason else None
    if why is not None and not would.nothing:
        told.append(f"The gateway did not do that itself: {why}.")
    told.append(f"Whoever manages budget {short.budget} can raise its limit or top it up.")
    return " ".join(told)


def _reset(ends_at: datetime) -> str:
    if ends_at >= FOREVER:
        return "It does not reset."
    return f"It resets at {ends_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}."


def _advice(would: WouldFit) -> str:
    if would.less:
        return (
            "The gateway does not change it: ask for fewer or smaller pictures of a named size and "
            "quality, a shorter text or recording, or a cheaper model."
        )
    if would.nothing:
        return "No answer to this input would fit: send less input, or ask a cheaper model."
    parts = ['service_tier "default"'] if would.usual_tier else []
    if would.output_tokens is not None:
        unit = "token" if would.output_tokens == 1 else "tokens"
        parts.append(f"an output cap of {would.output_tokens:,} {unit}")
    if not parts:
        return "It would fit now: send it again."
    return f"It would fit with {' and '.join(parts)}, if nothing else is spent until then."


def _usd(nanos: Nanos) -> str:
    """Exact dollars without zeros at the end."""
    sign, text = ("-", usd_text(-nanos)) if nanos < 0 else ("", usd_text(nanos))
    return f"{sign}${text.rstrip('0').rstrip('.')}"
