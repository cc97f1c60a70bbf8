"""The one form of all answers: what was asked, a plain sentence, the data, and where it comes from.

`total` covers the whole filter, never the page shown. Money is exact text plus integer nanos; what
is unknown is null with a reason beside it.
"""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

from common.core.money import usd_text

D = TypeVar("D", bound=BaseModel)
TOTAL = TypeVar("TOTAL", bound=BaseModel)

Usd: TypeAlias = Annotated[
    str, Field(pattern=r"^-?\d+\.\d{9}$", examples=["0.004213000"], description="exact dollars")
]
Time: TypeAlias = Annotated[
    AwareDatetime, PlainSerializer(lambda time: time.isoformat().replace("+00:00", "Z"), str)
]


class View(BaseModel):
    """What the API answers; made by us, so nothing unknown is in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(View):
    """One place the answer was read from, and how good that was."""

    name: Literal["state", "warehouse", "price_book", "budgets_sweep"]
    as_of: Time
    status: Literal["ok", "stale", "failed", "partial"] = "ok"
    detail: str | None = None


class Count(View):
    count: int


class Listing(View, Generic[D, TOTAL]):
    """One page of a list."""

    as_of: Time
    query: dict[str, Any] = Field(description="the question as it was understood")
    answer: str = Field(description="the answer as a plain sentence")
    data: list[D]
    total: TOTAL = Field(description="over the whole filter, not the page")
    next: str | None = Field(description="send as `after` for the next page; null on the last")
    sources: list[Source]


class Single(View, Generic[D]):
    """One thing."""

    as_of: Time
    answer: str = Field(description="the answer as a plain sentence")
    data: D
    sources: list[Source]


def state_source(now: datetime) -> Source:
    return Source(name="state", as_of=now)


def usd_or_none(nanos: int | None) -> str | None:
    return None if nanos is None else usd_text(nanos)
