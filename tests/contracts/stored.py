"""Short ways to look at what a store holds."""

from typing import Any

from common.core.ports import Document, Documents, Ref

A, B, C = (Ref("things", name) for name in "abc")


async def read(documents: Documents, ref: Ref) -> Document:
    [document] = await documents.get_many([ref])
    assert document is not None
    return document


async def data(documents: Documents, *refs: Ref) -> list[Any]:
    return [found and found.data for found in await documents.get_many(refs)]
