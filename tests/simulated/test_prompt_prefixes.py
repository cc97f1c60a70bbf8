"""An edit that changes what a prompt cache compares is seen as tokens that are not read from it."""

from typing import Any

import pytest

from tests.simulated.conftest import RESPONSES, Caller, chat, message

TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}
CLAUDE = "claude-opus-4-6"


def long(caller: Caller) -> str:
    return f"{caller.tag} " * 200


def pictured(caller: Caller, **picture: Any) -> dict[str, Any]:
    """A turn with a picture at its beginning."""
    url = {"url": "data:image/png;base64,AAAA", **picture}
    parts = [{"type": "image_url", "image_url": url}, {"type": "text", "text": long(caller)}]
    return chat(messages=[{"role": "user", "content": parts}])


def read_at_openai(caller: Caller, body: dict[str, Any]) -> int:
    usage = caller.openai(body).json()["usage"]
    return int(usage["prompt_tokens_details"]["cached_tokens"])


@pytest.mark.parametrize(
    ("edit", "reads"),
    [
        ({}, True),
        ({"max_completion_tokens": 50}, True),
        ({"reasoning_effort": "low", "verbosity": "low", "service_tier": "default"}, True),
        ({"model": "gpt-5-nano"}, False),
        ({"tools": [TOOL]}, False),
    ],
)
def test_reads_what_openai_knows_by_model_and_prefix(
    caller: Caller, edit: dict[str, Any], reads: bool
) -> None:
    body = chat(model="gpt-5-mini", messages=[{"role": "user", "content": long(caller)}])
    assert read_at_openai(caller, body) == 0

    assert (read_at_openai(caller, {**body, **edit}) > 1024) is reads


def test_compares_pictures_and_their_detail(caller: Caller) -> None:
    assert read_at_openai(caller, pictured(caller)) == 0
    assert read_at_openai(caller, pictured(caller)) > 1024
    assert read_at_openai(caller, pictured(caller, detail="low")) == 0
    assert read_at_openai(caller, pictured(caller, url="data:image/png;base64,BBBB")) == 0


def test_compares_the_pictures_of_responses(caller: Caller) -> None:
    def read(**picture: Any) -> int:
        part = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", **picture}
        said = {"role": "user", "content": [part, {"type": "input_text", "text": long(caller)}]}
        # Behind the texts of its message, so a second message stands for what comes after.
        body = {"model": "gpt-4o-mini", "input": [said, {"role": "user", "content": long(caller)}]}
        usage = caller.post(RESPONSES, body).json()["usage"]
        return int(usage["input_tokens_details"]["cached_tokens"])

    assert read() == 0
    whole = read()
    assert 0 < read(detail="low") < whole


def marked(caller: Caller, **fields: Any) -> dict[str, Any]:
    mark = {"type": "ephemeral"}
    system = [{"type": "text", "text": long(caller), "cache_control": mark}]
    said = [{"type": "text", "text": long(caller), "cache_control": mark}]
    turn = {"role": "user", "content": said}
    return message(**{"model": CLAUDE, "system": system, "messages": [turn], **fields})


def read_at_anthropic(caller: Caller, **fields: Any) -> int:
    usage = caller.anthropic(marked(caller, **fields)).json()["usage"]
    return int(usage["cache_read_input_tokens"])


@pytest.mark.parametrize(
    ("edit", "share"),
    [
        ({}, "all"),
        ({"max_tokens": 7, "service_tier": "standard_only"}, "all"),
        ({"output_config": {"effort": "high"}}, "all"),
        ({"thinking": {"type": "disabled"}}, "all"),
        ({"output_config": {"effort": "low"}}, "none"),
        ({"thinking": {"type": "adaptive"}}, "none"),
        ({"model": "claude-sonnet-4-6"}, "none"),
        ({"tools": [{"name": "look", "input_schema": {"type": "object"}}]}, "none"),
        ({"system": "Answer briefly."}, "none"),
    ],
)
def test_reads_what_anthropic_knows_by_model_settings_and_prefix(
    caller: Caller, edit: dict[str, Any], share: str
) -> None:
    assert read_at_anthropic(caller) == 0
    whole = read_at_anthropic(caller)

    assert read_at_anthropic(caller, **edit) == {"all": whole, "none": 0}[share]


def test_reads_tools_and_system_where_thinking_stands_before_the_messages(caller: Caller) -> None:
    model = "claude-sonnet-4-5"
    budget = {"type": "enabled", "budget_tokens": 1024}
    read_at_anthropic(caller, model=model)
    whole = read_at_anthropic(caller, model=model)

    assert 1024 < read_at_anthropic(caller, model=model, thinking=budget, max_tokens=4000) < whole


def test_bills_what_an_edit_does_not_read(caller: Caller) -> None:
    for edit in ({}, {}, {"output_config": {"effort": "low"}}):
        read_at_anthropic(caller, **edit, max_tokens=1)

    written, read, missed = (row["billed_nanos"] for row in caller.rows())
    assert read < missed == written
