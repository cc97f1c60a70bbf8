"""`POST /api/test-llm`: one call through the proxy, sixty a minute, and what became of it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.api.app import create_api
from common.api.callers import DevAuthenticator
from common.api.llm_test_routes import MOST_CHARACTERS
from common.budgets.rate_windows import RateWindows
from common.core.ports import Documents, Warehouse
from common.core.secrets import Secret
from common.gateway.llm_tests import MOST_A_MINUTE, MOST_BYTES, LlmTests, Way
from common.gateway.upstream import Upstream, UpstreamUnreachable
from common.llm.price_book import bundled_book
from tests.api.conftest import KeepingBus, SetClock
from tests.streams.fakes import JSON, ScriptedReply, ScriptedUpstream

KEY = "ocg_of-the-test"
ASKED = {"prompt": "Hello", "model": "gpt-4o"}
ANSWERED = {
    "id": "c",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 20},
}
HEADERS = [
    *JSON,
    (b"x-gateway-request-id", b"call-1"),
    (b"x-gateway-provider", b"openai"),
    (b"x-brownout-mode", b"hard"),
    (b"x-brownout-actions", b"model=gpt-4o-mini,output_cap=1024"),
    (b"x-simulated", b"true"),
]


def a_reply(body: Any = ANSWERED, status: int = 200, **headers: str) -> ScriptedReply:
    named = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return ScriptedReply([json.dumps(body).encode()], status, [*HEADERS, *named])


@dataclass(slots=True)
class Scene:
    """An API, and the proxy that it calls."""

    client: httpx.AsyncClient
    proxy: ScriptedUpstream
    clock: SetClock
    way: Way = field(default_factory=lambda: Way("https://proxy/", "tried", Secret(KEY)))

    async def test(self, **changed: Any) -> httpx.Response:
        return await self.client.post("/api/test-llm", json=ASKED | changed)

    async def problem(self, **changed: Any) -> tuple[int, str, str]:
        """Status, code and detail."""
        answer = await self.test(**changed)
        told = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        return answer.status_code, told["code"], told["detail"]


@pytest.fixture
async def scene(
    documents: Documents, warehouse: Warehouse, clock: SetClock
) -> AsyncIterator[Scene]:
    proxy = ScriptedUpstream(a_reply())

    @asynccontextmanager
    async def connected() -> AsyncIterator[Upstream]:
        yield proxy

    tests = LlmTests(
        way=lambda: made.way,
        connect=connected,
        windows=RateWindows(documents, clock, entropy=bytes),
        clock=clock,
        book=bundled_book(),
        deadline_s=0.05,
    )
    api = create_api(
        documents=documents,
        bus=KeepingBus(),
        warehouse=warehouse,
        clock=clock,
        entropy=bytes,
        price_book=bundled_book(),
        authenticate=DevAuthenticator(in_cloud=False),
        version="0.1.0",
        llm_tests=tests,
    )
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
        made = Scene(client, proxy, clock)
        yield made


async def test_answers_what_became_of_the_call(scene: Scene) -> None:
    answer = await scene.test()

    assert (answer.status_code, answer.json()) == (
        200,
        {
            "response": "Hi",
            "model": "gpt-4o-mini-2024-07-18",
            "requested_model": "gpt-4o",
            "mode": "hard",
            "edits": [
                {"name": "model", "told": "gpt-4o-mini"},
                {"name": "output_cap", "told": "1024"},
            ],
            "tokens": {"input_tokens": 100, "output_tokens": 20},
            "cost_usd": "0.000027000",
            "cost_reason": None,
            "duration_ms": 0.0,
            "simulated": True,
            "request_id": "call-1",
        },
    )


async def test_calls_the_upstream_of_tests_with_the_key_of_tests(scene: Scene) -> None:
    await scene.test()

    [request] = scene.proxy.requests
    assert (request.method, request.url) == ("POST", "https://proxy/u/tried/v1/chat/completions")
    assert (b"authorization", f"Bearer {KEY}".encode()) in request.headers
    assert json.loads(request.body) == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hello"}],
    }


async def test_says_what_it_was_not_told(scene: Scene) -> None:
    body = {"choices": [{"message": {"content": None}}]}
    scene.proxy.reply = ScriptedReply([json.dumps(body).encode()], headers=JSON)

    told = (await scene.test()).json()

    assert (told["response"], told["mode"], told["edits"]) == ("", "normal", [])
    assert (told["cost_usd"], told["cost_reason"]) == (None, "unknown_model")
    assert told["simulated"] is False


@pytest.mark.parametrize(
    ("way", "named"),
    [
        (Way(None, None, None), ["TEST_LLM_UPSTREAM", "PROXY_URL", "TEST_LLM_KEY"]),
        (Way("https://proxy", None, Secret(KEY)), ["TEST_LLM_UPSTREAM"]),
        (Way(None, "tried", Secret(KEY)), ["PROXY_URL"]),
        (Way("https://proxy", "tried", None), ["TEST_LLM_KEY"]),
    ],
)
async def test_says_which_variables_are_to_be_set(scene: Scene, way: Way, named: list[str]) -> None:
    scene.way = way

    status, code, detail = await scene.problem()

    assert (status, code) == (503, "test_llm_unset")
    variables = ("TEST_LLM_UPSTREAM", "PROXY_URL", "TEST_LLM_KEY")
    assert [each for each in variables if f"{each} (" in detail] == named
    assert scene.proxy.requests == []


async def test_makes_sixty_in_a_minute(scene: Scene) -> None:
    statuses = {(await scene.test()).status_code for _ in range(MOST_A_MINUTE)}
    scene.clock.advance(timedelta(seconds=15))
    refused = await scene.test()
    scene.clock.advance(timedelta(seconds=45))
    later = await scene.test()

    assert statuses == {200}
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "45"
    assert later.status_code == 200
    assert len(scene.proxy.requests) == MOST_A_MINUTE + 1


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "x" * (MOST_CHARACTERS + 1)}, "prompt"),
        ({"model": ""}, "model"),
        ({"model": "x" * 129}, "model"),
        ({"upstream": "openai"}, "upstream"),
    ],
)
async def test_refuses_what_is_no_test(scene: Scene, changed: dict[str, str], named: str) -> None:
    answer = await scene.test(**changed)

    assert (answer.status_code, answer.json()["field"]) == (422, named)
    assert scene.proxy.requests == []


async def test_tells_what_the_provider_answered(scene: Scene) -> None:
    scene.proxy.reply = a_reply({"error": {"message": "no such model"}}, 404)

    assert await scene.problem() == (
        502,
        "test_llm_failed",
        "the provider answered 404: no such model",
    )


async def test_tells_what_the_proxy_refused(scene: Scene) -> None:
    refusal = {"error": {"message": "There is no upstream 'tried'."}}
    scene.proxy.reply = a_reply(refusal, 404, x_gateway_error="unknown_upstream")

    _, code, detail = await scene.problem()

    assert code == "test_llm_failed"
    assert detail == "the proxy refused it (unknown_upstream): 404: There is no upstream 'tried'."


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"choices": []}', b'{"choices": ["x"]}'])
async def test_tells_that_an_answer_is_no_completion(scene: Scene, body: bytes) -> None:
    scene.proxy.reply = ScriptedReply([body], headers=JSON)

    status, code, detail = await scene.problem()

    assert (status, code) == (502, "test_llm_failed")
    assert detail == "what was answered is no chat completion"


async def test_reads_no_answer_without_end(scene: Scene) -> None:
    scene.proxy.reply = ScriptedReply([b"x" * MOST_BYTES, b"x"], headers=JSON)

    assert (await scene.problem())[:2] == (502, "test_llm_failed")
    assert scene.proxy.reply.closed == 1


async def test_tells_that_nobody_answers(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scene.proxy.before = [UpstreamUnreachable("ClientConnectorError")]

    status, code, detail = await scene.problem()

    assert (status, code) == (502, "test_llm_failed")
    assert "(ClientConnectorError)" in detail
    assert KEY not in detail + caplog.text


async def test_waits_no_longer_than_it_may(scene: Scene) -> None:
    scene.proxy.before = [asyncio.Event()]

    assert (await scene.problem())[:2] == (504, "test_llm_timeout")
