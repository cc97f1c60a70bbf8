"""Simulated Responses: strict requests, recorded shapes, and a bill for what is generated."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

from scripts.simulated.responses_requests import FIELDS
from tests.simulated.conftest import Caller, words

PATH = "/openai/v1/responses"
TOOL: dict[str, Any] = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
NEWER_FIELDS = {
    *("billing", "completed_at", "frequency_penalty", "presence_penalty", "conversation"),
    *("moderation", "prompt_cache_retention", "prompt_cache_options", "tool_usage"),
}


def asked(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "input": "What is the capital of France?", **fields}


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"no_such": 1}, "no_such"),
        ({"input": None}, "input"),
        ({"input": 3}, "input"),
        ({"model": "none"}, "model"),
        ({"messages": []}, "messages"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {}}, "stream_options"),
        ({"service_tier": "best"}, "service_tier"),
        ({"reasoning": {"effort": "low"}}, "reasoning.effort"),
        ({"model": "gpt-5", "temperature": 1}, "temperature"),
        ({"model": "gpt-5", "reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "text"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call_output"}]}, "input[0].call_id"),
        ({"tools": [{"type": "function", "function": {"name": "a"}}]}, "tools[0].name"),
        ({"tools": [{"type": "file_search"}]}, "tools[0]"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "b"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_object"}}}, "input"),
        ({"previous_response_id": "resp_none"}, "previous_response_id"),
        ({"background": True, "store": False}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
    ],
)
def test_refuses_what_the_api_refuses_and_bills_nothing(
    caller: Caller, fields: dict[str, Any], param: str
) -> None:
    answer = caller.post(PATH, asked(**fields))

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert caller.rows() == []


def test_knows_every_field_the_client_can_send() -> None:
    of_codex = {"client_metadata"}

    assert ResponseCreateParamsStreaming.__annotations__.keys() | of_codex == FIELDS


def test_bills_what_the_reply_tells(caller: Caller) -> None:
    usage = caller.post(PATH, asked(model="gpt-5-mini")).json()["usage"]

    row = caller.row()

    assert row["usage"] == usage
    # gpt-5-mini, $0.25 and $2
    assert row["billed_nanos"] == 250 * usage["input_tokens"] + 2_000 * usage["output_tokens"]
    assert (row["usage_delivered"], row["reply_id"][:9]) == (True, "resp_sim_")


def test_bills_cached_input_at_its_own_price(caller: Caller) -> None:
    body = asked(input=words(caller.tag, 2000))

    caller.post(PATH, body)
    usage = caller.post(PATH, body).json()["usage"]

    cached = usage["input_tokens_details"]["cached_tokens"]
    plain = usage["input_tokens"] - cached
    # gpt-4o-mini, $0.15, $0.075 and $0.60
    expected = 150 * plain + 75 * cached + 600 * usage["output_tokens"]
    assert cached >= 1024
    assert caller.rows()[1]["billed_nanos"] == expected


@pytest.mark.parametrize(
    ("fields", "reason"), [({}, None), ({"max_output_tokens": 16}, "max_output_tokens")]
)
def test_streams_what_it_answers_whole(
    caller: Caller, fields: dict[str, Any], reason: str | None
) -> None:
    body = asked(model="gpt-4.1", **fields)
    sent = events(caller.post(PATH, {**body, "stream": True}, output_tokens="40").text)
    final = sent[-1]["response"]

    said = "".join(each["delta"] for each in sent if each["type"].endswith(".delta"))
    assert [each["sequence_number"] for each in sent] == list(range(len(sent)))
    assert sent[-1]["type"] == ("response.incomplete" if reason else "response.completed")
    assert (final["incomplete_details"] or {}).get("reason") == reason
    assert final["output"][0]["content"][0]["text"] == said
    assert final["usage"]["output_tokens"] == (16 if reason else 40)
    assert all(each["response"]["usage"] is None for each in sent[:2])


@pytest.mark.parametrize(
    ("fields", "tiers"),
    [({}, ["auto", "default"]), ({"service_tier": "priority"}, ["priority", "priority"])],
)
def test_names_the_tier_at_the_start_only_where_it_was_asked(
    caller: Caller, fields: dict[str, Any], tiers: list[str]
) -> None:
    sent = events(caller.post(PATH, asked(model="gpt-4o", stream=True, **fields)).text)

    assert [sent[at]["response"]["service_tier"] for at in (0, -1)] == tiers


def test_bills_a_cut_stream_by_the_events_it_sent(caller: Caller) -> None:
    body = asked(stream=True)
    caller.post(PATH, body, fault="error-event", fault_after="9")

    row = caller.row()

    # Created, in progress, item, part, and five texts of a token each.
    assert (row["usage"]["output_tokens"], row["usage_delivered"]) == (5, False)


def test_calls_a_tool_that_is_named(caller: Caller) -> None:
    answer = caller.post(PATH, asked(input="weather, please", tools=[TOOL])).json()

    (item,) = answer["output"]
    assert (item["type"], item["name"]) == ("function_call", "weather")


def test_takes_tools_that_it_never_calls(caller: Caller) -> None:
    offered = [{"type": "custom", "name": "patch"}, {"type": "web_search"}, TOOL]

    output = caller.post(PATH, asked(input="Ask weather", tools=offered)).json()["output"]

    assert [item["name"] for item in output if item["type"] == "function_call"] == ["weather"]


def test_goes_on_from_an_earlier_response(caller: Caller) -> None:
    first = caller.post(PATH, asked()).json()
    alone = caller.post(PATH, asked(input="And then?")).json()
    after = caller.post(PATH, asked(input="And then?", previous_response_id=first["id"])).json()

    assert after["usage"]["input_tokens"] > alone["usage"]["input_tokens"]


def test_bills_a_background_response_that_tells_no_usage(caller: Caller) -> None:
    begun = caller.post(PATH, asked(background=True)).json()
    headers = caller.headers(PATH)
    read = caller.http.get(f"{PATH}/{begun['id']}", headers=headers).json()

    assert (begun["status"], begun["usage"], begun["output"]) == ("queued", None, [])
    assert (read["status"], read["usage"]) == ("completed", caller.row()["usage"])
    assert caller.row()["usage_delivered"] is False


@pytest.mark.parametrize(
    ("method", "part"),
    [("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")],
)
def test_does_not_know_a_response_that_was_not_kept(caller: Caller, method: str, part: str) -> None:
    made = caller.post(PATH, asked(store=False)).json()

    path = f"{PATH}/{made['id']}{part}"
    answer = caller.http.request(method, path, headers=caller.headers(PATH))

    assert answer.status_code == 404


def paths(value: Any, at: str = "") -> Iterator[str]:
    """Every member's place; list entries share theirs."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{at}.{name}"
            yield from paths(inner, f"{at}.{name}")
    for inner in value if isinstance(value, list) else ():
        yield from paths(inner, at)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("openai-responses-plain", {"model": "gpt-4.1-nano"}),
        ("openai-responses-reasoning", {"model": "gpt-5-nano", "reasoning": {"effort": "low"}}),
    ],
)
def test_has_the_fields_of_a_recorded_response(
    caller: Caller, provider_replies: Path, name: str, fields: dict[str, Any]
) -> None:
    theirs = json.loads((provider_replies / f"{name}.json").read_text())["response"]["body"]

    ours = caller.post(PATH, asked(**fields)).json()

    assert set(paths(theirs)) - set(paths(ours)) == set()
    assert {place.split(".")[1] for place in set(paths(ours)) - set(paths(theirs))} <= {
        "prompt_cache_key",
        "safety_identifier",
        "text",  # `text.verbosity` is younger than the one recording.
    }


def test_has_the_events_of_a_recorded_stream(caller: Caller, provider_replies: Path) -> None:
    file = provider_replies / "openai-responses-stream-completed.json"
    theirs = events(json.loads(file.read_text())["response"]["body_text"])

    ours = events(caller.post(PATH, asked(stream=True), output_tokens="2").text)

    assert [each["type"] for each in ours] == [each["type"] for each in theirs]
    for our, their in zip(ours, theirs, strict=True):
        lacking = {place for place in set(paths(their)) - set(paths(our)) if place.count(".") == 1}
        fields = {place.split(".")[-1] for place in set(paths(their)) - set(paths(our))}
        assert lacking == set()
        assert fields <= {*NEWER_FIELDS, "id", "ttl", "payer"}
