"""Where a provider's bill differs from our events, and why: tokens first, then money.

Model by model, what the provider counted is held against what our calls used. More tokens on the
bill are calls of which we have no event; fewer are estimates of ours, or calls that the bill lacks;
the same tokens at another cost are a price. Some calls may be on this bill or not (they lasted over
midnight, or a caller's own key paid that may be of another account), so our side is a span between
what must be on it and what may be, and a bill within the span agrees.

What differs by no more than the limit is not told. An excess of tokens explains at most ten times
its share in money, because a token read from a cache costs a tenth of others.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from common.core.money import NANOS_PER_USD, Nanos
from common.reconciliation.keys import PERCENT, Matched, match
from common.reconciliation.rows import Bill, Called, Tokens, money

CENTS = 100
MOST_NAMED = 10
"""Models and keys that a drift names, those with most money or tokens first."""
_DEAREST = 10
"""How much dearer one token of a model is than another: cached input costs a tenth."""


class Cause(Enum):
    """Why a bill and our events differ."""

    PRICE_OFF = "price_off"
    """The same tokens at another price."""
    PAST_THE_GATEWAY = "past_the_gateway"
    """Calls with keys that the gateway does not use, or things that it does not sell."""
    LOST_EVENTS = "lost_events"
    """More tokens with a key of the installation than our events have of it."""
    CENTS_FOR_DOLLARS = "cents_for_dollars"
    """The same tokens, and a hundred times the money or a hundredth of it."""
    ESTIMATES = "estimates"
    """Ours is more, and no more than what was estimated."""
    NOT_BILLED = "not_billed"
    """Ours is more than estimates explain: the bill is not complete, or of another account."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is no drift: so many parts of a hundred of the bill, or so much money if that is more.

    For a day and an account.
    """

    percent: int = 1
    nanos: Nanos = NANOS_PER_USD

    def limit(self, bill: Nanos) -> Nanos:
        return max(self.nanos, abs(bill) * self.percent // PERCENT)


TOLERANCE = Tolerance()


@dataclass(frozen=True, slots=True)
class Drift:
    """One cause. `nanos` is how much more the provider bills for it than our events have."""

    cause: Cause
    nanos: Nanos
    models: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(slots=True)
class _Model:
    """One model on both sides. `certain` must be on the bill, `possible` may be."""

    certain: Tokens = field(default_factory=Tokens)
    possible: Tokens = field(default_factory=Tokens)
    theirs: Tokens = field(default_factory=Tokens)
    certain_nanos: Nanos = 0
    possible_nanos: Nanos = 0
    estimated_nanos: Nanos = 0
    their_nanos: Nanos = 0

    @property
    def token_gap(self) -> int:
        """Their weighted tokens beyond what ours may be, or below what they must be."""
        low = self.certain.weight
        return _gap(self.theirs.weight, low, low + self.possible.weight)

    @property
    def money_gap(self) -> Nanos:
        low = self.certain_nanos
        return _gap(self.their_nanos, low, low + self.possible_nanos)

    @property
    def is_of_tokens(self) -> bool:
        """Whether the tokens explain the money."""
        tokens, nanos = self.token_gap, self.money_gap
        if tokens == 0 or (tokens > 0) != (nanos > 0):
            return False
        all_tokens = max(self.theirs.weight, self.certain.weight + self.possible.weight)
        all_nanos = max(self.their_nanos, self.certain_nanos + self.possible_nanos)
        return abs(nanos) * all_tokens <= _DEAREST * abs(tokens) * all_nanos


def compare(ledger: Sequence[Called], bill: Bill, tolerance: Tolerance = TOLERANCE) -> list[Drift]:
    """Each cause by which the bill differs from our events beyond the limit, the largest first.

    Args:
        ledger: our calls of the bill's day and account, those over midnight included.
        bill: models named as in the ledger.
        tolerance: what is no drift.
    """
    if bill.unbilled_tokens:
        return []
    matched = match(ledger, bill)
    models = _models(ledger, bill, matched)
    other = money(item for item in bill.items if item.model not in models)
    limit = tolerance.limit(bill.nanos)
    low = sum(each.certain_nanos for each in models.values())
    total = _gap(bill.nanos, low, low + sum(each.possible_nanos for each in models.values()))
    if abs(total) <= limit:
        return []
    if _are_cents(bill, models):
        return [Drift(Cause.CENTS_FOR_DOLLARS, total, _largest(models))]
    found = sorted(_causes(ledger, bill, matched, models, other), key=lambda d: -abs(d.nanos))
    return [each for each in found if abs(each.nanos) > limit] or found[:1]


def doubt(ledger: Sequence[Called], bill: Bill) -> str | None:
    """Why a bill that is no higher than our events proves nothing; None where it does.

    It may be low because of a price, or because it is not complete; or high for one call and low
    for others.
    """
    if bill.unbilled_tokens:
        return "not all of the tokens are paid for on this bill"
    models = _models(ledger, bill, match(ledger, bill))
    if any(each.token_gap > 0 for each in models.values()):
        return "the bill has tokens of which we have no event"
    other = money(item for item in bill.items if item.model not in models)
    short = max(0, other) + sum(
        each.money_gap
        for each in models.values()
        if each.money_gap < 0 and not (each.token_gap < 0 and _why_less(each) is Cause.ESTIMATES)
    )
    if -short * PERCENT > sum(each.certain_nanos for each in models.values()):
        return "the bill has less than our calls cost by what the provider answered"
    return None


def _models(ledger: Sequence[Called], bill: Bill, matched: Matched) -> dict[str, _Model]:
    models: defaultdict[str, _Model] = defaultdict(_Model)
    for row in ledger:
        if not matched.may_be_billed(row):
            continue
        model = models[row.model]
        if row.edge == "within" and matched.is_billed(row):
            model.certain += row.tokens
            model.certain_nanos += row.nanos
        else:
            model.possible += row.tokens
            model.possible_nanos += row.nanos
        model.estimated_nanos += row.estimated_nanos
    for used in bill.used:
        models[used.model].theirs += used.tokens
    for name, model in models.items():
        model.their_nanos = money(item for item in bill.items if item.model == name)
    return dict(models)


def _causes(
    ledger: Sequence[Called],
    bill: Bill,
    matched: Matched,
    models: dict[str, _Model],
    other: Nanos,
) -> list[Drift]:
    of: defaultdict[Cause, dict[str, Nanos]] = defaultdict(dict)
    keys: defaultdict[Cause, set[str]] = defaultdict(set)
    for name, model in models.items():
        gap = model.money_gap
        if gap == 0:
            continue
        if not model.is_of_tokens:
            of[Cause.PRICE_OFF][name] = gap
        elif gap < 0:
            of[_why_less(model)][name] = gap
        else:
            for cause, nanos, named in _why_more(name, model, ledger, bill, matched):
                of[cause][name] = nanos
                keys[cause] |= named
    # Searches are in the cost of our calls, and an item of their own on the bill.
    price = sum(of[Cause.PRICE_OFF].values())
    within_calls = min(max(0, -price), max(0, other))
    sums = {cause: sum(by_model.values()) for cause, by_model in of.items()}
    sums[Cause.PRICE_OFF] = price + within_calls
    past = sums.get(Cause.PAST_THE_GATEWAY, 0) + other - within_calls
    sums[Cause.PAST_THE_GATEWAY] = past
    return [
        Drift(cause, nanos, _most(of[cause]), tuple(sorted(keys[cause]))[:MOST_NAMED])
        for cause, nanos in sums.items()
        if nanos
    ]


def _why_less(model: _Model) -> Cause:
    explained = -model.money_gap * (PERCENT - 1) <= model.estimated_nanos * PERCENT
    return Cause.ESTIMATES if explained else Cause.NOT_BILLED


def _why_more(
    name: str, model: _Model, ledger: Iterable[Called], bill: Bill, matched: Matched
) -> list[tuple[Cause, Nanos, set[str]]]:
    """The excess of a model, by the keys on the bill that used more than our events have."""
    ours: defaultdict[str | None, int] = defaultdict(int)
    elsewhere = 0
    for row in ledger:
        if row.model == name and matched.may_be_billed(row):
            known = matched.key_of(row)
            if known is None:
                elsewhere += row.tokens.weight
            else:
                ours[known[0]] += row.tokens.weight
    installation = matched.installations
    theirs: defaultdict[str | None, int] = defaultdict(int)
    for used in bill.used:
        if used.model == name:
            theirs[used.key] += used.tokens.weight
    beyond = {key: weight - ours[key] for key, weight in theirs.items() if weight > ours[key]}
    lost = {key: weight for key, weight in beyond.items() if key in installation}
    past = {key: weight for key, weight in beyond.items() if key not in installation}
    lost_weight = sum(lost.values())
    past_weight = max(0, sum(past.values()) - elsewhere)
    lost_nanos = model.money_gap * lost_weight // max(1, lost_weight + past_weight)
    return [
        (Cause.LOST_EVENTS, lost_nanos, _named(lost)),
        (Cause.PAST_THE_GATEWAY, model.money_gap - lost_nanos, _named(past)),
    ]


def _are_cents(bill: Bill, models: dict[str, _Model]) -> bool:
    tokens = sum(abs(each.token_gap) for each in models.values())
    if tokens * PERCENT > sum(each.theirs.weight for each in models.values()):
        return False
    low = sum(each.certain_nanos for each in models.values())
    high = low + sum(each.possible_nanos for each in models.values())
    least, most = low * (PERCENT - 1), high * (PERCENT + 1)
    return any(
        bill.nanos > 0 and least * times <= bill.nanos * PERCENT * each <= most * times
        for times, each in ((CENTS, 1), (1, CENTS))
    )


def _gap(value: int, low: int, high: int) -> int:
    return value - high if value > high else min(0, value - low)


def _named(keys: Iterable[str | None]) -> set[str]:
    return {key if key is not None else "none" for key in keys}


def _largest(models: dict[str, _Model]) -> tuple[str, ...]:
    return _most({name: each.money_gap for name, each in models.items() if each.money_gap})


def _most(by_model: dict[str, Nanos]) -> tuple[str, ...]:
    return tuple(sorted(by_model, key=lambda name: (-abs(by_model[name]), name))[:MOST_NAMED])
