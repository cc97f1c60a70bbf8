"""However many names callers make up, an instance makes a bounded number of series."""

from common.adapters.telemetry_series import Series
from common.core.metrics import (
    COST_TOTAL,
    INSTRUMENTS,
    MOST_SERIES,
    MOST_VALUES,
    SERVICE_REQUESTS,
    USED_INPUT,
)


def test_tells_the_first_values_of_an_attribute_apart() -> None:
    series = Series()
    most = MOST_VALUES["model"]

    told = [series.fold(COST_TOTAL, {"model": f"m{number}"})["model"] for number in range(most + 5)]

    assert told == [f"m{number}" for number in range(most)] + ["other"] * 5
    assert series.fold(COST_TOTAL, {"model": "m0"}) == {"model": "m0"}


def test_bounds_an_attribute_over_all_metrics() -> None:
    series = Series()
    for number in range(MOST_VALUES["model"]):
        series.fold(COST_TOTAL, {"model": f"m{number}"})

    assert series.fold(USED_INPUT, {"model": "another"}) == {"model": "other"}


def test_makes_no_more_series_than_an_instance_may_have() -> None:
    series = Series()

    made = {
        (instrument.name, *sorted(series.fold(instrument, attributes).items()))
        for team in range(100)
        for agent in range(60)
        for instrument in (COST_TOTAL, SERVICE_REQUESTS)
        for attributes in [{"team": f"t{team}", "agent": f"a{agent}"}]
    }

    assert MOST_SERIES - len(INSTRUMENTS) < len(made) <= MOST_SERIES
    assert ("custom.llm.cost.total", ("agent", "other"), ("team", "other")) in made


def test_goes_on_with_series_that_are_there_when_there_is_room_for_no_more() -> None:
    series = Series(most=len(INSTRUMENTS) + 1)
    series.fold(COST_TOTAL, {"team": "search"})

    assert series.fold(COST_TOTAL, {"team": "search"}) == {"team": "search"}
    assert series.fold(COST_TOTAL, {"team": "sales"}) == {"team": "other"}
