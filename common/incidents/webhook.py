"""Messages for a receiver of one's own: JSON, signed.

`X-Signature: t=<seconds>,v1=<hex>` where the second part is the HMAC-SHA-256 of the first one's
digits, a dot, and the body as it was sent. A receiver refuses old times, so a message that somebody
recorded is of no use, and forgets ids that it has seen.
"""

import hmac
from typing import Any

from common.core.secrets import Secret
from common.incidents.told import Told, clean, usable_links

SIGNATURE = "x-signature"


def webhook_body(told: Told, note: str, *, maybe_repeated: bool) -> dict[str, Any]:
    """The JSON object of a message."""
    return {
        "v": 1,
        "id": told.id,
        "type": told.type,
        "severity": told.severity,
        "scope": clean(told.scope),
        "title": clean(told.title),
        "what": [clean(line) for line in told.what],
        "since": told.since.isoformat(),
        "doing": clean(told.doing),
        "affected": clean(told.affected),
        "links": [
            {"label": clean(each.label), "url": each.url} for each in usable_links(told.links)
        ],
        "dedup_key": told.dedup_key,
        "happened_at": told.happened_at.isoformat(),
        "maybe_repeated": maybe_repeated,
        "note": note,
    }


def signature(body: bytes, key: Secret, at_s: int) -> str:
    """The header's value. `at_s` is the time of sending in seconds since 1970."""
    digest = hmac.digest(key.reveal().encode(), f"{at_s}.".encode() + body, "sha256")
    return f"t={at_s},v1={digest.hex()}"
