"""Bills held against our events: each planted fault is named alone, and clean days are silent."""

from dataclasses import replace
from decimal import Decimal

import pytest

from common.reconciliation.comparing import Cause, Drift, Tolerance, compare, doubt
from common.reconciliation.rows import Bill, Called, Item, Tokens, Used
from tests.reconciliation.days import DAY, DOLLAR, Fault, a_day

SEEDS = range(1, 51)
MODEL = "openai/gpt-x"
OTHER = "openai/gpt-y"
SOME = Tokens(input=1_000_000, output=100_000)


def ours(
    dollars: float, tokens: Tokens = SOME, *, key: str = "m", managed: bool = True, **fields: object
) -> Called:
    return Called(key, managed, MODEL, tokens, round(dollars * DOLLAR), **fields)  # type: ignore[arg-type] # fields as they are


def theirs(
    usd: str, tokens: Tokens = SOME, *, key: str | None = "k", model: str | None = MODEL
) -> Bill:
    used = (Used(key, model, tokens),) if model is not None else ()
    return Bill(DAY, used, (Item(model, Decimal(usd)),))


def together(*bills: Bill) -> Bill:
    return Bill(
        DAY,
        tuple(used for bill in bills for used in bill.used),
        tuple(item for bill in bills for item in bill.items),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_is_silent_about_a_clean_day(seed: int) -> None:
    story = a_day(seed)

    assert compare(story.ledger, story.bill) == []
    assert story.bill.nanos > 50 * DOLLAR


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("price", Cause.PRICE_OFF),
        ("past", Cause.PAST_THE_GATEWAY),
        ("lost", Cause.LOST_EVENTS),
        ("cents", Cause.CENTS_FOR_DOLLARS),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_names_a_planted_fault_and_it_alone(seed: int, fault: Fault, cause: Cause) -> None:
    story = a_day(seed, fault)

    assert [drift.cause for drift in compare(story.ledger, story.bill)] == [cause]


@pytest.mark.parametrize("more", [Tokens(), Tokens(input=100)])
def test_the_same_tokens_at_another_price_are_a_price(more: Tokens) -> None:
    """Also where a call or two more are on the bill: they cannot cost as much."""
    drifts = compare([ours(100)], theirs("125", SOME + more))

    assert drifts == [Drift(Cause.PRICE_OFF, 25 * DOLLAR, (MODEL,))]


def test_calls_that_have_no_price_here_are_a_price() -> None:
    assert compare([ours(0, unpriced=7)], theirs("9")) == [
        Drift(Cause.PRICE_OFF, 9 * DOLLAR, (MODEL,))
    ]


@pytest.mark.parametrize(
    ("ours_usd", "theirs_usd", "tells"),
    [
        (100, "101.01", False),  # One percent of the bill.
        (100, "101.03", True),
        (10, "11", False),  # A dollar, where that is more.
        (10, "11.000000001", True),
        (10, "9", False),
        (10, "8.999999999", True),
    ],
)
def test_tells_what_is_beyond_the_limit(ours_usd: float, theirs_usd: str, *, tells: bool) -> None:
    assert bool(compare([ours(ours_usd)], theirs(theirs_usd))) is tells


def test_takes_another_limit() -> None:
    bill = theirs("100.02")

    assert compare([ours(100)], bill, Tolerance(percent=0, nanos=DOLLAR // 100)) != []


@pytest.mark.parametrize(("usd", "drift"), [("5000", 4_950), ("0.5", -49.5)])
def test_a_hundred_times_the_money_are_cents(usd: str, drift: float) -> None:
    assert compare([ours(50)], theirs(usd)) == [
        Drift(Cause.CENTS_FOR_DOLLARS, round(drift * DOLLAR), (MODEL,))
    ]


@pytest.mark.parametrize("usd", ["4900", "5100"])
def test_what_is_nearly_a_hundred_times_the_money_is_a_price(usd: str) -> None:
    assert [d.cause for d in compare([ours(50)], theirs(usd))] == [Cause.PRICE_OFF]


def test_a_hundred_times_the_calls_are_no_cents() -> None:
    many = Tokens(input=100 * SOME.input, output=100 * SOME.output)

    assert [d.cause for d in compare([ours(50)], theirs("5000", many))] == [Cause.LOST_EVENTS]


def test_calls_with_a_key_that_the_gateway_does_not_use_went_past_it() -> None:
    bill = together(theirs("100"), theirs("30", Tokens(300_000, output=30_000), key="somebody"))

    assert compare([ours(100)], bill) == [
        Drift(Cause.PAST_THE_GATEWAY, 30 * DOLLAR, (MODEL,), ("somebody",))
    ]


def test_calls_without_a_key_went_past_it_too() -> None:
    """As those that people make in a provider's console."""
    bill = together(theirs("100"), theirs("30", Tokens(300_000, output=30_000), key=None))

    [drift] = compare([ours(100)], bill)

    assert (drift.cause, drift.keys) == (Cause.PAST_THE_GATEWAY, ("none",))


def test_more_calls_with_the_gateways_key_are_events_that_were_lost() -> None:
    more = SOME + Tokens(300_000, output=30_000)

    assert compare([ours(100)], theirs("130", more)) == [
        Drift(Cause.LOST_EVENTS, 30 * DOLLAR, (MODEL,), ("k",))
    ]


def test_names_two_faults_of_one_day() -> None:
    bill = together(
        theirs("130", SOME + Tokens(300_000, output=30_000)),
        theirs("60", Tokens(600_000, output=60_000), key="somebody"),
    )

    drifts = compare([ours(100)], bill)

    assert {(d.cause, d.nanos) for d in drifts} == {
        (Cause.PAST_THE_GATEWAY, 60 * DOLLAR),
        (Cause.LOST_EVENTS, 30 * DOLLAR),
    }


def test_what_is_no_models_went_past_the_gateway() -> None:
    bill = together(theirs("100"), theirs("30", model=None))

    assert compare([ours(100)], bill) == [Drift(Cause.PAST_THE_GATEWAY, 30 * DOLLAR)]


def test_searches_are_in_our_costs_and_an_item_of_their_own_on_the_bill() -> None:
    bill = together(theirs("100"), theirs("30", model=None))

    assert compare([ours(130)], bill) == []
    assert compare([ours(130)], together(bill, theirs("9", model=None))) == [
        Drift(Cause.PAST_THE_GATEWAY, 9 * DOLLAR, ())
    ]


def test_estimates_explain_that_ours_is_more() -> None:
    cut = Tokens(output=200_000)
    ledger = [ours(100), ours(20, cut, estimated_nanos=20 * DOLLAR)]

    assert compare(ledger, theirs("100")) == [Drift(Cause.ESTIMATES, -20 * DOLLAR, (MODEL,))]


def test_ours_is_more_than_estimates_explain_where_the_bill_is_not_complete() -> None:
    ledger = [ours(100), ours(20, Tokens(output=200_000), estimated_nanos=5 * DOLLAR)]

    assert compare(ledger, theirs("100")) == [Drift(Cause.NOT_BILLED, -20 * DOLLAR, (MODEL,))]
    assert [d.cause for d in compare(ledger, Bill(DAY))] == [Cause.NOT_BILLED]


@pytest.mark.parametrize("edge", ["begun_before", "ended_after"])
def test_calls_over_midnight_are_on_either_bill(edge: str) -> None:
    night = Tokens(input=500_000)
    ledger = [ours(100), ours(50, night, edge=edge)]

    assert compare(ledger, theirs("100")) == []
    assert compare(ledger, theirs("150", SOME + night)) == []
    assert [d.nanos for d in compare(ledger, theirs("170", SOME + night + night))] == [20 * DOLLAR]
    assert [d.nanos for d in compare(ledger, theirs("80", Tokens(800_000, output=80_000)))] == [
        -20 * DOLLAR
    ]


def test_a_callers_own_key_may_be_of_another_account() -> None:
    own = ours(40, Tokens(input=700_000), key="o", managed=False)

    assert compare([ours(100), own], theirs("100")) == []


def test_a_callers_own_key_is_on_the_bill_that_has_a_key_that_used_the_same() -> None:
    own = ours(40, Tokens(input=700_000), key="o", managed=False)
    bill = together(theirs("100"), theirs("80", Tokens(input=700_000), key="k2"))

    assert compare([ours(100), own], bill) == [Drift(Cause.PRICE_OFF, 40 * DOLLAR, (MODEL,))]


def test_more_with_a_callers_own_key_went_past_the_gateway() -> None:
    own = ours(40, Tokens(input=700_000), key="o", managed=False)
    bill = together(theirs("100"), theirs("80", Tokens(input=1_400_000), key="k2"))

    [drift] = compare([ours(100), own], bill)

    assert (drift.cause, drift.nanos) == (Cause.PAST_THE_GATEWAY, 40 * DOLLAR)


def test_tokens_that_are_paid_for_otherwise_are_not_compared() -> None:
    bill = replace(theirs("10"), unbilled_tokens=True)

    assert compare([ours(100)], bill) == []
    assert doubt([ours(100)], bill) is not None


@pytest.mark.parametrize(
    ("bill", "ledger", "believed"),
    [
        (theirs("0.8"), [ours(0.8)], True),
        (theirs("0.795"), [ours(0.8)], True),
        (theirs("0.4"), [ours(0.8)], False),  # A price, or money that comes later.
        (Bill(DAY), [ours(0.8)], False),  # A bill that is not there yet.
        (theirs("0.7", SOME + Tokens(input=1)), [ours(0.8)], False),
        (theirs("0.8"), [ours(0.8), ours(0.1, Tokens(9), estimated_nanos=DOLLAR // 10)], True),
        (theirs("0.8"), [ours(0.8), ours(0.1, Tokens(9))], False),
        (together(theirs("0.8"), theirs("0.1", model=None)), [ours(0.9)], True),
    ],
)
def test_doubts_a_bill_that_is_low_for_another_reason(
    bill: Bill, ledger: list[Called], *, believed: bool
) -> None:
    """Below the limit too: budgets would release money."""
    assert (doubt(ledger, bill) is None) is believed
    assert compare(ledger, bill) == []
