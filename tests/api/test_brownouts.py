"""Brownouts over HTTP: how scopes stand, pins, and what was told."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from common.api.callers import IamAuthenticator
from common.brownout.changes import CHANGES
from common.brownout.deliveries import Delivery, delivery_entry
from common.brownout.modes import Mode
from common.brownout.pins import MOST_PINS, pin_ref
from common.brownout.state import Pin
from common.core.errors import PublishFailed
from common.core.events import Event
from common.core.ports import Documents, Query
from tests.api.brownout_scenes import (
    PIN,
    PINS,
    a_change,
    a_scope,
    at,
    audited,
    begin,
    keep,
    pinned,
    state_of,
    tell,
)
from tests.api.conftest import NOW, KeepingBus, MakeApi, SetClock, pages
from tests.api.test_requests import caller, token
from tests.brownout.scenes import a_signal

ANY = {"if-match": "*"}


async def told(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await client.get(f"/api/{path}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


class TestStanding:
    async def test_tells_that_everything_is_at_rest(self, client: httpx.AsyncClient) -> None:
        answer = await told(client, "v1/brownout")

        assert answer["data"] == {
            "mode": "normal",
            "enforcement": "shadow",
            "policy_version": 0,
            "scopes": [],
            "pins": [],
            "sources": [],
        }
        assert answer["answer"] == (
            "The mode is normal; all scopes are normal."
            " Version 0 of the policy only records what it would do."
        )

    async def test_tells_what_holds_a_scope_and_until_when(
        self, client: httpx.AsyncClient, documents: Documents
    ) -> None:
        await begin(documents, scopes={"team:acme/search": a_scope()})

        [scope] = (await told(client, "v1/brownout"))["data"]["scopes"]

        assert len(scope.pop("episode")) == 16
        assert scope == {
            "scope": "team:acme/search",
            "mode": "hard",
            "since": "2026-11-01T11:59:30Z",
            "share": 1.0,
            "ends_at": "2026-11-01T12:19:30Z",
            "opened_at": "2026-11-01T11:59:30Z",
            "peak": "hard",
            "leases": [
                {
                    "level": "hard",
                    "until": "2026-11-01T12:10:00Z",
                    "about": "errors",
                    "told_over": False,
                }
            ],
        }

    async def test_follows_the_clock_without_a_write(
        self, client: httpx.AsyncClient, documents: Documents, clock: SetClock
    ) -> None:
        await begin(documents, scopes={"global": a_scope(Mode.SOFT)})
        seen = []
        for moment in (600, 720, 841):
            clock.time = at(moment)
            data = (await told(client, "v1/brownout"))["data"]
            seen.append((data["mode"], [each["share"] for each in data["scopes"]]))

        assert seen == [("soft", [1.0]), ("soft", [0.5]), ("normal", [])]

    async def test_keeps_the_addresses_of_old(
        self, client: httpx.AsyncClient, documents: Documents
    ) -> None:
        pin = Pin("p", "model:m", Mode.NORMAL, "why", "ann@example.com", NOW, at(900))
        scopes = {"global": a_scope(Mode.SOFT), "model:m": a_scope()}
        await begin(documents, scopes=scopes, pins=(pin,))

        modes = await told(client, "brownout")
        metrics = await told(client, "metrics")

        assert modes == {
            "mode": "soft",
            "mode_number": 1,
            "enforced": False,
            "policy_version": 0,
            "scopes": {"global": "soft", "model:m": "normal"},
        }
        assert {
            name: metrics["brownout"][name] for name in ("current_mode", "enforced", "scopes")
        } == {
            "current_mode": 1,
            "enforced": False,
            "scopes": {"global": 1, "model:m": 0},
        }
        sources = {each["name"]: each["status"] for each in metrics["sources"]}
        assert sources == {"state": "ok", "budgets_sweep": "stale", "warehouse": "ok"}


class TestPins:
    async def test_sets_a_mode_for_a_while(
        self, client: httpx.AsyncClient, documents: Documents, clock: SetClock
    ) -> None:
        await begin(documents, seq=4, scopes={"global": a_scope()})

        pin = await pinned(client, minutes=5)

        assert (pin["scope"], pin["mode"], pin["reason"]) == ("global", "normal", "load test")
        assert (pin["actor"], pin["until"]) == ("operator@localhost", "2026-11-01T12:05:00Z")
        data = (await told(client, "v1/brownout"))["data"]
        assert (data["mode"], data["pins"]) == ("normal", [pin])
        state = await state_of(documents)
        assert (state.seq, [each.until for each in state.pins]) == (5, [at(300)])
        clock.time = at(300)
        data = (await told(client, "v1/brownout"))["data"]
        assert (data["mode"], data["pins"]) == ("hard", [])
        assert (await told(client, "v1/brownout/pins"))["data"] == []

    async def test_tells_the_change_and_who_made_it(
        self, client: httpx.AsyncClient, documents: Documents, bus: KeepingBus
    ) -> None:
        await begin(documents, seq=4, scopes={"global": a_scope()})

        pin = await pinned(client)

        [event] = [each.model_dump() for each in bus.events]
        told = {name: event[name] for name in ("type", "seq", "scope", "before", "after", "cause")}
        assert told == {
            "type": "brownout.mode_changed",
            "seq": 5,
            "scope": "global",
            "before": "hard",
            "after": "normal",
            "cause": "override",
        }
        assert await documents.query(Query(CHANGES, {"published": False})) == []
        assert await audited(documents) == [("brownout.pin", f"brownout_overrides/{pin['id']}")]

    async def test_stays_when_its_event_is_not_taken(
        self, client: httpx.AsyncClient, documents: Documents, bus: KeepingBus,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        async def refuse(_topic: str, _event: Event) -> None:
            raise PublishFailed("the bus is down")

        monkeypatch.setattr(type(bus), "publish", staticmethod(refuse))

        pin = await pinned(client, mode="soft")

        assert [each.id for each in (await state_of(documents)).pins] == [pin["id"]]
        assert len(await documents.query(Query(CHANGES, {"published": False}))) == 1

    async def test_tells_no_change_where_there_is_none(
        self, client: httpx.AsyncClient, documents: Documents, bus: KeepingBus
    ) -> None:
        await pinned(client, mode="normal")

        assert (bus.events, (await state_of(documents)).seq) == ([], 0)

    async def test_takes_the_place_of_the_pin_of_its_scope(
        self, client: httpx.AsyncClient, documents: Documents, clock: SetClock
    ) -> None:
        first = await pinned(client, mode="soft")
        other = await pinned(client, scope="model:m", mode="hard")
        clock.time = at(60)
        second = await pinned(client, mode="emergency")

        listed = (await told(client, "v1/brownout/pins"))["data"]

        assert [each["id"] for each in listed] == [second["id"], other["id"]]
        [record] = await documents.get_many([pin_ref(first["id"])])
        assert record is not None
        assert (record.data["ended_at"], record.data["ended_by"]) == (at(60), "operator@localhost")
        changes = [each.data for each in await documents.query(Query(CHANGES))]
        steps = [(each["scope"], each["before"], each["after"]) for each in changes]
        assert steps == [
            ("global", "soft", "emergency"),
            ("model:m", "normal", "hard"),
            ("global", "normal", "soft"),
        ]

    async def test_ends_before_its_time(
        self, client: httpx.AsyncClient, documents: Documents, clock: SetClock
    ) -> None:
        await begin(documents, scopes={"global": a_scope()})
        pin = await pinned(client)
        clock.time = at(60)

        answers = [await client.delete(f"{PINS}/{pin['id']}", headers=ANY) for _ in range(2)]

        assert [each.status_code for each in answers] == [200, 200]
        [data, again] = [each.json()["data"] for each in answers]
        assert data == again
        assert (data["live"], data["ended_at"], data["ended_by"]) == (
            False,
            "2026-11-01T12:01:00Z",
            "operator@localhost",
        )
        assert (await told(client, "v1/brownout"))["data"]["mode"] == "hard"
        newest = (await documents.query(Query(CHANGES)))[0].data
        assert (newest["before"], newest["after"], newest["cause"]) == (
            "normal",
            "hard",
            "override",
        )
        assert [what for what, _ in await audited(documents)] == ["brownout.pin", "brownout.unpin"]

    async def test_ends_only_as_it_was_read(self, client: httpx.AsyncClient) -> None:
        pin = await pinned(client)

        refused = [
            await client.delete(f"{PINS}/{pin['id']}"),
            await client.delete(f"{PINS}/{pin['id']}", headers={"if-match": '"0000"'}),
            await client.delete(f"{PINS}/none", headers=ANY),
        ]
        seen = {"if-match": f'"{pin["version"]}"'}
        ended = await client.delete(f"{PINS}/{pin['id']}", headers=seen)

        assert [each.status_code for each in refused] == [428, 412, 404]
        assert ended.json()["data"]["live"] is False

    async def test_is_set_once_for_one_idempotency_key(
        self, client: httpx.AsyncClient, clock: SetClock
    ) -> None:
        headers = {"idempotency-key": "once"}
        first = await client.post(PINS, json=PIN, headers=headers)
        clock.time = at(60)
        again = await client.post(PINS, json=PIN, headers=headers)

        assert again.json() == first.json()
        assert (await told(client, "v1/brownout/pins"))["total"]["count"] == 1

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"reason": ""}, "reason"),
            ({"reason": "   "}, "reason"),
            ({"reason": "x" * 501}, "reason"),
            ({"minutes": 4}, "minutes"),
            ({"minutes": 481}, "minutes"),
            ({"reason": "load\x1b[31m test"}, "reason"),
            ({"mode": "off"}, "mode"),
            ({"scope": "team"}, "scope"),
            ({"scope": "team:search"}, "scope"),
            ({"until": "2026-11-01T13:00:00Z"}, "until"),
        ],
    )
    async def test_is_refused_with_what_is_wrong(
        self, client: httpx.AsyncClient, documents: Documents, wrong: dict[str, Any], field: str
    ) -> None:
        answer = await client.post(PINS, json={**PIN, **wrong})

        assert (answer.status_code, answer.json()["field"]) == (422, field)
        assert (await state_of(documents)).pins == ()

    async def test_lasts_from_five_minutes_to_eight_hours(self, client: httpx.AsyncClient) -> None:
        until = [(await pinned(client, minutes=minutes))["until"] for minutes in (5, 480)]

        assert until == ["2026-11-01T12:05:00Z", "2026-11-01T20:00:00Z"]

    async def test_are_only_so_many_at_once(
        self, client: httpx.AsyncClient, documents: Documents
    ) -> None:
        pins = [
            Pin(f"p{number}", f"model:m{number}", Mode.SOFT, "why", "ann", NOW, at(900))
            for number in range(MOST_PINS)
        ]
        await begin(documents, pins=tuple(pins))

        one_more = await client.post(PINS, json={**PIN, "scope": "model:zz"})
        in_place = await client.post(PINS, json={**PIN, "scope": "model:m7"})
        everything = await client.post(PINS, json=PIN)

        assert (one_more.status_code, one_more.json()["field"]) == (422, "scope")
        assert (in_place.status_code, everything.status_code) == (201, 201)

    async def test_is_set_by_administrators_alone(
        self, make_api: MakeApi, documents: Documents
    ) -> None:
        api = make_api(IamAuthenticator(["admin@example.com"]))
        eve = {"authorization": f"Bearer {token(email='eve@example.com')}"}
        async with caller(api, **eve) as client:
            refused = [await client.post(PINS, json=PIN), await client.get("/api/brownout")]

        assert [each.status_code for each in refused] == [403, 403]
        assert sorted(await audited(documents)) == [
            ("refused", "GET /api/brownout"),
            ("refused", "POST /api/v1/brownout/pins"),
        ]


class TestLists:
    async def test_shows_changes_newest_first_page_by_page(
        self, client: httpx.AsyncClient, documents: Documents
    ) -> None:
        scopes = ["global", "model:m", "global", "global"]
        await keep(documents, *(a_change(seq, scope) for seq, scope in enumerate(scopes, 9)))

        answers = await pages(client, "brownout/changes", limit=2)
        filtered = await pages(client, "brownout/changes", scope="MODEL:m")

        assert [[row["seq"] for row in each["data"]] for each in answers] == [[12, 11], [10, 9]]
        assert {each["total"]["count"] for each in answers} == {4}
        assert [row["seq"] for row in filtered[0]["data"]] == [10]
        assert filtered[0]["total"]["count"] == 1

    async def test_refuses_a_cursor_of_another_scope(
        self, client: httpx.AsyncClient, documents: Documents
    ) -> None:
        await keep(documents, a_change(1), a_change(2))
        first = await told(client, "v1/brownout/changes?limit=1")

        query = {"after": first["next"], "scope": "global"}
        answer = await client.get("/api/v1/brownout/changes", params=query)

        assert (answer.status_code, answer.json()["field"]) == (422, "after")

    async def test_shows_signals_and_whether_they_still_hold(
        self, client: httpx.AsyncClient, documents: Documents
    ) -> None:
        live = a_signal(Mode.SOFT, observed_at=NOW, received_at=NOW, lease_until=at(60))
        over = replace(live, scope="model:m", lease_until=at(-1), told_over=True)
        await tell(documents, live, over)

        [answer] = await pages(client, "brownout/signals")

        rows = {row["scope"]: row for row in answer["data"]}
        assert {scope: row["live"] for scope, row in rows.items()} == {
            "global": True,
            "model:m": False,
        }
        assert (rows["global"]["monitor"], rows["global"]["level"]) == ("17", "soft")
        assert rows["model:m"]["told_over"] is True

    async def test_shows_what_senders_of_alerts_have_sent(
        self, client: httpx.AsyncClient, documents: Documents
    ) -> None:
        for second in (1, 3, 2):
            fields = {"monitor": str(second)}
            sent = Delivery("datadog", at(second), 200, "ignored", "no level", fields, ("note",))
            await documents.commit([delivery_entry(sent, bytes(6))])

        answer = await told(client, "v1/brownout/deliveries")

        assert [row["fields"]["monitor"] for row in answer["data"]] == ["3", "2", "1"]
        assert answer["data"][0] == {
            "received_at": "2026-11-01T12:00:03Z",
            "source": "datadog",
            "http_status": 200,
            "status": "ignored",
            "reason": "no level",
            "fields": {"monitor": "3"},
            "notes": ["note"],
        }


async def test_completes_scopes_with_the_default_organisation(make_api: MakeApi) -> None:
    api = make_api(IamAuthenticator(["admin@example.com"]), default_org="acme")
    headers = {"authorization": f"Bearer {token(email='admin@example.com')}"}
    async with caller(api, **headers) as client:
        pin = await pinned(client, scope="Team:search")

    assert pin["scope"] == "team:acme/search"
