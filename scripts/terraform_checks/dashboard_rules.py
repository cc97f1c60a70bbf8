"""The dashboard that an apply makes is one that the API takes and people can read.

Form: https://cloud.google.com/monitoring/api/ref_v3/rest/v1/projects.dashboards
"""

import json
from collections.abc import Iterator
from typing import Any

from scripts.terraform_checks.designed_events import Sources
from scripts.terraform_checks.mocked_apply import Applied, Values

COLUMNS = 48
"""The most that a grid may have."""
PLOTS = {"LINE", "STACKED_AREA"}
TILE = {"xPos", "yPos", "width", "height", "widget"}


def has_a_broken_dashboard(applied: Applied, _sources: Sources) -> list[str]:
    dashboards = applied.of_type("google_monitoring_dashboard")
    if len(dashboards) != 1:
        return [f"{len(dashboards)} dashboards instead of one"]
    [values] = dashboards.values()
    dashboard = json.loads(values["dashboard_json"])
    found = []
    if dashboard.get("displayName") != f"Open Cloud Ops ({applied.of.prefix})":
        found.append("dashboard: its name does not tell installations apart")
    layout = dashboard.get("mosaicLayout", {})
    if {*dashboard} != {"displayName", "mosaicLayout"} or {*layout} != {"columns", "tiles"}:
        found.append("dashboard: not of the form that the API takes")
    if layout.get("columns") != COLUMNS:
        found.append(f"dashboard: {layout.get('columns')} columns instead of {COLUMNS}")
    return [*found, *_of_tiles(layout.get("tiles", []))]


def _of_tiles(tiles: list[Values]) -> Iterator[str]:
    taken: set[tuple[int, int]] = set()
    for number, tile in enumerate(tiles):
        left, top = tile.get("xPos", 0), tile.get("yPos", 0)
        cells = {
            (x, y)
            for x in range(left, left + tile.get("width", 0))
            for y in range(top, top + tile.get("height", 0))
        }
        if not cells or cells & taken or left + tile.get("width", 0) > COLUMNS:
            yield f"dashboard, tile {number}: not in a place of its own"
        if {*tile} - TILE:
            yield f"dashboard, tile {number}: {', '.join({*tile} - TILE)} is no field of a tile"
        taken |= cells
        yield from _of_widget(number, tile.get("widget", {}))
    if not tiles:
        yield "dashboard: no tile"


def _of_widget(number: int, widget: Values) -> Iterator[str]:
    if not widget.get("title"):
        yield f"dashboard, tile {number}: no title"
    sets: list[dict[str, Any]] = widget.get("xyChart", {}).get("dataSets", [])
    if not sets:
        yield f"dashboard, tile {number}: nothing to show"
    for one in sets:
        asked = one.get("timeSeriesQuery", {})
        if not asked.get("prometheusQuery") or {*asked} - {"prometheusQuery", "unitOverride"}:
            yield f"dashboard, tile {number}: no query"
        if one.get("plotType") not in PLOTS or one.get("targetAxis") != "Y1":
            yield f"dashboard, tile {number}: not drawn"
