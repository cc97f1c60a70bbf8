"""Grafana's dashboard asks Prometheus for what is sent, under the names that it has there."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from common.core import metrics
from common.core.metrics import INSTRUMENTS, Instrument
from tests.repository.sources import ROOT

DASHBOARD: dict[str, Any] = json.loads((ROOT / "terraform/dashboards/grafana.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]

NAME = re.compile(r"\b(?:custom|gen_ai)_\w+(?=\{|, job\))")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
UNITS = {"s": "seconds", "%": "percent", "1": ""}
LABELS = {
    metrics.CURRENT_MODE: {"scope"},
    metrics.ACTIVATIONS: {"scope", "to_mode", "source"},
    metrics.SERVICE_REQUESTS: {"outcome"},
    metrics.TIME_TO_FIRST_CHUNK: {"le", "gen_ai_provider_name"},
    metrics.TOKEN_COST_PER_HOUR: {"org", "team"},
    metrics.COST_SAVED: {"scope", "method"},
    metrics.COST_LOST: {"scope", "method"},
    metrics.BROWNOUT_ACTIONS: {"action", "mode", "provider", "outcome"},
    metrics.TELEMETRY_DROPPED: {"signal", "reason"},
}
"""What the dashboard shows, and by which attributes that can be told apart."""


def name_of(instrument: Instrument) -> str:
    """The name of a metric that came by OTLP, before a histogram's endings.

    The rules are those of https://github.com/prometheus/otlptranslator (1.0): a unit is appended
    unless it stands in braces or in the name, `total` to counters, `ratio` to gauges without unit.
    """
    words = re.findall("[A-Za-z0-9]+", instrument.name)
    unit = UNITS.get(instrument.unit, instrument.unit)
    if unit and "{" not in unit and unit not in words:
        words.append(unit)
    if instrument.kind == "counter":
        words = [*(word for word in words if word != "total"), "total"]
    if instrument.kind == "gauge" and instrument.unit == "1":
        words.append("ratio")
    return "_".join(words)


def names_of(instrument: Instrument) -> set[str]:
    name = name_of(instrument)
    if instrument.kind == "histogram":
        return {f"{name}_{ending}" for ending in ("bucket", "count", "sum")}
    return {name}


def expressions() -> Iterator[str]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"]


def test_translates_names_as_prometheus_does() -> None:
    assert [name_of(each) for each in (metrics.CURRENT_MODE, metrics.AVAILABILITY)] == [
        "custom_brownout_current_mode_ratio",
        "custom_service_availability_percent",
    ]
    assert [name_of(each) for each in (metrics.COST_TOTAL, metrics.USED_INPUT)] == [
        "custom_llm_cost_USD_total",
        "gen_ai_client_inference_usage_input_tokens_total",
    ]
    assert name_of(metrics.RESPONSE_DURATION) == "custom_llm_response_duration_seconds"


def test_asks_for_nothing_that_is_not_sent() -> None:
    text = json.dumps(DASHBOARD)
    sent = set().union(*map(names_of, INSTRUMENTS))

    asked = set(NAME.findall(text))

    assert asked - sent == set()
    assert {word for word in re.findall(r"\bcustom_\w+", text) if word not in asked} == set()


@pytest.mark.parametrize("instrument", LABELS, ids=lambda each: each.name)
def test_shows_what_people_watch(instrument: Instrument) -> None:
    showing = [each for each in expressions() if set(NAME.findall(each)) & names_of(instrument)]

    assert showing != []
    for expression in showing:
        [labels] = GROUPED.findall(expression)
        assert set(labels.split(", ")) - LABELS[instrument] == set()


def test_has_panels_with_ids_of_their_own_that_do_not_overlap() -> None:
    ids = [panel["id"] for panel in PANELS]
    places = [
        (x, y)
        for panel in PANELS
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(ids) == len(set(ids))
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24


def test_asks_the_source_that_its_reader_chooses() -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    sources = [each["datasource"]["uid"] for panel in PANELS for each in [panel, *panel["targets"]]]

    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == (
        "datasource",
        "prometheus",
    )
    assert set(sources) == {"${datasource}"}
    assert all('job=~"$job"' in expression for expression in expressions())
