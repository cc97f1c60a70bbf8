"""Cloud Monitoring's webhook: what becomes of an incident from its opening to its end."""

import json
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from common.api.webhooks import MONITORING_PATH
from common.brownout.modes import Mode
from common.brownout.policy import SignalRules
from tests.brownout.incident_scenes import a_label, an_incident
from tests.brownout.scenes import LEASE, at
from tests.brownout.webhook_scenes import (
    TOKEN,
    EmptyDocuments,
    Webhook,
    a_webhook,
    a_webhook_over,
)


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Webhook]:
    async with a_webhook(tmp_path) as webhook:
        yield webhook


async def posts(webhook: Webhook, body: object, token: str = TOKEN) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await webhook.client.post(
        MONITORING_PATH,
        content=content,
        headers={"content-type": "application/json"},
        auth=("cloud-monitoring", token),
    )


async def told(webhook: Webhook, seconds: float = 0, **changed: Any) -> dict[str, Any]:
    webhook.clock.time = at(seconds)
    response = await posts(webhook, an_incident(**changed))
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_moves_a_scope_while_an_incident_lasts(webhook: Webhook) -> None:
    opened = await told(webhook, 20)
    again = await told(webhook, 900, renotify=True)
    until = (await webhook.signal()).lease_until
    closed = await told(webhook, 1200, state="closed", ended_at="1")

    answers = [(each["status"], each["mode"]) for each in (opened, again, closed)]
    assert answers == [("applied", "hard"), ("renewed", "hard"), ("applied", "normal")]
    assert until == at(900) + LEASE
    assert (await webhook.signal()).lease_until == at(1200)


async def test_gives_a_lease_from_the_incident_s_start(webhook: Webhook) -> None:
    webhook.rules = SignalRules(LEASE * 2, LEASE, LEASE * 3, LEASE * 4, {})

    await told(webhook, 300)

    assert (await webhook.signal()).lease_until == at(0) + LEASE


async def test_takes_an_opening_that_comes_again_once(webhook: Webhook) -> None:
    await told(webhook, 20)

    assert (await told(webhook, 30))["status"] == "duplicate"


async def test_renews_as_often_as_it_is_told(webhook: Webhook) -> None:
    answers = [await told(webhook, minute * 60, renotify=True) for minute in range(3)]

    assert [each["status"] for each in answers] == ["applied", "renewed", "renewed"]


@pytest.mark.parametrize("late", [{}, {"renotify": True}])
async def test_takes_nothing_of_an_incident_after_its_end(
    webhook: Webhook, late: dict[str, Any]
) -> None:
    """An incident never opens again, and what is told again has no time to see that it is late."""
    await told(webhook, 300, state="closed")

    answer = await told(webhook, 310, **late)

    assert answer["status"] == "stale"
    assert await webhook.signals() == []


async def test_ends_an_incident_whose_end_lies_before_its_last_renewal(webhook: Webhook) -> None:
    """The end is on its way while the renewal arrives, and the clocks differ by a little."""
    await told(webhook, 20)
    await told(webhook, 605, renotify=True)

    answer = await told(webhook, 608, state="closed", ended_at=int(at(600).timestamp()))

    assert (answer["status"], answer["mode"]) == ("applied", "normal")


async def test_keeps_incidents_of_one_policy_apart(webhook: Webhook) -> None:
    await told(webhook, 0, incident_id="1")
    await told(webhook, 0, incident_id="2", labels=a_label(brownout="soft"))

    await told(webhook, 60, incident_id="1", state="closed")

    live = [each.level for each in await webhook.signals() if not each.told_over]
    assert live == [Mode.SOFT]


async def test_says_what_it_kept_of_an_incident(webhook: Webhook) -> None:
    await told(webhook, 0)
    await posts(webhook, b"{}")

    told_of = [(each["source"], each["status"]) for each in await webhook.deliveries()]
    assert sorted(told_of) == [("monitoring", "applied"), ("monitoring", "refused")]


async def test_refuses_who_shows_no_token(webhook: Webhook) -> None:
    response = await posts(webhook, an_incident(), token="wrong")

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic")
    assert await webhook.signals() == []


async def test_asks_for_an_incident_again_when_it_is_not_stored(webhook: Webhook) -> None:
    webhook.documents.down = True

    assert (await posts(webhook, an_incident())).status_code == 503


async def test_never_shows_a_token_wherever_it_came(
    webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    right = ("state", "policy_user_labels")
    names = [name for name in an_incident()["incident"] if name not in right]
    bodies = [
        an_incident(labels=a_label(), **dict.fromkeys(names, TOKEN)),
        an_incident(labels=dict.fromkeys(a_label(), TOKEN)),
        an_incident(version=TOKEN),
        {TOKEN: TOKEN},
    ]

    answers = [await posts(webhook, body) for body in bodies]

    stored = [await webhook.all_of(name) for name in ("webhook_deliveries", "brownout_signals")]
    seen = [
        *(f"{each.headers} {each.text}" for each in answers),
        *(repr(record.__dict__) for record in caplog.records),
        repr(stored),
        repr(await webhook.events()),
    ]
    assert [text for text in seen if TOKEN in text] == []
    assert len(await webhook.signals()) == 1


async def test_never_fails_on_a_wrong_body() -> None:
    statuses = await statuses_of_wrong_bodies(500)

    assert set(statuses) == {200, 422}


@pytest.mark.slow
async def test_never_fails_on_ten_thousand_wrong_bodies() -> None:
    statuses = await statuses_of_wrong_bodies(10_000)

    assert set(statuses) == {200, 422}


async def statuses_of_wrong_bodies(number: int) -> Counter[int]:
    chance = random.Random(20_261)
    async with a_webhook_over(EmptyDocuments(), (TOKEN,)) as webhook:
        bodies = [a_wrong_body(chance) for _ in range(number)]
        return Counter([(await posts(webhook, body)).status_code for body in bodies])


def a_wrong_body(chance: random.Random) -> bytes:
    """An incident with a wrong value, a wrong label or wrong bytes."""
    incident = an_incident()["incident"]
    match chance.randrange(3):
        case 0:
            body: object = an_incident(**{chance.choice([*incident]): chance.choice(ODD_VALUES)})
        case 1:
            odd = {chance.choice([*a_label()]): chance.choice(ODD_VALUES)}
            body = an_incident(labels={**a_label(), **odd})
        case _:
            text = bytearray(json.dumps(an_incident()).encode())
            for _ in range(chance.randint(1, 6)):
                place = chance.randrange(len(text))
                text[place : place + chance.randint(0, 3)] = chance.choice(ODD_BYTES)
            return bytes(text[: chance.choice([len(text), len(text), chance.randint(0, 300)])])
    return json.dumps(body).encode()


ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**40,
    1.5,
    float("nan"),
    float("-inf"),
    1e300,
    "",
    "null",
    "\ud800",
    "\x00",
    "é" * 200,
    "x" * 3000,
    "99999999999999",
    [],
    [[]],
    ["open", 7, None, {"a": 1}],
    {},
    {"type": {"type": []}},
)
ODD_BYTES = (b"", b'"', b"\\", b"{", b"]", b"\xff", b"\x00", b",", b"\\ud800", b"1e999", b"\n")
