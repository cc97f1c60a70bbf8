"""A conversation that has begun keeps what its provider has cached of it, whatever the mode.

Two clients say the same: one to the provider, one through the gateway in a mode that edits. By the
ledgers of their providers both read the same from their caches, turn by turn.
"""

import json
from typing import Any

import pytest

from common.brownout.modes import Mode
from common.core.ports import Documents
from scripts.simulated.server import SimulatedProvider
from tests.edits.conversations import CONVERSATIONS, numbers
from tests.edits.provider import ServedProvider
from tests.edits.reading import cache_settings_of
from tests.edits.world import members, world_in
from tests.streams.brownouts import a_scope
from tests.streams.conftest import documents

__all__ = ["documents"]

HINT_TOKENS = 6
SIZES = (0, 1_500, 20_000, 100_000)
MODES = (Mode.SOFT, Mode.HARD, Mode.EMERGENCY)
LEAST_READ = 1_024
LEFT_AS_IT_IS = {"messages with tools"}
"""Nothing of it can be lowered without its cache or the call of a tool."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tokens", SIZES)
@pytest.mark.parametrize("name", CONVERSATIONS)
async def test_reads_as_much_from_its_cache_as_without_the_gateway(
    documents: Documents, name: str, tokens: int, mode: Mode
) -> None:
    conversation, path = CONVERSATIONS[name], CONVERSATIONS[name].path
    world, own = await world_in(documents, {"global": a_scope(mode)}), ServedProvider()
    for each in (world.provider, own):
        # It begins before the brownout.
        assert (await each.ask(path, conversation.body(0, tokens))).status == 200

    edits = set[str]()
    for number in numbers():
        body = conversation.body(number, tokens)
        assert (await own.ask(path, body)).status == 200
        treated = await world.treat(path, body, "moved")
        assert treated.exchange.status == 200
        edits.update(treated.applied)
        [sent] = treated.sent
        assert cache_settings_of(members(sent.body)) == cache_settings_of(members(body))

    before, after = await _inputs(own.app), await _inputs(world.provider.app)
    assert [read for read, _ in after] == [read for read, _ in before]
    assert all(
        mine <= theirs + HINT_TOKENS for (_, mine), (_, theirs) in zip(after, before, strict=True)
    )
    assert tokens == 0 or min(read for read, _ in after[1:]) > LEAST_READ
    assert bool(edits & {"output_cap", "hint", "candidates", "tier"}) == (name not in LEFT_AS_IT_IS)


@pytest.mark.parametrize("mode", MODES)
async def test_reads_a_cached_content_as_it_is(documents: Documents, mode: Mode) -> None:
    world = await world_in(documents, {"global": a_scope(mode)})
    said = {"role": "user", "parts": [{"text": "ledger " * 4_000}]}
    cache = {"model": "models/gemini-2.5-flash", "contents": [said]}
    path = "/gemini/v1beta/models/gemini-2.5-flash:generateContent"
    made = await world.provider.ask("/gemini/v1beta/cachedContents", _json(cache))
    asked = {
        "cachedContent": members(made.body)["name"],
        "contents": [{"role": "user", "parts": [{"text": "Why?"}]}],
        "generationConfig": {"candidateCount": 2},
    }
    assert (await world.provider.ask(path, _json(asked))).status == 200

    treated = await world.treat(path, _json(asked), "moved")

    assert treated.exchange.status == 200
    assert not treated.applied.keys() & {"model", "effort", "media_detail"}
    [(before, _), (after, _)] = await _inputs(world.provider.app)
    assert after == before > LEAST_READ


@pytest.mark.parametrize("mode", MODES)
async def test_goes_on_with_a_response_that_its_provider_keeps(
    documents: Documents, mode: Mode
) -> None:
    world, own = await world_in(documents, {"global": a_scope(mode)}), ServedProvider()
    path = "/openai/v1/responses"
    asked = {"model": "gpt-5", "input": "ledger " * 4_000}
    for each in (world.provider, own):
        begun = members((await each.ask(path, _json(asked))).body)
        again = _json({"model": "gpt-5", "input": "Why?", "previous_response_id": begun["id"]})
        if each is own:
            assert (await own.ask(path, again)).status == 200
        else:
            treated = await world.treat(path, again, "moved")
            assert treated.exchange.status == 200
            assert not treated.applied.keys() & {"model", "effort", "media_detail"}

    before, after = await _inputs(own.app), await _inputs(world.provider.app)
    assert after[1][0] == before[1][0] > LEAST_READ


async def _inputs(provider: SimulatedProvider) -> list[tuple[int, int]]:
    """Tokens read from caches and tokens of the whole input, call by call, as they are billed."""
    return [_input(row["usage"]) for row in await provider.ledger.rows()]


def _input(usage: dict[str, Any]) -> tuple[int, int]:
    if "prompt_tokens" in usage:
        return usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"]
    if "promptTokenCount" in usage:
        return usage["cachedContentTokenCount"], usage["promptTokenCount"]
    if "input_tokens_details" in usage:
        return usage["input_tokens_details"]["cached_tokens"], usage["input_tokens"]
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    return read, usage["input_tokens"] + read + written


def _json(body: object) -> bytes:
    return json.dumps(body).encode()
