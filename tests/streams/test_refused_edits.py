"""Which edits rest after a provider refused an edited call, and for whose calls."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.modes import Mode
from common.core.ports import Put
from common.core.secrets import Secret
from common.gateway.choice import Target
from common.gateway.credentials import Payer
from common.gateway.destinations import VENDORS
from common.gateway.refused_edits import MOST_RESTING, RESTS_S, RefusedEdits
from common.gateway.upstream import UpstreamDisconnected, UpstreamReply, UpstreamRequest
from common.gateway.upstream_records import CredentialRecord, UpstreamRecord, upstream_ref
from common.llm.facts import CallFacts
from tests.gateway.building import build_gateway
from tests.gateway.making import SetClock
from tests.streams.brownouts import Begin, brownout
from tests.streams.fakes import JSON, OPENAI_REPLY, Client, KeepingBus, ScriptedReply

__all__ = ["brownout"]

BODY = (
    b'{"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}],'
    b' "service_tier":"priority"}'
)
KEYS = ("a", "b")
Refuses: TypeAlias = Callable[[dict[str, Any], str], tuple[int, dict[str, Any]] | None]


@dataclass(slots=True)
class Judging:
    """A provider that refuses what `refuses` does, by the request and the key that pays.

    What is not refused is answered with `status`.
    """

    refuses: Refuses
    status: int = 200
    requests: list[UpstreamRequest] = field(default_factory=list)
    paid: list[str] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        shown = dict(request.headers)[b"authorization"].decode().removeprefix("Bearer ")
        self.requests.append(request)
        self.paid.append(shown)
        refused = self.refuses(json.loads(request.body), shown)
        if refused is None:
            return ScriptedReply([OPENAI_REPLY], status=self.status, headers=JSON)
        return ScriptedReply([json.dumps(refused[1]).encode()], status=refused[0], headers=JSON)


@dataclass(slots=True)
class World:
    client: Client
    provider: Judging
    bus: KeepingBus
    clock: SetClock

    async def call(
        self, key: str = "sk-of-jane", session: str = "", body: bytes = BODY
    ) -> dict[str, str]:
        """What became of each edit of one call, which its provider answers well in the end."""
        self.bus.events.clear()
        headers = {"authorization": f"Bearer {key}" if key else "", "x-gateway-session": session}
        await self.client.call(body=body, headers=headers)
        return {each.name: each.outcome for each in self.bus.only.edits}


@pytest.fixture
async def world(documents: SqliteDocuments, brownout: Begin) -> World:
    """A gateway in hard mode with two credentials of its own for OpenAI."""
    records = tuple(CredentialRecord(name, f"{name.upper()}_API_KEY") for name in KEYS)
    openai = UpstreamRecord("openai", credentials=records)
    await documents.commit([Put(upstream_ref("openai"), openai.to_data())])
    await brownout(Mode.HARD)
    provider, bus, clock = Judging(_nothing), KeepingBus(), SetClock()
    held = {f"{name.upper()}_API_KEY": Secret(name) for name in KEYS}
    return World(Client(build_gateway(documents, provider, bus, clock, held)), provider, bus, clock)


def _nothing(_body: dict[str, Any], _key: str) -> None:
    """Takes everything."""


def _error(message: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param}}


def _edited(body: dict[str, Any], _key: str) -> tuple[int, dict[str, Any]] | None:
    return (400, _error("Bad request")) if "service_tier" not in body else None


def _moved(status: int) -> Refuses:
    def refuses(body: dict[str, Any], _key: str) -> tuple[int, dict[str, Any]] | None:
        return (status, _error("No access")) if body["model"] != "gpt-5" else None

    return refuses


async def test_one_edit_rests_and_one_more_with_each_further_refusal(world: World) -> None:
    world.provider.refuses = _edited

    seen = [await world.call() for _ in range(4)]

    assert {name for name in seen[0] if name not in seen[1]} == {"model"}
    assert {name for name in seen[1] if name not in seen[2]} == {"effort"}
    assert {name for name in seen[2] if name not in seen[3]} == {"verbosity"}
    assert all(set(each.values()) == {"rejected"} for each in seen)


async def test_nothing_but_the_riskiest_rests_where_that_was_it(world: World) -> None:
    world.provider.refuses = _moved(400)

    first, second = await world.call(), await world.call()

    assert set(first.values()) == {"rejected"}
    assert second == {name: "applied" for name in first if name != "model"}


@pytest.mark.parametrize(
    ("error", "rests"),
    [
        (_error("Not now.", "reasoning_effort"), {"effort"}),
        (_error("Set max_tokens instead of reasoning.", "reasoning_effort"), {"effort"}),
        (_error("Not now.", "messages"), {"hint"}),
        (_error("Not now.", "messages[0].content"), {"hint"}),
        (_error("Unsupported value: 'verbosity' does not go with this model."), {"verbosity"}),
        (_error("generation_config.max_output_tokens: too low"), {"output_cap"}),
        (
            _error("max_tokens must be greater than thinking.budget_tokens"),
            {"output_cap", "effort"},
        ),
        (_error("This model does not take so many messages", "user"), {"model"}),
    ],
)
async def test_what_the_error_names_rests_and_else_the_riskiest(
    world: World, error: dict[str, Any], rests: set[str]
) -> None:
    world.provider.refuses = lambda body, _: (400, error) if "service_tier" not in body else None

    first, second = await world.call(), await world.call()

    assert {name for name in first if name not in second} == rests


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_refusal_of_a_caller_s_own_key_is_nobody_else_s(world: World, status: int) -> None:
    """Its account may lack a model that all others have."""
    refused = _moved(status)
    world.provider.refuses = lambda body, key: refused(body, key) if "jane" in key else None

    await world.call("sk-of-jane")
    janes, bobs, ours = await world.call(), await world.call("sk-of-bob"), await world.call("")

    assert "model" not in janes
    assert (bobs["model"], ours["model"]) == ("applied", "applied")


async def test_a_credential_of_the_installation_has_rests_of_its_own(world: World) -> None:
    refused = _moved(404)
    world.provider.refuses = lambda body, key: refused(body, key) if key == "a" else None
    sessions = {f"s{number}" for number in range(12)}
    paid: dict[str, str] = {}
    for session in sessions:
        await world.call("", session)
        paid[session] = world.provider.paid[-1]

    seen = {session: await world.call("", session) for session in sessions}

    assert set(paid.values()) == set(KEYS)
    assert all(("model" in seen[each]) == (paid[each] == "b") for each in sessions)
    assert "model" in await world.call("sk-of-jane")


@pytest.mark.parametrize("status", [429, 500, 503, 400, 403])
async def test_no_edit_is_to_blame_where_the_original_was_not_answered(
    world: World, status: int
) -> None:
    world.provider.refuses, world.provider.status = _edited, status
    await world.call()

    world.provider.refuses, world.provider.status = _nothing, 200

    assert (await world.call())["model"] == "applied"


async def test_an_edit_rests_for_an_hour(world: World) -> None:
    world.provider.refuses = _moved(404)
    await world.call()

    world.clock.advance(RESTS_S - 1)
    before = await world.call()
    world.clock.advance(1)
    after = await world.call()

    assert ("model" in before, "model" in after) == (False, True)


async def test_an_edit_rests_for_the_model_that_was_asked_for(world: World) -> None:
    world.provider.refuses = _moved(404)
    await world.call()
    world.provider.refuses = _nothing

    assert (await world.call(body=BODY.replace(b"gpt-5", b"gpt-5.1")))["model"] == "applied"
    assert "model" not in await world.call()


async def test_the_original_is_sent_where_the_error_breaks_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = [
        ScriptedReply([b'{"error":', UpstreamDisconnected("reset")], status=400, headers=JSON),
        ScriptedReply([OPENAI_REPLY], headers=JSON),
    ]

    async def send(_self: Judging, _request: UpstreamRequest) -> UpstreamReply:
        return replies[0] if replies[0].closed == 0 else replies[1]

    monkeypatch.setattr(Judging, "send", send)
    first, second = await world.call(), await world.call()

    assert set(first.values()) == {"rejected"}
    assert world.bus.only.status == 200
    assert replies[0].closed
    assert first.keys() - second.keys() == {"model"}


def test_callers_never_crowd_out_what_the_installation_has_learnt() -> None:
    refused = RefusedEdits(SetClock())
    facts = CallFacts(readable=True, model="gpt-5")
    target = Target(VENDORS["openai"], "/v1/chat/completions", BODY, facts, None)
    ours, jane = Payer("main", own=False), Payer("jane", own=True)

    refused.rest(target, ours, "model")
    refused.rest(target, jane, "model")
    for number in range(MOST_RESTING):
        refused.rest(target, Payer(str(number), own=True), "model")

    assert refused.rests(target, ours, "model")
    assert not refused.rests(target, jane, "model")
    assert refused.rests(target, Payer("0", own=True), "model")
