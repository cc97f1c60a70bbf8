"""Endpoints in OpenAI's format, each in the dialect of its vendor."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulated.conftest import Caller, chat

PLACE = "/vertex/v1/projects/acme/locations/global/endpoints/openapi"
MODELS = {
    "/anthropic/v1": "claude-sonnet-4-5",
    "/gemini/v1beta/openai": "gemini-2.5-flash",
    PLACE: "google/gemini-2.5-flash",
    "/u/azure": "gpt-4o-mini",
    "/u/deepseek": "deepseek-reasoner",
    "/u/groq": "openai/gpt-oss-120b",
    "/u/mistral": "mistral-large-latest",
    "/u/ollama": "llama3:8b",
    "/u/openrouter": "anthropic/claude-sonnet-4.5",
    "/u/vllm": "any/model",
    "/u/xai": "grok-4",
    "/u/anything-else": "gpt-4o-mini",
}
RECORDED = {
    "/gemini/v1beta/openai": "gemini-openai-shim-tools",
    "/u/mistral": "mistral-chat-stream-usage-with-choices",
    "/u/deepseek": "deepseek-chat-stream-usage-with-choices",
    "/u/groq": "groq-chat-stream-usage-with-choices",
    "/u/openrouter": "openrouter-chat-stream-usage-with-choices",
}
UNDOCUMENTED = {"prompt_tokens_details"}
"""DeepSeek sends it, its documentation does not name it: readers must do without."""
ASKED = {"stream": True, "stream_options": {"include_usage": True}}
UNASKED = {"/u/deepseek", "/u/groq", "/u/mistral", "/u/openrouter"}


def _post(caller: Caller, address: str, knobs: dict[str, str] | None = None, **fields: Any) -> Any:
    body = {**chat(), "model": MODELS[address], **fields}
    named = caller.headers("/openai", **(knobs or {}))
    return caller.http.post(f"{address}/chat/completions", json=body, headers=named)


def _chunks(text: str) -> list[dict[str, Any]]:
    lines = (line.removeprefix("data: ") for line in text.split("\n\n"))
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.mark.parametrize("address", MODELS)
def test_whole_and_streamed_say_and_cost_the_same(caller: Caller, address: str) -> None:
    knobs = {"output_tokens": "90"}

    whole = _post(caller, address, knobs).json()
    chunks = _chunks(_post(caller, address, knobs, **ASKED).text)

    first, second = caller.rows()
    assert (first["billed_nanos"], first["usage"]) == (second["billed_nanos"], second["usage"])
    [usage] = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert whole["usage"] == usage == first["usage"]
    assert {chunk["model"] for chunk in chunks} <= {whole["model"], ""}
    # Nobody runs a bill for what runs on machines of one's own.
    assert (first["billed_nanos"] is None) == (address in ("/u/ollama", "/u/vllm"))


@pytest.mark.parametrize("address", MODELS)
def test_a_stream_tells_its_usage_to_who_asks_and_some_always(caller: Caller, address: str) -> None:
    chunks = _chunks(_post(caller, address, stream=True).text)

    told = [chunk for chunk in chunks if chunk.get("usage")]
    assert bool(told) == (address in UNASKED)
    assert all(chunk["choices"] for chunk in told)


@pytest.mark.parametrize("address", RECORDED)
def test_usage_has_the_members_of_the_recorded_one(
    caller: Caller, provider_replies: Path, address: str
) -> None:
    recorded = json.loads((provider_replies / f"{RECORDED[address]}.json").read_text())["response"]
    usages = [
        chunk["usage"]
        for chunk in (recorded.get("body"), *_chunks(recorded.get("body_text", "")))
        if chunk and chunk.get("usage")
    ]

    simulated = _post(caller, address, {"output_tokens": "90"}).json()["usage"]

    # What is detailed differs from call to call; what a recording counts, the simulation counts.
    plain = {name for name, value in usages[-1].items() if not isinstance(value, dict)}
    assert plain - UNDOCUMENTED <= simulated.keys()


def test_the_last_chunk_of_groq_tells_its_usage_twice(caller: Caller) -> None:
    last = _chunks(_post(caller, "/u/groq", stream=True).text)[-1]

    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["x_groq"]["usage"] == last["usage"]


def test_openrouter_tells_its_cost_and_keeps_the_connection_busy(caller: Caller) -> None:
    answer = _post(caller, "/u/openrouter", stream=True)

    assert answer.text.startswith(": OPENROUTER PROCESSING\n\n")
    cost = _chunks(answer.text)[-1]["usage"]["cost"]
    assert round(cost * 10**9) == caller.row()["billed_nanos"]


def test_azures_first_chunk_has_no_choices_and_no_model(caller: Caller) -> None:
    first = _chunks(_post(caller, "/u/azure", stream=True).text)[0]

    assert (first["choices"], first["model"]) == ([], "")
    assert "prompt_filter_results" in first


@pytest.mark.parametrize("address", ["/gemini/v1beta/openai", PLACE])
def test_thoughts_stand_in_the_total_alone(caller: Caller, address: str) -> None:
    usage = _post(caller, address, {"output_tokens": "90"}).json()["usage"]

    assert usage.keys() == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert usage["completion_tokens"] < 90
    assert usage["total_tokens"] == usage["prompt_tokens"] + 90


def test_xai_leaves_reasoning_out_of_the_completion(caller: Caller) -> None:
    usage = _post(caller, "/u/xai", {"output_tokens": "90"}).json()["usage"]

    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    assert reasoning >= 64
    assert usage["completion_tokens"] == 90 - reasoning
    assert usage["total_tokens"] == usage["prompt_tokens"] + 90


def test_anthropic_obeys_only_what_it_documents(caller: Caller) -> None:
    knobs = {"output_tokens": "50"}
    plain = _post(caller, "/anthropic/v1", knobs, stream=True)
    ignoring = _post(
        caller, "/anthropic/v1", knobs, stream=True, response_format={"type": "json_object"}, seed=3
    )
    several = _post(caller, "/anthropic/v1", n=2)

    texts = [
        "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in _chunks(each.text))
        for each in (plain, ignoring)
    ]
    assert texts[0] == texts[1]
    assert several.status_code == 400
    assert several.json()["error"]["message"] == "n: must be 1"


@pytest.mark.parametrize("status", [400, 422])
def test_a_knob_refuses_stream_options(caller: Caller, status: int) -> None:
    knobs = {"refuse_stream_options": str(status)}

    refused = _post(caller, "/u/vllm", knobs, **ASKED)
    taken = _post(caller, "/u/vllm", knobs, stream=True)

    assert (refused.status_code, taken.status_code) == (status, 200)
    assert "stream_options" in refused.text


@pytest.mark.parametrize("address", MODELS)
def test_wants_the_key(caller: Caller, address: str) -> None:
    body = {**chat(), "model": MODELS[address]}
    path = f"{address}/chat/completions"

    assert caller.http.post(path, json=body).status_code == 401
    wrong = {"authorization": "Bearer another"}
    assert caller.http.post(path, json=body, headers=wrong).status_code == 401


def test_azure_takes_its_own_header_too(caller: Caller) -> None:
    body = {**chat(), "model": "gpt-4o-mini"}

    answer = caller.http.post("/u/azure/chat/completions", json=body, headers={"api-key": "sim"})

    assert answer.status_code == 200


@pytest.mark.parametrize("address", [each for each in MODELS if each != "/anthropic/v1"])
def test_other_paths_are_not_served(caller: Caller, address: str) -> None:
    headers = caller.headers("/openai")

    assert caller.http.post(f"{address}/responses", headers=headers).status_code == 404
    assert caller.http.get(f"{address}/chat/completions", headers=headers).status_code == 405
    assert caller.http.get(f"{address}/models", headers=headers).status_code == 200


SHAPES: dict[str, Callable[[Any], bool]] = {
    "/gemini/v1beta/openai": lambda told: told[0]["error"]["status"] == "NOT_FOUND",
    "/u/azure": lambda told: told["error"]["code"] == "404",
    "/u/mistral": lambda told: told["object"] == "error",
    "/u/openrouter": lambda told: told["error"]["code"] == 404,
    "/u/xai": lambda told: isinstance(told["error"], str),
    "/u/groq": lambda told: told["error"]["code"] == "model_not_found",
}


@pytest.mark.parametrize("address", SHAPES)
def test_errors_have_the_vendors_shape(caller: Caller, address: str) -> None:
    answer = _post(caller, address, model="no-such-model")

    assert answer.status_code == 404
    assert SHAPES[address](answer.json())
