"""Reports of usage and costs, as OpenAI's own client and Anthropic's documents have them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.admin.organization import usage_completions_response, usage_costs_response

from scripts.simulated.server import create_app
from tests.simulated.conftest import Caller, Served

BEGIN = datetime(2026, 11, 20, tzinfo=UTC)
ASKED: dict[str, Any] = {
    "start_time": int(BEGIN.timestamp()),
    "end_time": int(BEGIN.timestamp()) + 86_400,
    "bucket_width": "1d",
}


@pytest.fixture
def apart(served_app: Callable[[Any], Served]) -> Served:
    """A provider of one day."""
    return served_app(create_app(now=lambda: BEGIN.replace(hour=12)))


@pytest.fixture
def own(apart: Served, tag: str) -> Iterator[Caller]:
    with httpx.Client(base_url=apart.url, timeout=10) as http:
        yield Caller(http, tag)


def client(apart: Served, admin_key: str = "sim-admin") -> OpenAI:
    url = f"{apart.url}/openai/v1"
    return OpenAI(base_url=url, api_key="sim", admin_api_key=admin_key, max_retries=0)


def anthropic(apart: Served, report: str, **more: Any) -> Any:
    asked = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z", **more}
    headers = {"x-api-key": "sim-admin", "anthropic-version": "2023-06-01"}
    url = f"{apart.url}/anthropic/v1/organizations/{report}"
    return httpx.get(url, params=asked, headers=headers).raise_for_status().json()


def test_openais_client_reads_tokens(apart: Served, own: Caller) -> None:
    own.openai()
    own.openai()

    page = client(apart).admin.organization.usage.completions(
        **ASKED, group_by=["model", "api_key_id"]
    )

    [result] = page.data[0].results
    assert isinstance(
        result, usage_completions_response.DataResultOrganizationUsageCompletionsResult
    )
    rows = own.rows()
    assert (result.model, result.api_key_id) == (rows[0]["model"], f"key_sim_{own.tag}")
    assert result.input_tokens == sum(row["usage"]["prompt_tokens"] for row in rows)
    assert result.output_tokens == sum(row["usage"]["completion_tokens"] for row in rows)
    assert (result.num_model_requests, page.has_more) == (2, False)


def test_openais_client_reads_dollars(apart: Served, own: Caller) -> None:
    own.openai()

    page = client(apart).admin.organization.usage.costs(**ASKED, group_by=["line_item"])

    [result] = page.data[0].results
    assert isinstance(result, usage_costs_response.DataResultOrganizationCostsResult)
    assert result.amount is not None
    row = own.row()
    assert result.amount.value == pytest.approx(row["billed_nanos"] / 1e9)
    assert (result.amount.currency, result.api_key_id) == ("usd", None)
    assert result.line_item == f"{row['model']}, tokens"


def test_anthropic_tells_tokens_and_cents(apart: Served, own: Caller) -> None:
    own.anthropic()

    usage = anthropic(apart, "usage_report/messages", **{"group_by[]": "model"})
    costs = anthropic(apart, "cost_report")

    row = own.row()
    [used] = usage["data"][0]["results"]
    assert used["uncached_input_tokens"] == row["usage"]["input_tokens"]
    assert (used["model"], used["api_key_id"]) == (row["model"], None)
    [cost] = costs["data"][0]["results"]
    assert Decimal(cost["amount"]) * 10**7 == row["billed_nanos"]
    assert (cost["currency"], cost["model"]) == ("USD", None)


def test_answers_a_day_a_page_where_it_is_told_to(apart: Served, own: Caller) -> None:
    own.http.post("/simulated/behaviour", json={"bill-buckets": 1, "bill-factor": "100"})
    own.openai()
    asked = {**ASKED, "start_time": ASKED["start_time"] - 86_400}
    costs = client(apart).admin.organization.usage.costs

    first = costs(**asked)
    second = costs(**asked, page=first.next_page or "")

    assert (first.has_more, len(first.data), first.data[0].results) == (True, 1, [])
    assert (second.has_more, second.next_page) == (False, None)
    [result] = second.data[0].results
    assert isinstance(result, usage_costs_response.DataResultOrganizationCostsResult)
    assert result.amount is not None
    assert result.amount.value == pytest.approx(own.row()["billed_nanos"] / 1e7)


@pytest.mark.parametrize(
    ("key", "error"),
    [("sim", openai.PermissionDeniedError), ("other", openai.AuthenticationError)],
)
def test_takes_the_admin_key_alone(apart: Served, key: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        client(apart, key).admin.organization.usage.costs(**ASKED)


@pytest.mark.parametrize("query", ["", "start_time=x&end_time=1", "start_time=0&end_time=1&page=z"])
def test_refuses_queries_that_it_cannot_read(apart: Served, query: str) -> None:
    url = f"{apart.url}/openai/v1/organization/costs?{query}"

    answer = httpx.get(url, headers={"authorization": "Bearer sim-admin"})

    assert answer.status_code == 400
