"""What Anthropic bills an organisation, by its API of usage and costs.

Sources: https://platform.claude.com/docs/en/build-with-claude/usage-cost-api and
https://platform.claude.com/docs/en/api/admin/cost_report. `GET
/v1/organizations/usage_report/messages` tells tokens by model and key, those of caches beside the
others. `GET /v1/organizations/cost_report` tells money by day: **`amount` is a decimal string in
cents**, and `model` is null for what is no model's tokens (searches, code execution). What
Priority Tier used is in the first report, and what it costs in neither.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError

from common.adapters.provider_costs import CostApi, Count, Part, Usd, by_day, moment, span
from common.core.secrets import Secret
from common.gateway.upstream import Upstream
from common.reconciliation.rows import Bill, BillsUnavailable, Item, Tokens, Used

HOSTS = frozenset({"api.anthropic.com"})
BASE_URL = "https://api.anthropic.com"
VERSION = b"2023-06-01"
_CENTS = Decimal(100)
_PAID_OTHERWISE = "priority"
"""Bought ahead, at the same prices or not: https://platform.claude.com/docs/en/api/service-tiers.
`priority_on_demand` has a price a token."""
_FORM = "%Y-%m-%dT%H:%M:%SZ"


class _Written(Part):
    ephemeral_1h_input_tokens: Count = 0
    ephemeral_5m_input_tokens: Count = 0


class _Result(Part):
    model: str | None = None
    api_key_id: str | None = None
    service_tier: str | None = None
    uncached_input_tokens: Count = 0
    cache_read_input_tokens: Count = 0
    cache_creation: _Written | None = None
    output_tokens: Count = 0


class _Cost(Part):
    amount: Usd
    currency: Literal["USD"]
    model: str | None = None


class AnthropicCosts:
    """`Bills` of an organisation of Anthropic. One per process."""

    def __init__(
        self,
        upstream: Upstream,
        admin_key: Secret,
        *,
        base_url: str = BASE_URL,
        **of_api: Any,
    ) -> None:
        """Take what is needed to ask.

        Args:
            upstream: the connection.
            admin_key: an admin key (``sk-ant-admin...``); others are refused.
            base_url: another address than Anthropic's own.
            of_api: deadline and more of `CostApi`.
        """
        headers = [
            (b"x-api-key", admin_key.reveal().encode("latin-1")),
            (b"anthropic-version", VERSION),
        ]
        self._api = CostApi(upstream, base_url, headers, **of_api)

    async def read(self, days: Iterable[date]) -> list[Bill]:
        bills: list[Bill] = await self._api.within_deadline(self._read(sorted(days)))
        return bills

    async def _read(self, days: list[date]) -> list[Bill]:
        path = "/v1/organizations/usage_report/messages"
        usage = await self._days(path, days, "model", "api_key_id", "service_tier")
        costs = await self._days("/v1/organizations/cost_report", days, "description")
        return [_bill(day, usage.get(day, []), costs.get(day, [])) for day in days]

    async def _days(
        self, path: str, days: list[date], *group_by: str
    ) -> Mapping[date, list[dict[str, Any]]]:
        since, until, number = span(days)
        asked = [
            ("starting_at", since.strftime(_FORM)),
            ("ending_at", until.strftime(_FORM)),
            ("bucket_width", "1d"),
            ("limit", str(number)),
            *(("group_by[]", each) for each in group_by),
        ]
        return by_day(await self._api.buckets(path, asked), _begin)


def _begin(bucket: dict[str, Any]) -> datetime:
    return moment(bucket["starting_at"])


def _bill(day: date, usage: list[dict[str, Any]], costs: list[dict[str, Any]]) -> Bill:
    try:
        used = [_Result.model_validate(each) for each in usage]
        items = [_Cost.model_validate(each) for each in costs]
    except ValidationError:
        raise BillsUnavailable("a result cannot be read") from None
    return Bill(
        day,
        tuple(_used(each) for each in used),
        tuple(Item(each.model, each.amount / _CENTS) for each in items),
        unbilled_tokens=any(each.service_tier == _PAID_OTHERWISE for each in used),
    )


def _used(told: _Result) -> Used:
    written = told.cache_creation or _Written()
    in_all = written.ephemeral_5m_input_tokens + written.ephemeral_1h_input_tokens
    tokens = Tokens(
        input=told.uncached_input_tokens + told.cache_read_input_tokens + in_all,
        cache_read=told.cache_read_input_tokens,
        cache_write=in_all,
        output=told.output_tokens,
    )
    return Used(told.api_key_id, told.model or "", tokens)
