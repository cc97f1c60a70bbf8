"""Money as people send it: dollars as text or as a number, with nine decimals at most, exactly.

A number of JSON goes through a binary fraction. One that would come out changed is refused before
(`refuse_inexact`), so what arrives here has its shortest form: that is the number that was sent.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, WithJsonSchema

from common.core.errors import InvalidInput
from common.core.money import Nanos, nanos_from_usd

_TEXT = re.compile(r"\d{1,12}(\.\d{1,9})?", re.ASCII)
_DECIMALS = 9
_MOST = 10**12
_FORM = "write dollars with at most 9 decimals, as 20 or 0.5"


def refuse_inexact(number: str) -> Decimal:
    """A number of JSON, if a binary fraction keeps all of it.

    Raises:
        InvalidInput: it does not.
    """
    exact = Decimal(number)
    if exact != Decimal(repr(float(number))):
        raise InvalidInput(
            f"the number {number[:40]} has more digits than a number keeps: write it as text"
        )
    return exact


def _nanos(sent: Any) -> Nanos:
    if isinstance(sent, bool) or not isinstance(sent, str | int | float):
        raise ValueError(_FORM)  # noqa: TRY004 - pydantic takes no TypeError
    if isinstance(sent, str):
        if _TEXT.fullmatch(sent) is None:
            raise ValueError(_FORM)
        return nanos_from_usd(Decimal(sent))
    usd = Decimal(repr(sent))
    exponent = usd.normalize().as_tuple().exponent
    if not usd.is_finite() or not 0 <= usd < _MOST:
        raise ValueError(_FORM)
    if isinstance(exponent, int) and exponent < -_DECIMALS:
        raise ValueError(_FORM)
    return nanos_from_usd(usd)


UsdAsNanos: TypeAlias = Annotated[
    int,
    BeforeValidator(_nanos),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d{1,12}(\.\d{1,9})?$"},
                {"type": "number", "minimum": 0},
            ],
            "examples": ["20", "0.5"],
        }
    ),
]
"""A field that takes dollars and holds nanos."""
