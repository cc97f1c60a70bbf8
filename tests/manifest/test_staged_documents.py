"""A staged store reads as the store would after its commits, and the store stays as it is."""

from typing import Any

import pytest

from common.core.ports import (
    Committed,
    Conflict,
    Create,
    Delete,
    Documents,
    Increment,
    Put,
    Query,
    Ref,
    Write,
)
from common.gateway.staged_documents import StagedDocuments

STORED = {"a": 1, "c": 1, "e": 2, "g": 1}
COLLECTION = "things"


@pytest.fixture
async def staged(documents: Documents) -> StagedDocuments:
    """Over a store of four things, two of them changed, one removed, two new."""
    await documents.commit([Create(_ref(name), {"kind": kind}) for name, kind in STORED.items()])
    staged = StagedDocuments(documents)
    outcome = await staged.commit(
        [
            Put(_ref("c"), {"kind": 2}),
            Put(_ref("e"), {"kind": 1}),
            Delete(_ref("a")),
            Create(_ref("b"), {"kind": 1}),
            Create(_ref("z"), {"kind": 1}),
            Create(Ref("others", "d"), {"kind": 1}),
        ]
    )
    assert outcome == Committed()
    return staged


def _ref(name: str) -> Ref:
    return Ref(COLLECTION, name)


async def _names(documents: Documents, **query: Any) -> list[str]:
    return [each.ref.id for each in await documents.query(Query(COLLECTION, **query))]


async def test_reads_what_is_staged_before_what_is_stored(staged: StagedDocuments) -> None:
    found = await staged.get_many([_ref(name) for name in ("g", "a", "b", "c", "x")])

    assert [None if each is None else each.data["kind"] for each in found] == [1, None, 1, 2, None]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["b", "c", "e", "g", "z"]),
        ({"where": {"kind": 1}}, ["b", "e", "g", "z"]),
        ({"where": {"kind": 2}}, ["c"]),
        ({"limit": 1}, ["b"]),
        ({"limit": 3}, ["b", "c", "e"]),
        ({"after": "b", "limit": 2}, ["c", "e"]),
        ({"after": "e"}, ["g", "z"]),
    ],
)
async def test_finds_each_once_and_in_order(
    staged: StagedDocuments, query: dict[str, Any], names: list[str]
) -> None:
    assert await _names(staged, **query) == names


async def test_leaves_the_store_as_it_is(staged: StagedDocuments, documents: Documents) -> None:
    assert await _names(documents) == ["a", "c", "e", "g"]
    assert await _names(documents, where={"kind": 2}) == ["e"]


@pytest.mark.parametrize(
    "write",
    [
        Create(_ref("g"), {}),
        Create(_ref("b"), {}),
        Put(_ref("c"), {}, if_version="another"),
        Put(_ref("a"), {}, if_version="another"),
        Delete(_ref("b"), if_version="another"),
    ],
)
async def test_refuses_what_the_store_would_refuse_and_stages_none_of_it(
    staged: StagedDocuments, write: Write
) -> None:
    outcome = await staged.commit([Create(_ref("new"), {}), write])

    assert outcome == Conflict((write.ref,))
    assert await staged.get_many([_ref("new")]) == [None]


async def test_changes_what_has_the_version_that_was_read(staged: StagedDocuments) -> None:
    for name in ("b", "g"):
        [found] = await staged.get_many([_ref(name)])
        assert found is not None
        change = Put(found.ref, {"kind": 7}, if_version=found.version)
        assert await staged.commit([change]) == Committed()
        assert await staged.commit([change]) == Conflict((found.ref,))

    assert await _names(staged, where={"kind": 7}) == ["b", "g"]


async def test_adds_to_what_is_there(staged: StagedDocuments) -> None:
    await staged.commit([Increment(_ref("e"), {"kind": 4, "more": 2})])

    [found] = await staged.get_many([_ref("e")])
    assert found is not None
    assert found.data == {"kind": 5, "more": 2}
