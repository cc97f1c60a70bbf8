"""`POST /api/test-llm`: one chat call through the proxy, and what became of it."""

from typing import Annotated

from pydantic import Field

from common.api.envelopes import Usd, View, usd_or_none
from common.api.operations import (
    UNVERSIONED,
    Answer,
    AnyOperation,
    Asked,
    Call,
    NoQuery,
    Operation,
)
from common.gateway.llm_tests import LlmTestUnset

MOST_CHARACTERS = 16_000


class LlmTestBody(Asked):
    prompt: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]
    model: Annotated[str, Field(min_length=1, max_length=128)] = Field(examples=["gpt-5-mini"])


class AppliedEditView(View):
    name: str
    told: str = Field(description="to what: low, 1024")


class LlmTestView(View):
    response: str
    model: str = Field(description="the one that answered")
    requested_model: str
    mode: str = Field(description="normal, soft, hard or emergency: the mode it was answered in")
    edits: list[AppliedEditView] = Field(description="what a brownout gave up of the call")
    tokens: dict[str, int] = Field(description="by unit of the price list")
    cost_usd: Usd | None = Field(
        description="by the price list; what is simulated is charged to nobody"
    )
    cost_reason: str | None = Field(description="why the cost is not known")
    duration_ms: float
    simulated: bool = Field(description="no real provider has answered, and nothing was spent")
    request_id: str = Field(description="the call's id, by which its event is found")


def llm_test_operations() -> list[AnyOperation]:
    return [
        Operation(
            "test_llm", "POST", "/test-llm", "Send one chat call through the proxy, as a test",
            LlmTestView, _test, NoQuery, LlmTestBody, repeatable=True, prefix=UNVERSIONED,
        ),
    ]  # fmt: skip


async def _test(call: Call[NoQuery, LlmTestBody]) -> Answer:
    tests = call.services.llm_tests
    if tests is None:
        raise LlmTestUnset("no test can be sent from here")
    tested = await tests.make(call.body.prompt, call.body.model)
    return Answer(
        LlmTestView(
            response=tested.response,
            model=tested.model,
            requested_model=call.body.model,
            mode=tested.mode,
            edits=[AppliedEditView(name=name, told=told) for name, told in tested.edits],
            tokens=dict(tested.tokens),
            cost_usd=usd_or_none(tested.cost),
            cost_reason=tested.cost_reason,
            duration_ms=tested.duration_ms,
            simulated=tested.simulated,
            request_id=tested.request_id,
        )
    )
