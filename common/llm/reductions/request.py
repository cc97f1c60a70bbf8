"""A request that is about to be reduced, and what one reduction did to it.

A reduction is a function of a request and of what is wanted. It answers with the changed request,
or says why it may not be, or answers None where there is nothing to lower: the request is as low
already, or has no such thing. It never changes what it is handed, it never raises a cost, and what
it answers it would leave as it is. Where a member is missing it adds one only if the model is known
to take it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.llm.edits import Recipient
from common.llm.paths import FormName


@dataclass(frozen=True, slots=True)
class Request:
    """A body that was read, every member of it once, and who gets it.

    `recipient.model` is the model it goes to, which some APIs name in the path only.
    """

    form: FormName
    members: Mapping[str, Any]
    recipient: Recipient


@dataclass(frozen=True, slots=True)
class Reduced:
    """The request with one thing lowered. `told` says to what, in a word: ``low``, ``1024``."""

    request: Request
    told: str


@dataclass(frozen=True, slots=True)
class Unsafe:
    """Not reduced, because it might break the request or its answer. `reason` is a word."""

    reason: str
