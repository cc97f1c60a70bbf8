"""Anthropic's reports of usage and costs, from the ledger.

Shapes: https://platform.claude.com/docs/en/api/admin/cost_report and its neighbour for messages.
Amounts are decimal strings in cents, as there.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.refusals import Refusal
from scripts.simulated.reports import (
    DAY,
    Rows,
    check_admin_key,
    read_asked,
    regrouped,
    sums_of,
)
from scripts.simulated.vendors import Call

_NANOS_PER_CENT = 10_000_000
_COSTS = "/v1/organizations/cost_report"
_FORM = "%Y-%m-%dT%H:%M:%SZ"


def answer(call: Call, rows: Rows, knobs: Behaviour) -> bytes:
    """A page of a report."""
    check_admin_key(call.headers.get(b"x-api-key"))
    if b"anthropic-version" not in call.headers:
        raise Refusal(400, "anthropic-version: header is required")
    asked = read_asked(call, "starting_at", "ending_at", datetime.fromisoformat)
    days, cursor = asked.days(knobs)
    data = []
    for day, groups in sums_of(rows, frozenset({"anthropic", "anthropic-chat"}), days).items():
        begin = datetime.combine(day, datetime.min.time(), UTC)
        results = (
            _costs(groups, asked.group_by, knobs)
            if call.path == _COSTS
            else _usage(groups, asked.group_by)
        )
        data.append(
            {
                "starting_at": begin.strftime(_FORM),
                "ending_at": (begin + DAY).strftime(_FORM),
                "results": results,
            }
        )
    return orjson.dumps({"data": data, "has_more": cursor is not None, "next_page": cursor})


def _usage(groups: Any, group_by: frozenset[str]) -> list[dict[str, Any]]:
    return [
        {
            "uncached_input_tokens": sums.tokens["input"]
            - sums.tokens["cache_read"]
            - sums.tokens["cache_write"],
            "cache_creation": {
                "ephemeral_1h_input_tokens": 0,
                "ephemeral_5m_input_tokens": sums.tokens["cache_write"],
            },
            "cache_read_input_tokens": sums.tokens["cache_read"],
            "output_tokens": sums.tokens["output"],
            "server_tool_use": {"web_search_requests": 0},
            "api_key_id": key,
            "workspace_id": None,
            "model": model,
            "service_tier": "standard" if "service_tier" in group_by else None,
            "context_window": None,
            "inference_geo": None,
        }
        for (key, model), sums in regrouped(groups, ["api_key_id" in group_by, "model" in group_by])
    ]


def _costs(groups: Any, group_by: frozenset[str], knobs: Behaviour) -> list[dict[str, Any]]:
    by_description = "description" in group_by
    return [
        {
            "currency": "USD",
            "amount": f"{Decimal(sums.nanos) * knobs.bill_factor / _NANOS_PER_CENT:f}",
            "workspace_id": None,
            "description": f"{model} Usage" if by_description else None,
            "cost_type": "tokens" if by_description else None,
            "context_window": None,
            "model": model,
            "service_tier": "standard" if by_description else None,
            "token_type": None,
            "inference_geo": None,
        }
        for (_, model), sums in regrouped(groups, [False, by_description])
    ]
