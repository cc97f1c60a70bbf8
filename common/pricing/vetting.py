"""What of a new price list is taken, and what keeps its old card until somebody has looked.

Held is a card whose price moves by more than 30 % either way or becomes 0, that prices a unit no
more, that would allow smaller bounds, or that is gone although calls used it lately. Compared is
what calls would be billed from now on: for every context, day and tier that either card knows. At
the end every name in use is looked up in both books; one that leads to another price now keeps the
whole list that it was found in, because then it is not a card that moved but the names.

The list is refused as a whole if it lost half of its models. Pure: the same input, the same bytes.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal, NamedTuple, TypeAlias

from common.core.errors import InvalidInput
from common.llm.price_book import Card, PriceBook
from common.llm.price_cards import Daily, Since, Validity
from common.llm.price_tariffs import Tiered, exact_usd
from common.pricing.book_lines import ALL, BookLines, CardKey, assemble

MOST_CHANGE_PERCENT = 30
"""Of the old price, up or down; a card with a larger change is held."""
MOST_FIGURES = 6
"""That are told of one card."""
_LIMITS = ("context_window", "max_output")

Reason: TypeAlias = Literal["vanished", "unit", "zero", "price", "limit", "name"]


class Used(NamedTuple):
    """A model that calls have used, by the name they named it by or by its id in the list."""

    provider: str
    model: str


class Figure(NamedTuple):
    """What differs: dollars for `per` of a unit, or a limit (`per` None). None: it is not there.

    `when` says for which calls, empty for all; above so many input tokens if `above` is not 0.
    """

    what: str
    per: int | None
    when: str
    above: int
    old: str | None
    new: str | None

    @property
    def told(self) -> str:
        per = "" if self.per is None else f" per {self.per:,}"
        above = f" above {self.above:,} input tokens" if self.above else ""
        when = f" ({self.when})" if self.when else ""
        return f"{self.what}{per}{above}{when}: {self.old or 'none'} -> {self.new or 'none'}"


@dataclass(frozen=True, slots=True)
class HeldCard:
    """A card that stays as it was, and why; `model` is `ALL` where a provider's list stays."""

    provider: str
    model: str
    reason: Reason
    figures: tuple[Figure, ...] = ()

    @property
    def key(self) -> CardKey:
        return CardKey(self.provider, self.model)

    @property
    def told(self) -> str:
        """What differs, as a sentence."""
        return _SENTENCES[self.reason] + "".join(f"; {each.told}" for each in self.figures) + "."


_SENTENCES: Mapping[Reason, str] = {
    "vanished": "it is gone from the list, and calls have used it lately",
    "unit": "what is counted is not the same any more",
    "zero": "a price becomes 0",
    "price": f"a price moves by more than {MOST_CHANGE_PERCENT} %",
    "limit": "a limit that bounds calls becomes smaller",
    "name": "names in use lead to other prices",
}


@dataclass(frozen=True, slots=True)
class Vetted:
    """The book that may be published, and what of the list is not in it."""

    book: bytes
    held: tuple[HeldCard, ...]


def vet(old: bytes, new: bytes, in_use: Collection[Used], *, at: datetime) -> Vetted:
    """Take of a new book what may be taken without asking.

    Args:
        old: the compiled book in force.
        new: the compiled book of what the source says now.
        in_use: what calls of the last 30 days were billed by.
        at: aware time; prices that end before it are not compared.

    Raises:
        InvalidInput: one of the books is damaged, a unit means something else than before, or the
            new one has less than half of the models.
    """
    before, after = _Book.read(old), _Book.read(new)
    check_units(before.lines, after.lines)
    _check_size(before.lines, after.lines)
    held = _held_cards(before, after, in_use, at)
    while True:
        book = assemble(before.lines, after.lines, [each.key for each in held])
        whole = {each.provider for each in held if each.model == ALL}
        moved = _moved(before.book, PriceBook.load(book), in_use, at)
        lists = _lists_to_keep(moved, before.lines.lines, whole)
        if not lists:
            return Vetted(book, tuple(sorted(held, key=lambda each: each.key)))
        held = [each for each in held if each.provider not in lists]
        held += [HeldCard(name, ALL, "name", figures) for name, figures in lists.items()]


