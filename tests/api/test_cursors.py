"""A cursor that somebody made up is refused like any other wrong parameter."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.api.cursors import make_cursor
from tests.api.conftest import made

LISTS = ["orgs", "teams", "agents", "projects", "keys", "usage/summary", "usage/calls", "prices"]
UNTIL = "2026-11-01T12:00:00+00:00"
NAMES = ["id", "key_id", "row", "time", "until"]

odd_texts = st.sampled_from(
    [
        "",
        "junk",
        "acme",
        "acme:search",
        "0123456789ab",
        "7",
        UNTIL,
        "2026-11-01T12:00:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "9999-12-31T23:59:59Z",
        "\0",
        "\ud800",
    ]
)
odd_numbers = st.sampled_from([0, -1, 1, 10**30, -(10**30), 2**63])
scalars = st.none() | st.booleans() | odd_numbers | st.floats() | odd_texts | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)
places = values | st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, scalars))


@pytest.mark.parametrize("path", LISTS)
@given(place=places)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_is_refused_or_answered_whatever_it_holds(
    client: httpx.AsyncClient, path: str, place: Any
) -> None:
    answer = await client.get(f"/api/v1/{path}", params={"after": make_cursor({}, place)})

    if answer.status_code != 200:
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["field"]) == (
            422,
            "invalid_input",
            "after",
        )


GROUPS: dict[str, Any] = {"until": UNTIL, "row": 0}
CALLS: dict[str, Any] = {"until": UNTIL, "time": UNTIL, "id": "call-1"}


FOREIGN: list[Any] = [[], {}, None, 7, "x", {"id": 5}, {"row": -1}, {"colour": "red"}]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        *((path, place) for path in LISTS for place in FOREIGN),
        ("orgs", {"id": ""}),
        ("orgs", {"id": "Acme"}),
        ("orgs", {"id": "acme", "row": 1}),
        ("keys", {"key_id": "x"}),
        ("prices", {"row": "x"}),
        ("prices", {"row": True}),
        ("usage/summary", {**GROUPS, "row": "x"}),
        ("usage/summary", {**GROUPS, "row": -1}),
        ("usage/summary", {**GROUPS, "until": "junk"}),
        ("usage/summary", {**GROUPS, "until": "0001-01-01T00:00:00Z"}),
        ("usage/summary", {"until": "junk"}),
        ("usage/calls", {**CALLS, "time": "junk"}),
        ("usage/calls", {**CALLS, "time": 5}),
        ("usage/calls", {**CALLS, "id": None}),
        ("usage/calls", {**CALLS, "until": "2026-11-01T12:00:00"}),
    ],
)
async def test_is_refused_by_name(client: httpx.AsyncClient, path: str, place: Any) -> None:
    answer = await client.get(f"/api/v1/{path}", params={"after": make_cursor({}, place)})

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (
        422,
        "invalid_input",
        "after",
    )


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("orgs", {"id": "acme"}),
        ("teams", {"id": "acme:search"}),
        ("keys", {"key_id": "0123456789ab"}),
        ("prices", {"row": 10**30}),
        ("usage/summary", GROUPS),
        ("usage/calls", CALLS),
    ],
)
async def test_is_answered_when_it_has_the_form_of_the_list(
    client: httpx.AsyncClient, path: str, place: Any
) -> None:
    await made(client, "orgs", id="acme")

    answer = await client.get(f"/api/v1/{path}", params={"after": make_cursor({}, place)})

    assert (answer.status_code, answer.json()["data"]) == (200, [])
