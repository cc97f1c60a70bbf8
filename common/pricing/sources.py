"""Where prices come from, as the command that takes them sees it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from common.core.errors import CloudOpsError
from common.pricing.vetting import Used


class SourceFailed(CloudOpsError):
    """A source has not answered; the text says why and holds nothing of what it sent."""

    code = "price_source_failed"
    status = 502


@dataclass(frozen=True, slots=True)
class Listed:
    """A price list as a source told it: `providers` in the form that `compile_book` takes.

    `origin` is kept in the book: where it is from, and the digest of what was read.
    """

    providers: Sequence[Any]
    origin: Mapping[str, str]


class PriceSource(Protocol):
    """A public list of prices. `name` says which."""

    @property
    def name(self) -> str: ...

    async def read(self) -> Listed:
        """What it says now.

        Raises:
            SourceFailed: it does not answer as it should, or not in time.
            InvalidInput: what it answers is no price list.
        """


class ModelsInUse(Protocol):
    """Which models calls used lately."""

    async def __call__(self, since: datetime) -> Collection[Used]:
        """What calls since then were billed by.

        Raises:
            StoreUnavailable: no answer in time.
        """


Compile: TypeAlias = Callable[[Listed, datetime], bytes]
"""Makes a book of a list that was read at this time. Raises InvalidInput."""
