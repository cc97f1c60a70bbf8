"""Batches in OpenAI's shapes and in memory. None is ever worked on, so none is billed.

What can be seen of a batch is its beginning: it is being validated until it is cancelled.
"""

from collections.abc import Mapping
from typing import Any

from scripts.simulated.openai_files import Files, page_of
from scripts.simulated.openai_wording import invalid_value, missing, wrong_type
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Exchange

FIELDS = frozenset(
    {"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"}
)
ENDPOINTS = (
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
)
WINDOW_S = {"24h": 24 * 3600}
MOST_LISTED = 100
USUALLY_LISTED = 20
_LATER = (
    *("output_file_id", "error_file_id", "in_progress_at", "finalizing_at", "completed_at"),
    *("failed_at", "expired_at", "cancelling_at", "cancelled_at", "errors"),
)


class Batches:
    """All batches of the account, oldest first. They name files that must be there."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._stored: dict[str, dict[str, Any]] = {}

    def create(self, parsed: Any, exchange: Exchange) -> Mapping[str, Any]:
        """Accept a batch.

        Raises:
            Refusal: it is not one the API accepts (400), or its file is not there (404).
        """
        if not isinstance(parsed, dict):
            raise Refusal(400, "Invalid type: expected an object.", code="invalid_type")
        _check(parsed)
        file = self._files.named(parsed["input_file_id"])
        if file.purpose != "batch":
            message = f"Invalid file purpose: expected 'batch', but got '{file.purpose}' instead."
            raise Refusal(400, message, param="input_file_id")
        created = int(exchange.received_at.timestamp())
        batch = {
            "id": f"batch_sim_{exchange.suffix}",
            "object": "batch",
            "endpoint": parsed["endpoint"],
            "input_file_id": parsed["input_file_id"],
            "completion_window": parsed["completion_window"],
            "status": "validating",
            "created_at": created,
            "expires_at": created + WINDOW_S[parsed["completion_window"]],
            **dict.fromkeys(_LATER),
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": parsed.get("metadata"),
        }
        self._stored[batch["id"]] = batch
        return batch

    def named(self, identity: str) -> Mapping[str, Any]:
        """The batch of that id.

        Raises:
            Refusal: there is none (404).
        """
        if identity not in self._stored:
            raise Refusal(404, f"No batch found with id '{identity}'.")
        return self._stored[identity]

    def cancel(self, identity: str, exchange: Exchange) -> Mapping[str, Any]:
        """End a batch.

        Raises:
            Refusal: there is none (404), or it has ended (409).
        """
        batch = self.named(identity)
        if batch["status"] == "cancelled":
            raise Refusal(409, "Cannot cancel a batch with status 'cancelled'.")
        now = int(exchange.received_at.timestamp())
        ended = {**batch, "status": "cancelled", "cancelling_at": now, "cancelled_at": now}
        self._stored[identity] = ended
        return ended

    def page(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        """A page of batches, newest first.

        Raises:
            Refusal: the limit is not within its bounds (400).
        """
        return page_of([*reversed(self._stored.values())], query, MOST_LISTED, USUALLY_LISTED)


def _check(body: dict[str, Any]) -> None:
    unknown = body.keys() - FIELDS
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        names = ", ".join(sorted(unknown))
        raise Refusal(400, f"Unrecognized request argument{plural} supplied: {names}")
    for name in ("input_file_id", "endpoint", "completion_window"):
        if name not in body:
            raise missing(name)
        if not isinstance(body[name], str):
            raise wrong_type(name, "a string", body[name])
    if body["endpoint"] not in ENDPOINTS:
        raise invalid_value("endpoint", body["endpoint"], ENDPOINTS)
    if body["completion_window"] not in WINDOW_S:
        message = f"Invalid value: '{body['completion_window']}'. Value must be '24h'."
        raise Refusal(400, message, param="completion_window", code="invalid_value")
    for name in ("metadata", "output_expires_after"):
        if not isinstance(body.get(name, {}), dict | None):
            raise wrong_type(name, "an object", body[name])
