"""Channels for notifications over HTTP: made, replaced, tried, removed; never with a secret."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from common.api.callers import DevAuthenticator
from common.core.notification_events import NotificationTest
from common.core.ports import Committed, Documents, Put, Query
from common.core.secrets import Secret
from common.incidents.channels import Channel, QuietHours
from common.incidents.notices import Broken, ChannelState, LastAttempt, state_ref
from tests.api.conftest import NOW, KeepingBus, MakeApi, SetClock, pages

OPS: dict[str, Any] = {
    "kind": "webhook",
    "secret": "CHANNEL_OPS",
    "url": "https://ops.example.com/hook?team=a",
    "types": ["incident.", "budget.exhausted"],
    "min_severity": "warning",
    "scopes": ["team:acme/*"],
    "quiet": {"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"},
    "per_hour": 20,
}
SLACK: dict[str, Any] = {"kind": "slack", "secret": "CHANNEL_SLACK"}
PATH = "/api/v1/channels/ops"
NEW = {"if-none-match": "*"}
ANY = {"if-match": "*"}


async def put(
    client: httpx.AsyncClient, name: str = "ops", headers: dict[str, str] = NEW, **body: Any
) -> httpx.Response:
    return await client.put(f"/api/v1/channels/{name}", json=body or OPS, headers=headers)


async def test_is_read_as_it_was_made(client: httpx.AsyncClient) -> None:
    answer = await put(client)
    read = await client.get(PATH)

    assert (answer.status_code, answer.json()["answer"]) == (201, "Channel ops is as asked.")
    data = read.json()["data"]
    assert data == answer.json()["data"]
    assert read.headers["etag"] == answer.headers["etag"] == f'"{data.pop("version")}"'
    assert data == {"name": "ops", **OPS, "last": None, "secret_set": None, "broken": None}


async def test_is_stored_as_the_notifier_reads_it(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    await put(client)

    [stored] = await documents.query(Query("channels"))
    assert Channel.from_document(stored) == Channel(
        "ops",
        "webhook",
        "CHANNEL_OPS",
        url="https://ops.example.com/hook?team=a",
        types=("incident.", "budget.exhausted"),
        min_severity="warning",
        scopes=("team:acme/*",),
        quiet=QuietHours("22:00", "07:00", "Europe/Berlin"),
        per_hour=20,
    )


async def test_is_replaced_whole_and_removed(client: httpx.AsyncClient) -> None:
    etag = (await put(client)).headers["etag"]
    replaced = await put(client, headers={"if-match": etag}, **SLACK)
    data = (await client.get(PATH)).json()["data"]
    removed = await client.delete(PATH, headers={"if-match": replaced.headers["etag"]})

    assert (data["kind"], data["url"], data["types"], data["quiet"]) == ("slack", None, [], None)
    assert (removed.status_code, removed.json()["answer"]) == (200, "Channel ops is removed.")
    assert (await client.get(PATH)).status_code == 404


@pytest.mark.parametrize(
    ("method", "name", "headers", "status"),
    [
        ("PUT", "ops", {}, 428),
        ("PUT", "ops", NEW, 412),
        ("PUT", "ops", {"if-match": '"0123456789abcdef"'}, 412),
        ("PUT", "new", ANY, 412),
        ("PUT", "ops", NEW | ANY, 422),
        ("DELETE", "ops", {}, 428),
        ("DELETE", "ops", {"if-match": '"0123456789abcdef"'}, 412),
        ("DELETE", "new", ANY, 404),
        ("POST", "new:test", {}, 404),
        ("GET", "new", {}, 404),
    ],
)
async def test_is_not_changed_unseen(  # noqa: PLR0917 - a fixture and the columns of the table
    client: httpx.AsyncClient,
    bus: KeepingBus,
    method: str,
    name: str,
    headers: dict[str, str],
    status: int,
) -> None:
    before = (await put(client)).json()["data"]
    body = SLACK if method == "PUT" else None

    answer = await client.request(method, f"/api/v1/channels/{name}", json=body, headers=headers)

    assert answer.status_code == status
    assert (await client.get(PATH)).json()["data"] == before
    assert bus.events == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"url": "http://ops.example.com/x"}, "url"),
        ({"url": "https://10.0.0.1/x"}, "url"),
        ({"url": "https://localhost/x"}, "url"),
        ({"url": "https://169.254.169.254/x"}, "url"),
        ({"url": "https://metadata.google.internal/x"}, "url"),
        ({"url": "https://ada:secret@ops.example.com/"}, "url"),
        ({"url": None}, "url"),
        ({"secret": "xoxb-not-a-variable"}, "secret"),
        ({"secret": "FINGERPRINT_KEY"}, "secret"),
        ({"kind": "slack"}, "url"),
        ({"kind": "pagerduty"}, "url"),
        ({"kind": "mail"}, "kind"),
        ({"min_severity": "worst"}, "min_severity"),
        ({"types": ["incident"]}, "types"),
        ({"quiet": {"start": "7", "end": "8"}}, "quiet"),
        ({"per_hour": 0}, "per_hour"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_refuses_what_must_not_be_used_without_repeating_a_secret(
    client: httpx.AsyncClient, wrong: dict[str, Any], field: str
) -> None:
    answer = await put(client, **(OPS | wrong))

    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert "secret@" not in answer.text
    assert "xoxb" not in answer.text
    assert (await client.get(PATH)).status_code == 404


async def test_is_tried_with_a_message_that_names_who_asked(
    client: httpx.AsyncClient, bus: KeepingBus, documents: Documents
) -> None:
    await put(client)
    headers = {"idempotency-key": "try-1"}

    answers = [await client.post(f"{PATH}:test", headers=headers) for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 200]
    [event] = bus.events
    assert isinstance(event, NotificationTest)
    assert (event.channel, event.actor) == ("ops", "operator@localhost")
    audited = [each.data["what"] for each in await documents.query(Query("audit"))]
    assert sorted(audited) == ["channel.create", "channel.test"]


async def test_shows_how_the_last_message_went(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    await put(client)
    last = LastAttempt(NOW, "incident.opened", "failed", "It answered 404.")
    state = Put(state_ref("ops"), ChannelState(last=last).to_data())
    assert await documents.commit([state]) == Committed()

    shown = (await client.get(PATH)).json()["data"]["last"]
    assert shown == {
        "at": "2026-11-01T12:00:00Z",
        "type": "incident.opened",
        "status": "failed",
        "reason": "It answered 404.",
    }
    await client.delete(PATH, headers=ANY)
    assert await documents.get_many([state_ref("ops")]) == [None]


async def test_lists_page_by_page(client: httpx.AsyncClient) -> None:
    for name in ("b", "a", "c"):
        await put(client, name, **SLACK)

    listed = await pages(client, "channels", limit=2)

    assert [[row["name"] for row in page["data"]] for page in listed] == [["a", "b"], ["c"]]
    assert listed[0]["answer"] == "3 channels for notifications."


BROKEN = Broken(NOW, NOW + timedelta(minutes=10), 1, rests=True, reason="It answered 404.")


async def note(documents: Documents, state: ChannelState) -> None:
    [before] = await documents.get_many([state_ref("ops")])
    version = None if before is None else before.version
    write = Put(state_ref("ops"), state.to_data(), if_version=version)
    assert await documents.commit([write]) == Committed()


async def test_shows_that_it_rests_until_then(
    client: httpx.AsyncClient, documents: Documents, clock: SetClock
) -> None:
    await put(client)
    await note(documents, ChannelState(broken=BROKEN))

    shown = (await client.get(PATH)).json()["data"]["broken"]
    clock.advance(timedelta(minutes=10))

    assert shown == {
        "since": "2026-11-01T12:00:00Z",
        "until": "2026-11-01T12:10:00Z",
        "rests": True,
        "reason": "It answered 404.",
    }
    assert (await client.get(PATH)).json()["data"]["broken"] is None


async def test_is_not_broken_any_more_once_it_is_changed(
    client: httpx.AsyncClient, documents: Documents
) -> None:
    await put(client)
    await note(documents, ChannelState(sent=3, broken=BROKEN))

    await put(client, headers=ANY, **OPS)
    [same] = await documents.get_many([state_ref("ops")])
    await put(client, headers=ANY, **SLACK)
    [changed] = await documents.get_many([state_ref("ops")])

    assert ChannelState.from_document(same).broken == BROKEN
    assert ChannelState.from_document(changed) == ChannelState(sent=3)


@pytest.fixture
async def laptop(make_api: MakeApi) -> AsyncIterator[httpx.AsyncClient]:
    """An installation on a laptop, where one variable of a channel is set."""
    known = {"CHANNEL_OPS": Secret("key")}
    api = make_api(DevAuthenticator(in_cloud=False), local_secret=known.get)
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3000") as client:
        yield client


async def test_says_whose_variable_is_not_set_where_that_is_known(
    laptop: httpx.AsyncClient,
) -> None:
    await put(laptop)
    await put(laptop, "slack", **SLACK)

    listed = (await laptop.get("/api/v1/channels")).json()["data"]
    told = [
        (await laptop.post(f"/api/v1/channels/{name}:test")).json() for name in ("ops", "slack")
    ]

    assert [(row["name"], row["secret_set"]) for row in listed] == [("ops", True), ("slack", False)]
    assert [each["answer"] for each in told] == [
        "Channel ops is sent a message; `cloudops channels list` shows how that went.",
        "Channel slack cannot be tried: the variable CHANNEL_SLACK of the notifier is not set.",
    ]


@pytest.mark.parametrize(
    ("url", "status"), [("http://127.0.0.1:9000/x", 201), ("http://10.0.0.1:9000/x", 422)]
)
async def test_may_be_on_the_same_laptop(
    laptop: httpx.AsyncClient, client: httpx.AsyncClient, url: str, status: int
) -> None:
    on_a_laptop = await put(laptop, **(OPS | {"url": url}))
    elsewhere = await put(client, "other", **(OPS | {"url": url}))

    assert (on_a_laptop.status_code, elsewhere.status_code) == (status, 422)
