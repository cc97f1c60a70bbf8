"""OpenAI's reports of usage and costs, from the ledger.

Shapes: https://platform.openai.com/docs/api-reference/usage. Amounts are numbers of dollars, as
there, and an item is one model's.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from common.core.money import NANOS_PER_USD, Nanos
from scripts.simulated.behaviour import Behaviour
from scripts.simulated.reports import Rows, check_admin_key, read_asked, regrouped, sums_of
from scripts.simulated.vendors import Call

_COSTS = "/v1/organization/costs"
_KINDS = ("completions", "embeddings")
_EMBEDDING = "embedding"


def answer(call: Call, rows: Rows, knobs: Behaviour) -> bytes:
    """A page of a report."""
    scheme, _, shown = call.headers.get(b"authorization", b"").partition(b" ")
    check_admin_key(shown.strip() if scheme.lower() == b"bearer" else None)
    asked = read_asked(call, "start_time", "end_time", _moment)
    days, cursor = asked.days(knobs)
    kind = None if call.path == _COSTS else call.path.rpartition("/")[2]
    data = []
    for day, groups in sums_of(rows, frozenset({"openai"}), days).items():
        begin = int(datetime.combine(day, datetime.min.time(), UTC).timestamp())
        chosen = {
            name: sums for name, sums in groups.items() if kind is None or _kind_of(name[1]) == kind
        }
        results = (
            _costs(chosen, asked.group_by, knobs)
            if kind is None
            else _usage(chosen, asked.group_by, kind)
        )
        data.append(
            {
                "object": "bucket",
                "start_time": begin,
                "end_time": begin + 86_400,
                "results": results,
            }
        )
    page = {"object": "page", "data": data, "has_more": cursor is not None, "next_page": cursor}
    return orjson.dumps(page)


def _usage(groups: Any, group_by: frozenset[str], kind: str) -> list[dict[str, Any]]:
    found = []
    for (key, model), sums in regrouped(groups, ["api_key_id" in group_by, "model" in group_by]):
        result = {
            "object": f"organization.usage.{kind}.result",
            "input_tokens": sums.tokens["input"],
            "num_model_requests": sums.requests,
            "project_id": None,
            "user_id": None,
            "api_key_id": key,
            "model": model,
        }
        if kind == _KINDS[0]:
            result |= {
                "input_cached_tokens": sums.tokens["cache_read"],
                "input_cache_write_tokens": sums.tokens["cache_write"],
                "output_tokens": sums.tokens["output"],
                "batch": None,
                "service_tier": None,
            }
        found.append(result)
    return found


def _costs(groups: Any, group_by: frozenset[str], knobs: Behaviour) -> list[dict[str, Any]]:
    return [
        {
            "object": "organization.costs.result",
            "amount": {
                "value": orjson.Fragment(_number(sums.nanos, knobs)),
                "currency": "usd",
            },
            "line_item": None if model is None else f"{model}, tokens",
            "project_id": None,
            "api_key_id": key,
        }
        for (key, model), sums in regrouped(
            groups, ["api_key_id" in group_by, "line_item" in group_by]
        )
    ]


def _number(nanos: Nanos, knobs: Behaviour) -> str:
    """Dollars as a JSON number."""
    return f"{Decimal(nanos) * knobs.bill_factor / NANOS_PER_USD:f}"


def _kind_of(model: str) -> str:
    return _KINDS[1] if _EMBEDDING in model else _KINDS[0]


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(int(text), UTC)
