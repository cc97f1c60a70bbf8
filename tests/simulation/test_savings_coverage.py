"""Intervals of savings hold what was truly saved, as often as they say."""

import random

import pytest

from scripts.brownout_simulation.saving_incidents import (
    KINDS,
    LEAST_HELD,
    cover,
    incident,
    recorded,
)
from scripts.brownout_simulation.traces import made_trace

TRACE = made_trace()
CONTEXTS = [each.context for each in TRACE.calls]
SEED = 101


@pytest.mark.slow
def test_hold_the_truth_of_nineteen_in_twenty_brownouts() -> None:
    """With answers as long as those of a chat service, and 100 of them in the holdout."""
    found = cover(recorded(TRACE, SEED), CONTEXTS, 1_000, SEED)

    assert found.coverage >= 0.93
    assert found.half_width < found.of_totals


@pytest.mark.parametrize("kind", KINDS)
def test_are_the_same_for_the_same_seed(kind: str) -> None:
    lengths = KINDS[kind](TRACE, SEED)

    assert cover(lengths, CONTEXTS, 5, SEED) == cover(lengths, CONTEXTS, 5, SEED)


def test_rest_on_enough_calls_and_a_truth_that_sums_tell() -> None:
    """Where each call is as long as the next there is nothing to guess."""
    made = incident([200.0], [1_000], random.Random(SEED))

    assert sum(each.holdout.calls for each in made.sums.strata) >= LEAST_HELD
    told = sum(
        each.holdout.output_nanos * each.degraded.calls // each.holdout.calls
        - each.degraded.output_nanos
        + each.degraded.asked_nanos
        - each.degraded.input_nanos
        for each in made.sums.strata
        if each.holdout.calls
    )
    assert told == made.truth