class _Book(NamedTuple):
    """One book in both of its forms."""

    lines: BookLines
    book: PriceBook

    @classmethod
    def read(cls, data: bytes) -> "_Book":
        return cls(BookLines.read(data), PriceBook.load(data))

    def cards(self) -> dict[CardKey, Card]:
        return {_key(card): card for card in self.book.iter_cards()}


def check_units(old: BookLines, new: BookLines) -> None:
    """Refuse a book in which a unit of the other one means something else.

    Raises:
        InvalidInput: names the unit.
    """
    theirs = new.head["units"]
    for unit, meaning in old.head["units"].items():
        if theirs.get(unit) != meaning:
            raise InvalidInput(f"the unit {unit} is not what it was", field="prices")


def _check_size(old: BookLines, new: BookLines) -> None:
    was, now = len(old.cards()), len(new.cards())
    if now * 2 < was:
        raise InvalidInput(f"the list has {now} models, and had {was}", field="prices")


def _held_cards(old: _Book, new: _Book, in_use: Collection[Used], at: datetime) -> list[HeldCard]:
    theirs = new.lines.cards()
    ours, found = old.cards(), new.cards()
    missed = {_key(card) for _, card, *_ in _moved(old.book, new.book, in_use, at)}
    # Some are named in the list by what no call names them by.
    ids = (CardKey(*used) for used in in_use)
    missed |= {key for key in ids if key in ours and old.book.card(*key) is not ours[key]}
    held = []
    for key, written in old.lines.cards().items():
        if key not in theirs:
            if key in missed:
                held.append(HeldCard(*key, "vanished", _figures_of(ours[key], at)))
        elif written != theirs[key]:
            difference = _difference(ours[key], found[key], at)
            if difference is not None:
                held.append(HeldCard(*key, *difference))
    return held


def _key(card: Card) -> CardKey:
    return CardKey(card.provider, card.model)


class _Moved(NamedTuple):
    """A name in use, its card, and what is found by it now: no card, or one of another price."""

    used: Used
    card: Card
    found: Card | None
    figures: tuple[Figure, ...]


def _moved(
    old: PriceBook, new: PriceBook, in_use: Iterable[Used], at: datetime
) -> Iterator[_Moved]:
    for used in sorted(set(in_use)):
        card, found = old.card(*used), new.card(*used)
        if card is None:
            continue
        if found is None:
            yield _Moved(used, card, None, ())
            continue
        difference = _difference(card, found, at)
        if difference is not None:
            yield _Moved(used, card, found, difference[1])


def _lists_to_keep(
    moved: Iterable[_Moved], lists: Collection[str], whole: Collection[str]
) -> dict[str, tuple[Figure, ...]]:
    """The lists to keep because names lead to other prices than before, with what shows it.

    Of each name one that is not kept (`whole`) yet: first the list in which it is found now, then
    the one in which it was found, then the one in which it was looked for.
    """
    kept: dict[str, tuple[Figure, ...]] = {}
    for used, card, found, figures in moved:
        places = (card if found is None else found).provider, card.provider, used.provider
        place = next((each for each in places if each in lists and each not in whole), None)
        if place is not None:
            leads = Figure(used.model, None, "", 0, card.key, None if found is None else found.key)
            kept.setdefault(place, (leads, *figures)[:MOST_FIGURES])
    return kept


def _difference(old: Card, new: Card, at: datetime) -> tuple[Reason, tuple[Figure, ...]] | None:
    """Why the old card must stay; None: the new one may take its place."""
    found: dict[Reason, list[Figure]] = {"unit": [], "zero": [], "price": [], "limit": []}
    for when, moment, told in _probes(old, new, at):
        for reason, figure in _differing(old, new, when, moment, told):
            if not {figure, figure._replace(when="")} & set(found[reason]):
                found[reason].append(figure)
    for name in _LIMITS:
        was, now = getattr(old.caps, name), getattr(new.caps, name)
        if was is not None and now is not None and now < was:
            found["limit"].append(Figure(name, None, "", 0, str(was), str(now)))
    for reason, figures in found.items():
        if figures:
            others = [each for other in found.values() for each in other if each not in figures]
            return reason, (*figures, *others)[:MOST_FIGURES]
    return None


