"""Insights in the store: merged one by one, and told once they are there.

The decision to tell is part of the commit that makes an insight what it is. It is published after
that and only then struck out; who dies in between leaves it to the next run, which publishes the
same event under the same id.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from common.core.ports import Bus, Clock, Document, Documents, Put, Query, Write
from common.core.transactions import Decide, Entropy, Read, transact
from common.insights.findings import INSIGHTS, Finding, Insight, insight_ref, merge
from common.insights.telling import event_of

logger = logging.getLogger(__name__)

PAGE = 500

Latest: TypeAlias = Mapping[tuple[str, str], Insight]
"""By kind and scope, the insight of the newest window."""


async def read_latest(documents: Documents) -> Latest:
    """Raises StoreUnavailable: no answer in time."""
    found = [each async for each in _insights(documents, {"latest": True})]
    ordered = sorted(found, key=lambda each: each.finding.window.since)
    return {(each.finding.kind, each.finding.scope): each for each in ordered}


async def find_insights(documents: Documents, where: Mapping[str, str]) -> list[Insight]:
    """The insights whose fields equal `where`, in the order of their ids.

    Raises:
        StoreUnavailable: no answer in time.
    """
    return [each async for each in _insights(documents, where)]


async def keep(
    documents: Documents,
    clock: Clock,
    entropy: Entropy,
    findings: Iterable[Finding],
    latest: Latest,
) -> int:
    """Merge what a run finds into what is stored, and return how many insights changed.

    Raises:
        StoreUnavailable: no answer in time; what is left is for the next run.
        VersionConflict: others were faster, again and again.
    """
    newest, changed = dict(latest), 0
    for finding in sorted(findings, key=lambda each: each.window.since):
        before = newest.get((finding.kind, finding.scope))
        written = await transact(
            documents, clock, _merging(finding, before, clock), entropy=entropy
        )
        changed += len(written)
        newest |= {(e.finding.kind, e.finding.scope): e for e in written if e.latest}
    return changed


def _merging(finding: Finding, latest: Insight | None, clock: Clock) -> Decide[Sequence[Insight]]:
    async def decide(read: Read) -> tuple[Sequence[Write], Sequence[Insight]]:
        stored, newest = await _read(read, finding.id), latest
        if latest is not None and latest.id != finding.id:
            newest = await _read(read, latest.id)
        written = merge(finding, stored, newest, clock.now())
        return [_put(each) for each in written], written

    return decide


async def _read(read: Read, insight: str) -> Insight | None:
    [document] = await read([insight_ref(insight)])
    return None if document is None else Insight.from_document(document)


async def tell(documents: Documents, bus: Bus, clock: Clock, entropy: Entropy) -> None:
    """Publish what is decided and not told yet.

    Raises:
        StoreUnavailable: no answer in time.
        PublishFailed: an event was not accepted; it and all behind it wait.
    """
    waiting = [each async for each in _insights(documents, {"waiting": True})]
    for insight in waiting:
        for type_ in insight.untold:
            event = event_of(insight, type_, insight.changed_at)
            await bus.publish(event.topic, event)
            logger.info("insights.told", extra={"insight": insight.id, "type": type_})
        await transact(documents, clock, _telling(insight), entropy=entropy)


def _telling(told: Insight) -> Decide[None]:
    async def decide(read: Read) -> tuple[Sequence[Write], None]:
        insight = await _read(read, told.id)
        if insight is None:
            return (), None
        left = tuple(each for each in insight.untold if each not in told.untold)
        return [_put(replace(insight, untold=left))] if left != insight.untold else (), None

    return decide


def _put(insight: Insight) -> Put:
    return Put(insight_ref(insight.id), insight.to_data())


async def _insights(
    documents: Documents, where: Mapping[str, str | bool]
) -> AsyncIterator[Insight]:
    after: str | None = None
    while True:
        page: list[Document] = await documents.query(
            Query(INSIGHTS, dict(where), after=after, limit=PAGE)
        )
        for document in page:
            yield Insight.from_document(document)
        if len(page) < PAGE:
            return
        after = page[-1].ref.id
