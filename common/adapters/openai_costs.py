"""What OpenAI bills an organisation, by its API of usage and costs.

Sources: https://platform.openai.com/docs/api-reference/usage, and the types in the openai package
(`openai/types/admin/organization`). `GET /v1/organization/usage/completions` and `/embeddings` tell
tokens by model and key: `input_tokens` includes cached and written ones. `GET
/v1/organization/costs` tells money by day: `amount.value` is a number of dollars, `line_item` names
a model and what of it, as `gpt-6-astra, input_tokens`, or something that is no model's. Times are
seconds since 1970. Pictures, speech and transcripts are counted in other units there, so of these
money alone is compared.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from pydantic import ValidationError

from common.adapters.provider_costs import CostApi, Count, Part, Usd, by_day, span
from common.core.secrets import Secret
from common.gateway.upstream import Upstream
from common.reconciliation.rows import Bill, BillsUnavailable, Item, Tokens, Used

HOSTS = frozenset({"api.openai.com", "eu.api.openai.com", "us.api.openai.com"})
BASE_URL = "https://api.openai.com"
_USAGE = ("completions", "embeddings")
_CURRENCY = "usd"


class _Result(Part):
    model: str | None = None
    api_key_id: str | None = None
    input_tokens: Count = 0
    input_cached_tokens: Count | None = None
    input_cache_write_tokens: Count | None = None
    output_tokens: Count = 0


class _Amount(Part):
    value: Usd
    currency: str


class _Cost(Part):
    line_item: str | None = None
    amount: _Amount


class OpenAiCosts:
    """`Bills` of an organisation of OpenAI. One per process."""

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
            admin_key: an admin key with the right to read usage; keys of projects are refused.
            base_url: another address than OpenAI's own.
            of_api: deadline and more of `CostApi`.
        """
        bearer = (b"authorization", f"Bearer {admin_key.reveal()}".encode("latin-1"))
        self._api = CostApi(upstream, base_url, [bearer], **of_api)

    async def read(self, days: Iterable[date]) -> list[Bill]:
        bills: list[Bill] = await self._api.within_deadline(self._read(sorted(days)))
        return bills

    async def _read(self, days: list[date]) -> list[Bill]:
        used: dict[date, list[Used]] = {day: [] for day in days}
        for kind in _USAGE:
            path = f"/v1/organization/usage/{kind}"
            for day, results in (await self._days(path, days, "model", "api_key_id")).items():
                used.setdefault(day, []).extend(_used(each) for each in results)
        items = await self._days("/v1/organization/costs", days, "line_item")
        return [
            Bill(day, tuple(used[day]), tuple(_item(each) for each in items.get(day, ())))
            for day in days
        ]

    async def _days(
        self, path: str, days: list[date], *group_by: str
    ) -> Mapping[date, list[dict[str, Any]]]:
        since, until, number = span(days)
        asked = [
            ("start_time", str(int(since.timestamp()))),
            ("end_time", str(int(until.timestamp()))),
            ("bucket_width", "1d"),
            ("limit", str(number)),
            *(("group_by[]", each) for each in group_by),
        ]
        buckets = await self._api.buckets(path, asked)
        return by_day(buckets, lambda each: datetime.fromtimestamp(each["start_time"], UTC))


def _used(result: dict[str, Any]) -> Used:
    try:
        told = _Result.model_validate(result)
    except ValidationError:
        raise BillsUnavailable("a usage result cannot be read") from None
    tokens = Tokens(
        input=told.input_tokens,
        cache_read=told.input_cached_tokens or 0,
        cache_write=told.input_cache_write_tokens or 0,
        output=told.output_tokens,
    )
    return Used(told.api_key_id, told.model or "", tokens)


def _item(result: dict[str, Any]) -> Item:
    try:
        told = _Cost.model_validate(result)
    except ValidationError:
        raise BillsUnavailable("a cost result cannot be read") from None
    if told.amount.currency.lower() != _CURRENCY:
        raise BillsUnavailable("costs are not in USD")
    model, comma, _ = (told.line_item or "").rpartition(", ")
    return Item(model if comma else None, told.amount.value)
