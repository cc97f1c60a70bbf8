"""Datadog's webhook over HTTP: who may post, and what no body brings it to."""

import asyncio
import base64
import json
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from common.api.webhooks import BODY_S, DATADOG_PATH, HEALTH_PATH, MAX_BODY_BYTES
from common.core.ports import Create, Outcome, Write
from tests.brownout.webhook_scenes import (
    OTHER_TOKEN,
    TOKEN,
    EmptyDocuments,
    Webhook,
    a_default_body,
    a_payload,
    a_webhook,
    a_webhook_over,
)

JSON = "application/json"


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Webhook]:
    async with a_webhook(tmp_path) as webhook:
        yield webhook


class TestCallers:
    @pytest.mark.parametrize("token", [TOKEN, OTHER_TOKEN])
    async def test_takes_either_token_as_header(self, webhook: Webhook, token: str) -> None:
        assert (await webhook.posts(token=token)).status_code == 200

    async def test_takes_a_token_as_password(self, webhook: Webhook) -> None:
        response = await webhook.client.post(
            DATADOG_PATH, json=a_payload(), auth=("anybody", OTHER_TOKEN)
        )

        assert response.status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"x-brownout-token": ""},
            {"x-brownout-token": TOKEN[:-1]},
            {"x-brownout-token": f"{TOKEN} "[1:]},
            {"x-brownout-token": f"{TOKEN},{OTHER_TOKEN}"},
            {"x-brownout-token": b"\xff\xfe"},
            {"authorization": f"Bearer {TOKEN}"},
            {"authorization": "Basic ???"},
            {"authorization": "Basic " + base64.b64encode(b"\xff:\xfe").decode()},
            {"authorization": "Basic " + base64.b64encode(TOKEN.encode()).decode()},
        ],
    )
    async def test_refuses_everybody_else(self, webhook: Webhook, headers: Any) -> None:
        response = await webhook.client.post(DATADOG_PATH, json=a_payload(), headers=headers)

        assert response.status_code == 401
        assert response.json()["code"] == "unauthenticated"
        assert response.headers["www-authenticate"].startswith("Basic")
        assert await webhook.signals() == []
        assert await webhook.deliveries() == []

    async def test_refuses_everybody_where_no_token_is_set(self, tmp_path: Path) -> None:
        async with a_webhook(tmp_path, tokens=()) as webhook:
            assert (await webhook.posts(token="")).status_code == 401

    async def test_reads_nothing_of_a_stranger_s_body(self, webhook: Webhook) -> None:
        read = 0

        async def chunks() -> AsyncIterator[bytes]:
            nonlocal read
            for _ in range(100):
                read += 1
                yield b"x" * 65536

        response = await webhook.client.post(DATADOG_PATH, content=chunks())

        assert response.status_code == 401
        assert read == 0

    async def test_tells_the_network_of_a_stranger_and_not_the_address(
        self, webhook: Webhook, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)

        for address in ("198.51.100.7", "2001:db8:1:2::3", "nobody"):
            forwarded = {"x-forwarded-for": f"203.0.113.9, {address}"}
            await webhook.client.post(DATADOG_PATH, headers=forwarded)

        told = [r.__dict__["network"] for r in caplog.records if r.msg == "webhook.unauthenticated"]
        assert told == ["198.51.100.0/24", "2001:db8:1::/48", "unknown"]


