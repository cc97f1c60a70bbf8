"""What a brownout does to a call on its way, and what client, provider and event see of it."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.modes import Mode
from common.core.events import UsageEvent
from common.gateway.keys import KeyPolicy
from common.gateway.upstream import UpstreamReply, UpstreamRequest
from tests.gateway.making import a_key, store
from tests.streams.brownouts import ENFORCED, Begin, a_scope, brownout
from tests.streams.conftest import MakeClient
from tests.streams.fakes import (
    JSON,
    OPENAI_REPLY,
    Client,
    KeepingBus,
    ScriptedReply,
    ScriptedUpstream,
)
from tests.streams.hard_budgets import Make, budget, period_of

__all__ = ["brownout", "budget"]

BODY = (
    b'{"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}],'
    b' "service_tier":"priority"}'
)
REFUSED = b'{"error":{"message":"Unsupported value","type":"invalid_request_error"}}'
GEMINI = b'{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}'
SHED_HEADERS = {"x-gateway-error": "brownout_shed", "x-should-retry": "false"}


@dataclass(slots=True)
class Answers:
    """A provider that gives these answers in turn, the last one again and again."""

    replies: list[tuple[int, bytes]]
    requests: list[UpstreamRequest] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.requests.append(request)
        status, body = self.replies[min(len(self.requests), len(self.replies)) - 1]
        return ScriptedReply([body], status=status, headers=JSON)


@pytest.fixture(autouse=True)
def answering(upstream: ScriptedUpstream) -> None:
    upstream.reply = ScriptedReply([OPENAI_REPLY], headers=JSON)


def sent(upstream: ScriptedUpstream | Answers) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(upstream.requests[-1].body)
    return body


def edits(bus: KeepingBus) -> dict[str, str]:
    return {each.name: each.outcome for each in bus.only.edits}


async def with_key(documents: SqliteDocuments, **policy: Any) -> None:
    await store(documents, a_key(policy=KeyPolicy(**policy)))


async def test_changes_no_byte_in_normal_mode(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(scopes={"provider:anthropic": a_scope(Mode.EMERGENCY)})

    exchange = await client.call(body=BODY)

    assert upstream.requests[0].body == BODY
    assert not [name for name in exchange.headers if name.startswith("x-brownout")]
    assert (bus.only.mode, bus.only.mode_by, bus.only.edits) == ("normal", None, ())


async def test_asks_for_less_and_says_so(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.HARD)

    exchange = await client.call(body=BODY)

    body = sent(upstream)
    assert (body["model"], body["reasoning_effort"]) == ("gpt-5-mini", "low")
    assert "service_tier" not in body
    assert body["messages"][0]["content"].startswith("Hi")
    assert exchange.headers["x-brownout-mode"] == "hard"
    assert "model=gpt-5-mini" in exchange.headers["x-brownout-actions"]
    assert exchange.headers["x-brownout-original-model"] == "gpt-5"
    assert exchange.headers["x-brownout-episode"] == bus.only.episode
    event = bus.only
    assert (event.mode, event.mode_by, event.arm) == ("hard", "state", "degraded")
    assert (event.model_asked, event.model_sent) == ("gpt-5", "gpt-5-mini")
    assert edits(bus)["model"] == "applied"
    assert (event.strategy, event.enforced, event.priority) == ("default", True, "normal")


async def test_only_records_what_it_would_do_in_shadow(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.EMERGENCY, policy=replace(ENFORCED, enforcement="shadow"))

    exchange = await client.call(body=BODY, headers={"x-priority": "batch"})

    assert upstream.requests[0].body == BODY
    assert not [name for name in exchange.headers if name.startswith("x-brownout")]
    assert edits(bus)["shed"] == "shadow"
    assert edits(bus)["model"] == "shadow"
    assert (bus.only.mode, bus.only.enforced, bus.only.outcome) == ("emergency", False, "ok")


async def test_sends_gemini_s_call_to_the_other_model_by_its_path(
    make_client: MakeClient, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    maps = {"cheaper": replace(ENFORCED.maps["cheaper"], patterns={"*pro": "gemini-2.5-flash"})}
    strategy = ENFORCED.strategies["default"]
    moved = [
        replace(each, edit=maps["cheaper"]) if type(each.edit) is type(maps["cheaper"]) else each
        for each in strategy.hard
    ]
    strategies = {"default": replace(strategy, hard=tuple(moved))}
    await brownout(Mode.HARD, policy=replace(ENFORCED, maps=maps, strategies=strategies))

    await make_client().call(
        "/gemini/v1beta/models/gemini-2.5-pro:generateContent",
        GEMINI,
        headers={"authorization": "", "x-goog-api-key": "AIza-of-the-caller"},
    )

    assert upstream.requests[0].url.endswith("/models/gemini-2.5-flash:generateContent")
    assert (bus.only.model_asked, bus.only.model_sent) == ("gemini-2.5-pro", "gemini-2.5-flash")


@pytest.mark.parametrize(
    "asked",
    [
        ("/openai/v1/chat/completions", BODY),
        ("/anthropic/v1/messages", b'{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[]}'),
        ("/gemini/v1beta/models/gemini-2.5-pro:generateContent", GEMINI),
    ],
)
async def test_sheds_batch_in_an_emergency_so_that_no_client_retries(
    client: Client,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    brownout: Begin,
    asked: tuple[str, bytes],
) -> None:
    await brownout(Mode.EMERGENCY)

    exchange = await client.call(*asked, headers={"x-priority": "batch"})

    assert exchange.status == 429
    assert SHED_HEADERS.items() <= exchange.headers.items()
    assert exchange.headers["x-brownout-mode"] == "emergency"
    assert exchange.headers["x-brownout-episode"] == bus.only.episode
    assert 1 <= int(exchange.headers["retry-after"]) <= 60
    assert upstream.requests == []
    assert (bus.only.outcome, bus.only.error_code, bus.only.mode) == (
        "shed",
        "brownout_shed",
        "emergency",
    )


async def test_lets_a_share_of_batch_in_and_asks_the_rest_to_come_back_soon(
    client: Client, upstream: ScriptedUpstream, brownout: Begin
) -> None:
    await brownout(Mode.HARD)

    exchanges = [await client.call(body=BODY, headers={"x-priority": "batch"}) for _ in range(60)]

    refused = [each for each in exchanges if each.status == 429]
    assert {each.headers["x-brownout-mode"] for each in exchanges} == {"hard"}
    assert 15 <= len(refused) <= 45
    assert len(upstream.requests) == 60 - len(refused)
    assert all(1 <= int(each.headers["retry-after"]) <= 30 for each in refused)
    assert not [each for each in refused if "x-should-retry" in each.headers]


async def test_lets_the_share_in_of_one_conversation_without_a_change_of_its_mode(
    client: Client, bus: KeepingBus, brownout: Begin
) -> None:
    """Who is refused and comes back is served, sooner or later."""
    await brownout(Mode.HARD)
    headers = {"x-priority": "batch", "x-gateway-session": "one"}

    statuses = [(await client.call(body=BODY, headers=headers)).status for _ in range(60)]

    assert 15 <= statuses.count(429) <= 45
    assert {event.mode for event in bus.events if isinstance(event, UsageEvent)} == {"hard"}


async def test_grants_no_priority_above_the_key_s(
    client: Client, documents: SqliteDocuments, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.EMERGENCY)
    await with_key(documents, priority="batch")

    exchange = await client.call(body=BODY, headers={"x-priority": "critical"})

    assert (exchange.status, bus.only.priority) == (429, "batch")


async def test_takes_back_what_a_provider_refuses_and_leaves_one_edit_for_an_hour(
    make_client: MakeClient, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.HARD)
    client, answers = make_client(), Answers([(400, REFUSED), (200, OPENAI_REPLY)])
    client.gateway.forwarding.sender.upstream = answers

    first = await client.call(body=BODY)
    outcomes = edits(bus)
    bus.events.clear()
    await client.call(body=BODY)

    assert first.status == 200
    assert answers.requests[0].body != BODY
    assert answers.requests[1].body == BODY
    assert set(outcomes.values()) == {"rejected"}
    assert "x-brownout-actions" not in first.headers
    assert edits(bus) == {name: "applied" for name in outcomes if name != "model"}


async def test_blames_no_edit_for_a_request_that_is_wrong_by_itself(
    make_client: MakeClient, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.HARD)
    client, answers = make_client(), Answers([(400, REFUSED), (400, REFUSED), (200, OPENAI_REPLY)])
    client.gateway.forwarding.sender.upstream = answers

    wrong = await client.call(body=BODY)
    bus.events.clear()
    await client.call(body=BODY)

    assert (wrong.status, wrong.content) == (400, REFUSED)
    assert edits(bus)["model"] == "applied"


async def test_holds_the_original_anew_when_its_edited_form_was_refused(
    make_client: MakeClient,
    documents: SqliteDocuments,
    bus: KeepingBus,
    brownout: Begin,
    budget: Make,
) -> None:
    await budget()
    await brownout(Mode.SOFT)
    client, answers = make_client(), Answers([(400, REFUSED), (200, OPENAI_REPLY)])
    client.gateway.forwarding.sender.upstream = answers

    exchange = await client.call(body=BODY)

    event, period = bus.only, await period_of(documents)
    assert (exchange.status, len(event.settlements)) == (200, 1)
    assert event.settlements[0].nanos == event.cost_nanos
    assert (period.settled, period.leased) == (event.cost_nanos, 0)


async def test_answers_as_the_budget_does_when_the_original_does_not_fit(
    make_client: MakeClient,
    documents: SqliteDocuments,
    bus: KeepingBus,
    brownout: Begin,
    budget: Make,
) -> None:
    await budget(900_000_000)
    await brownout(Mode.SOFT)
    client, answers = make_client(), Answers([(400, REFUSED), (200, OPENAI_REPLY)])
    client.gateway.forwarding.sender.upstream = answers

    exchange = await client.call(body=BODY, headers={"x-gateway-fit": "off"})

    period = await period_of(documents)
    assert exchange.status == 402
    assert len(answers.requests) == 1
    assert (bus.only.cost_nanos, period.settled, period.leased) == (0, 0, 0)


async def test_leaves_a_call_as_it_is_that_may_opt_out(
    client: Client,
    documents: SqliteDocuments,
    upstream: ScriptedUpstream,
    bus: KeepingBus,
    brownout: Begin,
) -> None:
    await brownout(Mode.HARD)
    await with_key(documents, may_opt_out=True)

    exchange = await client.call(body=BODY, headers={"x-brownout": "strict"})

    assert upstream.requests[0].body == BODY
    assert (exchange.headers["x-brownout-mode"], edits(bus)) == ("hard", {})


async def test_tells_a_caller_that_opting_out_is_not_granted(
    client: Client, upstream: ScriptedUpstream, brownout: Begin
) -> None:
    await brownout(Mode.HARD)

    exchange = await client.call(body=BODY, headers={"x-brownout": "strict"})

    assert sent(upstream)["model"] == "gpt-5-mini"
    assert "not granted" in exchange.headers["x-gateway-warning"]


@pytest.mark.parametrize("expected", [("normal", 503), ("critical", 200)])
async def test_refuses_strict_calls_in_an_emergency_unless_they_are_critical(
    client: Client,
    documents: SqliteDocuments,
    upstream: ScriptedUpstream,
    brownout: Begin,
    expected: tuple[str, int],
) -> None:
    priority, status = expected
    await brownout(Mode.EMERGENCY)
    await with_key(documents, may_opt_out=True, priority="critical")

    exchange = await client.call(
        body=BODY, headers={"x-brownout": "strict", "x-priority": priority}
    )

    assert exchange.status == status
    assert [request.body for request in upstream.requests] == ([BODY] if status == 200 else [])
    assert ("retry-after" in exchange.headers) == (status == 503)
    assert exchange.headers["x-brownout-mode"] == "emergency"
    assert "x-brownout-episode" in exchange.headers


async def test_does_not_move_a_call_to_a_model_that_its_key_does_not_cover(
    client: Client, documents: SqliteDocuments, upstream: ScriptedUpstream, brownout: Begin
) -> None:
    await brownout(Mode.HARD)
    await with_key(documents, models=("gpt-5",))

    await client.call(body=BODY)

    assert sent(upstream)["model"] == "gpt-5"


@pytest.mark.parametrize(
    ("mode", "model"), [(Mode.SOFT, "gpt-5-mini"), (Mode.HARD, "gpt-5"), (Mode.EMERGENCY, "gpt-5")]
)
async def test_does_not_move_a_call_to_a_model_that_is_in_trouble_itself(
    client: Client, upstream: ScriptedUpstream, brownout: Begin, mode: Mode, model: str
) -> None:
    await brownout(scopes={"global": a_scope(Mode.HARD), "model:gpt-5-mini": a_scope(mode)})

    await client.call(body=BODY)

    assert sent(upstream)["model"] == model


async def test_retries_no_failure_where_the_policy_says_so(
    make_client: MakeClient, brownout: Begin
) -> None:
    await brownout(Mode.HARD)
    client, answers = make_client(), Answers([(503, b"{}")])
    client.gateway.forwarding.sender.upstream = answers

    exchange = await client.call(body=BODY)

    assert (exchange.status, len(answers.requests)) == (503, 1)


async def test_leaves_free_calls_alone(
    client: Client, upstream: ScriptedUpstream, bus: KeepingBus, brownout: Begin
) -> None:
    await brownout(Mode.EMERGENCY)

    await client.call("/openai/v1/moderations", b'{"input":"a"}', headers={"x-priority": "batch"})

    assert upstream.requests[0].body == b'{"input":"a"}'
    assert bus.only.mode == "normal"
