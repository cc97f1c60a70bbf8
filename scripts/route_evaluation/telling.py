"""How a judgement is printed: the figures, the rule, and the report that lets it out of shadow."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.routing.rules import Rule
from scripts.route_evaluation.judging import CONFIDENCE, DRAWS, Estimate, Judged, Tenth
from scripts.route_evaluation.labelled import LabelledSet
from scripts.route_evaluation.logistic import Fitted

_NANOS_PER_USD = 10**9
_RULE = "by-form"


@dataclass(frozen=True, slots=True)
class Judgement:
    """All that is told of one file. `sha256` is of its bytes, `seed` of the bootstrap."""

    labelled: LabelledSet
    sha256: str
    seed: int
    give_up: float
    fitted_on: int
    fitted: Fitted
    threshold: float
    judged: Judged


def lines(told: Judgement) -> Iterator[str]:
    """Everything that is printed, line by line."""
    judged, labelled = told.judged, told.labelled
    yield (
        f"{len(labelled.requests):,} requests, sha256 {told.sha256[:12]}; small: {labelled.small}, "
        f"large: {labelled.large}"
    )
    yield (
        f"fitted on {told.fitted_on:,}, judged by {judged.requests:,} of {judged.sessions:,} other "
        f"sessions; {CONFIDENCE:.0%} intervals, {DRAWS:,} draws of sessions, seed {told.seed}"
    )
    yield ""
    yield "way             large   mean score   USD for 1,000   saved against large"
    large = next(way for way in judged.ways if way.name == "always large")
    for way in judged.ways:
        usd = way.nanos / judged.requests * 1_000 / _NANOS_PER_USD
        saved = 1 - way.nanos / large.nanos if large.nanos else 0.0
        yield (
            f"{way.name:13}  {way.share_large:6.1%}   {way.mean_score:10.4f}   {usd:13.4f}   "
            f"{saved:19.1%}"
        )
    yield ""
    yield from _figures(judged)
    yield ""
    yield f"calibration: Brier {judged.brier:.4f}, one share for all {judged.brier_of_rate:.4f}"
    yield "probability   requests   expected   found"
    for number, tenth in enumerate(judged.tenths):
        yield _tenth(number, tenth)
    yield ""
    yield "rule, in shadow until the report below stands in it as `report`:"
    yield json.dumps(rule_of(told), indent=2)
    yield ""
    yield "report:"
    yield report_of(told)


def rule_of(told: Judgement) -> dict[str, Any]:
    """The rule, as `cloudops routes set` takes it."""
    structural = {
        "small": told.labelled.small,
        "large": told.labelled.large,
        "intercept": told.fitted.intercept,
        "weights": dict(told.fitted.weights),
        "threshold": told.threshold,
    }
    rule = Rule.model_validate({"name": _RULE, "use": {"structural": structural}, "shadow": True})
    return rule.model_dump(mode="json", exclude_unset=True)


def report_of(told: Judgement) -> str:
    """What the rule is worth, in one line that `report` of a rule has room for."""
    judged, labelled = told.judged, told.labelled
    share = next(way.share_large for way in judged.ways if way.name == "rule")
    return (
        f"route_eval, {len(labelled.requests)} labelled requests (sha256 {told.sha256[:12]}), "
        f"{labelled.small} or {labelled.large}, threshold {told.threshold}: judged by "
        f"{judged.requests} requests of {judged.sessions} sessions that were not fitted on. "
        f"{share:.1%} large. Saved at equal mean score {_percent(judged.saved_at_equal_score)}; "
        f"against always large {_percent(judged.saved)} at a mean score lower by "
        f"{_score(judged.given_up)} (allowed {told.give_up:g}). Too weak {judged.too_weak:.1%}, "
        f"too dear {judged.too_dear:.1%}. Brier {judged.brier:.4f} ({judged.brier_of_rate:.4f} "
        f"with one share for all). {CONFIDENCE:.0%} intervals."
    )


def _figures(judged: Judged) -> Iterator[str]:
    yield f"saved at equal mean score:    {_percent(judged.saved_at_equal_score)}"
    yield f"saved against always large:   {_percent(judged.saved)}"
    yield f"mean score lower by:          {_score(judged.given_up)}"
    yield f"mean score above random:      {_score(judged.above_random)}"
    yield f"cost above the oracle:        {_percent(judged.above_oracle)}"
    wrong = judged.too_weak + judged.too_dear
    yield (
        f"misrouted:                    {wrong:.1%}: {judged.too_weak:.1%} to the small model that "
        f"needed the large one, {judged.too_dear:.1%} the other way round"
    )


def _percent(found: Estimate) -> str:
    return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]"


def _score(found: Estimate) -> str:
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _tenth(number: int, tenth: Tenth | None) -> str:
    place = f"{number / 10:.1f} to {(number + 1) / 10:.1f}"
    if tenth is None:
        return f"{place:11}   {0:8}"
    return f"{place:11}   {tenth.requests:8,}   {tenth.expected:8.3f}   {tenth.found:5.3f}"
