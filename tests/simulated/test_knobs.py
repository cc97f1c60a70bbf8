"""Knobs change one request, or the process, and nothing else; answers are repeatable."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from scripts.simulated.behaviour import Behaviour
from scripts.simulated.server import create_app
from tests.simulated.conftest import OPENAI, Caller, Served, chat, message

CHAT = "/openai/v1/chat/completions"


def said(answer: httpx.Response) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])


def test_answers_the_same_to_the_same_request(caller: Caller) -> None:
    assert said(caller.openai()) == said(caller.openai())


def test_answers_otherwise_with_another_seed(caller: Caller) -> None:
    assert said(caller.openai()) != said(caller.openai(chat(), seed="7"))


@pytest.mark.parametrize("stream", [True, False])
def test_counts_the_tokens_it_is_told_to(caller: Caller, *, stream: bool) -> None:
    knobs = {"input_tokens": "123", "output_tokens": "45"}

    caller.openai(chat(stream=stream), **knobs)
    caller.anthropic(message(stream=stream), **knobs)

    openai, anthropic = (row["usage"] for row in caller.rows())
    assert (openai["prompt_tokens"], openai["completion_tokens"]) == (123, 45)
    assert (anthropic["input_tokens"], anthropic["output_tokens"]) == (123, 45)


def test_calls_tools_with_what_it_is_told_to(caller: Caller) -> None:
    given, schema = '{"path":"a b","line":3}', {"type": "object"}
    asked = [{"role": "user", "content": "Use look"}]
    function = {"name": "look", "parameters": schema}
    parts = [{"parts": [{"text": "Use look"}]}]

    chat_reply = caller.openai(
        chat(messages=asked, tools=[{"type": "function", "function": function}]),
        tool_arguments=given,
    ).json()
    responses_reply = caller.post(
        "/openai/v1/responses",
        {"model": "gpt-4o-mini", "input": asked, "tools": [{"type": "function", **function}]},
        tool_arguments=given,
    ).json()
    message_reply = caller.anthropic(
        message(messages=asked, tools=[{"name": "look", "input_schema": schema}]),
        tool_arguments=given,
    ).json()
    content_reply = caller.http.post(
        "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
        json={"contents": parts, "tools": [{"functionDeclarations": [function]}]},
        headers={"x-goog-api-key": "sim", "x-simulated-tool-arguments": given},
    ).json()

    call = chat_reply["choices"][0]["message"]["tool_calls"][0]["function"]
    assert call == {"name": "look", "arguments": given}
    assert responses_reply["output"][-1]["arguments"] == given
    assert message_reply["content"][-1]["input"] == {"path": "a b", "line": 3}
    called = content_reply["candidates"][0]["content"]["parts"][-1]["functionCall"]
    assert called["args"] == {"path": "a b", "line": 3}


@pytest.mark.parametrize("given", ["[]", "{", "null"])
def test_refuses_tool_arguments_that_are_no_object(caller: Caller, given: str) -> None:
    assert caller.openai(tool_arguments=given).status_code == 400


def test_calls_a_tool_named_before_a_system_message(caller: Caller) -> None:
    turn = {"role": "system", "content": "Be brief.", "output_config": {"effort": "low"}}
    asked = [{"role": "user", "content": "Use look"}, turn]
    tools = [{"name": "look", "input_schema": {"type": "object"}}]

    called = caller.anthropic(message(messages=asked, tools=tools)).json()
    wrong = caller.anthropic(message(messages=[{**turn, "role": "user"}]))

    assert called["content"][-1]["name"] == "look"
    assert wrong.status_code == 400


def test_never_exceeds_the_cap(caller: Caller) -> None:
    caller.openai(chat(max_tokens=10, n=2), output_tokens="1000")

    assert caller.row()["usage"]["completion_tokens"] == 20


def test_lengths_have_the_stated_median(caller: Caller) -> None:
    lengths = sorted(
        caller.openai(chat(user=str(number))).json()["usage"]["completion_tokens"]
        for number in range(101)
    )

    assert 80 <= lengths[50] <= 170
    assert lengths[-1] > 2 * lengths[50] > 4 * lengths[0]


def test_text_holds_characters_of_several_bytes(caller: Caller) -> None:
    text = said(caller.openai(chat(), output_tokens="500"))

    assert {len(character.encode()) for character in text} == {1, 2, 3, 4}


def test_changes_the_process_until_it_is_changed_back(
    served_app: Callable[[Any], Served],
) -> None:
    served = served_app(create_app())
    statuses = []
    for knobs in ({"fault": "status-503"}, {"fault": None}):
        httpx.post(f"{served.url}/simulated/behaviour", json=knobs)
        statuses.append(httpx.post(served.url + CHAT, json=chat(), headers=OPENAI).status_code)

    assert statuses == [503, 200]


@pytest.mark.parametrize("knobs", [{"colour": 1}, {"latency-ms": -1}, ["fault"]])
def test_refuses_knobs_it_does_not_know(served: Served, knobs: Any) -> None:
    answer = httpx.post(f"{served.url}/simulated/behaviour", json=knobs)

    assert answer.status_code == 400


def test_fails_at_random_as_often_as_told_and_repeatably(
    served_app: Callable[[Any], Served],
) -> None:
    outcomes = []
    for _ in range(2):
        behaviour = Behaviour(fault="status-429", fault_rate=0.3, seed=1)
        served = served_app(create_app(behaviour))
        with httpx.Client(base_url=served.url, headers=OPENAI) as http:
            outcomes.append([http.post(CHAT, json=chat()).status_code for _ in range(60)])

    assert outcomes[0] == outcomes[1]
    assert 8 <= outcomes[0].count(429) <= 30


def test_gives_a_request_the_fault_that_it_names(served_app: Callable[[Any], Served]) -> None:
    served = served_app(create_app(Behaviour(fault="status-429", fault_rate=0)))

    answer = httpx.post(
        served.url + CHAT, json=chat(), headers={**OPENAI, "x-simulated-fault": "status-503"}
    )

    assert answer.status_code == 503


def test_draws_among_several_faults_when_none_is_named(
    served_app: Callable[[Any], Served],
) -> None:
    served = served_app(create_app(Behaviour(fault_rate=1, seed=1)))
    outcomes = set()
    for _ in range(40):
        try:
            answer = httpx.post(served.url + CHAT, json=chat(), headers=OPENAI)
            outcomes.add(str(answer.status_code))
        except httpx.RemoteProtocolError as error:
            outcomes.add(type(error).__name__)

    assert {"429", "500", "503", "RemoteProtocolError"} <= outcomes


@pytest.mark.parametrize("fault", ["reset", "cut"])
def test_works_below_a_prefix_of_another_application(
    served_app: Callable[[Any], Served], fault: str
) -> None:
    mounted = Starlette(routes=[Mount("/simulated-provider", app=create_app())])
    served = served_app(mounted)
    url = f"{served.url}/simulated-provider"

    answer = httpx.post(url + CHAT, json=chat(), headers=OPENAI)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(
            url + CHAT,
            json=chat(stream=True),
            headers={**OPENAI, "x-simulated-fault": fault},
        )

    assert answer.status_code == 200
    assert httpx.get(f"{url}/simulated/health").json()["simulated"] is True


@pytest.mark.parametrize("name", ["../secret", "missing"])
def test_replays_only_what_is_in_its_folder(
    served_app: Callable[[Any], Served], tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret.json").write_text("{}")
    folder = tmp_path / "replies"
    folder.mkdir()
    served = served_app(create_app(replies=str(folder)))

    answer = httpx.post(
        served.url + CHAT, json=chat(), headers={**OPENAI, "x-simulated-replay": name}
    )

    assert answer.status_code == 404


def test_serves_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.simulated", "--port", "0", "--fault", "status-429"]
    command += ["--ledger", str(tmp_path / "ledger.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        word, url = process.stdout.readline().split()
        answer = httpx.post(url + CHAT, json=chat(), headers=OPENAI)
        process.send_signal(signal.SIGINT)
        process.wait(10)

    assert (word, answer.status_code) == ("ready", 429)


def test_says_what_is_wrong_with_an_option() -> None:
    command = [sys.executable, "-m", "scripts.simulated", "--port", "0", "--fault", "fire"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "fault" in done.stderr
