"""Files kept at the provider, in OpenAI's shapes and in memory. Free."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripts.simulated.multipart_forms import form_parts
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Exchange

PURPOSES = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")
NOT_DOWNLOADED = ("assistants", "user_data", "vision")
LINES_OF_JSON = ("batch", "fine-tune")
MOST_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One upload, its description and its bytes."""

    described: Mapping[str, Any]
    content: bytes

    @property
    def purpose(self) -> str:
        return str(self.described["purpose"])


class Files:
    """All files of the account, oldest first."""

    def __init__(self) -> None:
        self._stored: dict[str, StoredFile] = {}

    def add(self, content_type: bytes, body: bytes, exchange: Exchange) -> Mapping[str, Any]:
        """Keep an upload and describe it.

        Raises:
            Refusal: it is no multipart form with a file and a purpose (400).
        """
        form = parts_of_form(content_type, body)
        for name in ("file", "purpose"):
            if name not in form:
                raise Refusal(400, f"'{name}' is a required property")
        file_name, content = form["file"]
        if file_name is None:
            raise Refusal(400, "'file' must be a file, not a text")
        purpose = form["purpose"][1].decode(errors="replace")
        if purpose not in PURPOSES:
            raise Refusal(400, f"'{purpose}' is not one of {list(PURPOSES)} - 'purpose'")
        if purpose in LINES_OF_JSON and not file_name.endswith(".jsonl"):
            raise Refusal(400, f"Invalid file format. Purpose {purpose} takes .jsonl files only.")
        identity = f"file-sim{exchange.suffix}"
        described = {
            "object": "file",
            "id": identity,
            "purpose": purpose,
            "filename": file_name,
            "bytes": len(content),
            "created_at": int(exchange.received_at.timestamp()),
            "expires_at": None,
            "status": "processed",
            "status_details": None,
        }
        self._stored[identity] = StoredFile(described, content)
        return described

    def named(self, identity: str) -> StoredFile:
        """The file of that id.

        Raises:
            Refusal: there is none (404).
        """
        if identity not in self._stored:
            raise Refusal(404, f"No such File object: {identity}", param="id")
        return self._stored[identity]

    def content(self, identity: str) -> bytes:
        """The bytes of a file.

        Raises:
            Refusal: there is none (404), or its purpose keeps it from being read back (400).
        """
        file = self.named(identity)
        if file.purpose in NOT_DOWNLOADED:
            raise Refusal(400, f"Not allowed to download files of purpose: {file.purpose}")
        return file.content

    def delete(self, identity: str) -> Mapping[str, Any]:
        """Forget a file.

        Raises:
            Refusal: there is none (404).
        """
        self.named(identity)
        del self._stored[identity]
        return {"object": "file", "id": identity, "deleted": True}

    def page(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        """A page of descriptions, newest first unless asked otherwise.

        Raises:
            Refusal: a parameter is not one the API accepts (400).
        """
        order = query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise Refusal(400, f"'{order}' is not one of ['asc', 'desc'] - 'order'", param="order")
        found = [
            file.described
            for file in self._stored.values()
            if query.get("purpose", file.purpose) == file.purpose
        ]
        return page_of(found if order == "asc" else found[::-1], query, MOST_LISTED, MOST_LISTED)


def page_of(
    found: list[Mapping[str, Any]], query: Mapping[str, str], most: int, usual: int
) -> Mapping[str, Any]:
    """The part of a list that `after` and `limit` ask for.

    Raises:
        Refusal: the limit is not within its bounds (400).
    """
    limit = query.get("limit", str(usual))
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        raise Refusal(
            400, f"Invalid 'limit': expected an integer between 1 and {most}.", param="limit"
        )
    start = 0
    if "after" in query:
        before = [index for index, each in enumerate(found) if each["id"] == query["after"]]
        start = before[0] + 1 if before else len(found)
    shown = found[start : start + int(limit)]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": start + len(shown) < len(found),
    }


def parts_of_form(content_type: bytes, body: bytes) -> dict[str, tuple[str | None, bytes]]:
    """The parts of a multipart form by name, each with its file name and its bytes."""
    return {part.name: (part.file_name, part.content) for part in form_parts(content_type, body)}
