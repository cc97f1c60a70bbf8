"""What a request says of the version that it is to change: `If-Match`, `If-None-Match`.

A thing that PUT makes and replaces is named by the version that was read, or by there being none.
Without a condition nothing is changed: nobody overwrites what somebody else has saved meanwhile.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from common.api.operations import Call
from common.api.problems import PreconditionRequired
from common.api.versions import is_named
from common.core.errors import InvalidInput

T = TypeVar("T")


def condition_of(
    call: Call[Any, Any], thing: str, version: Callable[[T], str]
) -> Callable[[T | None], bool]:
    """Whether what is stored, None for nothing, is what the caller has seen.

    Args:
        call: a PUT that also makes, or a DELETE.
        thing: with its article, as ``an upstream``.
        version: of what is stored.

    Raises:
        InvalidInput: the two headers contradict each other.
        PreconditionRequired: there is neither.
    """
    seen, name = call.if_match, thing.partition(" ")[2]
    if call.if_none_match is not None:
        if seen is not None or call.if_none_match.strip() != "*":
            raise InvalidInput(
                f"send If-None-Match: * to make {thing}, or If-Match with the version that you"
                " read to replace it",
                field="If-None-Match",
            )
        return lambda stored: stored is None
    if seen is None:
        raise PreconditionRequired(
            f"send If-Match with the version of the {name} that you read"
            + (", or If-None-Match: * to make it" if call.method == "PUT" else ""),
            field="If-Match",
        )
    return lambda stored: stored is not None and is_named(seen, version(stored))
