"""`GET /gateway/v1/status`: who the caller is, how its budgets stand, which keys pay."""

import json
from dataclasses import replace

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.accounts import period_ref
from common.budgets.calendar import Calendar
from common.core.ports import Put
from common.core.secrets import Secret
from common.gateway.keys import KeyPolicy, key_ref
from common.gateway.upstream_records import CredentialRecord, UpstreamRecord, upstream_ref
from common.llm.price_book import bundled_book
from tests.gateway.making import START, a_key, key_text
from tests.streams.conftest import MakeClient
from tests.streams.fakes import Client
from tests.streams.test_own_answers import DOLLAR, STATUS, Make, budget, status

__all__ = ["budget"]


async def test_tells_who_the_caller_is(client: Client) -> None:
    exchange = await client.call(STATUS, b"", method="GET", headers={"x-gateway-agent": "indexer"})

    key = a_key()
    assert json.loads(exchange.content)["identity"] == {
        "key_id": key.key_id,
        "name": "crawler key",
        "line": "line-1",
        "org": "acme",
        "team": "search",
        "agent": "indexer",
        "project": None,
        "expires_at": None,
    }


async def test_tells_how_budgets_stand_for_whatever_model(
    client: Client, documents: SqliteDocuments, budget: Make
) -> None:
    period = (await budget(models=("claude-*",))).period_at(START)
    spent = replace(period, settled=9 * DOLLAR // 10, leased=10, open_leases=1)
    await documents.commit([Put(period_ref(period.id), spent.to_data())])
    await budget(id="elsewhere", scope="team:acme/ops")
    await budget(id="for-ever", calendar=Calendar("total"))

    first, second = (await status(client))["budgets"]

    assert first == {
        "id": "b",
        "scope": "org:acme",
        "models": ["claude-*"],
        "period": "day",
        "state": "warning",
        "limit_usd": "1.000000000",
        "limit_nanos": DOLLAR,
        "settled_usd": "0.900000000",
        "settled_nanos": 900_000_000,
        "leased_usd": "0.000000010",
        "leased_nanos": 10,
        "own_free_usd": "0.000000000",
        "own_free_nanos": 0,
        "resets_at": "2026-11-21T00:00:00+00:00",
    }
    assert (second["id"], second["resets_at"], second["settled_nanos"]) == ("for-ever", None, 0)


async def test_tells_which_keys_pay_and_which_rest(
    make_client: MakeClient, documents: SqliteDocuments
) -> None:
    bound = a_key(key_text("bound"), policy=KeyPolicy(upstreams=("openai",)))
    records = (CredentialRecord("main", "OPENAI_API_KEY"), CredentialRecord("no", "NO_API_KEY"))
    await documents.commit(
        [
            Put(upstream_ref("openai"), UpstreamRecord("openai", credentials=records).to_data()),
            Put(key_ref(bound.digest), bound.to_data()),
        ]
    )
    client = make_client(managed_keys={"openai": Secret("sk-of-the-installation")})
    client.key = key_text("bound")

    before = (await status(client))["upstreams"]
    sender = client.gateway.forwarding.sender
    destinations = await client.gateway.directory.current()
    sender.pool.rest(destinations["openai"], "main", 30.0)
    exchange = await client.call(STATUS, b"", method="GET")
    [after] = json.loads(exchange.content)["upstreams"]

    unset = {"variable": "NO_API_KEY", "state": "unset", "resting_s": 0.0}
    assert before == [
        {
            "name": "openai",
            "provider": "openai",
            "pays": True,
            "credentials": [{"name": "main", "state": "set", "resting_s": 0.0}, unset],
        }
    ]
    [resting, still_unset] = after["credentials"]
    assert (resting["name"], resting["state"], still_unset) == ("main", "resting", unset)
    assert 0 < resting["resting_s"] <= 30
    assert b"sk-of-the-installation" not in exchange.content


async def test_names_the_price_book(client: Client) -> None:
    assert (await status(client))["book"] == bundled_book().digest