class TestRequests:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_says_that_it_is_there(self, webhook: Webhook, method: str) -> None:
        assert (await webhook.client.request(method, HEALTH_PATH)).status_code == 200

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", DATADOG_PATH, 405),
            ("POST", HEALTH_PATH, 405),
            ("POST", "/api/webhooks/other", 404),
            ("POST", "/", 404),
            ("POST", f"{DATADOG_PATH}/", 401),
        ],
    )
    async def test_serves_nothing_else(
        self, webhook: Webhook, method: str, path: str, status: int
    ) -> None:
        assert (await webhook.client.request(method, path)).status_code == status

    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            (JSON, 200),
            ("Application/JSON; charset=utf-8", 200),
            ("application/x-www-form-urlencoded", 415),
            ("text/plain", 415),
            (None, 415),
        ],
    )
    async def test_takes_json_alone(self, webhook: Webhook, kind: str | None, status: int) -> None:
        headers = {"x-brownout-token": TOKEN} | ({"content-type": kind} if kind else {})
        body = json.dumps(a_payload()).encode()

        response = await webhook.client.post(DATADOG_PATH, content=body, headers=headers)

        assert response.status_code == status

    @pytest.mark.parametrize(("spare", "status"), [(0, 200), (-1, 413)])
    async def test_takes_64_kibibytes(self, webhook: Webhook, spare: int, status: int) -> None:
        body = json.dumps(a_payload()).encode()
        body += b" " * (MAX_BODY_BYTES - spare - len(body))

        assert (await webhook.posts(body)).status_code == status

    async def test_waits_for_no_body_that_stalls(self) -> None:
        """A signal's sender waits for 15 s itself."""
        gone_on = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield b'{"id":'
            await gone_on.wait()

        headers = {"content-type": JSON, "x-brownout-token": TOKEN}
        documents = KeepingDocuments()
        async with asyncio.timeout(5), a_webhook_over(documents, (TOKEN,), body_s=0.01) as webhook:
            response = await webhook.client.post(DATADOG_PATH, content=chunks(), headers=headers)

        assert (response.status_code, response.json()["code"]) == (408, "body_too_slow")
        assert response.headers["connection"] == "close"
        assert [each["http_status"] for each in documents.stored] == [408]
        assert BODY_S == 10

    async def test_names_what_a_body_lacks(self, webhook: Webhook) -> None:
        response = await webhook.posts(monitor="$ALERT_ID", transition="")

        assert response.status_code == 422
        problem = response.json()
        assert problem["code"] == "invalid_input"
        assert problem["detail"] == "the body does not say: monitor, transition"
        assert problem["field"] == "monitor"

    async def test_never_fails_on_a_wrong_body(self, webhook: Webhook) -> None:
        statuses = await statuses_of_wrong_bodies(webhook, 200)

        assert set(statuses) == {200, 422}
        assert len(await webhook.deliveries()) == 200

    @pytest.mark.slow
    async def test_never_fails_on_ten_thousand_wrong_bodies(self) -> None:
        async with a_webhook_over(EmptyDocuments(), (TOKEN,)) as webhook:
            statuses = await statuses_of_wrong_bodies(webhook, 10_000)

        assert set(statuses) == {200, 422}
        assert webhook.folds > 1000


class KeepingDocuments(EmptyDocuments):
    """Documents that are always empty, and keep what was to be stored."""

    def __init__(self) -> None:
        self.stored: list[Mapping[str, Any]] = []

    async def commit(self, writes: Sequence[Write]) -> Outcome:
        self.stored += [each.data for each in writes if isinstance(each, Create)]
        return await super().commit(writes)


async def statuses_of_wrong_bodies(webhook: Webhook, number: int) -> Counter[int]:
    chance = random.Random(20_260)
    bodies = (a_wrong_body(chance, each) for each in range(number))
    return Counter([(await webhook.posts(body)).status_code for body in bodies])


def a_wrong_body(chance: random.Random, number: int) -> bytes:
    """A payload with something wrong in it: a value, a name, its bytes, or all of it."""
    payload = a_payload(id=str(number), scope=f"host:{number % 7}")
    match number % 5:
        case 0:
            payload[chance.choice(list(payload))] = chance.choice(ODD_VALUES)
        case 1:
            payload = {chance.choice(["x", *payload]): chance.choice(ODD_VALUES) for _ in payload}
        case 2:
            payload = a_default_body(**{chance.choice(DEFAULT_NAMES): chance.choice(ODD_VALUES)})
        case _:
            body = bytearray(json.dumps(payload).encode())
            for _ in range(chance.randint(1, 6)):
                place = chance.randrange(len(body))
                body[place : place + chance.randint(0, 3)] = chance.choice(ODD_BYTES)
            return bytes(body[: chance.choice([len(body), len(body), chance.randint(0, 300)])])
    return json.dumps(payload).encode()


DEFAULT_NAMES = ("id", "last_updated", "event_type", "title", "date", "org", "body")
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**40,
    1.5,
    float("nan"),
    float("inf"),
    1e300,
    "",
    "null",
    "$TAGS",
    "\ud800",
    "\x00",
    "é" * 200,
    "x" * 3000,
    "brownout:hard,brownout_scope:" + "a" * 300,
    "brownout:hard," + ",".join(f"brownout_scope:org:o{n}" for n in range(30)),
    "99999999999999",
    "[Triggered on {",
    [],
    [[]],
    ["brownout:hard", 7, None, {"a": 1}],
    {},
    {"id": {"id": []}},
    {"id": "7", "name": 8},
)
ODD_BYTES = (
    b"",
    b'"',
    b"\\",
    b"{",
    b"]",
    b"\xff",
    b"\x00",
    b",",
    b"\\ud800",
    b"1e999",
    b"\n",
    b"$ID",
)
