"""The doctor and a whole local stack: what it asks of the proxy is what the proxy answers."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from scripts.commands.cloudops import app
from tests.local_stack.conftest import bigquery_server, firestore_emulator, pubsub_emulator
from tests.local_stack.process import Stack

__all__ = ["bigquery_server", "firestore_emulator", "pubsub_emulator"]

pytestmark = pytest.mark.slow


def test_finds_nothing_and_then_a_key_that_is_not_set(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as stack:

        def cloudops(*command: str) -> Result:
            return CliRunner().invoke(app, ["--url", stack.address, *command])

        sound = cloudops("doctor", "--key", stack.key)
        upstream = ["--base-url", "https://api.groq.com/openai/v1", "--provider", "groq"]
        credential = ["--credential", "main=GROQ_API_KEY"]
        made = cloudops("upstreams", "set", "groq", *upstream, *credential)
        stack_of_another_time = cloudops("doctor", "--key", "ocg_unknown")
    with Stack(tmp_path / "data") as again:
        unset = CliRunner().invoke(app, ["--url", again.address, "doctor", "--key", again.key])

    assert (sound.exit_code, sound.output) == (
        0,
        "Nothing is wrong.\nNot looked at: dead letters (--bus).\n",
    )
    assert made.exit_code == 0
    assert (stack_of_another_time.exit_code, unset.exit_code) == (1, 1)
    assert "the proxy does not tell how it stands: " in stack_of_another_time.output
    assert unset.output.startswith(
        "upstream groq: GROQ_API_KEY is not set where the proxy runs\n"
        "    fix: start scripts/dev with GROQ_API_KEY\n"
    )
