"""Events of price books: one is in force, something of one waits for people, the list is silent."""

from typing import ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from common.core.events import Event, Topic


class CardHeld(BaseModel):
    """The card of a model that keeps its old terms until somebody approves the new ones."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    provider: str
    model: str = Field(description="its id in the list; *: all of the provider's")
    reason: str = Field(description="vanished, unit, zero, price, limit or name")
    told: str = Field(description="what differs, as a sentence")


class PriceBookPublished(Event):
    """Another price book is in force: every proxy takes it for the calls that begin then."""

    topic: ClassVar[Topic] = "events"
    type: Literal["price_book.published"] = "price_book.published"

    book: str = Field(description="SHA-256 of the book; usage events name it")
    before: str | None = Field(description="the one until then; null: the one in the code")
    held: int = Field(description="how many cards of the public list wait for an approval")
    actor: str = Field(description="an operator's email, or the part of the system that did it")


class PriceBookHeld(Event):
    """Something of the public price list is not taken, and waits for somebody to look at it."""

    topic: ClassVar[Topic] = "events"
    type: Literal["price_book.held"] = "price_book.held"

    book: str | None = Field(description="the book in force; null: the one in the code")
    refused: str | None = Field(description="why nothing of the list is taken; null: cards only")
    count: int = Field(description="of cards that are held")
    cards: tuple[CardHeld, ...] = Field(description="the first of them")


class PriceSourceStale(Event):
    """No usable price list has come from its source for long: prices may be out of date."""

    topic: ClassVar[Topic] = "events"
    type: Literal["price_source.stale"] = "price_source.stale"

    source: str
    since: AwareDatetime = Field(description="when it failed for the first time")
    cause: str = Field(description="of the last failure")


class RefreshPrices(Event):
    """The command of every day: take what is new in the public price list."""

    topic: ClassVar[Topic] = "commands"
    type: Literal["pricing.refresh"] = "pricing.refresh"
