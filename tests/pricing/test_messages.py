"""What people are told of prices that are held, and of a source that is silent."""

from datetime import timedelta

from common.core.events import Event
from common.core.price_events import PriceBookPublished
from common.incidents.messages import told_of
from common.incidents.told import Told
from tests.pricing.conftest import Pricing
from tests.pricing.lists import NOW, RATES, changed, compiled, lab, model


def told(event: Event) -> Told:
    found = told_of(event, None)
    assert found is not None
    return found


async def test_tells_which_price_is_held_and_how_it_differs(pricing: Pricing) -> None:
    await pricing.refresh(changed(lab(), "two", prices={**RATES, "input_mtok": 20}))

    message = told(pricing.bus.events[-1])

    assert (message.severity, message.title) == ("warning", "1 price of the public list waits")
    assert message.what == (
        "lab/two: a price moves by more than 30 %; input_tokens per 1,000,000: 2 -> 20.",
    )


async def test_tells_of_many_prices_by_their_first(pricing: Pricing) -> None:
    many = [model(f"m{number:02}") for number in range(30)]
    pricing.shipped = compiled(lab(*many))
    dear = [{**each, "prices": {**RATES, "input_mtok": 20}} for each in many]

    await pricing.refresh(lab(*dear))

    message = told(pricing.bus.events[-1])
    assert message.title == "30 prices of the public list wait"
    assert (len(message.what), message.what[-1]) == (21, "And 10 more.")


async def test_tells_why_a_list_is_refused(pricing: Pricing) -> None:
    await pricing.refresh(lab(model("one")))

    message = told(pricing.bus.events[-1])

    assert message.title == "The public price list is refused"
    assert message.what == ("Nothing of the list is taken: the list has 1 models, and had 4",)


async def test_tells_that_a_source_is_silent(pricing: Pricing) -> None:
    pricing.source.failure = "it answers 500"
    await pricing.refresh()
    pricing.clock.advance(timedelta(days=7))
    await pricing.refresh()

    message = told(pricing.bus.events[-1])

    assert (message.title, message.since) == ("Prices may be out of date", NOW)
    assert message.what == ("genai-prices has not brought a usable price list. it answers 500",)


async def test_tells_nobody_that_a_book_is_published(pricing: Pricing) -> None:
    await pricing.refresh(lab(*[model(name) for name in ("one", "two", "six", "ten", "new")]))

    [event] = pricing.bus.events
    assert isinstance(event, PriceBookPublished)
    assert told_of(event, None) is None
