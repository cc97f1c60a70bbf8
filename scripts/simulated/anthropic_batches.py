"""Message batches in Anthropic's shapes and in memory. None is ever worked on, so none is billed.

A batch is in progress until it is cancelled; then every request in it has ended as cancelled, and
its results say so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Exchange

WINDOW = timedelta(hours=24)
MOST_LISTED = 1000
USUALLY_LISTED = 20
RESULTS = "https://api.anthropic.com/v1/messages/batches/{}/results"
"""Where a batch says that its results are: the real API names its own host, too."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, and the names of the requests in it."""

    described: Mapping[str, Any]
    requests: tuple[str, ...]


class Batches:
    """All batches of the account, oldest first."""

    def __init__(self) -> None:
        self._stored: dict[str, Batch] = {}

    def create(self, parsed: Any, exchange: Exchange) -> Mapping[str, Any]:
        """Accept a batch. What stands in `params` is judged when a request is worked on.

        Raises:
            Refusal: it is not one the API accepts (400).
        """
        names = _names(parsed)
        described = {
            "id": f"msgbatch_sim_{exchange.suffix}",
            "type": "message_batch",
            "processing_status": "in_progress",
            "request_counts": _counts(processing=len(names)),
            "ended_at": None,
            "created_at": rfc3339(exchange.received_at),
            "expires_at": rfc3339(exchange.received_at + WINDOW),
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": None,
        }
        self._stored[str(described["id"])] = Batch(described, names)
        return described

    def named(self, identity: str) -> Batch:
        """The batch of that id.

        Raises:
            Refusal: there is none (404).
        """
        if identity not in self._stored:
            raise Refusal(404, f"Message batch {identity} not found.")
        return self._stored[identity]

    def cancel(self, identity: str, exchange: Exchange) -> Mapping[str, Any]:
        """End a batch; one that has ended stays as it is.

        Raises:
            Refusal: there is none (404).
        """
        batch = self.named(identity)
        if batch.described["processing_status"] == "ended":
            return batch.described
        now = rfc3339(exchange.received_at)
        ended = {
            "processing_status": "ended",
            "request_counts": _counts(canceled=len(batch.requests)),
            "ended_at": now,
            "cancel_initiated_at": now,
            "results_url": RESULTS.format(identity),
        }
        self._stored[identity] = replace(batch, described={**batch.described, **ended})
        return self._stored[identity].described

    def results(self, identity: str) -> bytes:
        """One line of JSON for each request.

        Raises:
            Refusal: there is no such batch, or it goes on (404).
        """
        batch = self.named(identity)
        if batch.described["processing_status"] != "ended":
            raise Refusal(404, f"Message batch {identity} has no available results.")
        ended = {"result": {"type": "canceled"}}
        return b"".join(
            orjson.dumps({"custom_id": name, **ended}) + b"\n" for name in batch.requests
        )

    def delete(self, identity: str) -> Mapping[str, Any]:
        """Forget a batch.

        Raises:
            Refusal: there is none (404), or it goes on (400).
        """
        if self.named(identity).described["processing_status"] != "ended":
            raise Refusal(400, f"Message batch {identity} cannot be deleted before it has ended.")
        del self._stored[identity]
        return {"id": identity, "type": "message_batch_deleted"}

    def page(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        """A page of batches, newest first.

        Raises:
            Refusal: the limit is not within its bounds (400).
        """
        found = [batch.described for batch in reversed(self._stored.values())]
        return page_of(found, query, MOST_LISTED, USUALLY_LISTED)


def rfc3339(moment: datetime) -> str:
    """A time as the API writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def page_of(
    found: list[Mapping[str, Any]], query: Mapping[str, str], most: int, usual: int
) -> dict[str, Any]:
    """The part of a list that `after_id` and `limit` ask for.

    Raises:
        Refusal: the limit is not within its bounds (400).
    """
    limit = query.get("limit", str(usual))
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        raise Refusal(400, f"limit: Input should be from 1 to {most}")
    start = 0
    if "after_id" in query:
        before = [index for index, each in enumerate(found) if each["id"] == query["after_id"]]
        start = before[0] + 1 if before else len(found)
    shown = found[start : start + int(limit)]
    return {
        "data": shown,
        "has_more": start + len(shown) < len(found),
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
    }


def _counts(*, processing: int = 0, canceled: int = 0) -> dict[str, int]:
    ended = {"succeeded": 0, "errored": 0, "canceled": canceled, "expired": 0}
    return {"processing": processing, **ended}


def _names(parsed: Any) -> tuple[str, ...]:
    """The `custom_id` of each request of a batch."""
    if not isinstance(parsed, dict):
        raise Refusal(400, "Input should be a valid dictionary")
    for field in sorted(parsed.keys() - {"requests"}):
        raise Refusal(400, f"{field}: Extra inputs are not permitted")
    requests = parsed.get("requests")
    if not isinstance(requests, list) or not requests:
        raise Refusal(400, "requests: List should have at least 1 item")
    names = []
    for index, request in enumerate(requests):
        given = request if isinstance(request, dict) else {}
        name, params = given.get("custom_id"), given.get("params")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Refusal(400, f"requests.{index}.custom_id: Invalid value")
        if not isinstance(params, dict):
            raise Refusal(400, f"requests.{index}.params: Field required")
        names.append(name)
    if len(set(names)) != len(names):
        raise Refusal(400, "requests: custom_id must be unique within a batch")
    return tuple(names)
