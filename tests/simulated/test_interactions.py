"""The simulated Gemini answers, bills, keeps and refuses interactions as Google does."""

from typing import Any

import httpx
import orjson
import pytest
from genai_prices import Usage, calc_price

from common.core.money import nanos_from_usd
from tests.simulated.conftest import Caller

PATH = "/gemini/v1beta/interactions"
HELLO: dict[str, Any] = {"model": "gemini-2.5-flash", "input": "Hello, ledger"}
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


def call(
    caller: Caller, body: Any = None, *, method: str = "POST", path: str = PATH, **knobs: str
) -> httpx.Response:
    named = {f"x-simulated-{name.replace('_', '-')}": value for name, value in knobs.items()}
    headers = {"x-simulated-tag": caller.tag, "x-goog-api-key": "sim", **named}
    content = orjson.dumps(HELLO if body is None else body) if method == "POST" else None
    return caller.http.request(method, path, content=content, headers=headers)


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """The data of a stream's events, which end with a mark that is no JSON."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    *told, end = answer.text.removesuffix("\n\n").split("\n\n")
    assert end == "event: done\ndata: [DONE]"
    found = []
    for event in told:
        kind, data = event.split("\n")
        found.append(orjson.loads(data.removeprefix("data: ")))
        assert kind == f"event: {found[-1]['event_type']}"
    return found


def test_bills_thoughts_beside_output(caller: Caller) -> None:
    reply = call(caller).json()

    row, usage = caller.row(), reply["usage"]
    output = usage["total_output_tokens"] + usage["total_thought_tokens"]
    price = calc_price(
        Usage(input_tokens=usage["total_input_tokens"], output_tokens=output),
        "gemini-2.5-flash",
        provider_id="google",
    )
    assert usage["total_tokens"] == usage["total_input_tokens"] + output
    assert min(usage["total_thought_tokens"], usage["total_output_tokens"]) > 0
    assert (row["usage"], row["usage_delivered"]) == (usage, True)
    assert row["billed_nanos"] == nanos_from_usd(price.total_price)
    assert (reply["status"], reply["model"], reply["object"]) == (
        *("completed", "gemini-2.5-flash", "interaction"),
    )
    assert [step["type"] for step in reply["steps"]] == ["thought", "model_output"]


def test_streams_the_steps_and_tells_the_usage_last(caller: Caller) -> None:
    whole = call(caller).json()
    told = events(call(caller, {**HELLO, "stream": True}, output_tokens="300"))

    kinds = [each["event_type"] for each in told]
    assert kinds[:4] == [
        *("interaction.created", "interaction.status_update", "step.start", "step.delta"),
    ]
    assert kinds[-1] == "interaction.completed"
    assert not any("usage" in each for each in told[:-1])
    last = told[-1]["interaction"]
    usage = last["usage"]
    assert usage["total_output_tokens"] + usage["total_thought_tokens"] == 300
    assert last.keys() == whole.keys() - {"steps"}
    texts = [each["delta"].get("text", "") for each in told if "delta" in each]
    stored = call(caller, method="GET", path=f"{PATH}/{last['id']}").json()
    assert stored["steps"][-1]["content"][0]["text"] == "".join(texts)


def test_ends_at_the_cap_in_thought_or_in_words(caller: Caller) -> None:
    cut = call(caller, {**HELLO, "generation_config": {"max_output_tokens": 3}}).json()
    plain = {"max_output_tokens": 5}
    short = call(
        caller, {"model": "gemini-2.0-flash", "input": "Hi", "generation_config": plain}
    ).json()

    assert (cut["status"], cut["usage"]["total_thought_tokens"]) == ("incomplete", 3)
    assert [step["type"] for step in cut["steps"]] == ["thought"]
    assert (short["usage"]["total_output_tokens"], short["usage"]["total_thought_tokens"]) == (5, 0)


def test_calls_functions_and_takes_their_results(caller: Caller) -> None:
    asked = {**HELLO, "tools": [WEATHER], "generation_config": {"tool_choice": "any"}}
    reply = call(caller, asked).json()
    wanted = reply["steps"][-1]
    result = {"type": "function_result", "call_id": wanted["id"], "result": {"sky": "blue"}}
    goes_on = {**HELLO, "input": [result], "previous_interaction_id": reply["id"]}

    answered = call(caller, {**goes_on, "tools": [WEATHER]}).json()

    assert (reply["status"], wanted["name"]) == ("requires_action", "weather")
    assert isinstance(wanted["arguments"], dict)
    assert (answered["status"], answered["previous_interaction_id"]) == ("completed", reply["id"])
    first, second = (each["usage"]["total_input_tokens"] for each in (reply, answered))
    assert second > first
    streamed = events(call(caller, {**asked, "stream": True}))
    deltas = [each["delta"] for each in streamed if each["event_type"] == "step.delta"]
    assert orjson.loads(deltas[-1]["arguments"]) == wanted["arguments"]


def test_goes_on_with_all_that_was_said_before(caller: Caller) -> None:
    told, previous = [], None
    for _ in range(3):
        asked = {**HELLO, "previous_interaction_id": previous}
        reply = call(caller, asked, output_tokens="1").json()
        told.append(reply["usage"]["total_input_tokens"])
        previous = reply["id"]

    assert told[2] - told[1] == told[1] - told[0] > 0


def test_answers_in_a_schema(caller: Caller) -> None:
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}}
    asked = {"type": "text", "mime_type": "application/json", "schema": schema}

    reply = call(caller, {**HELLO, "response_format": asked}).json()

    answer = orjson.loads(reply["steps"][-1]["content"][0]["text"])
    assert isinstance(answer["score"], int)


def test_keeps_an_interaction_until_it_is_deleted(caller: Caller) -> None:
    whole = call(caller).json()
    streamed = call(caller, {**HELLO, "stream": True})
    path = f"{PATH}/{whole['id']}"
    again = f"{PATH}/{events(streamed)[-1]['interaction']['id']}?stream=true"

    assert call(caller, method="GET", path=path).json() == whole
    shown = call(caller, method="GET", path=f"{path}?include_input=true").json()
    assert shown["input"][0]["content"][0]["text"] == HELLO["input"]
    assert events(call(caller, method="GET", path=again)) == events(streamed)
    assert call(caller, method="DELETE", path=path).json() == {}
    assert call(caller, method="GET", path=path).status_code == 404
    unkept = call(caller, {**HELLO, "store": False}).json()
    assert call(caller, method="GET", path=f"{PATH}/{unkept['id']}").status_code == 404
    assert len(caller.rows()) == 3


def test_answers_in_the_background_before_it_is_done(caller: Caller) -> None:
    reply = call(caller, {**HELLO, "background": True}).json()

    row = caller.row()
    assert (reply["status"], "usage" in reply, "steps" in reply) == ("in_progress", False, False)
    done = call(caller, method="GET", path=f"{PATH}/{reply['id']}").json()
    assert (done["status"], done["usage"]) == ("completed", row["usage"])
    assert row["usage_delivered"] is False


def test_bills_an_agent_at_no_price_that_is_known(caller: Caller) -> None:
    reply = call(caller, {"agent": "deep-research-preview-04-2026", "input": "Hi"}).json()

    row = caller.row()
    assert (reply["agent"], "model" in reply) == ("deep-research-preview-04-2026", False)
    assert reply["usage"] == row["usage"]
    assert row["billed_nanos"] is None
    assert row["unpriced_reason"]


def test_bills_a_cut_stream_up_to_the_cut(caller: Caller) -> None:
    asked = {**HELLO, "stream": True}
    answer = call(caller, asked, fault="error-event", fault_after="8", output_tokens="400")

    last = answer.text.removesuffix("\n\n").split("\n\n")[-1]
    usage = caller.row()["usage"]
    assert last.startswith("event: error\n")
    assert orjson.loads(last.split("data: ")[1])["error"]["message"]
    assert 0 < usage["total_output_tokens"] < 100
    assert usage["total_thought_tokens"] >= 64


@pytest.mark.parametrize(
    ("changes", "status", "name", "message"),
    [
        ({"body": []}, 400, "INVALID_ARGUMENT", "Root element"),
        ({"body": {"input": "Hi"}}, 400, "INVALID_ARGUMENT", "Exactly one of"),
        ({"body": {**HELLO, "agent": "a"}}, 400, "INVALID_ARGUMENT", "Exactly one of"),
        ({"body": {**HELLO, "model": "none"}}, 404, "NOT_FOUND", "models/none is not found"),
        ({"body": {"agent": "none", "input": "a"}}, 404, "NOT_FOUND", "agents/none"),
        ({"body": {**HELLO, "messages": []}}, 400, "INVALID_ARGUMENT", 'Unknown name "messages"'),
        ({"body": {**HELLO, "stream": 1}}, 400, "INVALID_ARGUMENT", "'stream'"),
        ({"body": {"model": "gemini-2.5-flash"}}, 400, "INVALID_ARGUMENT", "'input'"),
        ({"body": {**HELLO, "input": []}}, 400, "INVALID_ARGUMENT", "'input'"),
        ({"body": {**HELLO, "input": [{"type": "new"}]}}, 400, "INVALID_ARGUMENT", "'new'"),
        (
            {"body": {**HELLO, "generation_config": {"maxOutputTokens": 1}}},
            400,
            "INVALID_ARGUMENT",
            "at 'generation_config'",
        ),
        (
            {"body": {**HELLO, "generation_config": {"max_output_tokens": 0}}},
            400,
            "INVALID_ARGUMENT",
            "max_output_tokens",
        ),
        ({"body": {**HELLO, "tools": [{"type": "new"}]}}, 400, "INVALID_ARGUMENT", "'tools'"),
        ({"body": {**HELLO, "cached_content": "c"}}, 400, "INVALID_ARGUMENT", "not simulated"),
        (
            {"body": {**HELLO, "background": True, "store": False}},
            400,
            "INVALID_ARGUMENT",
            "store=true",
        ),
        ({"body": {**HELLO, "previous_interaction_id": "v1_x"}}, 404, "NOT_FOUND", "v1_x"),
        ({"method": "GET", "path": f"{PATH}/none"}, 404, "NOT_FOUND", "none not found"),
        ({"method": "GET"}, 405, "UNIMPLEMENTED", "Method Not Allowed"),
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


def test_cancels_nothing_that_is_over(caller: Caller) -> None:
    reply = call(caller).json()

    refused = call(caller, path=f"{PATH}/{reply['id']}/cancel")

    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
