"""Coding agents work through the gateway with the settings of the README alone.

They are programs of many megabytes that nobody needs to have: each test runs where its agent is
found on PATH or in the folder that CODING_AGENTS names.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.clients.accounts import BEHAVIOUR, Account, paid
from tests.clients.agents import AGENTS, run
from tests.local_stack.process import Stack

pytestmark = pytest.mark.slow

WITH_TOOLS = sorted(name for name, agent in AGENTS.items() if agent.reads_by)
MOST_ASKED = {"gemini": 2}
"""Gemini CLI asks a small model which model to ask."""


@pytest.fixture
def notes(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """A file that every tool is called to read until the test ends."""
    file = tmp_path / "notes.txt"
    file.write_text("The word is walnut.\n")
    yield file
    _call_tools_with(stack, None)


def _call_tools_with(stack: Stack, arguments: str | None) -> None:
    knobs = {"tool-arguments": arguments}
    httpx.post(f"{stack.address}{BEHAVIOUR}", json=knobs).raise_for_status()


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_answers_and_is_accounted(account: Account, tmp_path: Path, name: str) -> None:
    done = run(AGENTS[name], "Say hello", tmp_path, address=account.address, key=account.key)

    calls = account.calls()
    assert "[simulated]" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    assert len(calls) == MOST_ASKED.get(name, 1)
    assert calls[-1]["streamed"]
    assert paid(calls) == account.billed()


@pytest.mark.parametrize("name", WITH_TOOLS)
def test_uses_a_tool_and_goes_on(
    stack: Stack, account: Account, notes: Path, tmp_path: Path, name: str
) -> None:
    agent = AGENTS[name]
    _call_tools_with(stack, json.dumps(agent.read_with(notes)))

    prompt = f"Use {agent.reads_by} on the notes"
    done = run(agent, prompt, tmp_path, address=account.address, key=account.key)

    calls = account.calls()
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(calls) == MOST_ASKED.get(name, 1) + 1
    # What the tool gave went along: the second question is the first and more.
    first, second = (call["units"]["input_tokens"] for call in calls[-2:])
    assert second > first
    assert _tells_of_the_file(done.stdout), done.stdout
    assert paid(calls) == account.billed()


def _tells_of_the_file(printed: str) -> bool:
    """Whether an agent shows what it read, or, as Gemini CLI does, only that it could."""
    events = (json.loads(line) for line in printed.splitlines() if line.startswith("{"))
    could = any((e.get("type"), e.get("status")) == ("tool_result", "success") for e in events)
    return could or "walnut" in printed


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_says_that_a_key_is_wrong(stack: Stack, tmp_path: Path, name: str) -> None:
    done = run(AGENTS[name], "Say hello", tmp_path, address=stack.address, key="ocg_wrong")

    assert "The gateway key is not one of ours" in done.stdout + done.stderr
