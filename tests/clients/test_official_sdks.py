"""The blocks of the README for the official SDKs make clients that work; more in tests/sdks."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.clients.accounts import Account, paid
from tests.clients.readme import block


def _openai(client: Any) -> str:
    asked = [{"role": "user", "content": "Hello"}]
    reply = client.chat.completions.create(model="gpt-5-mini", messages=asked)
    return str(reply.choices[0].message.content)


def _anthropic(client: Any) -> str:
    asked = [{"role": "user", "content": "Hello"}]
    reply = client.messages.create(model="claude-haiku-4-5", max_tokens=200, messages=asked)
    return str(reply.content[0].text)


def _google(client: Any) -> str:
    return str(client.models.generate_content(model="gemini-2.5-flash", contents="Hello").text)


@pytest.mark.parametrize(
    ("naming", "ask"),
    [
        ("from openai import", _openai),
        ("from anthropic import", _anthropic),
        ("from google import", _google),
        ("default_headers", _openai),
    ],
)
def test_answers_and_is_accounted(
    account: Account, tmp_path: Path, naming: str, ask: Callable[[Any], str]
) -> None:
    settings = block(naming, address=account.address, key=account.key).replace("sk-...", "sim")
    file = tmp_path / "settings.py"
    file.write_text(settings)
    client = runpy.run_path(str(file), {"OpenAI": openai.OpenAI})["client"]

    text = ask(client)
    client.close()

    assert text.startswith("[simulated] ")
    assert paid(account.calls()) == account.billed() != []
