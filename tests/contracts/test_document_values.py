"""What every engine of `Documents` stores, gives back unchanged, and refuses."""

import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.core.errors import InvalidInput
from common.core.ports import Committed, Create, Documents, Increment, Put, Ref, Write
from tests.contracts.stored import A, B, data, read

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
times = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 -- hypothesis adds the zone itself
    datetime(2200, 1, 1),  # noqa: DTZ001 -- the same
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | texts
    | times
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)

numbers = itertools.count()


def nested(depth: int) -> Any:
    """A value that many dicts deep."""
    return {"a": nested(depth - 1)} if depth else 1


class TestValues:
    @settings(
        max_examples=100,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(stored=st.dictionaries(texts, values, max_size=5))
    async def test_gives_back_what_was_stored(
        self, documents: Documents, stored: dict[str, Any]
    ) -> None:
        ref = Ref("values", str(next(numbers)))

        await documents.commit([Create(ref, stored)])

        found = (await read(documents, ref)).data
        assert found == stored
        assert typed(found) == typed(stored)

    @pytest.mark.parametrize(
        "stored",
        [
            {"$time": "2026-01-01T00:00:00+00:00"},
            {"a": {"$time": "no time"}},
            {"a": {"$time": datetime(2026, 1, 1, tzinfo=UTC), "$$": 1}},
            {"": {"": ""}},
            {"n": [[1, [2]], []]},
            {"n": [{"$list": [1]}, [{"$list": []}], {"$$list": 1}]},
            {"$v": "", "$$v": 1, "__v__": {"__v__": "$v"}, "__": 0, "$": 1},
            {"a.b": {"`": 1, "\\": 2}, "`": 3, "a": {"b": 4}},
            {"f": -0.0, "i": 0},
            {"t": datetime(1, 1, 1, 0, 0, 0, 1, tzinfo=UTC)},
        ],
    )
    async def test_gives_back_what_looks_like_something_else(
        self, documents: Documents, stored: dict[str, Any]
    ) -> None:
        await documents.commit([Create(A, stored)])

        assert typed((await read(documents, A)).data) == typed(stored)

    async def test_gives_times_in_utc(self, documents: Documents) -> None:
        here = timezone(timedelta(hours=-3))
        await documents.commit([Put(A, {"t": datetime(2026, 1, 1, 22, 0, 0, 123456, here)})])

        found = (await read(documents, A)).data["t"]

        assert found.isoformat() == "2026-01-02T01:00:00.123456+00:00"

    @pytest.mark.parametrize(
        "value",
        [
            1 << 63,
            -(1 << 63) - 1,
            datetime(2026, 1, 1),  # noqa: DTZ001 -- a naive time is the point
            (1, 2),
            {1: 2},
            b"bytes",
            {"a": [object()]},
            "\ud800",
            "x" * 1_000_001,
            "é" * 500_001,
            {"x" * 1501: 1},
            list(range(10_001)),
            nested(21),
            [[[[[[[[[[[1]]]]]]]]]]],
        ],
        ids=lambda value: type(value).__name__,
    )
    async def test_refuses_what_it_could_not_give_back(
        self, documents: Documents, value: Any
    ) -> None:
        with pytest.raises(InvalidInput):
            await documents.commit([Put(A, {"v": value}), Put(B, {})])

        assert await data(documents, A, B) == [None, None]

    @pytest.mark.parametrize(
        "value",
        ["x" * 990_000, list(range(9_900)), nested(18), [[[[[[[[[1]]]]]]]]]],
        ids=["bytes", "values", "dicts", "lists"],
    )
    async def test_takes_what_is_just_allowed(self, documents: Documents, value: Any) -> None:
        outcome = await documents.commit([Put(A, {"v": value}), Increment(B, {"x" * 1499: 1})])

        assert outcome == Committed()
        assert (await read(documents, A)).data == {"v": value}

    async def test_adds_to_fields_of_any_name(self, documents: Documents) -> None:
        names = ["a.b", "`", "\\", "", "__x__", "$v", "ключ", "a\nb", "nul\0"]

        await documents.commit([Increment(A, dict.fromkeys(names, 1))])
        await documents.commit([Increment(A, dict.fromkeys(names, 2))])

        assert (await read(documents, A)).data == dict.fromkeys(names, 3)

    @pytest.mark.parametrize(
        "writes",
        [
            [],
            [Put(Ref("x", str(n)), {"v": "x" * 950_000}) for n in range(10)],
            [Put(Ref("x", str(n)), {}) for n in range(501)],
            [Put(A, {}), Increment(A, {"n": 1})],
            [Increment(A, {"n": 1 << 63})],
            [Increment(A, {"n": True})],
            [Increment(A, {f"n{number}": 1 for number in range(501)})],
        ],
        ids=["none", "bytes", "501", "twice", "too_large", "no_number", "fields"],
    )
    async def test_refuses_a_commit_of_the_wrong_form(
        self, documents: Documents, writes: list[Write]
    ) -> None:
        with pytest.raises(InvalidInput):
            await documents.commit(writes)


def typed(value: Any) -> Any:
    """The value with its types: 1, 1.0 and True are equal in Python, and -0.0 and 0.0."""
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return type(value), str(value) if isinstance(value, float) else value
