"""The simulated Gemini answers, bills and refuses as Google does."""

from datetime import datetime
from typing import Any

import httpx
import orjson
import pytest
from genai_prices import Usage, calc_price

from common.core.money import nanos_from_usd
from tests.simulated.conftest import Caller

MODELS = "/gemini/v1beta/models"
STREAM = "streamGenerateContent?alt=sse"
HELLO: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hello, ledger"}]}]}


def call(
    caller: Caller,
    body: Any = None,
    *,
    model: str = "gemini-2.5-flash",
    verb: str = "generateContent",
    key: str | None = "sim",
    **knobs: str,
) -> httpx.Response:
    named = {f"x-simulated-{name.replace('_', '-')}": value for name, value in knobs.items()}
    headers = {"x-simulated-tag": caller.tag, **named}
    if key is not None:
        headers["x-goog-api-key"] = key
    content = orjson.dumps(HELLO if body is None else body)
    return caller.http.post(f"{MODELS}/{model}:{verb}", content=content, headers=headers)


def chunks(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [orjson.loads(line[6:]) for line in answer.text.split("\r\n") if line]


def test_bills_thoughts_and_candidates_as_output(caller: Caller) -> None:
    usage = call(caller).json()["usageMetadata"]

    row = caller.row()
    price = calc_price(
        Usage(
            input_tokens=usage["promptTokenCount"],
            output_tokens=usage["candidatesTokenCount"] + usage["thoughtsTokenCount"],
        ),
        "gemini-2.5-flash",
        provider_id="google",
        genai_request_timestamp=datetime.fromisoformat(row["received_at"]),
    )
    assert row["usage"] == usage
    assert row["billed_nanos"] == nanos_from_usd(price.total_price)
    assert usage["totalTokenCount"] == sum(
        usage[f"{name}TokenCount"] for name in ("prompt", "candidates", "thoughts")
    )


def test_streams_a_growing_usage_in_every_chunk(caller: Caller) -> None:
    told = chunks(call(caller, verb=STREAM, output_tokens="300"))

    totals = [chunk["usageMetadata"]["totalTokenCount"] for chunk in told]
    assert totals == sorted(set(totals))
    assert caller.row()["usage"] == told[-1]["usageMetadata"]
    reasons = [chunk["candidates"][0].get("finishReason") for chunk in told]
    assert reasons == [None] * (len(told) - 1) + ["STOP"]


def test_streams_the_same_as_one_array(caller: Caller) -> None:
    events = chunks(call(caller, verb=STREAM))
    answer = call(caller, verb="streamGenerateContent")

    assert answer.headers["content-type"] == "application/json"
    same = [{k: v for k, v in chunk.items() if k != "responseId"} for chunk in events]
    assert [
        {k: v for k, v in chunk.items() if k != "responseId"} for chunk in answer.json()
    ] == same


def test_a_reply_of_thoughts_alone_has_no_candidates_count(caller: Caller) -> None:
    reply = call(caller, {**HELLO, "generationConfig": {"maxOutputTokens": 3}}).json()

    assert reply["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert "candidatesTokenCount" not in reply["usageMetadata"]
    assert reply["usageMetadata"]["thoughtsTokenCount"] == 3


def test_bills_a_cut_stream_up_to_the_cut(caller: Caller) -> None:
    answer = call(caller, verb=STREAM, fault="error-event", output_tokens="400")

    *told, last = chunks(answer)
    row = caller.row()
    assert last["error"]["status"] == "UNAVAILABLE"
    assert (row["usage"], row["usage_delivered"]) == (told[-1]["usageMetadata"], False)


@pytest.mark.parametrize("verb", ["embedContent", "batchEmbedContents"])
def test_bills_embeddings_without_telling(caller: Caller, verb: str) -> None:
    request = {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "abcdefgh"}]}}
    body = request if verb == "embedContent" else {"requests": [request, request]}

    reply = call(caller, body, model="gemini-embedding-001", verb=verb).json()

    row = caller.row()
    assert "usageMetadata" not in reply
    count = 2 if verb == "embedContent" else 4
    assert (row["usage"]["promptTokenCount"], row["usage_delivered"]) == (count, False)
    assert row["billed_nanos"] == count * 150


def test_counts_tokens_without_a_bill(caller: Caller) -> None:
    assert call(caller, verb="countTokens").json()["totalTokens"] == 4
    assert caller.rows() == []


def test_takes_the_key_in_the_query(caller: Caller) -> None:
    assert call(caller, verb="generateContent?key=sim", key=None).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "name", "message"),
    [
        ({"key": None}, 403, "PERMISSION_DENIED", "unregistered callers"),
        ({"key": "wrong"}, 400, "INVALID_ARGUMENT", "API key not valid"),
        ({"model": "none"}, 404, "NOT_FOUND", "models/none is not found"),
        ({"model": "gemini-embedding-001"}, 400, "INVALID_ARGUMENT", "does not support"),
        ({"verb": "batchGenerateContent"}, 404, "NOT_FOUND", "Not Found"),
        ({"body": {}}, 400, "INVALID_ARGUMENT", "contents is not specified"),
        ({"body": []}, 400, "INVALID_ARGUMENT", "Root element"),
        ({"body": {**HELLO, "messages": []}}, 400, "INVALID_ARGUMENT", 'Unknown name "messages"'),
        ({"body": {"contents": [{"parts": []}]}}, 400, "INVALID_ARGUMENT", "parts: must not be"),
        ({"body": {"contents": [{"parts": [{}]}]}}, 400, "INVALID_ARGUMENT", "oneof field"),
        (
            {"body": {"contents": [{"role": "system", "parts": [{"text": "a"}]}]}},
            400,
            "INVALID_ARGUMENT",
            "valid role",
        ),
        (
            {"body": {**HELLO, "generationConfig": {"top_k_": 1}}},
            400,
            "INVALID_ARGUMENT",
            "at 'generation_config'",
        ),
        (
            {"body": {**HELLO, "generationConfig": {"responseSchema": {"type": "STRING"}}}},
            400,
            "INVALID_ARGUMENT",
            "response_schema needs",
        ),
        (
            {"body": {**HELLO, "cachedContent": "cachedContents/a"}},
            403,
            "PERMISSION_DENIED",
            "CachedContent not found",
        ),
        ({"fault": "status-429"}, 429, "RESOURCE_EXHAUSTED", "quota"),
    ],
)
def test_refuses_in_google_s_form(
    caller: Caller, changes: dict[str, Any], status: int, name: str, message: str
) -> None:
    answer = call(caller, **changes)

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (status, status, name)
    assert message in error["message"]
    assert caller.rows() == []
