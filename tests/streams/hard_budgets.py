"""A hard budget for tests of the pipeline, and calls that it applies to."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from common.adapters.sqlite_documents import SqliteDocuments
from common.budgets.accounts import PERIODS, Period
from common.budgets.budgets import Budget, budget_ref
from common.budgets.calendar import Calendar
from common.core.ports import Put, Query

DOLLAR = 10**9
CHAT = "/openai/v1/chat/completions"
CAPPED = b'{"model":"gpt-4o-mini","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}'
CAPPED_STREAM = CAPPED[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'
NO_CAP = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi"}]}'

Make = Callable[..., Awaitable[Budget]]


@pytest.fixture
def budget(documents: SqliteDocuments) -> Make:
    """Stores a hard budget of the organisation."""

    async def make(limit: int = DOLLAR, **fields: Any) -> Budget:
        made = replace(Budget("b", "acme", "org:acme", Calendar("day"), limit, "hard"), **fields)
        await documents.commit([Put(budget_ref(made.id), made.to_data())])
        return made

    return make


async def period_of(documents: SqliteDocuments) -> Period:
    [document] = await documents.query(Query(PERIODS))
    return Period.from_document(document)
