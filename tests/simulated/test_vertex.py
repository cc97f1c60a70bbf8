"""The simulated Vertex AI answers, bills and refuses as Google does."""

from typing import Any

import httpx
import orjson
import pytest

from tests.simulated.conftest import Caller

MODELS = "/vertex/v1beta1/projects/acme/locations/europe-west4/publishers/google/models"
HELLO = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}


def call(
    caller: Caller,
    *,
    model: str = "gemini-2.0-flash",
    verb: str = "generateContent",
    authorization: str | None = "Bearer sim",
    **headers: str,
) -> httpx.Response:
    sent = {"x-simulated-tag": caller.tag, **headers}
    if authorization is not None:
        sent["authorization"] = authorization
    return caller.http.post(f"{MODELS}/{model}:{verb}", json=HELLO, headers=sent)


def test_bills_what_it_tells(caller: Caller) -> None:
    reply = call(caller).json()

    row = caller.row()
    usage = reply["usageMetadata"]
    assert usage["trafficType"] == "ON_DEMAND"
    assert "serviceTier" not in usage
    assert row["usage"] == usage
    # gemini-2.0-flash: $0.10 and $0.40 per million tokens.
    prompt, shown = usage["promptTokenCount"], usage["candidatesTokenCount"]
    assert row["billed_nanos"] == prompt * 100 + shown * 400


@pytest.mark.parametrize("query", ["", "?alt=sse"])
def test_tells_the_counts_in_the_last_chunk_alone(caller: Caller, query: str) -> None:
    answer = call(
        caller, verb=f"streamGenerateContent{query}", **{"x-simulated-output-tokens": "200"}
    )
    texts = [line[6:] for line in answer.text.split("\r\n") if line]
    chunks: list[dict[str, Any]] = list(map(orjson.loads, texts)) if query else answer.json()

    *before, last = (chunk["usageMetadata"] for chunk in chunks)
    assert before == [{"trafficType": "ON_DEMAND"}] * (len(chunks) - 1) != []
    assert caller.row()["usage"] == last


def test_provisioned_throughput_is_not_billed_by_the_call(caller: Caller) -> None:
    reply = call(caller, **{"x-vertex-ai-llm-request-type": "dedicated"}).json()

    row = caller.row()
    assert reply["usageMetadata"]["trafficType"] == "PROVISIONED_THROUGHPUT"
    assert (row["billed_nanos"], row["usage"]) == (None, reply["usageMetadata"])


@pytest.mark.parametrize("authorization", ["Bearer sim", "Bearer ya29.anything"])
def test_takes_a_token(caller: Caller, authorization: str) -> None:
    assert call(caller, authorization=authorization).status_code == 200


@pytest.mark.parametrize("authorization", [None, "Bearer other", "sim", "Basic sim"])
def test_refuses_other_credentials(caller: Caller, authorization: str | None) -> None:
    answer = call(caller, authorization=authorization, **{"x-goog-api-key": "other"})

    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert caller.rows() == []


def test_refuses_an_unknown_model(caller: Caller) -> None:
    assert call(caller, model="no-such-model").status_code == 404


@pytest.mark.parametrize("verb", ["predict", "countTokens", "embedContent"])
def test_serves_no_other_verb(caller: Caller, verb: str) -> None:
    assert call(caller, verb=verb).status_code == 404
