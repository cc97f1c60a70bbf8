"""Where a provider refuses an edit all the same, its client gets the answer to what it asked."""

import json
from dataclasses import dataclass, field

import pytest

from common.brownout.modes import Mode
from common.core.ports import Documents
from common.gateway.upstream import UpstreamReply, UpstreamRequest
from common.llm.paths import FormName
from tests.edits.asking import asked
from tests.edits.openai_kinds import CHAT, RESPONSES, Kind
from tests.edits.other_kinds import CONTENT, MESSAGES
from tests.edits.provider import Answered, ServedProvider
from tests.edits.world import World, members, world_in
from tests.streams.brownouts import a_scope
from tests.streams.conftest import documents

__all__ = ["documents"]

JSON = [(b"content-type", b"application/json")]
GPT: tuple[FormName, str, Kind] = ("openai_chat", "gpt-5", CHAT["plain"])
RESPONSE: tuple[FormName, str, Kind] = ("openai_responses", "gpt-5", RESPONSES["plain"])
CLAUDE: tuple[FormName, str, Kind] = ("anthropic_messages", "claude-opus-4-6", MESSAGES["long"])
GEMINI: tuple[FormName, str, Kind] = ("gemini_content", "gemini-2.5-pro", CONTENT["plain"])


@pytest.mark.parametrize(
    ("request_", "member", "edit"),
    [
        (GPT, "verbosity", "verbosity"),
        (GPT, "max_completion_tokens=4096", "output_cap"),
        (RESPONSE, "reasoning.effort=low", "effort"),
        (CLAUDE, "output_config.effort", "effort"),
        (GEMINI, "generationConfig.maxOutputTokens", "output_cap"),
    ],
)
async def test_answers_as_if_there_was_no_edit_and_leaves_it_for_the_next_call(
    documents: Documents, request_: tuple[FormName, str, Kind], member: str, edit: str
) -> None:
    world = await world_in(documents, {"global": a_scope(Mode.HARD)})
    form, model, kind = request_
    call = asked(form, model, "plain", kind)
    headers = {"x-simulated-refuse-member": member, "x-priority": "critical"}

    first = await world.treat(call.path, call.body, headers=headers)
    second = await world.treat(call.path, call.body, headers=headers)

    assert (first.exchange.status, second.exchange.status) == (200, 200)
    assert edit in first.rejected
    assert first.sent[-1].body == call.body
    assert len(second.sent) == 1
    assert set(first.rejected) - second.applied.keys() == {edit}


@dataclass(slots=True)
class Lacking(ServedProvider):
    """A provider whose account has not all models."""

    lacks: str = ""
    status: int = 404
    refused: list[str] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.requests.append(request)
        if self.lacks in (members(request.body).get("model"), _in_path(request.url)):
            self.refused.append(self.lacks)
            text = {"error": {"message": "no such model", "type": "invalid_request_error"}}
            return Answered(self.status, JSON, json.dumps(text).encode())
        return await self.answer(request)


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(
    ("request_", "lacks"),
    [(GPT, "gpt-5-mini"), (CLAUDE, "claude-haiku-4-5"), (GEMINI, "gemini-2.5-flash-lite")],
)
async def test_takes_back_a_model_that_the_account_does_not_have(
    documents: Documents, request_: tuple[FormName, str, Kind], lacks: str, status: int
) -> None:
    """All else is still given up of the calls that follow."""
    world = await _lacking(documents, lacks, status)
    form, model, kind = request_
    call = asked(form, model, "plain", kind)

    first = await world.treat(call.path, call.body, "moved")
    second = await world.treat(call.path, call.body, "moved")

    assert (first.exchange.status, second.exchange.status) == (200, 200)
    assert first.sent[-1].body == call.body
    assert "model" in first.rejected
    assert "model" not in second.applied
    assert {"hint", "output_cap"} <= second.applied.keys()
    assert len(second.sent) == 1


async def test_passes_on_that_there_is_no_such_model_where_the_client_asked_for_it(
    documents: Documents,
) -> None:
    world = await _lacking(documents, "gpt-5-mini", 404)
    call = asked("openai_chat", "gpt-5-mini", "plain", CHAT["plain"])

    treated = await world.treat(call.path, call.body, "moved")

    assert (treated.exchange.status, len(treated.sent)) == (404, 1)
    assert treated.rejected == []


async def _lacking(documents: Documents, model: str, status: int) -> World:
    world = await world_in(documents, {"global": a_scope(Mode.HARD)})
    provider = Lacking(lacks=model, status=status)
    world.client.gateway.forwarding.sender.upstream = provider
    return World(world.client, provider, world.bus)


def _in_path(url: str) -> str:
    return url.rpartition("/models/")[2].partition(":")[0]
