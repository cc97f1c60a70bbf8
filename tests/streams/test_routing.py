"""Rules on the way of a call: which model it reaches."""

import json

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.brownout.modes import Mode
from common.gateway.keys import KeyPolicy
from tests.gateway.making import a_key, store
from tests.streams.brownouts import Begin, a_scope, brownout
from tests.streams.conftest import MakeClient
from tests.streams.fakes import JSON, Client, KeepingBus, ScriptedReply
from tests.streams.hard_budgets import CHAT, Make, budget
from tests.streams.routes import BODY, KEYS, ByHost, Rules, client, key_of, ok, rules, upstream, use

__all__ = ["brownout", "budget", "client", "rules", "upstream"]


async def test_goes_where_it_was_sent_without_rules(
    client: Client, upstream: ByHost, bus: KeepingBus
) -> None:
    exchange = await client.call(body=BODY)

    assert upstream.requests[0].body == BODY
    assert "x-gateway-route" not in exchange.headers
    assert (bus.only.route, bus.only.route_model) == (None, None)


async def test_goes_to_the_model_of_its_rule_with_no_other_byte_changed(
    client: Client, upstream: ByHost, bus: KeepingBus, rules: Rules
) -> None:
    await rules(use("gpt-4o-mini", match={"model": "gpt-4o"}))

    exchange = await client.call(body=BODY)

    assert upstream.requests[0].body == BODY.replace(b'"gpt-4o"', b'"gpt-4o-mini"')
    assert exchange.headers["x-gateway-route"] == "r0"
    assert exchange.headers["x-gateway-model-asked"] == "gpt-4o"
    assert exchange.headers["x-gateway-model"] == "gpt-4o-mini"
    event = bus.only
    assert (event.model_asked, event.model_sent) == ("gpt-4o", "gpt-4o-mini")
    assert (event.route, event.route_why, event.route_model) == ("r0", "fixed", "gpt-4o-mini")
    assert event.card == "openai/gpt-4o-mini"


async def test_crosses_to_another_vendor_with_the_installation_s_key_alone(
    client: Client, upstream: ByHost, bus: KeepingBus, rules: Rules
) -> None:
    await rules(use("gemini/gemini-2.5-flash"))

    await client.call(body=BODY, headers={"authorization": "Bearer sk-of-the-client"})

    [request] = upstream.requests
    assert request.url.endswith("/v1beta/openai/chat/completions")
    assert json.loads(request.body)["model"] == "gemini-2.5-flash"
    assert key_of(request) == {"Bearer sk-gemini"}
    assert bus.only.card == "google/gemini-2.5-flash"


async def test_keeps_a_client_s_own_key_at_the_upstream_that_it_belongs_to(
    client: Client, upstream: ByHost, rules: Rules
) -> None:
    await rules(use("gpt-4o-mini"))

    await client.call(body=BODY, headers={"authorization": "Bearer sk-of-the-client"})

    assert key_of(upstream.requests[0]) == {"Bearer sk-of-the-client"}


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("nobody/llama", "unknown_upstream"),
        ("anthropic/claude-haiku-4-5", "ignores response_format"),
        ("o3-mini", "model_not_allowed"),
        ("gpt-4-turbo", "takes no schema"),
    ],
)
async def test_leaves_out_what_cannot_take_the_call_and_says_why(
    client: Client,
    upstream: ByHost,
    *,
    documents: SqliteDocuments,
    rules: Rules,
    model: str,
    why: str,
) -> None:
    allowed = ("gpt-4*", "anthropic/*", "claude*")
    await store(documents, a_key(policy=KeyPolicy(models=allowed)))
    await rules(use(model, "gpt-4o-mini"))
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}

    exchange = await client.call(
        body=json.dumps({**json.loads(BODY), "response_format": form}).encode()
    )

    assert upstream.asked == [("openai", "gpt-4o-mini")]
    assert f"{model} left out ({why})" in exchange.headers["x-gateway-warning"]


async def test_leaves_out_an_upstream_without_a_key(
    make_client: MakeClient, upstream: ByHost, rules: Rules
) -> None:
    client = make_client(managed_keys={"openai": KEYS["openai"]})
    await rules(use("gemini/gemini-2.5-flash", "gpt-4o-mini"))

    exchange = await client.call(body=BODY)

    assert upstream.asked == [("openai", "gpt-4o-mini")]
    assert "no key for it here" in exchange.headers["x-gateway-warning"]


async def test_goes_where_it_was_sent_where_nothing_of_its_rule_can_take_it(
    client: Client, upstream: ByHost, rules: Rules
) -> None:
    await rules(use("nobody/llama"))

    await client.call(body=BODY)

    assert upstream.requests[0].body == BODY


