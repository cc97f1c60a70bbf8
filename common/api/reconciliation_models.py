"""Views of reconciliations: a provider's bill of a day beside our events of it."""

from datetime import date

from pydantic import Field

from common.api.envelopes import Count, Time, Usd, View
from common.api.operations import Paging
from common.core.money import usd_text
from common.core.ports import Document
from common.reconciliation.records import Answering, Standing


class ReconciliationQuery(Paging):
    provider: str | None = None
    account: str | None = None
    standing: Standing | None = None
    since: date | None = Field(None, description="first day, of UTC; 30 days before the last one")
    until: date | None = Field(None, description="last day, of UTC; today")


class DriftView(View):
    cause: str
    usd: Usd = Field(description="how much more the provider bills for it than our events have")
    models: list[str] = Field(description="those with most of it")
    keys: list[str] = Field(description="the provider's ids of the keys that used more")


class ReconciliationView(View):
    """A day of one account, as it was found last."""

    id: str
    provider: str
    account: str = Field(description="at the provider; simulated: of the simulated provider")
    day: date = Field(description="of UTC")
    standing: Standing
    withheld: str | None = Field(description="why budgets are not told of it; null: they are")
    ours_usd: Usd = Field(description="what our calls of the day cost")
    theirs_usd: Usd = Field(description="what the provider bills")
    unproven_usd: Usd = Field(description="what budgets were charged beyond the cost of the calls")
    estimated_usd: Usd = Field(description="the part of ours that no provider has told")
    calls: int
    unpriced_calls: int
    drifts: list[DriftView]
    found_at: Time


class TokensView(View):
    input: int = Field(description="cached and written ones included")
    cache_read: int
    cache_write: int
    output: int


class ModelTokensView(View):
    model: str
    ours: TokensView
    theirs: TokensView


class WholeReconciliationView(ReconciliationView):
    """With the models that have most tokens on either side."""

    models: list[ModelTokensView]


class BillSourceView(View):
    """How an account of a provider stood when its bills were last asked for."""

    provider: str
    account: str
    standing: Answering
    cause: str | None = Field(description="why it does not answer; null where it does")
    asked_at: Time


class ReconciliationTotal(Count):
    drifts: int = Field(description="days with a drift")
    sources: list[BillSourceView] = Field(description="each account, whatever is asked for")


def day_view(document: Document) -> ReconciliationView:
    return ReconciliationView(**_fields(document))


def whole_view(document: Document) -> WholeReconciliationView:
    models = [ModelTokensView.model_validate(each) for each in document.data["models"]]
    return WholeReconciliationView(**_fields(document), models=models)


def source_view(document: Document) -> BillSourceView:
    return BillSourceView.model_validate(dict(document.data))


def _fields(document: Document) -> dict[str, object]:
    data = document.data
    plain = ("provider", "account", "standing", "withheld", "calls", "unpriced_calls", "found_at")
    sums = ("ours", "theirs", "unproven", "estimated")
    return {
        "id": document.ref.id,
        "day": date.fromisoformat(data["day"]),
        **{name: data[name] for name in plain},
        **{f"{name}_usd": usd_text(data[f"{name}_nanos"]) for name in sums},
        "drifts": [
            DriftView(
                cause=each["cause"],
                usd=usd_text(each["drift_nanos"]),
                models=list(each["models"]),
                keys=list(each["keys"]),
            )
            for each in data["drifts"]
        ],
    }
