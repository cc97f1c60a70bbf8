"""Files kept at the provider, in Anthropic's shapes and in memory. Free.

What a client uploads cannot be downloaded: the API gives out only files that tools have made, and
the simulated model runs none.
"""

import mimetypes
from collections.abc import Mapping
from typing import Any

from scripts.simulated.anthropic_batches import rfc3339
from scripts.simulated.openai_files import parts_of_form
from scripts.simulated.refusals import Refusal
from scripts.simulated.replies import Exchange

MOST_LISTED = 1000
USUALLY_LISTED = 20


class Files:
    """All files of the account, oldest first."""

    def __init__(self) -> None:
        self._stored: dict[str, Mapping[str, Any]] = {}

    def add(self, content_type: bytes, body: bytes, exchange: Exchange) -> Mapping[str, Any]:
        """Keep an upload's description.

        Raises:
            Refusal: it is no multipart form with a file (400).
        """
        name, content = parts_of_form(content_type, body).get("file", (None, b""))
        if name is None:
            raise Refusal(400, "file: Field required")
        described = {
            "type": "file",
            "id": f"file_sim_{exchange.suffix}",
            "size_bytes": len(content),
            "created_at": rfc3339(exchange.received_at),
            "filename": name,
            "mime_type": mimetypes.guess_type(name)[0] or "application/octet-stream",
            "downloadable": False,
            "expires_at": None,
        }
        self._stored[str(described["id"])] = described
        return described

    def named(self, identity: str) -> Mapping[str, Any]:
        """The description of the file of that id.

        Raises:
            Refusal: there is none (404).
        """
        if identity not in self._stored:
            raise Refusal(404, f"File not found: {identity}")
        return self._stored[identity]

    def content(self, identity: str) -> bytes:
        """Never: every file here is an upload.

        Raises:
            Refusal: there is none (404), or it cannot be downloaded (400).
        """
        self.named(identity)
        raise Refusal(400, f"File {identity} is not downloadable")

    def delete(self, identity: str) -> Mapping[str, Any]:
        """Forget a file.

        Raises:
            Refusal: there is none (404).
        """
        self.named(identity)
        del self._stored[identity]
        return {"id": identity, "type": "file_deleted"}

    def page(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        """A page of descriptions, newest first. A cursor holds how many came before.

        Raises:
            Refusal: the limit or the cursor is not one the API accepts (400).
        """
        limit = query.get("limit", str(USUALLY_LISTED))
        if not limit.isdecimal() or not 1 <= int(limit) <= MOST_LISTED:
            raise Refusal(400, f"limit: Input should be from 1 to {MOST_LISTED}")
        cursor = query.get("page", "page_0").removeprefix("page_")
        if not cursor.isdecimal():
            raise Refusal(400, "page: Invalid cursor")
        found = [*reversed(self._stored.values())]
        end = int(cursor) + int(limit)
        next_page = f"page_{end}" if end < len(found) else None
        return {"data": found[int(cursor) : end], "next_page": next_page}