async def test_only_records_what_a_rule_in_shadow_chooses(
    client: Client, upstream: ByHost, bus: KeepingBus, rules: Rules
) -> None:
    await rules(use("gpt-4o-mini", shadow=True))

    exchange = await client.call(body=BODY)

    assert upstream.requests[0].body == BODY
    assert "x-gateway-route" not in exchange.headers
    assert (bus.only.route_model, bus.only.route_shadow) == ("gpt-4o-mini", True)


async def test_is_left_alone_where_its_client_says_so(
    client: Client, upstream: ByHost, bus: KeepingBus, rules: Rules
) -> None:
    await rules(use("gpt-4o-mini"))

    exchange = await client.call(body=BODY, headers={"x-gateway-route": "off"})

    assert upstream.requests[0].body == BODY
    assert bus.only.route is None
    assert "x-gateway-warning" not in exchange.headers
    assert not [name for name, _ in upstream.requests[0].headers if b"gateway" in name]


async def test_takes_auto_where_a_rule_says_which_model_that_is(
    client: Client, upstream: ByHost, bus: KeepingBus, documents: SqliteDocuments, rules: Rules
) -> None:
    body = BODY.replace(b"gpt-4o", b"auto")
    await store(documents, a_key(policy=KeyPolicy(models=("gpt-4o*",))))
    await rules(use("gpt-4o-mini", match={"model": "auto", "stream": False}))

    served = await client.call(body=body)
    refused = await client.call(body=body[:-1] + b',"stream":true}')

    assert served.status == 200
    assert upstream.asked == [("openai", "gpt-4o-mini")]
    assert (refused.status, refused.headers["x-gateway-error"]) == (404, "model_not_found")
    assert b"No rule says" in refused.content


async def test_moves_a_call_in_a_vendor_s_own_format_within_that_vendor(
    client: Client, upstream: ByHost, rules: Rules
) -> None:
    await rules(use("gemini/gemini-2.5-flash", "claude-haiku-4-5"))
    body = b'{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}'

    await client.call("/gemini/v1beta/models/gemini-2.5-pro:generateContent", body)
    await client.call("/anthropic/v1/messages", BODY.replace(b"gpt-4o", b"claude-sonnet-4-5"))

    first, second = upstream.requests
    assert first.url.endswith("/v1beta/models/gemini-2.5-flash:generateContent")
    assert first.body == body
    assert json.loads(second.body)["model"] == "claude-haiku-4-5"


async def test_steps_down_as_the_tightest_budget_is_used(
    client: Client,
    upstream: ByHost,
    budget: Make,
    rules: Rules,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await budget(limit=5_000_000)
    upstream.turns["openai"] = [ok("gpt-4o")]
    steps = [{"model": "gpt-4o", "until": 1}, {"model": "gpt-4o-mini", "until": 100}]
    await rules({"use": {"ladder": steps}})

    monkeypatch.setattr("common.gateway.budget_use.KEPT_S", 0.0)
    for _ in range(3):
        await client.call(CHAT, BODY)

    assert [model for _, model in upstream.asked] == ["gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]


async def test_takes_the_cheapest_unless_that_would_lose_a_warm_cache(
    client: Client, upstream: ByHost, rules: Rules
) -> None:
    usage = {
        "prompt_tokens": 100_000,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 99_000},
    }
    warm = json.dumps({"model": "gpt-4o", "choices": [], "usage": usage}).encode()
    upstream.turns["openai"] = [ok("gpt-4.1"), ScriptedReply([warm], headers=list(JSON)), ok()]
    await rules(
        use("gpt-4o", match={"model": "gpt-4o"}), {"use": {"cheapest": ["gpt-4o", "gpt-4.1"]}}
    )
    session = {"x-gateway-session": "s1"}
    undecided = BODY.replace(b"gpt-4o", b"o3")

    await client.call(body=undecided)
    await client.call(body=BODY, headers=session)
    await client.call(body=undecided, headers=session)
    await client.call(body=undecided, headers={"x-gateway-session": "s2"})

    assert [model for _, model in upstream.asked] == ["gpt-4.1", "gpt-4o", "gpt-4o", "gpt-4.1"]


async def test_treats_a_call_in_a_brownout_as_one_for_the_model_it_goes_to(
    client: Client, upstream: ByHost, brownout: Begin, bus: KeepingBus, rules: Rules
) -> None:
    await brownout(scopes={"model:gpt-5": a_scope(Mode.HARD)})
    await rules(use("gpt-5"))

    await client.call(body=BODY.replace(b'"max_tokens":100', b'"max_completion_tokens":9000'))

    assert (bus.only.mode, bus.only.mode_scope) == ("hard", "model:gpt-5")
    assert upstream.asked == [("openai", "gpt-5-mini")]
