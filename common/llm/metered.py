"""What a reply says it used, in one vocabulary for all providers.

Units are those of the price list: `input_tokens` includes cached and written tokens, as
`output_tokens` includes reasoning; the price book takes them apart again.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

LARGEST_COUNT = 1 << 40
"""A trillion: no call used as much, and sums of as many as fit a reply stay below 64 bits."""

_REASON_CHARACTERS = 40
_NAME_CHARACTERS = 64
_NO_CONTEXT: Mapping[str, str] = MappingProxyType({})


class UsageLine(NamedTuple):
    """Usage billed at one model. `model` None means the model that the reply names."""

    units: Mapping[str, int]
    model: str | None = None


class Metered(NamedTuple):
    """All that a reply told about itself.

    `final` means that the provider's last word on usage was seen. Without it, `lines` holds what
    was told so far (input, for a stream that was cut), and `output_bytes` bounds what was
    generated. `pending` means that the provider works on after this reply, `untold` that it
    tells no usage of calls like this one.
    """

    lines: tuple[UsageLine, ...] = ()
    final: bool = False
    model: str | None = None
    price_context: Mapping[str, str] = _NO_CONTEXT
    service_tier: str | None = None
    finish_reason: str | None = None
    failed: bool = False
    pending: bool = False
    untold: bool = False
    usage_raw: Mapping[str, Any] | None = None
    anomalies: tuple[str, ...] = ()
    output_bytes: int = 0

    @property
    def units(self) -> Mapping[str, int]:
        """Usage summed over all lines."""
        if len(self.lines) == 1:
            return self.lines[0].units
        total: dict[str, int] = {}
        for line in self.lines:
            for unit, count in line.units.items():
                total[unit] = total.get(unit, 0) + count
        return total


def unreadable(reply: bytes) -> Metered:
    """What a reply tells that is no JSON object: nothing, but how long it is."""
    return Metered(failed=True, output_bytes=len(reply), anomalies=("reply is not JSON",))


def ending(reason: object) -> str | None:
    """Why a reply ended, as its provider words it; None for what is no text."""
    return reason[:_REASON_CHARACTERS] if isinstance(reason, str) and reason else None


class Counts:
    """Reads counters out of a provider's usage object and remembers what could not be read."""

    def __init__(self, anomalies: list[str]) -> None:
        self.anomalies = anomalies

    def read(self, usage: object, *path: str) -> int | None:
        """The counter at `path`, or None where it is absent, null or not a count.

        A value that is there but negative, fractional, text or too large is an anomaly.
        """
        value: object = usage
        for name in path:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return self.checked(value, path)

    def checked(self, value: object, path: tuple[str, ...]) -> int | None:
        """What was found at `path`, where it is a count: as `read` answers."""
        if type(value) is int and 0 <= value < LARGEST_COUNT:
            return value
        if value is not None:
            self.anomalies.append(f"{'.'.join(path)} is not a count")
        return None


def numbers_only(usage: object, *, depth: int = 4) -> Any:
    """The usage object without its texts (but for short names, such as a model or a tier).

    Providers put figures there; a text longer than a name could be somebody's content.
    """
    if isinstance(usage, dict) and depth:
        kept = {}
        for name, value in usage.items():
            known = value if type(value) is int else numbers_only(value, depth=depth - 1)
            if known is not None:
                kept[name[:_NAME_CHARACTERS]] = known
        return kept
    if isinstance(usage, list) and depth:
        return [numbers_only(value, depth=depth - 1) for value in usage[:32]]
    if isinstance(usage, bool | int | float):
        return usage
    if isinstance(usage, str) and len(usage) <= _NAME_CHARACTERS and " " not in usage:
        return usage
    return None
