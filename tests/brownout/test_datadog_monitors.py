"""What Datadog's API says of monitors, over HTTP, and what is made of answers that are none."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from common.adapters.datadog_monitors import MOST_BYTES, MOST_PAGES, PAGE_SIZE
from common.brownout.modes import Mode
from common.brownout.policy import Meaning
from common.brownout.reconciling import Group, Monitor, Mute, SourceUnavailable
from tests.brownout.datadog_server import (
    API_KEY,
    APP_KEY,
    Asked,
    DatadogServer,
    Redirected,
    a_datadog,
    a_group,
    a_monitor,
    monitors_of,
)

TEAM = ("team:acme/search",)


@pytest.fixture
async def datadog() -> AsyncIterator[tuple[DatadogServer, Redirected]]:
    async with a_datadog() as both:
        yield both


async def the_monitor(
    datadog: tuple[DatadogServer, Redirected], meanings: dict[str, Meaning] | None = None, **of: Any
) -> Monitor:
    server, upstream = datadog
    server.monitors = {"hard": [a_monitor(**of)]}
    [monitor] = await monitors_of(upstream).read(meanings or {})
    return monitor


async def the_failure(datadog: tuple[DatadogServer, Redirected], **of: Any) -> str:
    async with asyncio.timeout(20):
        with pytest.raises(SourceUnavailable) as failure:
            await monitors_of(datadog[1], **of).read({})
    return str(failure.value)


def groups_of(**statuses: str) -> dict[str, Any]:
    return {"groups": {f"host:{name}": a_group(status) for name, status in statuses.items()}}


async def test_asks_for_the_monitors_of_each_level(
    datadog: tuple[DatadogServer, Redirected],
) -> None:
    server, upstream = datadog

    await monitors_of(upstream, site="us5.datadoghq.com").read({})

    assert upstream.hosts == ["api.us5.datadoghq.com"] * 3
    assert [asked.query for asked in server.asked] == [
        {
            "group_states": "alert,warn,no data",
            "monitor_tags": f"brownout:{level}",
            "with_downtimes": "true",
            "page": "0",
            "page_size": str(PAGE_SIZE),
        }
        for level in ("soft", "hard", "emergency")
    ]
    assert {asked.path for asked in server.asked} == {"/api/v1/monitor"}
    assert {
        (asked.headers["dd-api-key"], asked.headers["dd-application-key"]) for asked in server.asked
    } == {(API_KEY, APP_KEY)}


async def test_reads_the_groups_of_a_monitor(datadog: tuple[DatadogServer, Redirected]) -> None:
    monitor = await the_monitor(
        datadog, state=groups_of(a="Alert", b="Warn", c="No Data", d="OK", e="Ignored")
    )

    assert monitor == Monitor(
        "1234567",
        (
            Group(frozenset({"host:a"}), Mode.HARD, TEAM),
            Group(frozenset({"host:b"}), Mode.SOFT, TEAM),
            Group(frozenset({"host:c"}), None, TEAM),
            Group(frozenset({"host:e"}), None, TEAM),
        ),
        (),
        "https://app.datadoghq.eu/monitors/1234567",
    )


@pytest.mark.parametrize(
    ("state", "levels"),
    [
        ("Alert", [Mode.HARD]),
        ("Warn", [Mode.SOFT]),
        ("No Data", [None]),
        (None, [None]),
        ("OK", []),
    ],
)
@pytest.mark.parametrize("groups", [{}, None, {"groups": None}])
async def test_reads_a_monitor_without_groups_as_a_whole(
    datadog: tuple[DatadogServer, Redirected],
    state: str | None,
    levels: list[Mode | None],
    groups: Any,
) -> None:
    monitor = await the_monitor(datadog, overall_state=state, state=groups)

    assert [(each.tags, each.level) for each in monitor.groups] == [
        (frozenset(), level) for level in levels
    ]


async def test_calls_the_group_of_a_monitor_without_groups_by_no_tag(
    datadog: tuple[DatadogServer, Redirected],
) -> None:
    monitor = await the_monitor(datadog, state={"groups": {"*": a_group("Alert")}})

    assert [each.name for each in monitor.groups] == [""]


async def test_reads_what_the_tags_of_a_group_say(
    datadog: tuple[DatadogServer, Redirected],
) -> None:
    groups = {"brownout_scope:org:other,host:a": a_group("Alert")}

    monitor = await the_monitor(datadog, tags=["brownout:hard"], state={"groups": groups})

    assert [each.scopes for each in monitor.groups] == [("org:other",)]


async def test_believes_the_policy_more_than_the_tags(
    datadog: tuple[DatadogServer, Redirected],
) -> None:
    meaning = Meaning(Mode.EMERGENCY, "provider:openai")

    monitor = await the_monitor(datadog, {"monitor:1234567": meaning})

    told = [(each.level, each.scopes) for each in monitor.groups]
    assert told == [(Mode.EMERGENCY, ("provider:openai",)), (Mode.HARD, ("provider:openai",))]


async def test_leaves_out_groups_that_ask_for_nothing(
    datadog: tuple[DatadogServer, Redirected],
) -> None:
    monitor = await the_monitor(datadog, tags=["brownout:hard", "brownout_scope:galaxy:x"])

    assert monitor.groups == ()


async def test_reads_what_is_muted(datadog: tuple[DatadogServer, Redirected]) -> None:
    until = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    second = until.timestamp()

    monitor = await the_monitor(
        datadog,
        options={"silenced": {"*": None, "host:b,env:x": second}},
        matching_downtimes=[
            {"id": 1, "scope": ["env:x", "host:a"], "start": second, "end": None},
            {"id": 2, "scope": ["*"], "start": None, "end": 1e300},
            {"id": 3},
        ],
    )

    assert monitor.mutes == (
        Mute(frozenset()),
        Mute(frozenset({"host:b", "env:x"}), until=until),
        Mute(frozenset({"host:a", "env:x"}), since=until),
        Mute(frozenset()),
        Mute(frozenset()),
    )


async def test_reads_page_by_page(datadog: tuple[DatadogServer, Redirected]) -> None:
    server, upstream = datadog
    server.monitors = {"soft": [a_monitor(number) for number in range(2 * PAGE_SIZE + 1)]}

    found = await monitors_of(upstream).read({})

    assert [each.id for each in found] == [str(number) for number in range(2 * PAGE_SIZE + 1)]
    pages = [each.query["page"] for each in server.asked if "soft" in each.query["monitor_tags"]]
    assert pages == ["0", "1", "2"]


async def test_takes_a_monitor_of_two_levels_once(
    datadog: tuple[DatadogServer, Redirected],
) -> None:
    server, upstream = datadog
    monitor = a_monitor(tags=["brownout:soft", "brownout:emergency"], state=groups_of(a="Alert"))
    server.monitors = {"soft": [monitor], "emergency": [monitor]}

    [found] = await monitors_of(upstream).read({})

    assert [each.level for each in found.groups] == [Mode.EMERGENCY]


async def test_leaves_out_a_monitor_that_it_cannot_read(
    datadog: tuple[DatadogServer, Redirected], caplog: pytest.LogCaptureFixture
) -> None:
    server, upstream = datadog
    server.monitors = {"hard": [a_monitor(id="x"), a_monitor(2), [], None, a_monitor(3, tags=7)]}  # type: ignore[list-item]  # what the API may send

    found = await monitors_of(upstream).read({})

    assert [each.id for each in found] == ["2"]
    assert [record.__dict__["number"] for record in caplog.records] == [4]


@pytest.mark.parametrize(
    ("status", "body", "cause"),
    [
        (429, b"[]", "it answers 429"),
        (500, b"", "it answers 500"),
        (503, b"x" * 100_000, "it answers 503"),
        (403, b'{"errors":["Forbidden"]}', "it answers 403"),
        (302, b"[]", "it answers 302"),
        (200, b"<html>", "no JSON"),
        (200, b"\xff\xfe", "no JSON"),
        (200, b"[" * 100_000, "no JSON"),
        (200, b"{}", "no list"),
        (200, b"null", "no list"),
        (200, b" " * (MOST_BYTES + 1), f"more than {MOST_BYTES} bytes"),
    ],
)
async def test_says_why_there_is_no_answer(
    datadog: tuple[DatadogServer, Redirected], status: int, body: bytes, cause: str
) -> None:
    datadog[0].answers = lambda _: (status, body)

    assert cause in await the_failure(datadog)


async def test_gives_no_half_of_an_answer(datadog: tuple[DatadogServer, Redirected]) -> None:
    """What is missing in an answer counts as calm."""

    def answers(asked: Asked) -> tuple[int, bytes]:
        fails = asked.query["monitor_tags"] == "brownout:emergency"
        return (500, b"") if fails else (200, json.dumps([a_monitor()]).encode())

    datadog[0].answers = answers

    assert "500" in await the_failure(datadog)


async def test_gives_up_at_its_deadline(datadog: tuple[DatadogServer, Redirected]) -> None:
    datadog[0].answers = lambda _: None

    assert await the_failure(datadog, deadline_s=0.2) == "no whole answer within 0.2 s"


async def test_gives_up_where_nobody_listens(datadog: tuple[DatadogServer, Redirected]) -> None:
    nobody = Redirected(datadog[1].inner, 1)

    assert "no answer" in await the_failure((datadog[0], nobody))


async def test_asks_for_no_more_pages_than_it_takes(
    datadog: tuple[DatadogServer, Redirected],
) -> None:
    page = json.dumps([{"id": number} for number in range(PAGE_SIZE)]).encode()
    datadog[0].answers = lambda _: (200, page)

    assert "more than 2000 monitors" in await the_failure(datadog)
    assert len(datadog[0].asked) == MOST_PAGES


async def test_never_fails_on_wrong_monitors(datadog: tuple[DatadogServer, Redirected]) -> None:
    chance = random.Random(7)
    server, upstream = datadog
    server.monitors = {"hard": [a_wrong_monitor(chance, number) for number in range(2_000 - 1)]}

    found = await monitors_of(upstream).read({})

    assert len(found) > 200


def a_wrong_monitor(chance: random.Random, number: int) -> dict[str, Any]:
    monitor = a_monitor(number)
    places = [monitor, monitor["state"], monitor["state"]["groups"], monitor["options"]]
    place = chance.choice(places)
    place[chance.choice([*place])] = chance.choice(ODD_VALUES)
    return monitor


ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**40,
    1.5,
    1e300,
    "",
    "x" * 3000,
    "\ud800,\x00",
    [],
    [None],
    {},
    {"*": 1e300},
    {"host:a": {"status": 7}},
    {"\ud800": {"status": "Alert"}},
)


async def test_never_shows_a_key(
    datadog: tuple[DatadogServer, Redirected], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server, _ = datadog
    seen: list[str] = []
    for status, body in [(200, b"<"), (403, f"{API_KEY} {APP_KEY}".encode()), (200, b"[{}]")]:
        server.answers = lambda _, answer=(status, body): answer
        try:
            await monitors_of(datadog[1]).read({})
        except SourceUnavailable as error:
            seen.append(repr(error))
    seen += [repr(record.__dict__) for record in caplog.records]
    seen.append(repr(vars(monitors_of(datadog[1]))["_upstream"]))

    assert [text for text in seen if API_KEY in text or APP_KEY in text] == []
