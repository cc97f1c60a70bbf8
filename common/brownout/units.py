"""Durations, shares and money as people write them in a policy, and back.

A number that could mean two things is refused: `2000` may be seconds or milliseconds, `5` may be a
share above one or five per cent. What is written back reads as the same value.
"""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

from common.core.money import NANOS_PER_USD, Nanos, nanos_from_usd

_DURATION = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))?\s?(ms|s|m|h)")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,20})?)\s?%")
_FRACTION = re.compile(r"0|[01]\.[0-9]{1,20}")
_DOLLARS = re.compile(r"\$\s?([0-9]{1,9}(?:\.[0-9]{1,9})?)|([0-9]{1,9}(?:\.[0-9]{1,9})?)\s?USD")
_COUNT = re.compile(r"0|[1-9][0-9]{0,8}")
_NUMBER = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,20})?")
_MICROSECONDS = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}


def duration(written: Any) -> timedelta:
    """``2000ms``, ``2s``, ``30m`` or ``1.5h``, at most three digits behind the point.

    Raises:
        ValueError: it is none, or has no unit.
    """
    found = _DURATION.fullmatch(_text(written))
    if found is None:
        if _NUMBER.fullmatch(_text(written)):
            raise ValueError(f"has no unit: write {_text(written)}ms or {_text(written)}s")
        raise ValueError("is no duration: write one as 500ms, 2s, 30m or 1h")
    whole, part, unit = found.groups()
    scale = _MICROSECONDS[unit]
    thousandths = int((part or "").ljust(3, "0"))
    return timedelta(microseconds=int(whole) * scale + thousandths * scale // 1000)


def duration_text(value: timedelta) -> str:
    """The duration in the largest unit of which it is a whole number: ``2s``."""
    micros = value // timedelta(microseconds=1)
    for unit, scale in _MICROSECONDS.items():
        if micros % scale == 0 and micros:
            return f"{micros // scale}{unit}"
    return f"{micros // 1000}.{micros % 1000:03d}ms" if micros else "0s"


def share(written: Any) -> float:
    """``5%`` or ``0.05``, at most 1.

    Raises:
        ValueError: it is none.
    """
    text = _text(written)
    if found := _PERCENT.fullmatch(text):
        value = Decimal(found[1]) / 100
    elif _FRACTION.fullmatch(text):
        value = Decimal(text)
    elif _NUMBER.fullmatch(text):
        raise ValueError(f"is no share: write {text}%, or a number from 0.0 to 1.0")
    else:
        raise ValueError("is no share: write one as 5% or 0.05")
    if value > 1:
        raise ValueError("is more than 100%")
    return float(value)


def share_text(value: float) -> str:
    """The share in per cent, exactly: ``5%``."""
    return f"{_plain(Decimal(repr(value)) * 100)}%"


def dollars(written: Any) -> Nanos:
    """``$50`` or ``50 USD``, in nano-USD.

    Raises:
        ValueError: it is none, or has no currency.
    """
    text = _text(written)
    found = _DOLLARS.fullmatch(text)
    if found is None:
        if _NUMBER.fullmatch(text):
            raise ValueError(f"has no currency: write ${text} or {text} USD")
        raise ValueError("is no amount of dollars: write one as $50 or 50 USD")
    return nanos_from_usd(Decimal(found[1] or found[2]))


def dollars_text(value: Nanos) -> str:
    """The amount, exactly: ``$50``."""
    return f"${_plain(Decimal(value) / NANOS_PER_USD)}"


def count(written: Any) -> int:
    """A whole number without sign, of at most nine digits.

    Raises:
        ValueError: it is none.
    """
    if not _COUNT.fullmatch(_text(written)):
        raise ValueError("is no whole number")
    return int(_text(written))


def number(written: Any) -> float:
    """A number without sign and unit, as a multiple is.

    Raises:
        ValueError: it is none.
    """
    if not _NUMBER.fullmatch(_text(written)):
        raise ValueError("is no number, as 1.5")
    return float(_text(written))


def _text(written: Any) -> str:
    if isinstance(written, str):
        return written.strip()
    is_number = isinstance(written, int | float) and not isinstance(written, bool)
    return format(Decimal(repr(written)), "f") if is_number else ""


def _plain(value: Decimal) -> str:
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
