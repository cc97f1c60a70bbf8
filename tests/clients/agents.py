"""Coding agents as programs: set up as the README says, in a home of their own, no screen."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.clients.conftest import on_this_machine
from tests.clients.readme import block, variables

AGENT_S = 180

Variables = Callable[[Path, str, str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent, and how it is run.

    `set_up` takes home, address and key, and gives out variables. `reads_by` is the tool by which
    it reads a file, `read_with` what that is called with; empty where it has no tools.
    """

    program: str
    set_up: Variables
    asking: Callable[[str], Sequence[str]]
    reads_by: str = ""
    read_with: Callable[[Path], Mapping[str, str]] = field(default=lambda _file: {})


def _claude(_home: Path, address: str, key: str) -> Mapping[str, str]:
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    # It asks ten times more for a key that is refused, over minutes.
    once = {"CLAUDE_CODE_MAX_RETRIES": "0"}
    return variables("ANTHROPIC_AUTH_TOKEN", address=address, key=key) | quiet | once


def _codex(home: Path, address: str, key: str) -> Mapping[str, str]:
    folder = home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(block("model_providers", address=address, key=key))
    return {"GATEWAY_KEY": key}


def _gemini(home: Path, address: str, key: str) -> Mapping[str, str]:
    folder = home / ".gemini"
    folder.mkdir()
    (folder / "settings.json").write_text(block("selectedType", address=address, key=key))
    trusted = {"GEMINI_CLI_TRUST_WORKSPACE": "true"}
    return variables("GOOGLE_GEMINI_BASE_URL", address=address, key=key) | trusted


def _aider(_home: Path, address: str, key: str) -> Mapping[str, str]:
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    return variables("OPENAI_API_BASE", address=address, key=key) | quiet


def _asking_aider(prompt: str) -> Sequence[str]:
    quiet = ["--no-check-update", "--analytics-disable", "--no-show-model-warnings", "--no-git"]
    return ["--model", "openai/gpt-5-mini", "--yes-always", *quiet, "--message", prompt]


AGENTS = {
    agent.program: agent
    for agent in (
        Agent(
            "claude",
            _claude,
            lambda prompt: [
                *("-p", prompt, "--allowedTools", "Read"),
                *("--output-format", "stream-json", "--verbose"),
            ],
            "Read",
            lambda file: {"file_path": str(file)},
        ),
        Agent(
            "codex",
            _codex,
            lambda prompt: ["exec", "--skip-git-repo-check", "--json", prompt],
            "exec_command",
            lambda file: {"cmd": f"cat {file}"},
        ),
        Agent(
            "gemini",
            _gemini,
            lambda prompt: ["-p", prompt, "--output-format", "stream-json"],
            "read_file",
            lambda file: {"file_path": str(file)},
        ),
        Agent("aider", _aider, _asking_aider),
    )
}


def found(agent: Agent) -> str:
    """Where the agent's program is; skips where it is not."""
    path = shutil.which(agent.program, path=os.environ.get("CODING_AGENTS") or None)
    path = path or shutil.which(agent.program)
    if path is None:
        pytest.skip(f"{agent.program} is neither on PATH nor in the folder CODING_AGENTS")
    return str(Path(path).absolute())


def run(
    agent: Agent, prompt: str, home: Path, *, address: str, key: str
) -> subprocess.CompletedProcess[str]:
    """Ask an agent once; it works in the folder `home`."""
    program = found(agent)
    return subprocess.run(
        [program, *agent.asking(prompt)],
        cwd=home,
        env={**on_this_machine(home), **agent.set_up(home, address, key)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=AGENT_S,
        check=False,
    )
