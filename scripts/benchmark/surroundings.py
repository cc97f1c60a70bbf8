"""What a served gateway needs around it, and what is counted when it is done.

It needs a provider and a key. Then the provider has charged for a number of calls, and the
gateway's bus holds the events of as many, whatever happened in between.
"""

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.adapters.sqlite_documents import SqliteDocuments
from common.core.ports import Committed, Create, Documents
from common.gateway.keys import Key, KeyPolicy, key_digest, key_id_of, key_ref, new_key_text
from scripts.benchmark.processes import Running, running
from scripts.commands.bundle import ROOT

LEDGER = "ledger.sqlite"

_CHARGES = "SELECT COUNT(*) FROM ledger"
_CHARGED = "SELECT substr(reply_id, -16) FROM ledger"
_USAGE = "FROM deliveries WHERE json_extract(attributes, '$.type') = 'usage.call'"
_EVENTS = f"SELECT data {_USAGE} ORDER BY position"
_EVENT_COUNT = f"SELECT COUNT(DISTINCT message_id) {_USAGE}"


@contextmanager
def simulated_provider(
    data: Path, *, cpu: int | None = None, certificate: Path | None = None
) -> Iterator[Running]:
    """The simulated provider with its ledger in `data`, until the block ends.

    With a `certificate` (PEM, with its key) it is reached by TLS.

    Raises:
        processes.NotStarted: it does not start; the text says why.
    """
    data.mkdir(parents=True, exist_ok=True)
    module = ["-P", "-m", "scripts.simulated", "--port", "0", "--ledger", str(data / LEDGER)]
    if certificate is not None:
        module += ["--certificate", str(certificate)]
    with running(
        [sys.executable, *module],
        ready=r"ready (https?://\S+)",
        folder=ROOT,
        log=data / "log",
        variables={"PYTHONPATH": str(ROOT)},
        cpu=cpu,
    ) as process:
        yield process


def make_key(data: Path) -> str:
    """The text of a new gateway key in the local state below `data`."""
    return asyncio.run(_make_key(data))


async def _make_key(data: Path) -> str:
    documents = SqliteDocuments(data / "state.sqlite")
    try:
        return await store_key(documents)
    finally:
        await documents.aclose()


async def store_key(documents: Documents, agent: str = "assistant") -> str:
    """Store a new gateway key of an agent; its text."""
    text = new_key_text(os.urandom)
    digest = key_digest(text)
    assert digest is not None
    key = Key(
        digest=digest,
        key_id=key_id_of(digest),
        name="bench",
        line=key_id_of(digest),
        org="acme",
        team="search",
        agent=agent,
        project=None,
        tags={},
        may_act_as=(),
        policy=KeyPolicy(),
        created_by="bench@localhost",
        created_at=datetime.now(UTC),
        expires_at=None,
        revoked_at=None,
    )
    outcome = await documents.commit([Create(key_ref(digest), key.to_data())])
    assert isinstance(outcome, Committed)
    return text


def usage_events(data: Path) -> list[dict[str, Any]]:
    """The usage events in the local bus below `data`, in the order they came."""
    return [json.loads(row[0]) for row in _rows(data / "bus.sqlite", _EVENTS)]


def event_count(data: Path) -> int:
    """How many calls have an event in the local bus below `data`."""
    return int(_rows(data / "bus.sqlite", _EVENT_COUNT)[0][0])


def charge_count(data: Path) -> int:
    """How many calls the simulated provider with its ledger below `data` has charged for."""
    return int(_rows(data / LEDGER, _CHARGES)[0][0])


def charged_ids(data: Path) -> list[str]:
    """What tells their answers apart, of all calls that were charged for, as `answers` reads it."""
    return [row[0] for row in _rows(data / LEDGER, _CHARGED)]


def _rows(file: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()
