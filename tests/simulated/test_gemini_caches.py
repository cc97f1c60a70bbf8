"""The simulated Gemini keeps cached contents, and bills what is read from them as cached."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from genai_prices import Usage, calc_price

from common.core.money import nanos_from_usd
from tests.simulated.conftest import Caller

CACHES = "/gemini/v1beta/cachedContents"
CALL = "/gemini/v1beta/models/{}:generateContent"
LONG = [{"role": "user", "parts": [{"text": "A ledger has two sides. " * 400}]}]
HELLO = [{"role": "user", "parts": [{"text": "Hello, ledger"}]}]
MAKE: dict[str, Any] = {"model": "models/gemini-2.5-flash", "contents": LONG, "ttl": "600s"}


def sent(caller: Caller, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"x-goog-api-key": "sim", "x-simulated-tag": caller.tag}
    return caller.http.request(method, path, json=body, headers=headers)


def made(caller: Caller, **changes: Any) -> dict[str, Any]:
    answer = sent(caller, "POST", CACHES, MAKE | changes)
    assert answer.status_code == 200
    described: dict[str, Any] = answer.json()
    return described


def test_keeps_what_it_makes_until_it_is_deleted(caller: Caller) -> None:
    cache = made(caller, displayName="Ledgers")
    path = f"/gemini/v1beta/{cache['name']}"

    assert sent(caller, "GET", path).json() == cache
    assert cache["name"] in [
        each["name"] for each in sent(caller, "GET", CACHES).json()["cachedContents"]
    ]
    assert (cache["model"], cache["displayName"]) == ("models/gemini-2.5-flash", "Ledgers")
    assert cache["usageMetadata"]["totalTokenCount"] > 1024
    lives = datetime.fromisoformat(cache["expireTime"]) - datetime.fromisoformat(
        cache["createTime"]
    )
    assert lives == timedelta(seconds=600)
    assert sent(caller, "DELETE", path).json() == {}
    assert sent(caller, "GET", path).status_code == 403
    assert caller.rows() == []


@pytest.mark.parametrize(
    "change", [{"ttl": "7200s"}, {"ttl": "7200.5s"}, {"expireTime": "2999-01-01T00:00:00Z"}]
)
def test_changes_when_a_cache_ends(caller: Caller, change: dict[str, str]) -> None:
    cache = made(caller)

    changed = sent(caller, "PATCH", f"/gemini/v1beta/{cache['name']}", change).json()

    assert changed["expireTime"] > cache["expireTime"]
    assert {**changed, "expireTime": 0, "updateTime": 0} == (
        {**cache, "expireTime": 0, "updateTime": 0}
    )


def test_bills_what_a_call_reads_from_a_cache(caller: Caller) -> None:
    cache = made(caller)
    cached = cache["usageMetadata"]["totalTokenCount"]
    body = {"contents": HELLO, "cachedContent": cache["name"]}

    usage = sent(caller, "POST", CALL.format("gemini-2.5-flash"), body).json()["usageMetadata"]

    row = caller.row()
    assert usage["cachedContentTokenCount"] == cached < usage["promptTokenCount"]
    price = calc_price(
        Usage(
            input_tokens=usage["promptTokenCount"],
            cache_read_tokens=cached,
            output_tokens=usage["candidatesTokenCount"] + usage["thoughtsTokenCount"],
        ),
        "gemini-2.5-flash",
        provider_id="google",
        genai_request_timestamp=datetime.fromisoformat(row["received_at"]),
    )
    assert row["billed_nanos"] == nanos_from_usd(price.total_price)


def test_lists_in_pages(caller: Caller) -> None:
    names = {made(caller)["name"] for _ in range(3)}
    found: list[str] = []
    token = "0"
    while token:
        page = sent(caller, "GET", f"{CACHES}?pageSize=2&pageToken={token}").json()
        assert len(page["cachedContents"]) <= 2
        found += [each["name"] for each in page["cachedContents"]]
        token = page.get("nextPageToken", "")

    assert names <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contents": HELLO}, "Cached content is too small"),
        ({"ttl": "1h"}, "not a duration"),
        ({"ttl": "1s", "expireTime": "2999-01-01T00:00:00Z"}, "Only one of"),
        ({"expireTime": "tomorrow"}, "expire_time"),
        ({"model": "models/none"}, "models/none is not found"),
        ({"contents": []}, "contents is not specified"),
        ({"colour": "blue"}, 'Unknown name "colour"'),
    ],
)
def test_refuses_what_it_does_not_keep(
    caller: Caller, changes: dict[str, Any], message: str
) -> None:
    answer = sent(caller, "POST", CACHES, MAKE | changes)

    assert answer.status_code in {400, 404}
    assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("gemini-2.0-flash", {}, "has to be the same"),
        ("gemini-2.5-flash", {"systemInstruction": HELLO[0]}, "can not be used with"),
        ("gemini-2.5-flash", {"cachedContent": "cachedContents/none"}, "not found"),
    ],
)
def test_refuses_a_call_that_does_not_go_with_its_cache(
    caller: Caller, model: str, changes: dict[str, Any], message: str
) -> None:
    cache = made(caller)
    body = {"contents": HELLO, "cachedContent": cache["name"]} | changes

    answer = sent(caller, "POST", CALL.format(model), body)

    assert answer.status_code in {400, 403}
    assert message in answer.json()["error"]["message"]
    assert caller.rows() == []


def test_a_cache_that_has_ended_is_not_found(caller: Caller) -> None:
    cache = made(caller, ttl="0s")

    assert sent(caller, "GET", f"/gemini/v1beta/{cache['name']}").status_code == 403
