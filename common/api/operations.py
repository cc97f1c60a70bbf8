"""What one operation of the API is: the row that routing, validation and the contract are made of.

An operation names its path, the models of its query, body and answer, and what answers. The
same row routes the request, validates it and describes it in the OpenAPI document, so the
contract cannot differ from what is checked.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from common.api.envelopes import View
from common.brownout.minute_sums import Rollups
from common.brownout.policies import Policies
from common.budgets.sweep import SpentOf
from common.core.ports import Bus, Clock, Documents, Warehouse
from common.core.secrets import Secret
from common.core.transactions import Entropy
from common.gateway.changes import Actor
from common.gateway.llm_tests import LlmTests
from common.llm.price_book import PriceBook
from common.pricing.in_force import Books

Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)

Model: TypeAlias = type[BaseModel]

PREFIX = "/api/v1"
UNVERSIONED = "/api"
"""Of paths that keep the names they were published under."""

_PARAMETER = re.compile(r"\{(\w+)\}")


class Asked(BaseModel):
    """What people write: unknown fields and parameters are refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NoQuery(Asked):
    """No parameters."""


class NoBody(Asked):
    """No body, or an empty object."""


class Paging(Asked):
    after: str | None = Field(None, description="`next` of the page before")
    limit: Annotated[int, Field(ge=1, le=500)] = Field(100, description="rows on the page")


@dataclass(frozen=True, slots=True)
class Services:
    """What operations work on. `default_org` completes scopes that name no organisation.

    `price_book` ships with the code; `books` has the one in force. `local_secret` is there where
    the notifier runs on this machine too: it answers its variables.
    """

    documents: Documents
    bus: Bus
    warehouse: Warehouse
    clock: Clock
    entropy: Entropy
    price_book: PriceBook
    books: Books
    version: str
    spent: SpentOf
    policies: Policies
    rollups: Rollups
    default_org: str | None = None
    llm_tests: LlmTests | None = None
    local_secret: Callable[[str], Secret | None] | None = None


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """One validated request. `given` are the query parameters as they were sent."""

    services: Services
    now: datetime
    actor: Actor
    method: str
    route: str
    path: Mapping[str, str]
    query: Q
    given: Mapping[str, str]
    body: B
    if_match: str | None
    if_none_match: str | None
    idempotency_key: str | None
    accept: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers: a view, or the text of one that was answered before."""

    content: View | str
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation(Generic[Q, B]):
    """A row of the API. `path` stands below `prefix`; `{name}` matches up to a slash or colon."""

    id: str
    method: str
    path: str
    summary: str
    answers: type[View]
    handle: Callable[[Call[Q, B]], Awaitable[Answer]]
    query: type[Q]
    body: type[B]
    status: int = 200
    is_open: bool = False
    makes: bool = False
    """A PUT that also makes what is not there yet (`If-None-Match: *`), with status 201."""
    repeatable: bool = False
    """A POST that may be sent again without an `Idempotency-Key`."""
    conditional: bool = False
    """A POST that names the version which it follows (`If-Match`)."""
    prefix: str = PREFIX
    text: str | None = None
    """The media type of the text that it answers to those who ask for that."""

    @property
    def address(self) -> str:
        """The whole path."""
        return self.prefix + self.path

    @property
    def parameters(self) -> list[str]:
        return _PARAMETER.findall(self.path)

    @property
    def takes_if_match(self) -> bool:
        return self.method in {"PUT", "DELETE"} or self.conditional

    @property
    def takes_idempotency_key(self) -> bool:
        return self.method == "POST" and not self.repeatable

    def pattern(self) -> re.Pattern[str]:
        literals_and_names = _PARAMETER.split(self.address)
        return re.compile(
            "".join(
                f"(?P<{part}>[^/:]+)" if index % 2 else re.escape(part)
                for index, part in enumerate(literals_and_names)
            )
        )


AnyOperation: TypeAlias = Operation[Any, Any]
