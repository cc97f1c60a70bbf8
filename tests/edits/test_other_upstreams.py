"""Calls in OpenAI's format to other providers: no edit breaks these either.

They ignore much of what they do not know, and each has its own names for models.
"""

from collections.abc import AsyncIterator

import pytest

from common.brownout.modes import Mode
from common.core.ports import Documents, Put
from common.gateway.upstream_records import UpstreamRecord, upstream_ref
from tests.edits.asking import Asked, asked
from tests.edits.laws import Case, broken_by
from tests.edits.openai_kinds import CHAT
from tests.edits.world import World, members, world_in
from tests.streams.brownouts import a_scope
from tests.streams.conftest import documents

__all__ = ["documents"]

UPSTREAMS = (
    UpstreamRecord("azure", "https://azure.test/openai/v1", "azure", models=("gpt-5",)),
    UpstreamRecord("own-azure", "https://other.test/openai/v1", "azure"),
    UpstreamRecord("europe", "https://eu.test/v1", "openai"),
    UpstreamRecord("nobody", "https://nobody.test/v1", None, models=("gpt-5",)),
    UpstreamRecord("vertex", identity="google", project="p", location="global"),
    UpstreamRecord("second-vertex", identity="google", project="q", location="global"),
)
MODELS = (
    *("azure/gpt-5", "own-azure/gpt-5", "europe/gpt-5", "europe/gpt-4o", "nobody/gpt-5"),
    *("vertex/gemini-2.0-flash", "vertex/gemini-2.5-pro", "second-vertex/gemini-2.5-flash"),
    *("anthropic/claude-opus-4-6", "anthropic/claude-opus-5", "anthropic/claude-haiku-4-5"),
    *("gemini/gemini-2.0-flash", "gemini/gemini-2.5-pro", "gemini/gemini-3-flash-preview"),
)
STRICT = {"x-brownout": "strict", "x-priority": "critical"}
LEAST_ACCEPTED = 15


@pytest.mark.parametrize("mode", [Mode.SOFT, Mode.HARD, Mode.EMERGENCY])
@pytest.mark.parametrize("model", MODELS)
async def test_takes_what_is_edited(documents: Documents, model: str, mode: Mode) -> None:
    world = await _world(documents, mode)

    accepted = 0
    broken: list[str] = []
    async for each, straight in _accepted(world, model):
        accepted += 1
        treated = await world.treat(each.path, each.body, "moved")
        broken += broken_by(Case(each, straight, treated, keeps_cache=False))

    assert broken == []
    assert accepted >= LEAST_ACCEPTED


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("own-azure/gpt-5", ("gpt-5", "low")),
        ("europe/gpt-5", ("gpt-5-mini", "low")),
        ("nobody/gpt-5", ("gpt-5", None)),
    ],
)
async def test_edits_by_whose_prices_an_upstream_has_and_not_by_its_name(
    documents: Documents, model: str, sent: tuple[str, str | None]
) -> None:
    """What is deployed at Azure under which name, nobody can say."""
    world = await _world(documents, Mode.HARD)
    plain = asked("openai_chat", model, "plain", CHAT["plain"])

    [request] = (await world.treat(plain.path, plain.body, "moved")).sent

    body = members(request.body)
    assert (body["model"], body.get("reasoning_effort")) == sent


@pytest.mark.parametrize("name", ["vertex", "second-vertex"])
async def test_names_a_model_of_vertex_by_its_publisher(documents: Documents, name: str) -> None:
    world = await _world(documents, Mode.HARD)
    plain = asked("openai_chat", f"{name}/gemini-2.5-flash", "plain", CHAT["plain"])

    treated = await world.treat(plain.path, plain.body, "older")

    assert treated.exchange.status == 200
    assert members(treated.sent[0].body)["model"] == "google/gemini-2.0-flash"


async def _world(documents: Documents, mode: Mode) -> World:
    await documents.commit(
        [Put(upstream_ref(record.name), record.to_data()) for record in UPSTREAMS]
    )
    return await world_in(documents, {"global": a_scope(mode)})


async def _accepted(world: World, model: str) -> AsyncIterator[tuple[Asked, bytes]]:
    """Requests that the provider accepts as they are, and what it answers."""
    for name, kind in CHAT.items():
        each = asked("openai_chat", model, name, kind)
        plain = await world.treat(each.path, each.body, "moved", STRICT)
        if plain.exchange.status == 200:
            yield each, plain.exchange.content