def _differing(
    old: Card, new: Card, when: Mapping[str, str], moment: datetime, told: str
) -> Iterator[tuple[Reason, Figure]]:
    """What calls of this context pay too differently at this moment."""
    was, now = (
        card.terms.tariff(moment, when if card.context_applies else {}).rates for card in (old, new)
    )
    for unit, rate in was.items():
        per = old.terms.units[unit].per
        if unit not in now:
            yield "unit", Figure(unit, per, told, 0, exact_usd(rate.base), None)
            continue
        for above in _starts(rate, now[unit]):
            before, after = _above(rate, above), _above(now[unit], above)
            reason = _too_different(before, after)
            if reason is not None:
                figure = Figure(unit, per, told, above, exact_usd(before), exact_usd(after))
                yield reason, figure
    for unit in [each for each in now if each not in was and (was or old.terms.free)]:
        # It was billed as what holds it, or came for nothing.
        of_old = [was[each].base for each in new.terms.units[unit].ancestors if each in was]
        rate = now[unit]
        per = new.terms.units[unit].per
        dear = [_above(rate, above) for above in _starts(rate, rate)]
        if old.terms.free and any(dear):
            yield "price", Figure(unit, per, told, 0, "0", exact_usd(max(dear)))
        elif any(of_old) and not all(dear):
            yield "zero", Figure(unit, per, told, 0, exact_usd(max(of_old)), "0")


def _too_different(old: int, new: int) -> Reason | None:
    if old == new:
        return None
    if new == 0:
        return "zero"
    return "price" if abs(new - old) * 100 > MOST_CHANGE_PERCENT * old else None


def _starts(one: Tiered, other: Tiered) -> list[int]:
    """Where a price may begin to be another one, 0 first."""
    return sorted({0, *(start for rate in (one, other) for start, _ in rate.tiers)})


def _above(rate: Tiered, start: int) -> int:
    return rate.at(start + 1) if start else rate.base


def _probes(
    old: Card, new: Card, at: datetime
) -> Iterator[tuple[Mapping[str, str], datetime, str]]:
    """Every context and moment from now on at which one of the cards may change its price."""
    validities = [
        *(each.validity for card in (old, new) for each in card.terms.prices),
        *(each.validity for card in (old, new) for each in card.terms.variants),
    ]
    moments = list(_moments(validities, at))
    contexts: list[Mapping[str, str]] = [{}]
    for card in (old, new):
        for variant in card.terms.variants if card.context_applies else ():
            if variant.when not in contexts:
                contexts.append(variant.when)
    for when in contexts:
        context = ", ".join(f"{name} {value}" for name, value in sorted(when.items()))
        for moment, told in moments:
            yield when, moment, ", ".join(each for each in (context, told) if each)


def _moments(validities: Iterable[Validity], at: datetime) -> Iterator[tuple[datetime, str]]:
    known = list(validities)
    today = at.astimezone(UTC).date()
    days = {today} | {each.day for each in known if isinstance(each, Since) and each.day > today}
    hours = {time(0)}
    for each in known:
        if isinstance(each, Daily):
            hours |= {each.start.replace(tzinfo=None), each.end.replace(tzinfo=None)}
    for day in sorted(days):
        for hour in sorted(hours):
            yield datetime.combine(day, hour, UTC), _told(day, today, hour, hours)


def _told(day: date, today: date, hour: time, hours: Collection[time]) -> str:
    since = f"since {day.isoformat()}" if day > today else ""
    daily = f"from {hour:%H:%M} UTC" if len(hours) > 1 else ""
    return ", ".join(each for each in (since, daily) if each)


def _figures_of(card: Card, at: datetime) -> tuple[Figure, ...]:
    rates = card.rates(at, {})[:MOST_FIGURES]
    return tuple(Figure(each.unit, each.per, "", 0, each.usd, None) for each in rates)
